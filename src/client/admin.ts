import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import { formatAddress } from '../remoting/address.ts'
import { type ConsumerConnection, readConsumerConnection } from '../remoting/body/connections.ts'
import { type HaStatus, readHaStatus } from '../remoting/body/ha-status.ts'
import { readGroupList, readKvTable, readTopicList } from '../remoting/body/lists.ts'
import type { QueueTable } from '../remoting/body/message-queue.ts'
import {
  type BrokerData,
  type ClusterInfo,
  readClusterInfo,
  readTopicRouteData,
  type TopicRouteData,
} from '../remoting/body/route.ts'
import {
  type ConsumeStats,
  readConsumeStats,
  readConsumeStatsList,
  readResetOffsets,
  readTopicStatsTable,
  type TopicStatsTable,
} from '../remoting/body/stats.ts'
import {
  readSubscriptionGroupTable,
  type SubscriptionGroupConfig,
  subscriptionGroupConfig,
} from '../remoting/body/subscription-group.ts'
import {
  readTopicConfig,
  readTopicConfigTable,
  type TopicConfig,
  type TopicConfigTable,
  topicConfig,
  writeTopicConfigList,
} from '../remoting/body/topic-config.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import type { Command, CommandContent } from '../remoting/command.ts'
import { getBrokerConsumeStatsRequest, getConsumeStatsRequest } from '../remoting/headers/consume-stats.ts'
import { consumerGroupRequest, deleteSubscriptionGroupRequest } from '../remoting/headers/consumer-group.ts'
import { resetOffsetRequest } from '../remoting/headers/consumer-offset.ts'
import { createTopicRequest } from '../remoting/headers/create-topic.ts'
import { getRouteInfoRequest } from '../remoting/headers/get-route-info.ts'
import { queryMessageRequest } from '../remoting/headers/query-message.ts'
import { deleteTopicInNamesrvRequest, topicRequest } from '../remoting/headers/topic.ts'
import { viewMessageRequest } from '../remoting/headers/view-message.ts'
import { addWritePermResponse, wipeWritePermResponse, writePermRequest } from '../remoting/headers/write-perm.ts'
import { readJson, writeJson } from '../remoting/json.ts'
import { decodeMessage, decodeMessages, parseOffsetMsgId } from '../remoting/message/index.ts'
import { isRefusal, requestName } from './answers.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { ClusterAdmin } from './cluster-admin.ts'
import { compareQueues, type MessageQueue, type ReceivedMessage } from './message.ts'
import { productionDoors } from './production-doors.ts'
import { readPropertiesText, writePropertiesText } from './properties-text.ts'
import { receivedMessage } from './received.ts'
import { templateTopic } from './routes.ts'

/** As of other clients, but an answer may take requestTimeoutMs 5,000, a connection connectTimeoutMs 3,000. */
export interface AdminOptions extends Omit<ClusterOptions, 'routeRefreshMs'> {}

/** How far a group is in one queue. */
export interface QueueLag {
  queue: MessageQueue
  brokerOffset: number // the queue's maxOffset: where the next message will be
  consumerOffset: number // the next message that the group needs
  lag: number // messages in between
  lastTimestamp: number // ms since 1970: when the last consumed message was stored; 0: none
}

/**
 * Where resetOffset sends a group: by time in all queues, where the first message stored then or later is next (negative: the
 * group goes to the end); or exactly there in one.
 */
export type OffsetReset = { consumerGroup: string; topic: string } & (
  | { timestampMs: number; queueId?: undefined; queueOffset?: undefined }
  | { queueId: number; queueOffset: number; timestampMs?: undefined }
)

/** Which messages messagesByKey looks for. */
export interface KeyRange {
  fromMs?: number // stored then or later, ms since 1970 (0)
  toMs?: number // stored until then (whenever)
  countMax?: number // of each broker, the newest (64)
}

/**
 * Looks at a cluster and changes it, as mqadmin does. Every call is one request, or one to each broker where its docstring
 * says "asked of all", and throws REQUEST_REFUSED for an answer that is no success (facts.responseCode says which),
 * CONNECT_FAILED, CONNECTION_CLOSED, REQUEST_TIMEOUT, and BODY_INVALID or HEADER_INVALID for an answer that cannot be read;
 * facts name the request and the address. brokerAddr and namesrvAddr are `host:port`. What is to be done at all brokers of
 * a cluster is in `cluster()`.
 */
export class Admin {
  readonly #cluster: Cluster

