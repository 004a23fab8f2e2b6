import { isOperatingError, messageOf, OperatingError } from '../base/errors.ts'
import type { QueueTable } from '../remoting/body/message-queue.ts'
import type { BrokerData } from '../remoting/body/route.ts'
import type { SubscriptionGroupConfig } from '../remoting/body/subscription-group.ts'
import type { TopicConfig } from '../remoting/body/topic-config.ts'
import type { Admin } from './admin.ts'
import { compareText, type MessageQueue } from './message.ts'
import { retryPrefix } from './queue-offsets.ts'

/** One broker group and where its master is; undefined: no NameServer knows one now. */
export interface Master {
  brokerName: string
  brokerAddr: string | undefined
}

/**
 * Does at all masters of a cluster, beside each other, what Admin does at one; `admin.cluster(name)` makes it. Masters are
 * those that any NameServer of the list knows when the call begins. Every call can be made again. What fails at some is
 * done at the others all the same:
 * - PARTLY_DONE: facts.done lists the names that did it, facts.failed the errors' texts by name; cause is the first error.
 * - Where none did it, the first one's error as Admin throws it.
 * - CONNECT_FAILED names a group without a master; SETTING_INVALID a cluster that no NameServer knows.
 */
export class ClusterAdmin {
  readonly #admin: Admin
  readonly #clusterName: string | undefined

  constructor(admin: Admin, clusterName: string | undefined) {
    this.#admin = admin
    this.#clusterName = clusterName
  }

