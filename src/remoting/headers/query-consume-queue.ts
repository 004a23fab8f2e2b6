import { type HeaderOf, headerCodec, int32, int64, optional, text, withDefault } from '../header.ts'

/** QUERY_CONSUME_QUEUE. Source: Apache RocketMQ 5, QueryConsumeQueueRequestHeader. */
export const queryConsumeQueueRequest = headerCodec('QueryConsumeQueueRequestHeader', {
  topic: optional(text),
  queueId: withDefault(int32, 0),
  index: withDefault(int64, 0), // queueOffset of the first unit wanted
  count: withDefault(int32, 0),
  consumerGroup: optional(text), // its subscription is told too
})
export type QueryConsumeQueueRequest = HeaderOf<typeof queryConsumeQueueRequest>
