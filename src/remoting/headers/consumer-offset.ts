import { bool, type HeaderOf, headerCodec, int32, int64, optional, text, withDefault } from '../header.ts'

/** QUERY_CONSUMER_OFFSET. Source: Apache RocketMQ 5, QueryConsumerOffsetRequestHeader. */
export const queryConsumerOffsetRequest = headerCodec('QueryConsumerOffsetRequestHeader', {
  consumerGroup: text,
  topic: text,
  queueId: int32,
  setZeroIfNotFound: withDefault(bool, true), // may a young queue be answered with 0 instead of "not found"?
})
export type QueryConsumerOffsetRequest = HeaderOf<typeof queryConsumerOffsetRequest>

/** UPDATE_CONSUMER_OFFSET. Source: Apache RocketMQ 5, UpdateConsumerOffsetRequestHeader. */
export const updateConsumerOffsetRequest = headerCodec('UpdateConsumerOffsetRequestHeader', {
  consumerGroup: text,
  topic: text,
  queueId: int32,
  commitOffset: int64,
})
export type UpdateConsumerOffsetRequest = HeaderOf<typeof updateConsumerOffsetRequest>

/** INVOKE_BROKER_TO_RESET_OFFSET. Source: Apache RocketMQ 5, ResetOffsetRequestHeader. */
export const resetOffsetRequest = headerCodec('ResetOffsetRequestHeader', {
  group: text,
  topic: text,
  timestamp: int64, // ms; negative: to the end
  isForce: withDefault(bool, false),
  queueId: withDefault(int32, -1), // -1: all
  offset: optional(int64), // with queueId: exactly there
})
export type ResetOffsetRequest = HeaderOf<typeof resetOffsetRequest>
