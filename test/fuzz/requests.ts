import { RequestCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { encodeCommand } from '../../src/remoting/frame.ts'
import { pullFields, sendFields } from '../../src/remoting/testing/requests.ts'
import { floodTopic } from './corpus.ts'

/** What a good client asks. */
export interface GoodRequest {
  code: number
  extFields: Record<string, string>
  body?: Buffer
}

/** Makes the topic where there is none. */
export function sendRequest(topic: string, body: Buffer): GoodRequest {
  const extFields = sendFields({ topic, defaultTopicQueueNums: 1, properties: 'KEYS\u0001k\u0002' })
  return { code: RequestCode.SEND_MESSAGE_V2, extFields, body }
}

export function routeRequest(topic: string): GoodRequest {
  return { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, extFields: { topic } }
}

/** The frame of floodRequest. */
export function floodPull(opaque: number): Buffer {
  return encodeCommand(floodRequest(opaque))
}

/** A small request with a large answer: a pull of floodTopic's message. */
export function floodRequest(opaque: number): Command {
  const extFields = pullFields({ consumerGroup: 'flood', topic: floodTopic, maxMsgNums: 1 })
  const rest = { language: 'JAVA', version: 513, remark: undefined, body: Buffer.alloc(0) }
  return { code: RequestCode.PULL_MESSAGE, flag: 0, opaque, extFields, ...rest }
}

/** The beginning of a frame of 100,000 bytes, with a JSON header of 1,000. */
export const cutOffFrame: Buffer = Buffer.from('000186a0000003e8', 'hex')
