import { writeJson } from '../json.ts'
import { Fields } from './fields.ts'

// The index is the ordinal, which C++ clients send instead of the name.
export const consumeTypes = ['CONSUME_ACTIVELY', 'CONSUME_PASSIVELY', 'CONSUME_POP'] as const
export const messageModels = ['BROADCASTING', 'CLUSTERING'] as const
export const consumeFromWheres = [
  'CONSUME_FROM_LAST_OFFSET',
  'CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST',
  'CONSUME_FROM_MIN_OFFSET',
  'CONSUME_FROM_MAX_OFFSET',
  'CONSUME_FROM_FIRST_OFFSET',
  'CONSUME_FROM_TIMESTAMP',
] as const
export type ConsumeType = (typeof consumeTypes)[number]
export type MessageModel = (typeof messageModels)[number]
export type ConsumeFromWhere = (typeof consumeFromWheres)[number]

/** What a group wants of a topic. Source: Apache RocketMQ 5, SubscriptionData. */
export interface SubscriptionData {
  topic: string
  subString: string // the expression, * for all
  tagsSet: string[]
  codeSet: number[] // Java hash codes of the tags
  subVersion: number | bigint
  expressionType: string
  classFilterMode: boolean
}

export interface ConsumerData {
  groupName: string
  consumeType: ConsumeType
  messageModel: MessageModel
  consumeFromWhere: ConsumeFromWhere
  subscriptionDataSet: SubscriptionData[]
  unitMode: boolean
}

/** Body of HEART_BEAT. Source: Apache RocketMQ 5, HeartbeatData. */
export interface HeartbeatData {
  clientID: string
  producerDataSet: { groupName: string }[]
  consumerDataSet: ConsumerData[]
  heartbeatFingerprint: number // 0: heartbeats of version 1
  withoutSub: boolean // the fingerprint stands for the subscriptions
}

export function readHeartbeatData(body: Buffer): HeartbeatData {
  const fields = Fields.of('HeartbeatData', body)
  return {
    clientID: fields.text('clientID'),
    producerDataSet: fields.list('producerDataSet', (value) => ({
      groupName: new Fields('ProducerData', value).text('groupName'),
    })),
    consumerDataSet: fields.list('consumerDataSet', readConsumerData),
    heartbeatFingerprint: fields.integer('heartbeatFingerprint', 0),
    withoutSub: fields.bool('withoutSub', false),
  }
}

export function writeHeartbeatData(data: HeartbeatData): string {
  return writeJson(data)
}

function readConsumerData(value: unknown): ConsumerData {
  const fields = new Fields('ConsumerData', value)
  return {
    groupName: fields.text('groupName'),
    consumeType: fields.oneOf('consumeType', consumeTypes),
    messageModel: fields.oneOf('messageModel', messageModels),
    consumeFromWhere: fields.oneOf('consumeFromWhere', consumeFromWheres, 'CONSUME_FROM_LAST_OFFSET'),
    subscriptionDataSet: fields.list('subscriptionDataSet', readSubscriptionData),
    unitMode: fields.bool('unitMode', false),
  }
}

export function readSubscriptionData(value: unknown): SubscriptionData {
  const fields = new Fields('SubscriptionData', value)
  return {
    topic: fields.text('topic'),
    subString: fields.text('subString', '*'),
    tagsSet: fields.texts('tagsSet'),
    codeSet: fields.integers('codeSet'),
    subVersion: fields.wideInteger('subVersion', 0),
    expressionType: fields.text('expressionType', 'TAG'),
    classFilterMode: fields.bool('classFilterMode', false),
  }
}
