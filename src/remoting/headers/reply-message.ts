import { bool, type HeaderOf, headerCodec, int32, int64, optional, text, withDefault } from '../header.ts'

/** PUSH_REPLY_MESSAGE_TO_CLIENT, server to client; the answer is the body. Source: Apache RocketMQ 5, ReplyMessageRequestHeader. */
export const pushReplyMessageRequest = headerCodec('ReplyMessageRequestHeader', {
  producerGroup: text,
  topic: text,
  defaultTopic: text,
  defaultTopicQueueNums: int32,
  queueId: int32,
  sysFlag: int32,
  bornTimestamp: int64, // ms
  flag: int32,
  properties: optional(text),
  reconsumeTimes: optional(int32),
  unitMode: withDefault(bool, false),
  bornHost: text, // host:port of who answered
  storeHost: text,
  storeTimestamp: int64, // ms
})
export type PushReplyMessageRequest = HeaderOf<typeof pushReplyMessageRequest>
