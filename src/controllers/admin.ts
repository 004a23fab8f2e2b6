import type { HaStatus, SubscriptionGroupConfig } from '../client/index.ts'

/** A topic on one broker. */
export interface BrokerTopic {
  topicName: string
  readQueueNums: number
  writeQueueNums: number
  perm: number // bits: 4 read, 2 write
  order: boolean
  attributes: Record<string, string> // such as message.type
}

/** A consumer group on one broker. */
export type BrokerGroup = SubscriptionGroupConfig

/** Messages that a consumer group has not read yet. */
export interface Unread {
  consumerGroup: string
  topic: string
  count: number
}

/** Messages of a topic that no consumer group has to read. */
export interface Unclaimed {
  topic: string
  count: number
}

/** What is still to come and to be read in queues of a topic at one broker. */
export interface TopicUnread {
  /** Consumer groups that have not read all that is there. */
  groups: string[]
  /** How long it may take until the last message that waits at the broker, delayed or half, whatever its topic, is in its queue; 0: none waits. */
  delayedMs: number
  /** It began a moment ago: consumers that were connected may not be back, see consumersBackMs. */
  isFresh?: boolean
}

export interface GroupUse {
  clients: number
  topics: string[]
}

export interface BrokerPlace {
  clusterName: string
  brokerName: string
  brokerId: number // 0: the master
  brokerAddr: string
}

/**
 * What the operator asks of NameServers and brokers, as any admin does. Every method throws OperatingError: CONNECT_FAILED,
 * REQUEST_TIMEOUT, CONNECTION_CLOSED, REQUEST_REFUSED. Tables of topics and groups may be a second old, but for what this
 * operator itself changed. What takes many requests takes a signal: after its abort no further one is sent, and its reason
 * is thrown.
 */
export interface MqAdmin {
  /** The brokers that are registered at one NameServer. */
  brokers(namesrvAddr: string): Promise<BrokerPlace[]>
  /** All topics of a broker, the system's too, by name. */
  topics(brokerAddr: string): Promise<ReadonlyMap<string, BrokerTopic>>
  /** One of them; undefined: the broker does not have it. */
  topic(brokerAddr: string, topic: string): Promise<BrokerTopic | undefined>
  createTopic(brokerAddr: string, topic: BrokerTopic): Promise<void>
  deleteTopic(brokerAddr: string, topic: string): Promise<void>
  /** Of this cluster's brokers: others may have a topic of that name, too. */
  deleteRoute(namesrvAddr: string, topic: string, clusterName: string): Promise<void>
  /** All consumer groups of a broker, by name. */
  groups(brokerAddr: string): Promise<ReadonlyMap<string, BrokerGroup>>
  /** Creates the group or changes it; what is not given has Apache's defaults. */
  createGroup(brokerAddr: string, group: Partial<BrokerGroup> & { groupName: string }): Promise<void>
  /** @param isOffsetCleaned whether the broker forgets how far the group is */
  deleteGroup(brokerAddr: string, consumerGroup: string, isOffsetCleaned: boolean): Promise<void>
  /** Who of a group is connected to a broker, and the topics that it has consumed there. */
  groupUse(brokerAddr: string, consumerGroup: string): Promise<GroupUse>
  /**
   * Sends a group elsewhere in a topic at one broker: to the first message stored at timestampMs or later, or, where that
   * is negative, to the end.
   * @returns how many queues; 0: the broker has no such topic
   */
  resetOffset(brokerAddr: string, consumerGroup: string, topic: string, timestampMs: number): Promise<number>
  /** Whether the broker waits to be let go before it registers at NameServers. */
  isHeld(brokerAddr: string): Promise<boolean>
  /** Lets it register. */
  release(brokerAddr: string): Promise<void>
  /** Who copies a master's log; of a slave: whether it follows, and how much it has. */
  haStatus(brokerAddr: string): Promise<HaStatus>
  /** All settings of a broker as they are now. */
  settings(brokerAddr: string): Promise<ReadonlyMap<string, string>>
  /** Changes live settings of a running broker: all that are given, or none. */
  changeSettings(brokerAddr: string, settings: Readonly<Record<string, string>>): Promise<void>
  /** Bits: 4 read, 2 write. */
  permission(brokerAddr: string): Promise<number>
  setPermission(brokerAddr: string, permission: number): Promise<void>
  /**
   * Whatever some consumer group still has to read there.
   * @param peerAddrs the other brokers: they know of groups that have not come to this one yet
   * @param isPartial only what is quickly found: groups that never committed an offset there are not looked for
   */
  unread(brokerAddr: string, peerAddrs: readonly string[], isPartial: boolean, signal: AbortSignal): Promise<Unread[]>
  /** How long a broker has been running, ms; Infinity: it does not say. */
  uptimeMs(brokerAddr: string): Promise<number>
  /** How full the volume of a broker's store is, 0 to 1; undefined: it does not say. */
  diskUsedRatio(brokerAddr: string): Promise<number | undefined>
  /** Topics there with messages that no consumer group has to read, dead letters among them; those with most messages first. */
  unclaimed(brokerAddr: string, signal: AbortSignal): Promise<Unclaimed[]>
  /**
   * Who still has to read queues of a topic there.
   * @param firstQueue this queue and those after it
   * @param peerAddrs the other brokers: they know of groups that have not come to this one yet
   */
  topicUnread(
    brokerAddr: string,
    topic: string,
    firstQueue: number,
    peerAddrs: readonly string[],
    signal: AbortSignal,
  ): Promise<TopicUnread>
  close(): Promise<void>
}
