/** A topic on one broker. */
export interface BrokerTopic {
  topicName: string
  readQueueNums: number
  writeQueueNums: number
  perm: number // bits: 4 read, 2 write
  order: boolean
  attributes: Record<string, string> // such as message.type
}

/** Messages that a consumer group has not read yet. */
export interface Unread {
  consumerGroup: string
  topic: string
  count: number
}

export interface BrokerPlace {
  clusterName: string
  brokerName: string
  brokerAddr: string
}

/**
 * What the operator asks of NameServers and brokers, as any admin does. Every method throws OperatingError: CONNECT_FAILED,
 * REQUEST_TIMEOUT, CONNECTION_CLOSED, REQUEST_REFUSED.
 */
export interface MqAdmin {
  /** The masters that are registered at one NameServer. */
  masters(namesrvAddr: string): Promise<BrokerPlace[]>
  /** undefined: the broker does not have it. */
  topic(brokerAddr: string, topic: string): Promise<BrokerTopic | undefined>
  createTopic(brokerAddr: string, topic: BrokerTopic): Promise<void>
  deleteTopic(brokerAddr: string, topic: string): Promise<void>
  /** Of this cluster's brokers: others may have a topic of that name, too. */
  deleteRoute(namesrvAddr: string, topic: string, clusterName: string): Promise<void>
  /** Bits: 4 read, 2 write. */
  permission(brokerAddr: string): Promise<number>
  setPermission(brokerAddr: string, permission: number): Promise<void>
  /**
   * Whatever some consumer group still has to read there.
   * @param peerAddrs the other brokers: they know of groups that have not come to this one yet
   */
  unread(brokerAddr: string, peerAddrs: readonly string[]): Promise<Unread[]>
  close(): Promise<void>
}
