import { type DataVersion, isSameDataVersion } from '../../remoting/body/data-version.ts'
import type { BrokerMemberGroup, ClusterInfo, QueueData, TopicRouteData } from '../../remoting/body/route.ts'
import type { TopicConfig } from '../../remoting/body/topic-config.ts'
import { Perm } from '../../remoting/codes.ts'

/** One broker, as it names itself in requests. */
export interface BrokerIdentity {
  clusterName: string
  brokerName: string
  brokerId: number // 0: the master
  brokerAddr: string
}

/** What a broker says when it registers. */
export interface Registration extends BrokerIdentity {
  haServerAddr: string
  /** undefined: a broker older than acting masters; its slaves never stand in for it. */
  enableActingMaster: boolean | undefined
  /** The broker's own expiry. */
  timeoutMs: number | undefined
  dataVersion: DataVersion
  topics: ReadonlyMap<string, TopicConfig>
  filterServers: string[]
}

export type RegisterResult =
  | { status: 'registered'; master?: { brokerAddr: string; haServerAddr: string }; isNew: boolean }
  | { status: 'outdated' } // its id belongs to a newer holder
  | { status: 'refused' }

/** A connection by which a broker registered: its end is the broker's end. */
export interface Link {
  close(): void
}

interface Group {
  clusterName: string
  brokerName: string
  enableActingMaster: boolean
  addrs: Map<number, string> // by brokerId
}

interface LiveBroker extends BrokerIdentity {
  link: Link
  seenAtMs: number
  timeoutMs: number
  dataVersion: DataVersion
  haServerAddr: string
  filterServers: string[]
}

const timeoutMsDefault = 120_000
const masterId = 0

export interface RouteLimits {
  brokersMax: number
  topicsMax: number
}
export const routeLimits: RouteLimits = { brokersMax: 4096, topicsMax: 500_000 }

/**
 * Which broker serves which queue, as the brokers themselves say: nothing here outlives the process. Times are monotonic
 * milliseconds. Source: Apache RocketMQ 5, RouteInfoManager.
 */
export class Routes {
  readonly #clusters = new Map<string, Set<string>>() // brokerNames by clusterName
  readonly #groups = new Map<string, Group>() // by brokerName
  readonly #topics = new Map<string, Map<string, QueueData>>() // by topic, then brokerName
  readonly #live = new Map<string, LiveBroker>() // by liveKey
  readonly #limits: RouteLimits

  constructor(limits: RouteLimits = routeLimits) {
    this.#limits = limits
  }

  get brokerCount(): number {
    return this.#live.size
  }

  get topicCount(): number {
    return this.#topics.size
  }

