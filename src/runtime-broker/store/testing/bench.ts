import type { Log } from '../../../base/log.ts'
import { silentLog } from '../../../base/log.ts'
import { ManualClock } from '../../../base/testing/clock.ts'
import { type Chance, MemoryFiles } from '../../../base/testing/files.ts'
import { decodeMessages, encodeHost, type StoredMessage } from '../../../remoting/message/index.ts'
import {
  type Appended,
  type MessageStore,
  type NewMessage,
  openStore,
  type SettleStatus,
  type StoreSettings,
} from '../index.ts'
import type { KeyQuery } from '../key-index/key-index.ts'
import type { RetentionSettings } from '../retention.ts'

const host = encodeHost({ host: '10.0.0.1', port: 10911 })

/** A small message; what a test is about is given. */
export function message(fields: Partial<NewMessage> & { text?: string } = {}): NewMessage {
  const { text = 'hello', ...rest } = fields
  return {
    topic: 'orders',
    queueId: 0,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    bornHost: host,
    storeHost: host,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from(text),
    properties: '',
    tagsCode: 0,
    waitsForFlush: true,
    ...rest,
  }
}

/** What Apache's broker has. */
export const retention: RetentionSettings = {
  fileReservedHours: 72,
  deleteWhen: '04',
  diskMaxUsedSpaceRatio: 0.75,
  diskSpaceCleanForciblyRatio: 0.85,
  cleanFileForciblyEnable: true,
  deleteFileBatchMax: 10,
}

export interface Sent extends Appended {
  status: SettleStatus | undefined
}

/** A store on a disk and a clock that the test moves. */
export class StoreBench {
  clock = new ManualClock()
  readonly files: MemoryFiles
  readonly settings: StoreSettings
  readonly warnings: string[] = []
  store!: MessageStore

  constructor(settings: Partial<StoreSettings> = {}, files = new MemoryFiles()) {
    this.files = files
    files.now = () => this.clock.now()
    this.settings = {
      rootDir: '/store',
      commitLogDir: '/store/commitlog',
      segmentBytes: 4096,
      consumeQueueFileBytes: 20 * 16,
      flush: 'ASYNC',
      maxMessageBytes: 2048,
      flushIntervalCommitLogMs: 500,
      flushIntervalConsumeQueueMs: 1000,
      syncFlushTimeoutMs: 5000,
      diskSpaceWarningLevelRatio: 0.9,
      checkCrcOnRecover: true,
      index: { slotCount: 64, entryCountMax: 100 },
      retention: () => retention,
      delayLevelsMs: [1000, 5000],
      isCopy: false,
      ...settings,
    }
  }

  async open(): Promise<this> {
    const warn = (_fields: unknown, text: string) => void this.warnings.push(text)
    const log: Log = { ...silentLog, warn, error: warn, fatal: warn }
    this.store = await this.turnUntil(openStore(this.settings, { files: this.files, clock: this.clock, log }))
    return this
  }

  /** Appends; the status comes when the store settles. */
  append(fields: Parameters<typeof message>[0] = {}): Sent {
    const sent: Sent = { ...emptyAppended, status: undefined }
    Object.assign(sent, this.store.append(message(fields), { settle: (status) => void (sent.status = status) }))
    return sent
  }

  /** Appends, one turn each, until every one is settled or a turn brings nothing. */
  async appendAll(texts: readonly string[], fields: Partial<NewMessage> = {}): Promise<Sent[]> {
    const all: Sent[] = []
    for (const text of texts) {
      all.push(this.append({ ...fields, text }))
      await this.clock.turn()
    }
    return all
  }

  /** Everything that a consumer of the queue would get from its first message on. */
  async readAll(topic = 'orders', queueId = 0): Promise<StoredMessage[]> {
    const all: StoredMessage[] = []
    let offset = this.store.minOffset(topic, queueId)
    for (;;) {
      const result = await this.store.read(topic, queueId, offset, { countMax: 32, bytesMax: 65_536 })
      if (result.count > 0) all.push(...decodeMessages(Buffer.concat(result.bodies)))
      else if (result.status !== 'removed' && result.status !== 'foundNull') return all
      offset = result.nextBeginOffset
    }
  }

  async texts(topic = 'orders', queueId = 0): Promise<string[]> {
    return (await this.readAll(topic, queueId)).map(({ body }) => body.toString())
  }

  /** Texts of the messages that a query by key finds. */
  async find(key: string, query: Partial<KeyQuery> = {}): Promise<string[]> {
    const any = { beginTimestamp: 0, endTimestamp: Number.MAX_VALUE, countMax: 32, topic: 'orders' }
    const { bodies } = await this.turnUntil(this.store.query({ ...any, key, ...query }))
    return decodeMessages(Buffer.concat(bodies)).map(({ body }) => body.toString())
  }

  /** The process dies; what it still meant to do never happens. */
  kill(): void {
    this.files.crashProcess()
    this.clock.stop()
    this.clock = new ManualClock(this.clock.now())
  }

  cutPower(chance: Chance): void {
    this.files.cutPower(chance)
    this.clock.stop()
    this.clock = new ManualClock(this.clock.now())
  }

  /** Stops the store. */
  async close(): Promise<void> {
    await this.turnUntil(this.store.close())
  }

  /** Opens the directory again, as the next process would. */
  async reopen(): Promise<this> {
    this.warnings.length = 0
    return await this.open()
  }

  /** Gives work the turns that it needs. */
  async turnUntil<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const done = () => void (isDone = true)
    work.then(done, done)
    for (let turn = 0; turn < 1000 && !isDone; turn++) await this.clock.turn()
    return await work
  }
}

const emptyAppended: Appended = { queueOffset: -1, phyOffset: -1, storeTimestamp: -1, size: -1 }
