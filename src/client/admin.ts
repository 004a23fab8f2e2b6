import type { Doors } from '../base/doors.ts'
import { type ConsumerConnection, readConsumerConnection } from '../remoting/body/connections.ts'
import { type HaStatus, readHaStatus } from '../remoting/body/ha-status.ts'
import { readGroupList, readKvTable, readTopicList } from '../remoting/body/lists.ts'
import type { QueueTable } from '../remoting/body/message-queue.ts'
import { type ClusterInfo, readClusterInfo, readTopicRouteData, type TopicRouteData } from '../remoting/body/route.ts'
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
import { RequestCode } from '../remoting/codes.ts'
import type { Command, CommandContent } from '../remoting/command.ts'
import { getBrokerConsumeStatsRequest, getConsumeStatsRequest } from '../remoting/headers/consume-stats.ts'
import { consumerGroupRequest, deleteSubscriptionGroupRequest } from '../remoting/headers/consumer-group.ts'
import { resetOffsetRequest } from '../remoting/headers/consumer-offset.ts'
import { createTopicRequest } from '../remoting/headers/create-topic.ts'
import { getRouteInfoRequest } from '../remoting/headers/get-route-info.ts'
import { deleteTopicInNamesrvRequest, topicRequest } from '../remoting/headers/topic.ts'
import { addWritePermResponse, wipeWritePermResponse, writePermRequest } from '../remoting/headers/write-perm.ts'
import { readJson, writeJson } from '../remoting/json.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { compareQueues, type MessageQueue } from './message.ts'
import { productionDoors } from './production-doors.ts'
import { readPropertiesText, writePropertiesText } from './properties-text.ts'
import { templateTopic } from './routes.ts'

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
 * Looks at a cluster and changes it, as mqadmin does. Every call is one request (consumerLag: one per broker) and throws
 * REQUEST_REFUSED for an answer that is no success (facts.responseCode says which), CONNECT_FAILED, CONNECTION_CLOSED,
 * REQUEST_TIMEOUT, and BODY_INVALID or HEADER_INVALID for an answer that cannot be read. brokerAddr and namesrvAddr are
 * `host:port`.
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

  // Asked of any NameServer.

  async clusterInfo(): Promise<ClusterInfo> {
    return readClusterInfo((await this.#namesrv({ code: RequestCode.GET_BROKER_CLUSTER_INFO })).body)
  }

  /** Refused with TOPIC_NOT_EXIST (17) where there is none. */
  async topicRoute(topic: string): Promise<TopicRouteData> {
    const extFields = getRouteInfoRequest.encode({ topic, acceptStandardJsonOnly: true })
    return readTopicRouteData((await this.#namesrv({ code: RequestCode.GET_ROUTEINFO_BY_TOPIC, extFields })).body)
  }

  async topicList(): Promise<string[]> {
    const answer = await this.#namesrv({ code: RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER })
    return readTopicList(answer.body).topicList
  }

  // Told to one NameServer: they do not talk to each other, so each must be told.

  /** The NameServers of the list, for calls that each must be told. */
  get namesrvAddrs(): readonly string[] {
    return this.#cluster.nameServers.addresses
  }

  /** No producer sends to the broker group any more, until addWritePerm. @returns how many topics' entries changed */
  async wipeWritePerm(namesrvAddr: string, brokerName: string): Promise<number> {
    const extFields = writePermRequest.encode({ brokerName })
    const answer = await this.#cluster.call(namesrvAddr, { code: RequestCode.WIPE_WRITE_PERM_OF_BROKER, extFields })
    return wipeWritePermResponse.decode(answer.extFields).wipeTopicCount
  }

  /** @returns how many topics' entries changed */
  async addWritePerm(namesrvAddr: string, brokerName: string): Promise<number> {
    const extFields = writePermRequest.encode({ brokerName })
    const answer = await this.#cluster.call(namesrvAddr, { code: RequestCode.ADD_WRITE_PERM_OF_BROKER, extFields })
    return addWritePermResponse.decode(answer.extFields).addTopicCount
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
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_TOPIC_CONFIG, extFields })
    return readTopicConfig(readJson(body), topic)
  }

  async allTopicConfig(brokerAddr: string): Promise<TopicConfigTable> {
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_ALL_TOPIC_CONFIG })
    return readTopicConfigTable(readJson(body))
  }

  /** First and next offset of each queue. Refused with TOPIC_NOT_EXIST (17) where there is none. */
  async topicStats(brokerAddr: string, topic: string): Promise<TopicStatsTable> {
    const extFields = topicRequest.encode({ topic })
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_TOPIC_STATS_INFO, extFields })
    return readTopicStatsTable(body)
  }

  /** The groups that subscribe to a topic at one broker now, or have consumed it there. */
  async topicConsumers(brokerAddr: string, topic: string): Promise<string[]> {
    const extFields = topicRequest.encode({ topic })
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, extFields })
    return readGroupList(body)
  }

  // Consumer groups at one broker.

  /** Progress of a group in the queues of this broker. @param topic only this one */
  async consumeStats(brokerAddr: string, consumerGroup: string, topic?: string): Promise<ConsumeStats> {
    const extFields = getConsumeStatsRequest.encode({ consumerGroup, topic })
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_CONSUME_STATS, extFields })
    return readConsumeStats(body)
  }

  /**
   * Progress of all groups in the queues of this broker, by group and one entry a topic: of topics that the group has
   * committed an offset of, also those that it has read; not of those that members who are online no longer subscribe
   * to. Apache's broker tells of the queues that are written, ours of those that are read. Refused with SYSTEM_ERROR (1)
   * by our broker where it does not fit into a frame.
   */
  async brokerConsumeStats(brokerAddr: string): Promise<ReadonlyMap<string, readonly ConsumeStats[]>> {
    const extFields = getBrokerConsumeStatsRequest.encode({ isOrder: false })
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_BROKER_CONSUME_STATS, extFields })
    return new Map(readConsumeStatsList(body).consumeStatsList.flatMap((byGroup) => [...byGroup]))
  }

  /** Refused with CONSUMER_NOT_ONLINE (206) where the group has no member at this broker. */
  async consumerConnection(brokerAddr: string, consumerGroup: string): Promise<ConsumerConnection> {
    const extFields = consumerGroupRequest.encode({ consumerGroup })
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_CONSUMER_CONNECTION_LIST, extFields })
    return readConsumerConnection(body)
  }

  async subscriptionGroups(brokerAddr: string): Promise<ReadonlyMap<string, SubscriptionGroupConfig>> {
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG })
    return readSubscriptionGroupTable(readJson(body)).subscriptionGroupTable
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
   * @param timestampMs the first message stored then or later is next; negative: the group goes to the end
   * @returns where each queue goes on. Refused with TOPIC_NOT_EXIST (17) where there is no such topic
   */
  async resetOffset(
    brokerAddr: string,
    { consumerGroup, topic, timestampMs }: { consumerGroup: string; topic: string; timestampMs: number },
  ): Promise<QueueTable<number>> {
    const header = {
      group: consumerGroup,
      topic,
      timestamp: timestampMs,
      isForce: true,
      queueId: -1,
      offset: undefined,
    }
    const extFields = resetOffsetRequest.encode(header)
    const { body } = await this.#cluster.call(brokerAddr, {
      code: RequestCode.INVOKE_BROKER_TO_RESET_OFFSET,
      extFields,
    })
    return readResetOffsets(body)
  }

  /**
   * How far a group is in every queue of a topic, asked of all its masters; sorted. Queues in which the group never
   * consumed are not among them.
   */
  async consumerLag(consumerGroup: string, topic: string): Promise<QueueLag[]> {
    const { brokerDatas } = await this.topicRoute(topic)
    const masters = brokerDatas.flatMap(({ brokerAddrs }) => brokerAddrs.get(0) ?? [])
    const stats = await Promise.all(masters.map((address) => this.consumeStats(address, consumerGroup, topic)))
    return stats
      .flatMap(({ offsetTable }) =>
        [...offsetTable].map(([queue, { brokerOffset, consumerOffset, lastTimestamp }]) => {
          const lag = Math.max(0, brokerOffset - consumerOffset)
          return { queue, brokerOffset, consumerOffset, lag, lastTimestamp }
        }),
      )
      .sort((a, b) => compareQueues(a.queue, b.queue))
  }

  // One broker itself.

  /** Counters and states by name, as `mqadmin brokerStatus` lists them. */
  async brokerRuntimeInfo(brokerAddr: string): Promise<ReadonlyMap<string, string>> {
    return readKvTable((await this.#cluster.call(brokerAddr, { code: RequestCode.GET_BROKER_RUNTIME_INFO })).body)
  }

  /** A master: who copies its log, and what each of them lacks. A slave: whether it follows, and how much it has. */
  async haStatus(brokerAddr: string): Promise<HaStatus> {
    return readHaStatus((await this.#cluster.call(brokerAddr, { code: RequestCode.GET_BROKER_HA_STATUS })).body)
  }

  /** All settings as they are now. */
  async brokerConfig(brokerAddr: string): Promise<ReadonlyMap<string, string>> {
    const { body } = await this.#cluster.call(brokerAddr, { code: RequestCode.GET_BROKER_CONFIG })
    return readPropertiesText(body.toString('utf8'))
  }

  /** Changes settings of a running broker. */
  async updateBrokerConfig(brokerAddr: string, settings: Readonly<Record<string, string>>): Promise<void> {
    const body = Buffer.from(writePropertiesText(Object.entries(settings)))
    await this.#cluster.call(brokerAddr, { code: RequestCode.UPDATE_BROKER_CONFIG, body })
  }

  #namesrv(command: CommandContent): Promise<Command> {
    return this.#cluster.nameServers.call(command, this.#cluster.requestTimeoutMs)
  }
}
