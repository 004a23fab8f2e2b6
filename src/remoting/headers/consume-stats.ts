import { bool, type HeaderOf, headerCodec, optional, text, withDefault } from '../header.ts'

/** GET_CONSUME_STATS. Source: Apache RocketMQ 5, GetConsumeStatsRequestHeader. */
export const getConsumeStatsRequest = headerCodec('GetConsumeStatsRequestHeader', {
  consumerGroup: text,
  topic: optional(text), // absent or empty: all that the group consumes
  topicList: optional(text), // joined by semicolons
})
export type GetConsumeStatsRequest = HeaderOf<typeof getConsumeStatsRequest>

/** GET_BROKER_CONSUME_STATS. Source: Apache RocketMQ 5, GetConsumeStatsInBrokerHeader. */
export const getBrokerConsumeStatsRequest = headerCodec('GetConsumeStatsInBrokerHeader', {
  isOrder: withDefault(bool, false),
})
export type GetBrokerConsumeStatsRequest = HeaderOf<typeof getBrokerConsumeStatsRequest>
