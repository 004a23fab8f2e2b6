import { writeJson } from '../json.ts'
import { Fields } from './fields.ts'
import {
  type ConsumeFromWhere,
  type ConsumeType,
  consumeFromWheres,
  consumeTypes,
  type MessageModel,
  messageModels,
  readSubscriptionData,
  type SubscriptionData,
} from './heartbeat.ts'

/** One connected client. Source: Apache RocketMQ 5, body.Connection. */
export interface ClientConnection {
  clientId: string
  clientAddr: string // host:port
  language: string
  version: number
}

/** Body of GET_CONSUMER_CONNECTION_LIST. Source: Apache RocketMQ 5, ConsumerConnection. */
export interface ConsumerConnection {
  connectionSet: ClientConnection[]
  subscriptionTable: ReadonlyMap<string, SubscriptionData> // by topic
  consumeType: ConsumeType
  messageModel: MessageModel
  consumeFromWhere: ConsumeFromWhere
}

export function readConsumerConnection(body: Buffer): ConsumerConnection {
  const fields = Fields.of('ConsumerConnection', body)
  return {
    connectionSet: fields.list('connectionSet', readClientConnection),
    subscriptionTable: fields.table('subscriptionTable', readSubscriptionData),
    consumeType: fields.oneOf('consumeType', consumeTypes),
    messageModel: fields.oneOf('messageModel', messageModels),
    consumeFromWhere: fields.oneOf('consumeFromWhere', consumeFromWheres),
  }
}

export function writeConsumerConnection(connection: ConsumerConnection): string {
  return writeJson(connection)
}

/** Body of GET_PRODUCER_CONNECTION_LIST. */
export function readProducerConnections(body: Buffer): ClientConnection[] {
  return Fields.of('ProducerConnection', body).list('connectionSet', readClientConnection)
}

export function writeProducerConnections(connectionSet: ClientConnection[]): string {
  return writeJson({ connectionSet })
}

/** A producer among the answer to GET_ALL_PRODUCER_INFO. Source: Apache RocketMQ 5, ProducerInfo. */
export interface ProducerInfo {
  clientId: string
  remoteIP: string // /host:port, as Java prints an address
  language: string
  version: number
  lastUpdateTimestamp: number // ms, of the last heartbeat
}

/** Body of GET_ALL_PRODUCER_INFO: the producers of each group. */
export function writeProducerTable(data: ReadonlyMap<string, readonly ProducerInfo[]>): string {
  return writeJson({ data })
}

function readClientConnection(value: unknown): ClientConnection {
  const fields = new Fields('Connection', value)
  return {
    clientId: fields.text('clientId'),
    clientAddr: fields.text('clientAddr'),
    language: fields.text('language', 'OTHER'),
    version: fields.integer('version', 0),
  }
}
