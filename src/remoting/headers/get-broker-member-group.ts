import { type HeaderOf, headerCodec, text } from '../header.ts'

/** GET_BROKER_MEMBER_GROUP. Source: Apache RocketMQ 5, GetBrokerMemberGroupRequestHeader. */
export const getBrokerMemberGroupRequest = headerCodec('GetBrokerMemberGroupRequestHeader', {
  clusterName: text,
  brokerName: text,
})
export type GetBrokerMemberGroupRequest = HeaderOf<typeof getBrokerMemberGroupRequest>
