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
import { type BrokerGroup, brokerKey, unwritable } from './broker-group.ts'
import { TopicNames } from './topic-names.ts'

const topicsMaxDefault = 2_000_000
const noFilterServers: ReadonlyMap<string, string[]> = new Map()
/** Topics by which members of a group look for each other: they have to see who is really there. */
const memberTopicPrefix = 'rmq_sys_SYNC_BROKER_MEMBER_'

/**
 * Which broker serves which queue, as the brokers themselves say (BrokerRegistry): nothing here outlives the process.
 * Source: Apache RocketMQ 5, RouteInfoManager.
 *
 * Each group has its topics, so that a group comes, changes and goes without a look at the others; a route asks each group.
 */
export class Routes {
  /** By brokerKey, where there are some. */
  readonly filterServers = new Map<string, string[]>()
  readonly #clusters = new Map<string, Set<string>>() // brokerNames by clusterName
  readonly #groups = new Map<string, BrokerGroup>() // by brokerName
  readonly #names: TopicNames

  constructor(topicsMax = topicsMaxDefault) {
    this.#names = new TopicNames(topicsMax)
  }

  get topicCount(): number {
    return this.#names.size
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
      brokerDatas.push(isActingShown && !isWritable ? group.actingBrokerData : group.brokerData)
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
      brokerAddrTable: new Map([...this.#groups].map(([name, group]) => [name, group.brokerData])),
      clusterAddrTable: new Map([...this.#clusters].map(([name, brokerNames]) => [name, [...brokerNames]])),
    }
  }

  /** A group nobody registered has no members. */
  membersOf(clusterName: string, brokerName: string): BrokerMemberGroup {
    const group = this.#groups.get(brokerName)
    return { brokerAddrs: group?.brokerData.brokerAddrs ?? new Map(), brokerName, cluster: clusterName }
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

  groupOf(brokerName: string): BrokerGroup | undefined {
    return this.#groups.get(brokerName)
  }

  /** @param clusterName as the broker says that registers, which may be another one than the group's first broker said */
  addGroup(group: BrokerGroup, clusterName: string): void {
    this.#groups.set(group.brokerName, group)
    this.#clusters.getOrInsertComputed(clusterName, () => new Set()).add(group.brokerName)
  }

  removeGroup(group: BrokerGroup): void {
    this.#groups.delete(group.brokerName)
    for (const [clusterName, names] of this.#clusters) {
      if (names.delete(group.brokerName) && names.size === 0) this.#clusters.delete(clusterName)
    }
    for (const topic of group.topics.keys()) this.#names.release(topic)
  }

  /** @returns false: there are as many topics as there may be */
  putTopic(group: BrokerGroup, topic: RegisteredTopic, isActing: boolean): boolean {
    const perm = isActing ? unwritable(topic.perm) : topic.perm
    const had = group.topics.get(topic.topicName)
    if (had !== undefined && isSameQueues(had, topic, perm)) return true
    const name = had === undefined ? this.#names.acquire(topic.topicName) : topic.topicName
    if (name === undefined) return false
    group.setTopic(name, { ...topic, perm })
    return true
  }

  /** All but these topics are gone from a group that has each of them. */
  keepTopics(group: BrokerGroup, topics: readonly RegisteredTopic[]): void {
    const kept = new Set(topics.map(({ topicName }) => topicName))
    if (group.topics.size === kept.size) return
    for (const topic of group.topics.keys()) {
      if (kept.has(topic)) continue
      group.topics.delete(topic)
      group.mappings.delete(topic)
      this.#names.release(topic)
    }
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
      return this.putTopic(group, { topicName: topic, ...queueData }, false)
    })
  }

  /** @param clusterName only at the brokers of this cluster */
  deleteTopic(topic: string, clusterName?: string): void {
    const groups = clusterName === undefined ? this.#groups.values() : this.#groupsOf(clusterName)
    for (const group of groups) {
      if (!group.topics.delete(topic)) continue
      group.mappings.delete(topic)
      group.edits++
      this.#names.release(topic)
    }
  }

  /**
   * Takes the write permission from every topic of a broker group, or gives read and write to it; the next changed
   * registration says anew what holds.
   * @returns how many topics the group has
   */
  setWritable(brokerName: string, isWritable: boolean): number {
    const group = this.#groups.get(brokerName)
    group?.setWritable(isWritable)
    return group?.topics.size ?? 0
  }

  #groupsOf(clusterName: string): BrokerGroup[] {
    return [...(this.#clusters.get(clusterName) ?? [])].flatMap((brokerName) => this.#groups.get(brokerName) ?? [])
  }

  #filterServersOf(brokerDatas: readonly BrokerData[]): ReadonlyMap<string, string[]> {
    if (this.filterServers.size === 0) return noFilterServers
    const table = new Map<string, string[]>()
    for (const { cluster: clusterName, brokerAddrs } of brokerDatas) {
      for (const brokerAddr of brokerAddrs.values()) {
        const filterServers = this.filterServers.get(brokerKey({ clusterName, brokerAddr }))
        if (filterServers !== undefined) table.set(brokerAddr, filterServers)
      }
    }
    return table
  }
}

function isSameQueues(a: QueueData, b: RegisteredTopic, perm: number): boolean {
  return (
    a.perm === perm &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.topicSysFlag === b.topicSysFlag
  )
}
