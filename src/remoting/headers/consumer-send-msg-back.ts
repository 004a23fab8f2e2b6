import { bool, type HeaderOf, headerCodec, int32, int64, named, optional, text, withDefault } from '../header.ts'

/** CONSUMER_SEND_MSG_BACK: store this message again, for a later try. Source: Apache RocketMQ 5, ConsumerSendMsgBackRequestHeader. */
export const consumerSendMsgBackRequest = headerCodec('ConsumerSendMsgBackRequestHeader', {
  phyOffset: named('offset', int64),
  group: text,
  delayLevel: int32, // negative: to the dead letters; 0: the broker picks 3 + reconsumeTimes
  originMsgId: optional(text),
  originTopic: optional(text),
  unitMode: withDefault(bool, false),
  maxReconsumeTimes: optional(int32),
})
export type ConsumerSendMsgBackRequest = HeaderOf<typeof consumerSendMsgBackRequest>
