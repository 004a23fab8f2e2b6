import { type HeaderOf, headerCodec, optional, text } from '../header.ts'

/** GET_TOPIC_CONFIG, GET_TOPIC_STATS_INFO, QUERY_TOPIC_CONSUME_BY_WHO, DELETE_TOPIC_IN_BROKER: each just names a topic. */
export const topicRequest = headerCodec('TopicRequestHeader', { topic: text })
export type TopicRequest = HeaderOf<typeof topicRequest>

/** DELETE_TOPIC_IN_NAMESRV. Source: Apache RocketMQ 5, DeleteTopicFromNamesrvRequestHeader. */
export const deleteTopicInNamesrvRequest = headerCodec('DeleteTopicFromNamesrvRequestHeader', {
  topic: text,
  clusterName: optional(text), // only at this cluster's brokers
})
export type DeleteTopicInNamesrvRequest = HeaderOf<typeof deleteTopicInNamesrvRequest>

/** GET_TOPICS_BY_CLUSTER. Source: Apache RocketMQ 5, GetTopicsByClusterRequestHeader. */
export const getTopicsByClusterRequest = headerCodec('GetTopicsByClusterRequestHeader', { cluster: text })
export type GetTopicsByClusterRequest = HeaderOf<typeof getTopicsByClusterRequest>

/** REGISTER_TOPIC_IN_NAMESRV. Source: Apache RocketMQ 5, RegisterTopicRequestHeader. */
export const registerTopicRequest = headerCodec('RegisterTopicRequestHeader', { topic: text })
export type RegisterTopicRequest = HeaderOf<typeof registerTopicRequest>
