import { type HeaderOf, headerCodec, int32, optional, text } from '../header.ts'

/**
 * GET_ALL_TOPIC_CONFIG: peers from 5.4 on ask page by page, older ones send nothing and are answered with everything.
 * Source: Apache RocketMQ 5, GetAllTopicConfigRequestHeader.
 */
export const getAllTopicConfigRequest = headerCodec('GetAllTopicConfigRequestHeader', {
  topicSeq: optional(int32), // how many the caller has
  maxTopicNum: optional(int32), // how many it takes at once
  dataVersion: optional(text), // JSON, of the table its pages come from; empty at first
})
export type GetAllTopicConfigRequest = HeaderOf<typeof getAllTopicConfigRequest>

export const getAllTopicConfigResponse = headerCodec('GetAllTopicConfigResponseHeader', {
  totalTopicNum: optional(int32),
})

/** GET_ALL_SUBSCRIPTIONGROUP_CONFIG: the same for groups. Source: Apache RocketMQ 5, GetAllSubscriptionGroupRequestHeader. */
export const getAllSubscriptionGroupRequest = headerCodec('GetAllSubscriptionGroupRequestHeader', {
  groupSeq: optional(int32),
  maxGroupNum: optional(int32),
  dataVersion: optional(text),
})
export type GetAllSubscriptionGroupRequest = HeaderOf<typeof getAllSubscriptionGroupRequest>

export const getAllSubscriptionGroupResponse = headerCodec('GetAllSubscriptionGroupResponseHeader', {
  totalGroupNum: optional(int32),
})
