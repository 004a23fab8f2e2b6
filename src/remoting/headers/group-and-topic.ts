import { bool, type HeaderOf, headerCodec, int32, named, optional, text, withDefault } from '../header.ts'

/** QUERY_CONSUME_TIME_SPAN. Source: Apache RocketMQ 5, QueryConsumeTimeSpanRequestHeader. */
export const queryConsumeTimeSpanRequest = headerCodec('QueryConsumeTimeSpanRequestHeader', {
  topic: text,
  group: text,
})
export type QueryConsumeTimeSpanRequest = HeaderOf<typeof queryConsumeTimeSpanRequest>

/** QUERY_SUBSCRIPTION_BY_CONSUMER. Source: Apache RocketMQ 5, QuerySubscriptionByConsumerRequestHeader. */
export const querySubscriptionRequest = headerCodec('QuerySubscriptionByConsumerRequestHeader', {
  group: text,
  topic: optional(text),
})
export type QuerySubscriptionRequest = HeaderOf<typeof querySubscriptionRequest>

/**
 * INVOKE_BROKER_TO_GET_CONSUMER_STATUS, and GET_CONSUMER_STATUS_FROM_CLIENT, which goes on to clients.
 * Source: Apache RocketMQ 5, GetConsumerStatusRequestHeader.
 */
export const getConsumerStatusRequest = headerCodec('GetConsumerStatusRequestHeader', {
  topic: text,
  group: text,
  clientId: named('clientAddr', optional(text)), // only this one; Apache compares ids, whatever the name says
})
export type GetConsumerStatusRequest = HeaderOf<typeof getConsumerStatusRequest>

/** CLONE_GROUP_OFFSET. Source: Apache RocketMQ 5, CloneGroupOffsetRequestHeader. */
export const cloneGroupOffsetRequest = headerCodec('CloneGroupOffsetRequestHeader', {
  srcGroup: text,
  destGroup: text,
  topic: optional(text), // all of the group's where it is absent
  offline: withDefault(bool, false), // topics that the group's clients do not subscribe to now, too
})
export type CloneGroupOffsetRequest = HeaderOf<typeof cloneGroupOffsetRequest>

/** CONSUME_MESSAGE_DIRECTLY, to the broker and on to a client. Source: Apache RocketMQ 5, ConsumeMessageDirectlyResultRequestHeader. */
export const consumeMessageDirectlyRequest = headerCodec('ConsumeMessageDirectlyResultRequestHeader', {
  consumerGroup: text,
  clientId: optional(text),
  msgId: optional(text), // offsetMsgId
  brokerName: optional(text),
  topic: optional(text),
  topicSysFlag: optional(int32),
  groupSysFlag: optional(int32),
})
export type ConsumeMessageDirectlyRequest = HeaderOf<typeof consumeMessageDirectlyRequest>

/** QUERY_CORRECTION_OFFSET. Source: Apache RocketMQ 5, QueryCorrectionOffsetHeader. */
export const queryCorrectionOffsetRequest = headerCodec('QueryCorrectionOffsetHeader', {
  topic: text,
  compareGroup: text,
  filterGroups: withDefault(text, ''), // joined by commas; left out
})
export type QueryCorrectionOffsetRequest = HeaderOf<typeof queryCorrectionOffsetRequest>
