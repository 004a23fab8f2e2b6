import { bool, type HeaderOf, headerCodec, int32, int64, optional, text, withDefault } from '../header.ts'

/** REGISTER_BROKER: a broker tells a NameServer its topics (in the body). Source: Apache RocketMQ 5, RegisterBrokerRequestHeader. */
export const registerBrokerRequest = headerCodec('RegisterBrokerRequestHeader', {
  brokerName: text,
  brokerAddr: text, // what clients will dial
  clusterName: text,
  haServerAddr: text,
  brokerId: int64, // 0: the master
  heartbeatTimeoutMillis: optional(int64), // the broker's own expiry
  enableActingMaster: optional(bool), // absent: a broker older than acting masters
  compressed: withDefault(bool, false),
  bodyCrc32: withDefault(int32, 0), // CRC-32 of the body, sign bit cleared; 0: not to be checked
})
export type RegisterBrokerRequest = HeaderOf<typeof registerBrokerRequest>

/** Both only for a slave whose master is registered. */
export const registerBrokerResponse = headerCodec('RegisterBrokerResponseHeader', {
  haServerAddr: optional(text),
  masterAddr: optional(text),
})
