import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import type { BrokerSettings, Properties } from '../../tunables/index.ts'
import type { MessageStore } from '../store/index.ts'
import type { Clients } from './clients.ts'
import type { ConsumerOffsets } from './consumer-offsets.ts'
import type { DelayLevels } from './delay-levels.ts'
import type { Filters } from './filter/filter.ts'
import type { Groups } from './groups.ts'
import type { QueueLocks } from './locks.ts'
import type { PullHold } from './pull-hold.ts'
import type { Replication } from './replication.ts'
import type { Schedule } from './schedule.ts'
import type { Stats } from './stats.ts'
import type { Topics } from './topics.ts'
import type { Transactions } from './transactions/transactions.ts'

/** What the processors of one broker work with. */
export interface Broker {
  /** Those that are `live` change while the broker runs: read them where they matter, keep no copies. */
  readonly settings: BrokerSettings
  /** host:port that clients use: brokerIP1 and the main port. */
  readonly brokerAddr: string
  /** brokerAddr as messages carry it. */
  readonly storeHost: Buffer
  readonly bootTimestamp: number // ms
  readonly store: MessageStore
  readonly topics: Topics
  readonly groups: Groups
  readonly consumerOffsets: ConsumerOffsets
  readonly clients: Clients
  readonly pullHold: PullHold
  readonly filters: Filters
  readonly locks: QueueLocks
  readonly delayLevels: DelayLevels
  readonly schedule: Schedule
  readonly transactions: Transactions
  readonly replication: Replication
  readonly stats: Stats
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** A UNIQ_KEY for a message whose producer gave it none. */
  nextUniqKey(): string
  /** Resolves when the NameServers know of the topic's change, or did not answer in the time that an admin waits. */
  announceTopic(topic: string): Promise<void>
  /** Tells the NameServers everything again. */
  announceAll(): Promise<void>
  /** namesrvAddr is another one: registers at the NameServers that came, leaves those that went. */
  refreshNameServers(): Promise<void>
  /** Keeps changed settings for the next start. @throws OperatingError FILE_FAILED */
  saveSettings(changes: Properties): void
}
