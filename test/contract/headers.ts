import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Every codec of src/remoting/headers, by its name there, with the classes of Apache RocketMQ 5.5.0 that it reads and
 * writes (below org.apache.rocketmq.remoting.protocol.header). One that is not here fails the contract test.
 */
export const apacheHeaders: Readonly<Record<string, readonly string[]>> = {
  addWritePermResponse: ['namesrv.AddWritePermOfBrokerResponseHeader'],
  brokerHeartbeatRequest: ['namesrv.BrokerHeartbeatRequestHeader'],
  checkTransactionStateRequest: ['CheckTransactionStateRequestHeader'],
  cloneGroupOffsetRequest: ['CloneGroupOffsetRequestHeader'],
  consumeMessageDirectlyRequest: ['ConsumeMessageDirectlyResultRequestHeader'],
  consumerGroupRequest: [
    'GetConsumerListByGroupRequestHeader',
    'GetConsumerConnectionListRequestHeader',
    'NotifyConsumerIdsChangedRequestHeader',
  ],
  consumerSendMsgBackRequest: ['ConsumerSendMsgBackRequestHeader'],
  createTopicRequest: ['CreateTopicRequestHeader'],
  deleteSubscriptionGroupRequest: ['DeleteSubscriptionGroupRequestHeader'],
  deleteTopicInNamesrvRequest: ['namesrv.DeleteTopicFromNamesrvRequestHeader'],
  endTransactionRequest: ['EndTransactionRequestHeader'],
  getBrokerConfigResponse: ['GetBrokerConfigResponseHeader'],
  getBrokerConsumeStatsRequest: ['GetConsumeStatsInBrokerHeader'],
  getBrokerMemberGroupRequest: ['GetBrokerMemberGroupRequestHeader'],
  getConsumerRunningInfoRequest: ['GetConsumerRunningInfoRequestHeader'],
  getConsumeStatsRequest: ['GetConsumeStatsRequestHeader'],
  getConsumerStatusRequest: ['GetConsumerStatusRequestHeader'],
  getKvConfigResponse: ['namesrv.GetKVConfigResponseHeader'],
  getKvListRequest: ['namesrv.GetKVListByNamespaceRequestHeader'],
  getMaxOffsetRequest: ['GetMaxOffsetRequestHeader'],
  getRouteInfoRequest: ['namesrv.GetRouteInfoRequestHeader'],
  getSubscriptionGroupRequest: ['GetSubscriptionGroupConfigRequestHeader'],
  getTopicsByClusterRequest: ['GetTopicsByClusterRequestHeader'],
  heartbeatResponse: [], // no class: ClientManageProcessor adds two fields by hand; recorded from a broker
  kvConfigRequest: ['namesrv.GetKVConfigRequestHeader', 'namesrv.DeleteKVConfigRequestHeader'],
  notifyMinBrokerIdChangeRequest: ['NotifyMinBrokerIdChangeRequestHeader'],
  offsetResponse: [
    'GetMaxOffsetResponseHeader',
    'GetMinOffsetResponseHeader',
    'SearchOffsetResponseHeader',
    'QueryConsumerOffsetResponseHeader',
  ],
  producerGroupRequest: ['GetProducerConnectionListRequestHeader'],
  pullMessageRequest: ['PullMessageRequestHeader'],
  pullMessageResponse: ['PullMessageResponseHeader'],
  pushReplyMessageRequest: ['ReplyMessageRequestHeader'],
  putKvConfigRequest: ['namesrv.PutKVConfigRequestHeader'],
  queryConsumeTimeSpanRequest: ['QueryConsumeTimeSpanRequestHeader'],
  queryConsumeQueueRequest: ['QueryConsumeQueueRequestHeader'],
  queryConsumerOffsetRequest: ['QueryConsumerOffsetRequestHeader'],
  queryCorrectionOffsetRequest: ['QueryCorrectionOffsetHeader'],
  queryDataVersionRequest: ['namesrv.QueryDataVersionRequestHeader'],
  queryDataVersionResponse: ['namesrv.QueryDataVersionResponseHeader'],
  queryMessageRequest: ['QueryMessageRequestHeader'],
  queryMessageResponse: ['QueryMessageResponseHeader'],
  querySubscriptionRequest: ['QuerySubscriptionByConsumerRequestHeader'],
  queueRequest: ['GetMinOffsetRequestHeader', 'GetEarliestMsgStoretimeRequestHeader'],
  registerBrokerRequest: ['namesrv.RegisterBrokerRequestHeader'],
  registerBrokerResponse: ['namesrv.RegisterBrokerResponseHeader'],
  registerTopicRequest: ['namesrv.RegisterTopicRequestHeader'],
  resetOffsetRequest: ['ResetOffsetRequestHeader'],
  resumeCheckHalfMessageRequest: ['ResumeCheckHalfMessageRequestHeader'],
  searchOffsetRequest: ['SearchOffsetRequestHeader'],
  sendMessageRequest: ['SendMessageRequestHeader'],
  sendMessageRequestV2: ['SendMessageRequestHeaderV2'],
  sendMessageResponse: ['SendMessageResponseHeader'],
  storeTimeResponse: ['GetEarliestMsgStoretimeResponseHeader'],
  topicRequest: [
    'GetTopicConfigRequestHeader',
    'GetTopicStatsInfoRequestHeader',
    'QueryTopicConsumeByWhoRequestHeader',
    'DeleteTopicRequestHeader',
  ],
  unregisterBrokerRequest: ['namesrv.UnRegisterBrokerRequestHeader'],
  unregisterClientRequest: ['UnregisterClientRequestHeader'],
  updateConsumerOffsetRequest: ['UpdateConsumerOffsetRequestHeader'],
  viewMessageRequest: ['ViewMessageRequestHeader'],
  wipeWritePermResponse: ['namesrv.WipeWritePermOfBrokerResponseHeader'],
  writePermRequest: ['namesrv.WipeWritePermOfBrokerRequestHeader', 'namesrv.AddWritePermOfBrokerRequestHeader'],
}

/** One class of Apache and the frames that Apache made of it, in hex. */
export interface HeaderVector {
  header: string
  /** value: what a fresh header has; absent: null. */
  fields: { name: string; type: string; required?: true; value?: string }[]
  json: string
  jsonLeast: string // with its required fields alone
  rocketmq: string
  rocketmqLeast: string
}

export const headerVectorsPath = join(import.meta.dirname, 'vectors/headers-5.5.0.json')

export function readHeaderVectors(): HeaderVector[] {
  return JSON.parse(readFileSync(headerVectorsPath, 'utf8')) as HeaderVector[]
}

/** One request of Apache's Go client and the frames that it made of it, in hex. */
export interface GoVector {
  header?: string // absent: the client sends the code alone
  code: number
  flag: number
  remark: string
  body: string // hex
  fields: { name: string; type: string; value: string }[] // as the client has them, which may not be what it writes
  json: string
  rocketmq: string
}

export const goVectorsPath = join(import.meta.dirname, 'vectors/headers-go-2.1.2.json')

export function readGoVectors(): GoVector[] {
  return JSON.parse(readFileSync(goVectorsPath, 'utf8')) as GoVector[]
}

export const bodyVectorsPath = join(import.meta.dirname, 'vectors/bodies-5.5.0.json')

/** Bodies that Apache encoded, by the names that java/Bodies.java gives them. */
export function readBodyVectors(): Map<string, Buffer> {
  const lines = JSON.parse(readFileSync(bodyVectorsPath, 'utf8')) as { body: string; hex: string }[]
  return new Map(lines.map(({ body, hex }) => [body, Buffer.from(hex, 'hex')]))
}
