import { bool, type HeaderOf, headerCodec, named, text, withDefault } from '../header.ts'

/** GET_CONSUMER_LIST_BY_GROUP, GET_CONSUMER_CONNECTION_LIST, NOTIFY_CONSUMER_IDS_CHANGED (server to client): each names a group. */
export const consumerGroupRequest = headerCodec('ConsumerGroupRequestHeader', { consumerGroup: text })
export type ConsumerGroupRequest = HeaderOf<typeof consumerGroupRequest>

/** GET_PRODUCER_CONNECTION_LIST. Source: Apache RocketMQ 5, GetProducerConnectionListRequestHeader. */
export const producerGroupRequest = headerCodec('GetProducerConnectionListRequestHeader', { producerGroup: text })
export type ProducerGroupRequest = HeaderOf<typeof producerGroupRequest>

/** GET_SUBSCRIPTIONGROUP_CONFIG. Source: Apache RocketMQ 5, GetSubscriptionGroupConfigRequestHeader. */
export const getSubscriptionGroupRequest = headerCodec('GetSubscriptionGroupConfigRequestHeader', { group: text })
export type GetSubscriptionGroupRequest = HeaderOf<typeof getSubscriptionGroupRequest>

/** DELETE_SUBSCRIPTIONGROUP. Source: Apache RocketMQ 5, DeleteSubscriptionGroupRequestHeader. */
export const deleteSubscriptionGroupRequest = headerCodec('DeleteSubscriptionGroupRequestHeader', {
  consumerGroup: named('groupName', text),
  isOffsetCleaned: named('cleanOffset', withDefault(bool, false)),
})
export type DeleteSubscriptionGroupRequest = HeaderOf<typeof deleteSubscriptionGroupRequest>

/** GET_CONSUMER_RUNNING_INFO: admin to broker, which passes it on to the client. Source: GetConsumerRunningInfoRequestHeader. */
export const getConsumerRunningInfoRequest = headerCodec('GetConsumerRunningInfoRequestHeader', {
  consumerGroup: text,
  clientId: text,
  jstackEnable: withDefault(bool, false),
})
export type GetConsumerRunningInfoRequest = HeaderOf<typeof getConsumerRunningInfoRequest>
