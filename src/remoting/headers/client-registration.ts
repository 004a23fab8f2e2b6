import { bool, type HeaderOf, headerCodec, named, optional, text } from '../header.ts'

/** UNREGISTER_CLIENT. Source: Apache RocketMQ 5, UnregisterClientRequestHeader. */
export const unregisterClientRequest = headerCodec('UnregisterClientRequestHeader', {
  clientID: text,
  producerGroup: optional(text),
  consumerGroup: optional(text),
})
export type UnregisterClientRequest = HeaderOf<typeof unregisterClientRequest>

/** Answer to HEART_BEAT. Source: Apache RocketMQ 5, ClientManageProcessor#heartBeat. */
export const heartbeatResponse = headerCodec('HeartbeatResponseHeader', {
  isHeartbeatV2Supported: named('IS_SUPPORT_HEART_BEAT_V2', bool),
  isSubscriptionChanged: named('IS_SUB_CHANGE', bool),
})
