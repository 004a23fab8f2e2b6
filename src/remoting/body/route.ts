import { writeJson } from '../json.ts'
import { Fields, integerKey, textItem } from './fields.ts'
import { readTopicQueueMappingInfo, type TopicQueueMappingInfo } from './topic-queue-mapping.ts'

/** The members of one broker group. Source: Apache RocketMQ 5, BrokerData. */
export interface BrokerData {
  cluster: string
  brokerName: string
  brokerAddrs: ReadonlyMap<number, string> // by brokerId; 0: the master
  enableActingMaster: boolean
  zoneName?: string | undefined
}

/** A topic's queues in one broker group. Source: Apache RocketMQ 5, QueueData. */
export interface QueueData {
  brokerName: string
  readQueueNums: number
  writeQueueNums: number
  perm: number // bits of Perm
  topicSysFlag: number
}

/** Body of GET_ROUTEINFO_BY_TOPIC. Source: Apache RocketMQ 5, TopicRouteData. */
export interface TopicRouteData {
  /** brokerName:queues joined by semicolons; where present, queues are counted by it. */
  orderTopicConf?: string | undefined
  queueDatas: QueueData[]
  brokerDatas: BrokerData[]
  filterServerTable: ReadonlyMap<string, string[]>
  /** Of a static topic: where its queues lie, by brokerName. */
  topicQueueMappingByBroker?: ReadonlyMap<string, TopicQueueMappingInfo> | undefined
}

export function readTopicRouteData(json: Buffer | string): TopicRouteData {
  const fields = Fields.of('TopicRouteData', json)
  return {
    orderTopicConf: fields.optionalText('orderTopicConf'),
    queueDatas: fields.list('queueDatas', readQueueData),
    brokerDatas: fields.list('brokerDatas', readBrokerData),
    filterServerTable: fields.table('filterServerTable', readTexts),
    topicQueueMappingByBroker: fields.has('topicQueueMappingByBroker')
      ? fields.table('topicQueueMappingByBroker', readTopicQueueMappingInfo)
      : undefined,
  }
}

/**
 * Keeps the texts of a route's parts, which must not change any more: a group's stands in the routes of all of its topics, and
 * thousands of topics have equal queues.
 * @param isStrict integer keys in quotes; peers before V4_9_4 are sent them without
 */
export function writeTopicRouteData(route: TopicRouteData, isStrict: boolean): string {
  const { brokerDatas, filterServerTable, orderTopicConf, queueDatas, topicQueueMappingByBroker: mappings } = route
  const filters = filterServerTable.size === 0 ? '{}' : writeJson(filterServerTable)
  const order = orderTopicConf === undefined ? '' : `"orderTopicConf":${JSON.stringify(orderTopicConf)},`
  const mapping = mappings && `,"topicQueueMappingByBroker":${writeJson(mappings, { unquotedIntegerKeys: !isStrict })}`
  const brokerTexts = isStrict ? strictTexts : lenientTexts
  const brokers = joined(brokerDatas, brokerTexts, (broker) => writeJson(broker, { unquotedIntegerKeys: !isStrict }))
  const queues = joined(queueDatas, queueTexts, writeJson)
  return `{"brokerDatas":[${brokers}],"filterServerTable":${filters},${order}"queueDatas":[${queues}]${mapping ?? ''}}`
}

const strictTexts = new WeakMap<BrokerData, string>()
const lenientTexts = new WeakMap<BrokerData, string>()
const queueTexts = new WeakMap<QueueData, string>()

function joined<T extends object>(parts: readonly T[], texts: WeakMap<T, string>, write: (part: T) => string): string {
  let all = ''
  for (const part of parts) {
    let text = texts.get(part)
    if (text === undefined) {
      text = write(part)
      texts.set(part, text)
    }
    all += all === '' ? text : `,${text}`
  }
  return all
}

function readQueueData(value: unknown): QueueData {
  const fields = new Fields('QueueData', value)
  return {
    brokerName: fields.text('brokerName'),
    readQueueNums: fields.integer('readQueueNums'),
    writeQueueNums: fields.integer('writeQueueNums'),
    perm: fields.integer('perm'),
    topicSysFlag: fields.integer('topicSysFlag', 0),
  }
}

function readBrokerData(value: unknown): BrokerData {
  const fields = new Fields('BrokerData', value)
  return {
    cluster: fields.text('cluster', ''),
    brokerName: fields.text('brokerName'),
    brokerAddrs: readBrokerAddrs(fields),
    enableActingMaster: fields.bool('enableActingMaster', false),
    zoneName: fields.optionalText('zoneName'),
  }
}

function readBrokerAddrs(fields: Fields): Map<number, string> {
  const addrs = fields.table('brokerAddrs', textItem('brokerAddrs'))
  return new Map([...addrs].map(([brokerId, address]) => [integerKey('brokerAddrs', brokerId), address]))
}

/** Body of GET_BROKER_CLUSTER_INFO. Source: Apache RocketMQ 5, ClusterInfo. */
export interface ClusterInfo {
  brokerAddrTable: ReadonlyMap<string, BrokerData> // by brokerName
  clusterAddrTable: ReadonlyMap<string, string[]> // brokerNames by clusterName
}

export function readClusterInfo(json: Buffer | string): ClusterInfo {
  const fields = Fields.of('ClusterInfo', json)
  return {
    brokerAddrTable: fields.table('brokerAddrTable', readBrokerData),
    clusterAddrTable: fields.table('clusterAddrTable', readTexts),
  }
}

/** Integer keys stand without quotes, whatever the peer: old tools expect it. */
export function writeClusterInfo(info: ClusterInfo): string {
  return writeJson(info, { unquotedIntegerKeys: true })
}

/** Body of GET_BROKER_MEMBER_GROUP. Source: Apache RocketMQ 5, BrokerMemberGroup. */
export interface BrokerMemberGroup {
  cluster: string
  brokerName: string
  brokerAddrs: ReadonlyMap<number, string>
}

export function readBrokerMemberGroup(json: Buffer | string): BrokerMemberGroup {
  const fields = Fields.of('GetBrokerMemberGroupResponseBody', json).fields('brokerMemberGroup')
  return {
    cluster: fields.text('cluster', ''),
    brokerName: fields.text('brokerName', ''),
    brokerAddrs: readBrokerAddrs(fields),
  }
}

export function writeBrokerMemberGroup(brokerMemberGroup: BrokerMemberGroup): string {
  return writeJson({ brokerMemberGroup }, { unquotedIntegerKeys: true })
}

function readTexts(value: unknown): string[] {
  return new Fields('texts', { texts: value }).texts('texts')
}
