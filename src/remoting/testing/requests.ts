import { PullSysFlag } from '../codes.ts'
import { type PullMessageRequest, pullMessageRequest } from '../headers/pull-message.ts'
import { type SendMessageRequest, sendMessageRequestV2 } from '../headers/send-message.ts'
import type { KnownSend } from '../known-send.ts'

/** The header of a send as any client's; what a test is about is given. */
export function sendFields(given: Partial<SendMessageRequest> & { topic: string }): Record<string, string> {
  return sendMessageRequestV2.encode({
    producerGroup: 'producers',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: 4,
    queueId: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    flag: 0,
    properties: '',
    ...given,
  })
}

/** The header alone of a send that was known. */
export function requestOf(send: KnownSend): SendMessageRequest {
  const { uniqKey, propertyBytes, form, ...rest } = send
  return { ...rest, properties: send.properties }
}

/** The header of a pull of all messages of a queue that brings its subscription along, and does not wait for any. */
export function pullFields(given: Partial<PullMessageRequest> & { topic: string }): Record<string, string> {
  return pullMessageRequest.encode({
    consumerGroup: 'consumers',
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: 32,
    sysFlag: PullSysFlag.SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subVersion: 0,
    subscription: '*',
    expressionType: 'TAG',
    ...given,
  })
}
