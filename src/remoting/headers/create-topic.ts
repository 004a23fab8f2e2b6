import { bool, type HeaderOf, headerCodec, int32, optional, text, withDefault } from '../header.ts'

/** UPDATE_AND_CREATE_TOPIC. Source: Apache RocketMQ 5, CreateTopicRequestHeader. */
export const createTopicRequest = headerCodec('CreateTopicRequestHeader', {
  topic: text,
  defaultTopic: text, // the template; brokers look only at the rest
  readQueueNums: int32,
  writeQueueNums: int32,
  perm: int32, // bits of Perm
  topicFilterType: text, // SINGLE_TAG
  topicSysFlag: withDefault(int32, 0),
  order: withDefault(bool, false),
  attributes: optional(text), // changes: +key=value,-key
})
export type CreateTopicRequest = HeaderOf<typeof createTopicRequest>
