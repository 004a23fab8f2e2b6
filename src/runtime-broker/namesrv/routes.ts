import { type DataVersion, isSameDataVersion } from '../../remoting/body/data-version.ts'
import type { RegisteredTopic } from '../../remoting/body/register-broker.ts'
import type {
  BrokerData,
  BrokerMemberGroup,
  ClusterInfo,
  QueueData,
  TopicRouteData,
} from '../../remoting/body/route.ts'
import type { TopicQueueMappingInfo } from '../../remoting/body/topic-queue-mapping.ts'
import { Perm } from '../../remoting/codes.ts'
import { TopicNames } from './topic-names.ts'

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
  zoneName: string | undefined
  /** The broker's own expiry. */
  timeoutMs: number | undefined
  dataVersion: DataVersion
  /** undefined: those of its last registration, as hasMerged said. */
  topics: readonly RegisteredTopic[] | undefined
  mappings: ReadonlyMap<string, TopicQueueMappingInfo>
  filterServers: string[]
  print: BodyPrint
}

/** Tells two registrations of one broker with the same version apart. */
export interface BodyPrint {
  crc32: number
  bytes: number
}

export type RegisterResult =
  | {
      status: 'registered'
      master?: { brokerAddr: string; haServerAddr: string }
      isNew: boolean
      /** Topics that were not taken, as there are as many as there may be. */
      refusedTopics: number
      change?: MinBrokerIdChange | undefined
    }
  | { status: 'outdated' } // its id belongs to a newer holder
  | { status: 'refused' }

/** Another broker of a group has its smallest id now. */
export interface MinBrokerIdChange {
  minBrokerId: number
  minBrokerAddr: string
  offlineBrokerAddr: string | undefined // who left; undefined: somebody came
  haBrokerAddr: string | undefined // of who came
  /** Who is to hear of it. */
  brokerAddrs: string[]
}

/** A connection by which a broker registered: its end is the broker's end. */
export interface Link {
  close(): void
}

interface Group {
  readonly clusterName: string
  readonly brokerName: string
  enableActingMaster: boolean
  zoneName: string | undefined
  readonly addrs: Map<number, string> // by brokerId
  /** Equal ones are one object. */
  readonly topics: Map<string, QueueData>
  readonly queueDatas: Map<string, QueueData>
  readonly mappings: Map<string, TopicQueueMappingInfo>
  /** How often something else than a registration changed which topics it has. */
  edits: number
  /** As it stands in routes; undefined: to be made anew. */
  data: BrokerData | undefined
  /** The same with the smallest id as the master's. */
  actingData: BrokerData | undefined
}

interface LiveBroker extends BrokerIdentity {
  readonly link: Link
  seenAtMs: number
  readonly timeoutMs: number
  readonly dataVersion: DataVersion
  readonly haServerAddr: string
  readonly print: BodyPrint
  /** The group's edits when this broker's topics were merged whole; undefined: they are not. */
  mergedAt: number | undefined
}

const timeoutMsDefault = 120_000
const masterId = 0
const stepTopics = 200 // about a tenth of a millisecond
const queueDatasMax = 1024 // different ones in a group; forgotten beyond: they are shared to save memory only
const noFilterServers: ReadonlyMap<string, string[]> = new Map()
/** Topics by which members of a group look for each other: they have to see who is really there. */
const memberTopicPrefix = 'rmq_sys_SYNC_BROKER_MEMBER_'

export interface RouteLimits {
  brokersMax: number
  topicsMax: number
}
export const routeLimits: RouteLimits = { brokersMax: 4096, topicsMax: 2_000_000 }

/**
 * Which broker serves which queue, as the brokers themselves say: nothing here outlives the process. Times are monotonic
 * milliseconds. Source: Apache RocketMQ 5, RouteInfoManager.
 *
 * Each group has its topics, so that a group comes, changes and goes without a look at the others; a route asks each group.
 */
export class Routes {
  readonly #clusters = new Map<string, Set<string>>() // brokerNames by clusterName
  readonly #groups = new Map<string, Group>() // by brokerName
  readonly #names: TopicNames
  readonly #live = new Map<string, LiveBroker>() // by liveKey
  readonly #filterServers = new Map<string, string[]>() // by liveKey, where there are some
  readonly #limits: RouteLimits

