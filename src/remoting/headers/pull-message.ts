import { type HeaderOf, headerCodec, int32, int64, optional, text, wideInt64, withDefault } from '../header.ts'

/** PULL_MESSAGE and LITE_PULL_MESSAGE: asks for messages of one queue. Source: Apache RocketMQ 5, PullMessageRequestHeader. */
export const pullMessageRequest = headerCodec('PullMessageRequestHeader', {
  consumerGroup: text,
  topic: text,
  queueId: int32,
  queueOffset: int64, // first message wanted
  maxMsgNums: int32,
  sysFlag: int32, // bits of PullSysFlag
  commitOffset: int64,
  suspendTimeoutMillis: int64, // how long the broker may hold the request
  subVersion: wideInt64,
  subscription: optional(text),
  expressionType: withDefault(text, 'TAG'),
  maxMsgBytes: optional(int32),
})
export type PullMessageRequest = HeaderOf<typeof pullMessageRequest>

/** The first four are in every answer, whatever its code. */
export const pullMessageResponse = headerCodec('PullMessageResponseHeader', {
  suggestWhichBrokerId: int64,
  nextBeginOffset: int64,
  minOffset: int64,
  maxOffset: int64,
  offsetDelta: optional(int64),
  topicSysFlag: optional(int32),
  groupSysFlag: optional(int32),
  forbiddenType: optional(int32),
})
export type PullMessageResponse = HeaderOf<typeof pullMessageResponse>