  /** Sorted by brokerName. */
  async masters(): Promise<Master[]> {
    const { namesrvAddrs } = this.#admin
    const asked = await Promise.allSettled(namesrvAddrs.map((address) => this.#admin.clusterInfo(address)))
    const infos = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    if (infos.length === 0) throw (asked[0] as PromiseRejectedResult).reason
    const groups = infos.flatMap(({ brokerAddrTable }) => [...brokerAddrTable.values()])
    const masters = mastersOf(groups.filter(({ cluster }) => this.#isHere(cluster)))
    if (masters.length > 0) return masters
    if (groups.length === 0) {
      throw new OperatingError('CONNECT_FAILED', {
        namesrvAddr: namesrvAddrs.join(';'),
        why: 'no broker is registered',
      })
    }
    throw this.#notHere(groups)
  }

  /** @param config as of Admin.createTopic */
  async createTopic(config: Partial<TopicConfig> & { topicName: string }): Promise<void> {
    await this.#atMasters((brokerAddr) => this.#admin.createTopic(brokerAddr, config))
  }

  /** Removes the topic with its messages, and then, where all masters have, its route at all NameServers. */
  async deleteTopic(topic: string): Promise<void> {
    await this.#atMasters((brokerAddr) => this.#admin.deleteTopic(brokerAddr, topic))
    await this.#atNameServers((address) => this.#admin.deleteTopicInNamesrv(address, topic, this.#clusterName))
  }

  async createSubscriptionGroup(config: Partial<SubscriptionGroupConfig> & { groupName: string }): Promise<void> {
    await this.#atMasters((brokerAddr) => this.#admin.createSubscriptionGroup(brokerAddr, config))
  }

  /**
   * Removes the group, and with it, as mqadmin does, its topics of retries and of dead letters.
   * @param isOffsetCleaned whether its progress goes too: a group of that name then begins anew
   */
  async deleteSubscriptionGroup(consumerGroup: string, isOffsetCleaned = false): Promise<void> {
    await this.#atMasters((brokerAddr) =>
      this.#admin.deleteSubscriptionGroup(brokerAddr, consumerGroup, isOffsetCleaned),
    )
    for (const prefix of [retryPrefix, deadPrefix]) await this.deleteTopic(prefix + consumerGroup)
  }

  /** Changes settings of all masters; slaves keep theirs. */
  async updateBrokerConfig(settings: Readonly<Record<string, string>>): Promise<void> {
    await this.#atMasters((brokerAddr) => this.#admin.updateBrokerConfig(brokerAddr, settings))
  }

  /**
   * Sends a group elsewhere in all queues of a topic, as Admin.resetOffset does at one broker: at all masters of the topic's
   * route. Refused with TOPIC_NOT_EXIST (17) where there is no route; SETTING_INVALID says which clusters have the topic where
   * this one does not.
   * @returns where each queue goes on
   */
  async resetOffset(to: { consumerGroup: string; topic: string; timestampMs: number }): Promise<QueueTable<number>> {
    const { brokerDatas } = await this.#admin.topicRoute(to.topic)
    const masters = mastersOf(brokerDatas.filter(({ cluster }) => this.#isHere(cluster)))
    if (masters.length === 0) throw this.#notHere(brokerDatas)
    const tables = await everywhere(masters.map(targetOf), (brokerAddr) => this.#admin.resetOffset(brokerAddr, to))
    return new Map<MessageQueue, number>(tables.flatMap((table) => [...table]))
  }

  /**
   * No producer sends to the broker group any more, until addWritePerm: told to all NameServers. SETTING_INVALID names the
   * groups of this cluster where it is none of them.
   */
  async wipeWritePerm(brokerName: string): Promise<void> {
    await this.#expectHere(brokerName)
    await this.#atNameServers((address) => this.#admin.wipeWritePerm(address, brokerName))
  }

  /** Takes wipeWritePerm back at all NameServers. */
  async addWritePerm(brokerName: string): Promise<void> {
    await this.#expectHere(brokerName)
    await this.#atNameServers((address) => this.#admin.addWritePerm(address, brokerName))
  }

  async #atMasters(work: (brokerAddr: string) => Promise<unknown>): Promise<void> {
    await everywhere((await this.masters()).map(targetOf), work)
  }

  async #atNameServers(work: (namesrvAddr: string) => Promise<unknown>): Promise<void> {
    await everywhere(
      this.#admin.namesrvAddrs.map((address) => ({ name: address, address })),
      work,
    )
  }

  /** NameServers ask for no cluster, and answer success for a name that nobody has. */
  async #expectHere(brokerName: string): Promise<void> {
    const names = (await this.masters()).map((master) => master.brokerName)
    if (names.includes(brokerName)) return
    throw new OperatingError('SETTING_INVALID', { key: 'brokerName', value: brokerName, fits: names.join(', ') })
  }

  #isHere(cluster: string): boolean {
    return this.#clusterName === undefined || cluster === this.#clusterName
  }

  /** What to throw where none of these groups is of this cluster: fits says of which they are. */
  #notHere(groups: readonly BrokerData[]): OperatingError {
    const fits = [...new Set(groups.map(({ cluster }) => cluster))].join(', ')
    return new OperatingError('SETTING_INVALID', { key: 'clusterName', value: this.#clusterName, fits })
  }
}

const deadPrefix = '%DLQ%'

/** One of each name: the first that tells where the master is. */
function mastersOf(groups: readonly BrokerData[]): Master[] {
  const masters = new Map<string, string | undefined>()
  for (const { brokerName, brokerAddrs } of groups) {
    masters.set(brokerName, masters.get(brokerName) ?? brokerAddrs.get(0))
  }
  return [...masters]
    .map(([brokerName, brokerAddr]) => ({ brokerName, brokerAddr }))
    .sort((a, b) => compareText(a.brokerName, b.brokerName))
}

interface Target {
  name: string
  address: string | undefined
}

function targetOf({ brokerName, brokerAddr }: Master): Target {
  return { name: brokerName, address: brokerAddr }
}

/** Does the same at all of them. @throws OperatingError as ClusterAdmin says */
async function everywhere<T>(targets: readonly Target[], work: (address: string) => Promise<T>): Promise<T[]> {
  const outcomes = await Promise.allSettled(
    targets.map(async ({ name, address }) => {
      if (address !== undefined) return work(address)
      throw new OperatingError('CONNECT_FAILED', { brokerName: name, why: 'no NameServer knows its master now' })
    }),
  )
  const values: T[] = []
  const done: string[] = []
  const failed = new Map<string, unknown>()
  for (const [index, { name }] of targets.entries()) {
    const outcome = outcomes[index]!
    if (outcome.status === 'rejected') failed.set(name, outcome.reason)
    else {
      values.push(outcome.value)
      done.push(name)
    }
  }
  const [first] = failed.values()
  if (failed.size === 0) return values
  if (done.length === 0 || !isOperatingError(first)) throw first
  const texts = Object.fromEntries([...failed].map(([name, error]) => [name, messageOf(error)]))
  throw new OperatingError('PARTLY_DONE', { done, failed: texts }, first)
}
