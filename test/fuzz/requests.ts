import { PullSysFlag, RequestCode } from '../../src/remoting/codes.ts'
import { encodeCommand } from '../../src/remoting/frame.ts'
import { pullMessageRequest } from '../../src/remoting/headers/pull-message.ts'
import { sendMessageRequestV2 } from '../../src/remoting/headers/send-message.ts'
import { floodTopic } from './corpus.ts'

/** What a good client asks. */
export interface GoodRequest {
  code: number
  extFields: Record<string, string>
  body?: Buffer
}

/** Makes the topic where there is none. */
export function sendRequest(topic: string, body: Buffer): GoodRequest {
  const extFields = sendMessageRequestV2.encode({
    producerGroup: 'witness',
    topic,
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: 1,
    queueId: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    flag: 0,
    properties: 'KEYS\u0001k\u0002',
  })
  return { code: RequestCode.SEND_MESSAGE_V2, extFields, body }
}

export function routeRequest(topic: string): GoodRequest {
  return { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, extFields: { topic } }
}

/** A small request with a large answer: the frame of a pull of floodTopic's message. */
export function floodPull(opaque: number): Buffer {
  const extFields = pullMessageRequest.encode({
    consumerGroup: 'flood',
    topic: floodTopic,
    queueId: 0,
    queueOffset: 0,
    maxMsgNums: 1,
    sysFlag: PullSysFlag.SUBSCRIPTION,
    commitOffset: 0,
    suspendTimeoutMillis: 0,
    subVersion: 0,
    subscription: '*',
    expressionType: 'TAG',
  })
  const rest = { language: 'JAVA', version: 513, remark: undefined, body: Buffer.alloc(0) }
  return encodeCommand({ code: RequestCode.PULL_MESSAGE, flag: 0, opaque, extFields, ...rest })
}

/** The beginning of a frame of 100,000 bytes, with a JSON header of 1,000. */
export const cutOffFrame: Buffer = Buffer.from('000186a0000003e8', 'hex')
