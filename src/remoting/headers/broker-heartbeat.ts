import { type HeaderOf, headerCodec, int64, optional, text } from '../header.ts'

/** BROKER_HEARTBEAT, oneway: the broker lives. The controller's own fields are left out. Source: Apache RocketMQ 5, BrokerHeartbeatRequestHeader. */
export const brokerHeartbeatRequest = headerCodec('BrokerHeartbeatRequestHeader', {
  clusterName: text,
  brokerAddr: text,
  brokerName: text,
  brokerId: optional(int64),
})
export type BrokerHeartbeatRequest = HeaderOf<typeof brokerHeartbeatRequest>