  /**
   * Merges one registration.
   * @param isComplete topics that it does not name are gone from this broker
   */
  register(registration: Registration, link: Link, nowMs: number, isComplete = false): RegisterResult {
    const { clusterName, brokerName, brokerId, brokerAddr, dataVersion, topics } = registration
    const known = this.#live.get(liveKey(registration))
    if (known === undefined && this.#live.size >= this.#limits.brokersMax) return { status: 'refused' }

    const group = this.#groups.get(brokerName) ?? newGroup(registration)
    const holder = group.addrs.get(brokerId)
    if (holder !== undefined && holder !== brokerAddr) {
      const stateVersion = this.#live.get(liveKey({ ...registration, brokerAddr: holder }))?.dataVersion.stateVersion
      if (stateVersion !== undefined && stateVersion > dataVersion.stateVersion) {
        this.#live.delete(liveKey(registration)) // an old master that comes back late
        return { status: 'outdated' }
      }
    }
    // A single topic is an increment to what is known, never a broker's first word.
    if (holder === undefined && topics.size === 1) return { status: 'refused' }

    this.#groups.set(brokerName, group)
    setIn(this.#clusters, clusterName, () => new Set()).add(brokerName)
    group.enableActingMaster = registration.enableActingMaster ?? false
    for (const [id, address] of group.addrs) {
      if (address === brokerAddr && id !== brokerId) group.addrs.delete(id) // slave and master changed roles
    }
    group.addrs.set(brokerId, brokerAddr)

    const isFirst = holder === undefined
    const isPrimeSlave = registration.enableActingMaster !== undefined && brokerId === Math.min(...group.addrs.keys())
    if (brokerId === masterId || isPrimeSlave) {
      const isChanged = isFirst || known === undefined || !isSameDataVersion(known.dataVersion, dataVersion)
      const isActing = brokerId !== masterId && registration.enableActingMaster === true
      if (isChanged && isComplete) this.#forgetTopicsExcept(brokerName, topics)
      for (const topic of topics.values()) {
        if (isChanged || !this.#topics.get(topic.topicName)?.has(brokerName))
          this.#putTopic(brokerName, topic, isActing)
      }
    }
    this.#live.set(liveKey(registration), {
      clusterName,
      brokerName,
      brokerId,
      brokerAddr,
      link,
      seenAtMs: nowMs,
      timeoutMs: registration.timeoutMs ?? timeoutMsDefault,
      dataVersion,
      haServerAddr: registration.haServerAddr,
      filterServers: registration.filterServers,
    })
    const master = brokerId === masterId ? undefined : this.#masterOf(group)
    return { status: 'registered', isNew: known === undefined, ...(master && { master }) }
  }

  unregister(broker: BrokerIdentity): void {
    this.#live.delete(liveKey(broker))
    const group = this.#groups.get(broker.brokerName)
    if (group === undefined) return
    for (const [id, address] of group.addrs) if (address === broker.brokerAddr) group.addrs.delete(id)
    if (group.addrs.size > 0) {
      // Slaves that act for their master serve reads only.
      if (group.enableActingMaster && !group.addrs.has(masterId)) this.#changePerm(group.brokerName, wiped)
      return
    }
    this.#groups.delete(group.brokerName)
    for (const [clusterName, names] of this.#clusters) {
      if (names.delete(group.brokerName) && names.size === 0) this.#clusters.delete(clusterName)
    }
    for (const [topic, queues] of this.#topics) {
      if (queues.delete(group.brokerName) && queues.size === 0) this.#topics.delete(topic)
    }
  }

  /** Forgets the brokers whose last registration came by this connection. @returns them */
  unregisterLink(link: Link): BrokerIdentity[] {
    return this.#unregisterAll((broker) => broker.link === link)
  }

  /** Forgets the brokers that were silent for longer than their timeout. @returns them, with their connections */
  unregisterSilent(nowMs: number): (BrokerIdentity & { link: Link })[] {
    return this.#unregisterAll(({ seenAtMs, timeoutMs }) => nowMs - seenAtMs > timeoutMs)
  }

  /** Notes a sign of life; one from a broker that is not registered counts for nothing. */
  refresh(broker: { clusterName: string; brokerAddr: string }, nowMs: number): void {
    const live = this.#live.get(liveKey(broker))
    if (live !== undefined) live.seenAtMs = nowMs
  }

  /** The version of its topics that a broker registered with. */
  dataVersionOf(broker: { clusterName: string; brokerAddr: string }): DataVersion | undefined {
    return this.#live.get(liveKey(broker))?.dataVersion
  }

  /** undefined: no broker has the topic. */
  routeOf(topic: string): TopicRouteData | undefined {
    const queues = this.#topics.get(topic)
    if (queues === undefined) return undefined
    const groups = [...queues.keys()].flatMap((brokerName) => this.#groups.get(brokerName) ?? [])
    if (groups.length === 0) return undefined
    const addresses = groups.flatMap(({ clusterName, addrs }) =>
      [...addrs.values()].map((brokerAddr) => ({ clusterName, brokerAddr })),
    )
    return {
      brokerDatas: groups.map(brokerData),
      filterServerTable: new Map(
        addresses.flatMap((broker) => {
          const filterServers = this.#live.get(liveKey(broker))?.filterServers ?? []
          return filterServers.length > 0 ? [[broker.brokerAddr, filterServers]] : []
        }),
      ),
      queueDatas: [...queues.values()],
    }
  }

  clusterInfo(): ClusterInfo {
    return {
      brokerAddrTable: new Map([...this.#groups].map(([name, group]) => [name, brokerData(group)])),
      clusterAddrTable: new Map([...this.#clusters].map(([name, brokerNames]) => [name, [...brokerNames]])),
    }
  }

  /** A group nobody registered has no members. */
  membersOf(clusterName: string, brokerName: string): BrokerMemberGroup {
    return { brokerAddrs: this.#groups.get(brokerName)?.addrs ?? new Map(), brokerName, cluster: clusterName }
  }

  topics(): string[] {
    return [...this.#topics.keys()]
  }

  /** The topics whose first broker has these bits of TopicSysFlag set, and those others not. */
  topicsFlagged(set: number, unset = 0): string[] {
    const isFlagged = ([first]: QueueData[]) => first !== undefined && (first.topicSysFlag & (set | unset)) === set
    return [...this.#topics].filter(([, queues]) => isFlagged([...queues.values()])).map(([topic]) => topic)
  }

  /** The topics that any broker of the cluster has. */
  topicsOf(clusterName: string): string[] {
    const names = this.#clusters.get(clusterName) ?? new Set()
    return [...this.#topics].filter(([, queues]) => !names.isDisjointFrom(queues)).map(([topic]) => topic)
  }

  /** The topics that brokers have by themselves: named as clusters and brokers. And the address of some broker. */
  systemTopics(): { brokerAddr: string | undefined; topicList: string[] } {
    const topicList = [...this.#clusters].flatMap(([clusterName, brokerNames]) => [clusterName, ...brokerNames])
    const [first] = this.#groups.values()
    return { brokerAddr: first?.addrs.values().next().value, topicList }
  }

  /**
   * Adds a topic to broker groups that did not register it themselves; their next changed registration says anew what holds.
   * @returns false: a group is not known, or there are as many topics as there may be. Nothing has changed then; Apache keeps
   * the queues before the first unknown group where it knows the topic, which is half an answer.
   */
  registerTopic(topic: string, queueDatas: readonly QueueData[]): boolean {
    if (queueDatas.some(({ brokerName }) => !this.#groups.has(brokerName))) return false
    if (!this.#topics.has(topic) && this.#topics.size >= this.#limits.topicsMax) return false
    if (queueDatas.length === 0) return true
    const queues = setIn(this.#topics, topic, () => new Map())
    for (const queueData of queueDatas) queues.set(queueData.brokerName, queueData)
    return true
  }

  /** @param clusterName only at the brokers of this cluster */
  deleteTopic(topic: string, clusterName?: string): void {
    if (clusterName === undefined) {
      this.#topics.delete(topic)
      return
    }
    const queues = this.#topics.get(topic)
    for (const brokerName of this.#clusters.get(clusterName) ?? []) queues?.delete(brokerName)
    if (queues?.size === 0) this.#topics.delete(topic)
  }

  /**
   * Takes the write permission from every topic of a broker group, or gives read and write to it; the next changed
   * registration says anew what holds.
   * @returns how many topics the group has
   */
  setWritable(brokerName: string, isWritable: boolean): number {
    return this.#changePerm(brokerName, isWritable ? () => Perm.READ | Perm.WRITE : wiped)
  }

  #putTopic(brokerName: string, topic: TopicConfig, isActing: boolean): void {
    if (!this.#topics.has(topic.topicName) && this.#topics.size >= this.#limits.topicsMax) return
    setIn(this.#topics, topic.topicName, () => new Map()).set(brokerName, {
      brokerName,
      perm: isActing ? wiped(topic.perm) : topic.perm,
      readQueueNums: topic.readQueueNums,
      topicSysFlag: topic.topicSysFlag,
      writeQueueNums: topic.writeQueueNums,
    })
  }

  #forgetTopicsExcept(brokerName: string, kept: ReadonlyMap<string, TopicConfig>): void {
    for (const [topic, queues] of this.#topics) {
      if (!kept.has(topic) && queues.delete(brokerName) && queues.size === 0) this.#topics.delete(topic)
    }
  }

  #changePerm(brokerName: string, permOf: (perm: number) => number): number {
    let count = 0
    for (const queues of this.#topics.values()) {
      const queue = queues.get(brokerName)
      if (queue === undefined) continue
      queues.set(brokerName, { ...queue, perm: permOf(queue.perm) }) // routes that were handed out stay as they were
      count++
    }
    return count
  }

  #masterOf(group: Group): { brokerAddr: string; haServerAddr: string } | undefined {
    const brokerAddr = group.addrs.get(masterId)
    const live = brokerAddr && this.#live.get(liveKey({ clusterName: group.clusterName, brokerAddr }))
    return live ? { brokerAddr: live.brokerAddr, haServerAddr: live.haServerAddr } : undefined
  }

  #unregisterAll(isGone: (broker: LiveBroker) => boolean): LiveBroker[] {
    const gone = [...this.#live.values()].filter(isGone)
    for (const broker of gone) this.unregister(broker)
    return gone
  }
}

/** Addresses are unique in a cluster only: containers of two clusters may see the same one. */
function liveKey({ clusterName, brokerAddr }: { clusterName: string; brokerAddr: string }): string {
  return `${clusterName}\n${brokerAddr}`
}

function newGroup({ clusterName, brokerName }: BrokerIdentity): Group {
  return { clusterName, brokerName, enableActingMaster: false, addrs: new Map() }
}

function brokerData({ clusterName, brokerName, enableActingMaster, addrs }: Group) {
  return {
    brokerAddrs: new Map([...addrs].sort(([a], [b]) => a - b)),
    brokerName,
    cluster: clusterName,
    enableActingMaster,
  }
}

function wiped(perm: number): number {
  return perm & ~Perm.WRITE
}

function setIn<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