  constructor(limits: RouteLimits = routeLimits) {
    this.#limits = limits
    this.#names = new TopicNames(limits.topicsMax)
  }

  get brokerCount(): number {
    return this.#live.size
  }

  get topicCount(): number {
    return this.#names.size
  }

  /** Whether a registration's topics need not be read: they are those that its broker registered last, and all are here. */
  hasMerged(broker: BrokerIdentity, isActingMasterKnown: boolean, dataVersion: DataVersion, print: BodyPrint): boolean {
    const live = this.#live.get(liveKey(broker))
    const group = this.#groups.get(broker.brokerName)
    if (live === undefined || group === undefined) return false
    if (live.brokerName !== broker.brokerName || group.addrs.get(broker.brokerId) !== broker.brokerAddr) return false
    if (!isSameDataVersion(live.dataVersion, dataVersion)) return false
    if (live.print.crc32 !== print.crc32 || live.print.bytes !== print.bytes) return false
    return !speaksFor(group, broker.brokerId, isActingMasterKnown) || live.mergedAt === group.edits
  }

  /**
   * Merges one registration, in steps between which anything but another registration may happen.
   * @param isComplete topics that it does not name are gone from this broker
   */
  *registering(
    registration: Registration,
    link: Link,
    nowMs: number,
    isComplete = false,
  ): Generator<void, RegisterResult> {
    const { clusterName, brokerName, brokerId, brokerAddr, dataVersion, topics } = registration
    const key = liveKey(registration)
    const known = this.#live.get(key)
    if (known === undefined && this.#live.size >= this.#limits.brokersMax) return { status: 'refused' }
    // Who has another name at an old address: nobody would ever notice that it is gone by the old one.
    if (known !== undefined && known.brokerName !== brokerName) this.unregister(known)

    const group = this.#groups.get(brokerName) ?? newGroup(registration)
    const holder = group.addrs.get(brokerId)
    if (holder !== undefined && holder !== brokerAddr) {
      const stateVersion = this.#live.get(liveKey({ ...registration, brokerAddr: holder }))?.dataVersion.stateVersion
      if (stateVersion !== undefined && stateVersion > dataVersion.stateVersion) {
        this.#forget(key) // an old master that comes back late
        return { status: 'outdated' }
      }
    }
    // A single topic is an increment to what is known, never a broker's first word.
    if (holder === undefined && topics?.length === 1) return { status: 'refused' }

    this.#groups.set(brokerName, group)
    setIn(this.#clusters, clusterName, () => new Set()).add(brokerName)
    const minBefore = group.addrs.size === 0 ? masterId : minIdOf(group)
    const enableActingMaster = registration.enableActingMaster ?? false
    const { zoneName } = registration
    if (holder !== brokerAddr || group.enableActingMaster !== enableActingMaster || group.zoneName !== zoneName) {
      group.enableActingMaster = enableActingMaster
      group.zoneName = zoneName
      for (const [id, address] of group.addrs) {
        if (address === brokerAddr && id !== brokerId) group.addrs.delete(id) // slave and master changed roles
      }
      group.addrs.set(brokerId, brokerAddr)
      changed(group)
    }
    const live: LiveBroker = {
      clusterName,
      brokerName,
      brokerId,
      brokerAddr,
      link,
      seenAtMs: nowMs,
      timeoutMs: registration.timeoutMs ?? timeoutMsDefault,
      dataVersion,
      haServerAddr: registration.haServerAddr,
      print: registration.print,
      mergedAt: topics === undefined ? known?.mergedAt : undefined,
    }
    this.#live.set(key, live)
    if (registration.filterServers.length > 0) this.#filterServers.set(key, registration.filterServers)
    else if (topics !== undefined) this.#filterServers.delete(key)

    let refusedTopics = 0
    if (topics !== undefined && speaksFor(group, brokerId, registration.enableActingMaster !== undefined)) {
      const isChanged =
        holder === undefined || known === undefined || !isSameDataVersion(known.dataVersion, dataVersion)
      const isActing = brokerId !== masterId && enableActingMaster
      const mergedAt = group.edits
      for (let at = 0; at < topics.length; at++) {
        const topic = topics[at]!
        if ((isChanged || !group.topics.has(topic.topicName)) && !this.#putTopic(group, topic, isActing))
          refusedTopics++
        if (at % stepTopics !== stepTopics - 1) continue
        yield
        if (this.#live.get(key) !== live) return { status: 'registered', isNew: false, refusedTopics } // it left meanwhile
      }
      if (isChanged) for (const [topic, mapping] of registration.mappings) group.mappings.set(topic, mapping)
      if (isComplete && registration.mappings.size === 0) this.#forgetTopicsExcept(group, topics)
      live.mergedAt = mergedAt
    }
    const master = brokerId === masterId ? undefined : this.#masterOf(group)
    const change = brokerId < minBefore ? arrival(group, registration.haServerAddr) : undefined
    return { status: 'registered', isNew: known === undefined, refusedTopics, ...(master && { master }), change }
  }

  /** As registering, all at once. */
  register(registration: Registration, link: Link, nowMs: number, isComplete = false): RegisterResult {
    const steps = this.registering(registration, link, nowMs, isComplete)
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
    }
  }

  /** @returns what its group has to hear, if it acts for lost masters */
  unregister(broker: BrokerIdentity): MinBrokerIdChange | undefined {
    this.#forget(liveKey(broker))
    const group = this.#groups.get(broker.brokerName)
    if (group === undefined) return undefined
    const wasMin = group.addrs.size > 0 && minIdOf(group) === broker.brokerId
    for (const [id, address] of group.addrs) if (address === broker.brokerAddr) group.addrs.delete(id)
    changed(group)
    if (group.addrs.size > 0) {
      if (!group.enableActingMaster) return undefined
      // Slaves that act for their master serve reads only.
      if (!group.addrs.has(masterId)) changePerm(group, wiped)
      return wasMin ? departure(group, broker.brokerAddr) : undefined
    }
    this.#groups.delete(group.brokerName)
    for (const [clusterName, names] of this.#clusters) {
      if (names.delete(group.brokerName) && names.size === 0) this.#clusters.delete(clusterName)
    }
    for (const topic of group.topics.keys()) this.#names.release(topic)
    return undefined
  }

  /** Forgets the brokers whose last registration came by this connection. @returns them */
  unregisterLink(link: Link): Gone[] {
    return this.#unregisterAll((broker) => broker.link === link)
  }

  /** Forgets the brokers that were silent for longer than their timeout. @returns them, with their connections */
  unregisterSilent(nowMs: number): Gone[] {
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

  /**
   * Routes share their parts, which never change: what changes is made anew.
   * @param supportsActingMaster a slave that acts for its lost master is shown as the master
   * @returns undefined: no broker has the topic
   */
  routeOf(topic: string, supportsActingMaster = false): TopicRouteData | undefined {
    const groups = this.#names.groupsOf(topic)
    if (groups === 0) return undefined
    const isActingShown = supportsActingMaster && !topic.startsWith(memberTopicPrefix)
    const brokerDatas: BrokerData[] = []
    const queueDatas: QueueData[] = []
    let mappings: Map<string, TopicQueueMappingInfo> | undefined
    for (const group of this.#groups.values()) {
      const queueData = group.topics.get(topic)
      if (queueData === undefined) continue
      const isWritable = (queueData.perm & Perm.WRITE) !== 0
      brokerDatas.push(isActingShown && !isWritable ? actingDataOf(group) : dataOf(group))
      queueDatas.push(queueData)
      const mapping = group.mappings.get(topic)
      if (mapping !== undefined) mappings = (mappings ?? new Map()).set(mapping.bname, mapping)
      if (queueDatas.length === groups) break
    }
    return {
      brokerDatas,
      filterServerTable: this.#filterServersOf(brokerDatas),
      queueDatas,
      topicQueueMappingByBroker: mappings,
    }
  }

  clusterInfo(): ClusterInfo {
    return {
      brokerAddrTable: new Map([...this.#groups].map(([name, group]) => [name, dataOf(group)])),
      clusterAddrTable: new Map([...this.#clusters].map(([name, brokerNames]) => [name, [...brokerNames]])),
    }
  }

  /** A group nobody registered has no members. */
  membersOf(clusterName: string, brokerName: string): BrokerMemberGroup {
    const group = this.#groups.get(brokerName)
    return {
      brokerAddrs: group === undefined ? new Map() : dataOf(group).brokerAddrs,
      brokerName,
      cluster: clusterName,
    }
  }

  topics(): string[] {
    return this.#names.list()
  }

  /** The topics whose first broker has these bits of TopicSysFlag set, and those others not. */
  topicsFlagged(set: number, unset = 0): string[] {
    const isFlagged = ({ topicSysFlag }: QueueData) => (topicSysFlag & (set | unset)) === set
    const first = new Map<string, QueueData>()
    for (const group of this.#groups.values()) {
      for (const [topic, queueData] of group.topics) if (!first.has(topic)) first.set(topic, queueData)
    }
    return [...first].filter(([, queueData]) => isFlagged(queueData)).map(([topic]) => topic)
  }

  /** The topics that any broker of the cluster has. */
  topicsOf(clusterName: string): string[] {
    return [...new Set(this.#groupsOf(clusterName).flatMap(({ topics }) => [...topics.keys()]))]
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
    return queueDatas.every((queueData) => {
      const group = this.#groups.get(queueData.brokerName)!
      group.edits++
      return this.#putTopic(group, { topicName: topic, ...queueData }, false)
    })
  }

  /** @param clusterName only at the brokers of this cluster */
  deleteTopic(topic: string, clusterName?: string): void {
    const groups = clusterName === undefined ? this.#groups.values() : this.#groupsOf(clusterName)
    for (const group of groups) this.#removeTopic(group, topic)
  }

  /**
   * Takes the write permission from every topic of a broker group, or gives read and write to it; the next changed
   * registration says anew what holds.
   * @returns how many topics the group has
   */
  setWritable(brokerName: string, isWritable: boolean): number {
    const group = this.#groups.get(brokerName)
    if (group === undefined) return 0
    changePerm(group, isWritable ? () => Perm.READ | Perm.WRITE : wiped)
    return group.topics.size
  }

  #groupsOf(clusterName: string): Group[] {
    return [...(this.#clusters.get(clusterName) ?? [])].flatMap((brokerName) => this.#groups.get(brokerName) ?? [])
  }

  /** @returns false: there are as many topics as there may be */
  #putTopic(group: Group, topic: RegisteredTopic, isActing: boolean): boolean {
    const perm = isActing ? wiped(topic.perm) : topic.perm
    const before = group.topics.get(topic.topicName)
    if (before !== undefined && isSameQueueData(before, topic, perm)) return true
    const name = before === undefined ? this.#names.acquire(topic.topicName) : topic.topicName
    if (name === undefined) return false
    group.topics.set(name, queueDataOf(group, { ...topic, perm }))
    return true
  }

  #removeTopic(group: Group, topic: string): void {
    if (!group.topics.delete(topic)) return
    group.mappings.delete(topic)
    group.edits++
    this.#names.release(topic)
  }

  #forgetTopicsExcept(group: Group, topics: readonly RegisteredTopic[]): void {
    const kept = new Set(topics.map(({ topicName }) => topicName))
    if (group.topics.size === kept.size) return // each of them was put
    for (const topic of group.topics.keys()) {
      if (kept.has(topic)) continue
      group.topics.delete(topic)
      group.mappings.delete(topic)
      this.#names.release(topic)
    }
  }

  #filterServersOf(brokerDatas: readonly BrokerData[]): ReadonlyMap<string, string[]> {
    if (this.#filterServers.size === 0) return noFilterServers
    const table = new Map<string, string[]>()
    for (const { cluster: clusterName, brokerAddrs } of brokerDatas) {
      for (const brokerAddr of brokerAddrs.values()) {
        const filterServers = this.#filterServers.get(liveKey({ clusterName, brokerAddr }))
        if (filterServers !== undefined) table.set(brokerAddr, filterServers)
      }
    }
    return table
  }

  #masterOf(group: Group): { brokerAddr: string; haServerAddr: string } | undefined {
    const brokerAddr = group.addrs.get(masterId)
    const live = brokerAddr && this.#live.get(liveKey({ clusterName: group.clusterName, brokerAddr }))
    return live ? { brokerAddr: live.brokerAddr, haServerAddr: live.haServerAddr } : undefined
  }

  #forget(key: string): void {
    this.#live.delete(key)
    this.#filterServers.delete(key)
  }

  #unregisterAll(isGone: (broker: LiveBroker) => boolean): Gone[] {
    const gone = [...this.#live.values()].filter(isGone)
    return gone.map((broker) => ({ ...broker, change: this.unregister(broker) }))
  }
}

/** A broker that is no more. */
export type Gone = BrokerIdentity & { link: Link; change: MinBrokerIdChange | undefined }

/** Addresses are unique in a cluster only: containers of two clusters may see the same one. */
function liveKey({ clusterName, brokerAddr }: { clusterName: string; brokerAddr: string }): string {
  return `${clusterName}\n${brokerAddr}`
}

function newGroup({ clusterName, brokerName }: BrokerIdentity): Group {
  return {
    clusterName,
    brokerName,
    enableActingMaster: false,
    zoneName: undefined,
    addrs: new Map(),
    topics: new Map(),
    queueDatas: new Map(),
    mappings: new Map(),
    edits: 0,
    data: undefined,
    actingData: undefined,
  }
}

/** Whether a member's topics are the group's: the master's are, and those of a slave that stands in for it. */
function speaksFor(group: Group, brokerId: number, isActingMasterKnown: boolean): boolean {
  return brokerId === masterId || (isActingMasterKnown && brokerId === minIdOf(group))
}

function minIdOf(group: Group): number {
  return Math.min(...group.addrs.keys())
}

function changed(group: Group): void {
  group.data = undefined
  group.actingData = undefined
}

function dataOf(group: Group): BrokerData {
  return (group.data ??= brokerData(group, group.addrs))
}

/** Where a slave may act for the lost master, it stands in the master's place. */
function actingDataOf(group: Group): BrokerData {
  if (!group.enableActingMaster || group.addrs.has(masterId)) return dataOf(group)
  if (group.actingData === undefined) {
    const minId = minIdOf(group)
    const addrs = [...group.addrs].map(([id, address]) => [id === minId ? masterId : id, address] as const)
    group.actingData = brokerData(group, addrs)
  }
  return group.actingData
}

function brokerData(
  { clusterName, brokerName, enableActingMaster, zoneName }: Group,
  addrs: Iterable<readonly [number, string]>,
): BrokerData {
  return {
    brokerAddrs: new Map([...addrs].sort(([a], [b]) => a - b)),
    brokerName,
    cluster: clusterName,
    enableActingMaster,
    ...(zoneName !== undefined && { zoneName }),
  }
}

type Queues = Pick<QueueData, 'perm' | 'readQueueNums' | 'writeQueueNums' | 'topicSysFlag'>

function queueDataOf(group: Group, { perm, readQueueNums, topicSysFlag, writeQueueNums }: Queues): QueueData {
  if (group.queueDatas.size >= queueDatasMax) group.queueDatas.clear()
  const make = () => ({ brokerName: group.brokerName, perm, readQueueNums, topicSysFlag, writeQueueNums })
  return setIn(group.queueDatas, `${perm},${readQueueNums},${topicSysFlag},${writeQueueNums}`, make)
}

function isSameQueueData(a: QueueData, b: RegisteredTopic, perm: number): boolean {
  return (
    a.perm === perm &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.topicSysFlag === b.topicSysFlag
  )
}

function changePerm(group: Group, permOf: (perm: number) => number): void {
  const changes = new Map<QueueData, QueueData>()
  for (const [topic, queueData] of group.topics) {
    const make = () => queueDataOf(group, { ...queueData, perm: permOf(queueData.perm) })
    group.topics.set(topic, setIn(changes, queueData, make))
  }
}

/** A new broker has the smallest id: the others hear of it, or it alone where it is. */
function arrival(group: Group, haBrokerAddr: string): MinBrokerIdChange {
  const { minBrokerId, minBrokerAddr } = minOf(group)
  const others = [...group.addrs].filter(([id]) => id !== minBrokerId || group.addrs.size === 1)
  return {
    minBrokerId,
    minBrokerAddr,
    offlineBrokerAddr: undefined,
    haBrokerAddr,
    brokerAddrs: others.map(([, address]) => address),
  }
}

function departure(group: Group, offlineBrokerAddr: string): MinBrokerIdChange {
  return { ...minOf(group), offlineBrokerAddr, haBrokerAddr: undefined, brokerAddrs: [...group.addrs.values()] }
}

function minOf(group: Group): { minBrokerId: number; minBrokerAddr: string } {
  const minBrokerId = minIdOf(group)
  return { minBrokerId, minBrokerAddr: group.addrs.get(minBrokerId)! }
}

function wiped(perm: number): number {
  return perm & ~Perm.WRITE
}

function setIn<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
