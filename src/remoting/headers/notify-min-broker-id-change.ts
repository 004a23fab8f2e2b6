import { type HeaderOf, headerCodec, int64, optional, text } from '../header.ts'

/**
 * NOTIFY_MIN_BROKER_ID_CHANGE (NameServer to broker, oneway): who is first in the group now.
 * Source: Apache RocketMQ 5, NotifyMinBrokerIdChangeRequestHeader.
 */
export const notifyMinBrokerIdChangeRequest = headerCodec('NotifyMinBrokerIdChangeRequestHeader', {
  minBrokerId: optional(int64),
  brokerName: optional(text),
  minBrokerAddr: optional(text),
  offlineBrokerAddr: optional(text), // who left; absent: somebody came
  haBrokerAddr: optional(text), // where who came serves its log
})
export type NotifyMinBrokerIdChangeRequest = HeaderOf<typeof notifyMinBrokerIdChangeRequest>
