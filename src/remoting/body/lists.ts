import { writeJson } from '../json.ts'
import { Fields, textItem } from './fields.ts'

/** Body of GET_ALL_TOPIC_LIST_FROM_NAMESERVER and the other lists of topics. Source: Apache RocketMQ 5, TopicList. */
export interface TopicList {
  topicList: string[]
  brokerAddr?: string | undefined // where one is known, with the system topics
}

export function readTopicList(body: Buffer): TopicList {
  const fields = Fields.of('TopicList', body)
  return { topicList: fields.texts('topicList'), brokerAddr: fields.optionalText('brokerAddr') }
}

export function writeTopicList(list: TopicList): string {
  return writeJson(list)
}

/** Body of GET_CONSUMER_LIST_BY_GROUP: client ids. */
export function readConsumerIdList(body: Buffer): string[] {
  return Fields.of('GetConsumerListByGroupResponseBody', body).texts('consumerIdList')
}

export function writeConsumerIdList(consumerIdList: string[]): string {
  return writeJson({ consumerIdList })
}

/** Body of QUERY_TOPIC_CONSUME_BY_WHO: consumer groups. */
export function readGroupList(body: Buffer): string[] {
  return Fields.of('GroupList', body).texts('groupList')
}

export function writeGroupList(groupList: string[]): string {
  return writeJson({ groupList })
}

/** Body of REGISTER_BROKER's answer, GET_KVLIST_BY_NAMESPACE and GET_BROKER_RUNTIME_INFO. Source: Apache RocketMQ 5, KVTable. */
export function readKvTable(body: Buffer): Map<string, string> {
  return Fields.of('KVTable', body).table('table', textItem('KVTable'))
}

export function writeKvTable(table: ReadonlyMap<string, string>): string {
  return writeJson({ table })
}