  /** @throws OperatingError SETTING_INVALID */
  constructor(options: AdminOptions, doors: Doors = productionDoors()) {
    this.#cluster = new Cluster({ requestTimeoutMs: 5_000, connectTimeoutMs: 3_000, ...options }, doors)
  }

  async close(): Promise<void> {
    await this.#cluster.close()
  }

  /** What is done at all masters of a cluster, by its name; without one: of all clusters that the NameServers know. */
  cluster(clusterName?: string): ClusterAdmin {
    return new ClusterAdmin(this, clusterName)
  }

  // Asked of any NameServer, or of the one that is named: one that has just started may not know all brokers yet.

  async clusterInfo(namesrvAddr?: string): Promise<ClusterInfo> {
    const command = { code: RequestCode.GET_BROKER_CLUSTER_INFO }
    return this.#namesrv(command, ({ body }) => readClusterInfo(body), namesrvAddr)
  }

  /** Refused with TOPIC_NOT_EXIST (17) where there is none. */
  async topicRoute(topic: string, namesrvAddr?: string): Promise<TopicRouteData> {
    const extFields = getRouteInfoRequest.encode({ topic, acceptStandardJsonOnly: true })
    const command = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, extFields }
    return this.#namesrv(command, ({ body }) => readTopicRouteData(body), namesrvAddr)
  }

  async topicList(namesrvAddr?: string): Promise<string[]> {
    const command = { code: RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER }
    return this.#namesrv(command, ({ body }) => readTopicList(body).topicList, namesrvAddr)
  }

  // Told to one NameServer: they do not talk to each other, so each must be told.

  /** The NameServers of the list, for calls that each must be told. */
  get namesrvAddrs(): readonly string[] {
    return this.#cluster.nameServers.addresses
  }

  /**
   * No producer sends to the broker group any more, until addWritePerm.
   * @returns how many topics the group has there, all of which are told so now; 0: this NameServer does not know the group
   */
  async wipeWritePerm(namesrvAddr: string, brokerName: string): Promise<number> {
    const extFields = writePermRequest.encode({ brokerName })
    const command = { code: RequestCode.WIPE_WRITE_PERM_OF_BROKER, extFields }
    return this.#ask(namesrvAddr, command, (answer) => wipeWritePermResponse.decode(answer.extFields).wipeTopicCount)
  }

  /** Takes wipeWritePerm back. @returns as there */
  async addWritePerm(namesrvAddr: string, brokerName: string): Promise<number> {
    const extFields = writePermRequest.encode({ brokerName })
    const command = { code: RequestCode.ADD_WRITE_PERM_OF_BROKER, extFields }
    return this.#ask(namesrvAddr, command, (answer) => addWritePermResponse.decode(answer.extFields).addTopicCount)
  }

  /** Removes a topic's route; brokers that still have the topic bring it back with their next registration. */
  async deleteTopicInNamesrv(namesrvAddr: string, topic: string, clusterName?: string): Promise<void> {
    const extFields = deleteTopicInNamesrvRequest.encode({ topic, clusterName })
    await this.#cluster.call(namesrvAddr, { code: RequestCode.DELETE_TOPIC_IN_NAMESRV, extFields })
  }

  // Topics at one broker.

  /**
   * Creates the topic, or changes it to this; what is not given has topicConfig's defaults (16 queues, read and write).
   * @param config attributes are changes: keys begin with + to set, with - to remove
   */
  async createTopic(brokerAddr: string, config: Partial<TopicConfig> & { topicName: string }): Promise<void> {
    const { topicName: topic, attributes, ...rest } = topicConfig(config.topicName, config)
    const changes = Object.entries(attributes).map(([key, value]) => (key.startsWith('-') ? key : `${key}=${value}`))
    const extFields = createTopicRequest.encode({
      topic,
      defaultTopic: templateTopic, // brokers ask for it and do not look at it
      ...rest,
      attributes: changes.length > 0 ? changes.join(',') : undefined,
    })
    await this.#cluster.call(brokerAddr, { code: RequestCode.UPDATE_AND_CREATE_TOPIC, extFields })
  }

  /**
   * Creates or changes many topics in one request, all or none. Brokers before 5.3 refuse it with REQUEST_CODE_NOT_SUPPORTED (3).
   * @param configs as of createTopic
   */
  async createTopics(
    brokerAddr: string,
    configs: readonly (Partial<TopicConfig> & { topicName: string })[],
  ): Promise<void> {
    const body = Buffer.from(writeTopicConfigList(configs.map((config) => topicConfig(config.topicName, config))))
    await this.#cluster.call(brokerAddr, { code: RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, body })
  }

  /** Removes the topic with its messages at this broker. NameServers keep its route until deleteTopicInNamesrv. */
  async deleteTopic(brokerAddr: string, topic: string): Promise<void> {
    const extFields = topicRequest.encode({ topic })
    await this.#cluster.call(brokerAddr, { code: RequestCode.DELETE_TOPIC_IN_BROKER, extFields })
  }

  /** Refused with TOPIC_NOT_EXIST (17) where there is none. */
  async topicConfig(brokerAddr: string, topic: string): Promise<TopicConfig> {
    const extFields = topicRequest.encode({ topic })
    const command = { code: RequestCode.GET_TOPIC_CONFIG, extFields }
    return this.#ask(brokerAddr, command, ({ body }) => readTopicConfig(readJson(body), topic))
  }

  async allTopicConfig(brokerAddr: string): Promise<TopicConfigTable> {
    const command = { code: RequestCode.GET_ALL_TOPIC_CONFIG }
    return this.#ask(brokerAddr, command, ({ body }) => readTopicConfigTable(readJson(body)))
  }

  /** First and next offset of each queue. Refused with TOPIC_NOT_EXIST (17) where there is none. */
  async topicStats(brokerAddr: string, topic: string): Promise<TopicStatsTable> {
    const extFields = topicRequest.encode({ topic })
    const command = { code: RequestCode.GET_TOPIC_STATS_INFO, extFields }
    return this.#ask(brokerAddr, command, ({ body }) => readTopicStatsTable(body))
  }

  /** The groups that subscribe to a topic at one broker now, or have consumed it there. */
  async topicConsumers(brokerAddr: string, topic: string): Promise<string[]> {
    const extFields = topicRequest.encode({ topic })
    const command = { code: RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, extFields }
    return this.#ask(brokerAddr, command, ({ body }) => readGroupList(body))
  }

  // Consumer groups at one broker.

  /** Progress of a group in the queues of this broker. @param topic only this one */
  async consumeStats(brokerAddr: string, consumerGroup: string, topic?: string): Promise<ConsumeStats> {
    const extFields = getConsumeStatsRequest.encode({ consumerGroup, topic })
    const command = { code: RequestCode.GET_CONSUME_STATS, extFields }
    return this.#ask(brokerAddr, command, ({ body }) => readConsumeStats(body))
  }

  /**
   * Progress of all groups in the queues of this broker, by group and one entry a topic: of topics that the group has
   * committed an offset of, also those that it has read; not of those that members who are online no longer subscribe
   * to. Apache's broker tells of the queues that are written, ours of those that are read. Refused with SYSTEM_ERROR (1)
   * by our broker where it does not fit into a frame.
   */
  async brokerConsumeStats(brokerAddr: string): Promise<ReadonlyMap<string, readonly ConsumeStats[]>> {
    const extFields = getBrokerConsumeStatsRequest.encode({ isOrder: false })
    const command = { code: RequestCode.GET_BROKER_CONSUME_STATS, extFields }
    return this.#ask(
      brokerAddr,
      command,
      ({ body }) => new Map(readConsumeStatsList(body).consumeStatsList.flatMap((byGroup) => [...byGroup])),
    )
  }

  /** Refused with CONSUMER_NOT_ONLINE (206) where the group has no member at this broker. */
  async consumerConnection(brokerAddr: string, consumerGroup: string): Promise<ConsumerConnection> {
    const extFields = consumerGroupRequest.encode({ consumerGroup })
    const command = { code: RequestCode.GET_CONSUMER_CONNECTION_LIST, extFields }
    return this.#ask(brokerAddr, command, ({ body }) => readConsumerConnection(body))
  }

  async subscriptionGroups(brokerAddr: string): Promise<ReadonlyMap<string, SubscriptionGroupConfig>> {
    const command = { code: RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG }
    return this.#ask(
      brokerAddr,
      command,
      ({ body }) => readSubscriptionGroupTable(readJson(body)).subscriptionGroupTable,
    )
  }

  /** Creates the group, or changes it to this; what is not given has Apache's defaults. */
  async createSubscriptionGroup(
    brokerAddr: string,
    config: Partial<SubscriptionGroupConfig> & { groupName: string },
  ): Promise<void> {
    const body = Buffer.from(writeJson(subscriptionGroupConfig(config.groupName, config)))
    await this.#cluster.call(brokerAddr, { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body })
  }

  async deleteSubscriptionGroup(brokerAddr: string, consumerGroup: string, isOffsetCleaned = false): Promise<void> {
    const extFields = deleteSubscriptionGroupRequest.encode({ consumerGroup, isOffsetCleaned })
    await this.#cluster.call(brokerAddr, { code: RequestCode.DELETE_SUBSCRIPTIONGROUP, extFields })
  }

  /**
   * Sends a group elsewhere in a topic; members that are online go on from there, too.
   * @returns where each queue goes on. Refused with TOPIC_NOT_EXIST (17) where there is no such topic, and by our broker
   * where a queueOffset lies outside of the queue (SYSTEM_ERROR, 1) or there is no such queue (INVALID_PARAMETER, 29)
   * @throws also SETTING_INVALID for a time beside a queue, which would send all queues there, and for half of either
   */
  async resetOffset(brokerAddr: string, { consumerGroup, topic, ...to }: OffsetReset): Promise<QueueTable<number>> {
    const value = (['queueId', 'queueOffset', 'timestampMs'] as const).filter((key) => to[key] !== undefined).join(', ')
    if (value !== 'timestampMs' && value !== 'queueId, queueOffset') {
      const fits = 'timestampMs, or queueId and queueOffset'
      throw new OperatingError('SETTING_INVALID', { key: 'resetOffset', value, fits })
    }
    const where =
      to.timestampMs !== undefined
        ? { timestamp: to.timestampMs, queueId: -1, offset: undefined }
        : { timestamp: -1, queueId: to.queueId, offset: to.queueOffset }
    const extFields = resetOffsetRequest.encode({ group: consumerGroup, topic, isForce: true, ...where })
    const command = { code: RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, extFields }
    return this.#ask(brokerAddr, command, ({ body }) => readResetOffsets(body))
  }

  /**
   * How far a group is in every queue of a topic, or of all that it consumes, its retries too; sorted. Asked of all broker
   * groups: of their masters, and of a slave where there is no master now, which may lag behind it. A queue without progress
   * counts from 0: all of it is unread.
   */
  async consumerLag(consumerGroup: string, topic?: string): Promise<QueueLag[]> {
    const groups =
      topic === undefined
        ? [...(await this.clusterInfo()).brokerAddrTable.values()]
        : (await this.topicRoute(topic)).brokerDatas
    const stats = await Promise.all(
      groups.flatMap(brokerAddrOf).map((address) => this.consumeStats(address, consumerGroup, topic)),
    )
    return stats
      .flatMap(({ offsetTable }) =>
        [...offsetTable].map(([queue, { brokerOffset, consumerOffset, lastTimestamp }]) => {
          const lag = Math.max(0, brokerOffset - consumerOffset)
          return { queue, brokerOffset, consumerOffset, lag, lastTimestamp }
        }),
      )
      .sort((a, b) => compareQueues(a.queue, b.queue))
  }

  // Messages.

  /**
   * The message that a broker named so: it is asked at the address in the name, so a broker that has moved is not found.
   * Its queue's brokerName is empty where no NameServer knows the address, or none answers. Refused with SYSTEM_ERROR (1)
   * where the message is gone.
   * @throws also HEADER_INVALID for what is no offsetMsgId (a msgId looks alike; messageByMsgId takes those)
   */
  async messageAt(offsetMsgId: string): Promise<ReceivedMessage> {
    const { storeHost, phyOffset } = parseOffsetMsgId(offsetMsgId)
    const address = formatAddress(storeHost)
    const command = { code: RequestCode.VIEW_MESSAGE_BY_ID, extFields: viewMessageRequest.encode({ phyOffset }) }
    const stored = await this.#ask(address, command, ({ body }) => decodeMessage(body, 0))
    const brokerName = await this.#brokerNameAt(address)
    return receivedMessage(stored, { topic: stored.topic, brokerName, queueId: stored.queueId })
  }

  /**
   * Messages of a topic that were sent with this among their keys, the oldest first. Asked of all broker groups of the
   * topic. Brokers index messages a moment after they are stored, and not beyond maxHashSlotNum and maxIndexNum.
   */
  async messagesByKey(topic: string, key: string, range: KeyRange = {}): Promise<ReceivedMessage[]> {
    return (await this.#query(topic, key, range, false)).filter(({ keys }) => keys.includes(key))
  }

  /** The message that its producer named so (UNIQ_KEY), as it was stored last; undefined: there is none. Asked as messagesByKey. */
  async messageByMsgId(topic: string, msgId: string): Promise<ReceivedMessage | undefined> {
    return (await this.#query(topic, msgId, {}, true)).filter((message) => message.msgId === msgId).at(-1)
  }

  // One broker itself.

  /** Counters and states by name, as `mqadmin brokerStatus` lists them. */
  async brokerRuntimeInfo(brokerAddr: string): Promise<ReadonlyMap<string, string>> {
    return this.#ask(brokerAddr, { code: RequestCode.GET_BROKER_RUNTIME_INFO }, ({ body }) => readKvTable(body))
  }

  /** A master: who copies its log, and what each of them lacks. A slave: whether it follows, and how much it has. */
  async haStatus(brokerAddr: string): Promise<HaStatus> {
    return this.#ask(brokerAddr, { code: RequestCode.GET_BROKER_HA_STATUS }, ({ body }) => readHaStatus(body))
  }

  /** All settings as they are now. */
  async brokerConfig(brokerAddr: string): Promise<ReadonlyMap<string, string>> {
    const command = { code: RequestCode.GET_BROKER_CONFIG }
    return this.#ask(brokerAddr, command, ({ body }) => readPropertiesText(body.toString('utf8')))
  }

  /** Changes settings of a running broker. */
  async updateBrokerConfig(brokerAddr: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const body = Buffer.from(writePropertiesText(Object.entries(settings)))
    await this.#cluster.call(brokerAddr, { code: RequestCode.UPDATE_BROKER_CONFIG, body })
  }

  async #query(topic: string, key: string, range: KeyRange, isUniqueKey: boolean): Promise<ReceivedMessage[]> {
    const { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, countMax = 64 } = range
    const header = { topic, key, maxNum: countMax, beginTimestamp: fromMs, endTimestamp: toMs, isUniqueKey }
    const command = { code: RequestCode.QUERY_MESSAGE, extFields: queryMessageRequest.encode(header) }
    const { brokerDatas } = await this.topicRoute(topic)
    const ask = async (brokerName: string, address: string) => {
      const stored = await this.#ask(address, command, ({ body }) => decodeMessages(body)).catch(noneWhereNotFound)
      return stored.map((one) => receivedMessage(one, { topic: one.topic, brokerName, queueId: one.queueId }))
    }
    const found = await Promise.all(
      brokerDatas.flatMap((group) => brokerAddrOf(group).map((address) => ask(group.brokerName, address))),
    )
    return found.flat().sort((a, b) => a.storeTimestamp - b.storeTimestamp)
  }

  /** The group of the broker at this address; empty where no NameServer knows it, or none answers. */
  async #brokerNameAt(address: string): Promise<string> {
    try {
      const groups = [...(await this.clusterInfo()).brokerAddrTable.values()]
      return groups.find(({ brokerAddrs }) => [...brokerAddrs.values()].includes(address))?.brokerName ?? ''
    } catch (error) {
      if (isOperatingError(error)) return '' // the message is there, whoever has it
      throw error
    }
  }

  /** Reads the answer of this address; what cannot be read is told with the request and the address. */
  async #ask<T>(address: string, command: CommandContent, read: (answer: Command) => T): Promise<T> {
    return readAnswer(await this.#cluster.call(address, command), read, command, address)
  }

  async #namesrv<T>(command: CommandContent, read: (answer: Command) => T, namesrvAddr?: string): Promise<T> {
    if (namesrvAddr !== undefined) return this.#ask(namesrvAddr, command, read)
    const answer = await this.#cluster.nameServers.call(command, this.#cluster.requestTimeoutMs)
    return readAnswer(answer, read, command, this.namesrvAddrs.join(';'))
  }
}

function readAnswer<T>(answer: Command, read: (answer: Command) => T, { code }: CommandContent, address: string): T {
  try {
    return read(answer)
  } catch (error) {
    if (!isOperatingError(error)) throw error
    throw new OperatingError(error.code, { ...error.facts, request: requestName(code), address }, error.cause)
  }
}

/** The group's master, else the slave that comes first. */
function brokerAddrOf({ brokerAddrs }: BrokerData): string[] {
  const [first] = [...brokerAddrs].sort(([a], [b]) => a - b)
  return first === undefined ? [] : [first[1]]
}

function noneWhereNotFound(error: unknown): [] {
  if (isRefusal(error, ResponseCode.QUERY_NOT_FOUND)) return []
  throw error
}
