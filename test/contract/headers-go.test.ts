// What Apache's Go client writes: it makes headers and frames by itself, not as the Java classes do (headers.test.ts).
import { expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { encodeCommand, encodeRocketmqCommand, FrameDecoder } from '../../src/remoting/frame.ts'
import type { Field, HeaderCodec } from '../../src/remoting/header.ts'
import { consumerGroupRequest, getConsumerRunningInfoRequest } from '../../src/remoting/headers/consumer-group.ts'
import {
  queryConsumerOffsetRequest,
  resetOffsetRequest,
  updateConsumerOffsetRequest,
} from '../../src/remoting/headers/consumer-offset.ts'
import { consumerSendMsgBackRequest } from '../../src/remoting/headers/consumer-send-msg-back.ts'
import { createTopicRequest } from '../../src/remoting/headers/create-topic.ts'
import { getRouteInfoRequest } from '../../src/remoting/headers/get-route-info.ts'
import { consumeMessageDirectlyRequest, getConsumerStatusRequest } from '../../src/remoting/headers/group-and-topic.ts'
import { pullMessageRequest } from '../../src/remoting/headers/pull-message.ts'
import { queryMessageRequest } from '../../src/remoting/headers/query-message.ts'
import { getMaxOffsetRequest, searchOffsetRequest } from '../../src/remoting/headers/queue-offset.ts'
import { pushReplyMessageRequest } from '../../src/remoting/headers/reply-message.ts'
import {
  decodeSendMessageV2,
  sendMessageRequest,
  sendMessageRequestV2,
} from '../../src/remoting/headers/send-message.ts'
import { deleteTopicInNamesrvRequest, topicRequest } from '../../src/remoting/headers/topic.ts'
import { checkTransactionStateRequest, endTransactionRequest } from '../../src/remoting/headers/transaction.ts'
import { viewMessageRequest } from '../../src/remoting/headers/view-message.ts'
import { type GoVector, readGoVectors } from './headers.ts'

// biome-ignore lint/suspicious/noExplicitAny: a header of any table
type AnyCodec = HeaderCodec<any>
// biome-ignore lint/suspicious/noExplicitAny: a field of any type and kind
type AnyField = Field<any, any>

const codecs: Partial<Record<number, AnyCodec>> = {
  [RequestCode.SEND_MESSAGE]: sendMessageRequest,
  [RequestCode.SEND_REPLY_MESSAGE]: sendMessageRequest,
  [RequestCode.SEND_MESSAGE_V2]: sendMessageRequestV2,
  [RequestCode.SEND_BATCH_MESSAGE]: sendMessageRequestV2,
  [RequestCode.SEND_REPLY_MESSAGE_V2]: sendMessageRequestV2,
  [RequestCode.END_TRANSACTION]: endTransactionRequest,
  [RequestCode.CHECK_TRANSACTION_STATE]: checkTransactionStateRequest,
  [RequestCode.CONSUMER_SEND_MSG_BACK]: consumerSendMsgBackRequest,
  [RequestCode.PULL_MESSAGE]: pullMessageRequest,
  [RequestCode.GET_CONSUMER_LIST_BY_GROUP]: consumerGroupRequest,
  [RequestCode.GET_MAX_OFFSET]: getMaxOffsetRequest,
  [RequestCode.QUERY_CONSUMER_OFFSET]: queryConsumerOffsetRequest,
  [RequestCode.SEARCH_OFFSET_BY_TIMESTAMP]: searchOffsetRequest,
  [RequestCode.UPDATE_CONSUMER_OFFSET]: updateConsumerOffsetRequest,
  [RequestCode.GET_ROUTEINFO_BY_TOPIC]: getRouteInfoRequest,
  [RequestCode.GET_CONSUMER_RUNNING_INFO]: getConsumerRunningInfoRequest,
  [RequestCode.QUERY_MESSAGE]: queryMessageRequest,
  [RequestCode.VIEW_MESSAGE_BY_ID]: viewMessageRequest,
  [RequestCode.UPDATE_AND_CREATE_TOPIC]: createTopicRequest,
  [RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER]: topicRequest,
  [RequestCode.DELETE_TOPIC_IN_BROKER]: topicRequest,
  [RequestCode.DELETE_TOPIC_IN_NAMESRV]: deleteTopicInNamesrvRequest,
  [RequestCode.RESET_CONSUMER_CLIENT_OFFSET]: resetOffsetRequest,
  [RequestCode.CONSUME_MESSAGE_DIRECTLY]: consumeMessageDirectlyRequest,
  [RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT]: getConsumerStatusRequest,
  [RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT]: pushReplyMessageRequest,
}

/** What the client writes where it does not write what it has; undefined: nothing. */
const written: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  SendMessageRequestHeader: { DefaultTopic: 'TBW102', DefaultTopicQueueNums: '4' },
  ResetOffsetHeader: { isForce: undefined },
  ReplyMessageRequestHeader: { unitMode: undefined },
}
const otherNames: Readonly<Record<string, string>> = { SubExpression: 'subscription' }

const vectors = readGoVectors()
const ofHeaders = vectors.filter(({ header }) => header !== undefined)
const titled = (some: GoVector[]) =>
  some.map((vector) => {
    const isFresh = vector.body === ''
    return [`${vector.header ?? 'no header'} of code ${vector.code}${isFresh ? ', fresh' : ''}`, vector] as const
  })

test('there is a table for each request with a header, and each is recorded', () => {
  expect([...new Set(ofHeaders.map(({ code }) => String(code)))].sort()).toEqual(Object.keys(codecs).sort())
})

test.each(titled(vectors))('%s: the frames are read, and written as the client writes them', (_, vector) => {
  const { code, flag, remark } = vector
  const frames = { json: Buffer.from(vector.json, 'hex'), rocketmq: Buffer.from(vector.rocketmq, 'hex') }
  const head = { code, flag, opaque: 0x7fff_ffff, language: 'GO', version: 317, body: Buffer.from(vector.body, 'hex') }

  const json = decode(frames.json)
  const rocketmq = decode(frames.rocketmq)

  expect(json).toEqual({ ...head, remark, extFields: json.extFields })
  expect(rocketmq).toEqual({ ...head, remark: remark === '' ? undefined : remark, extFields: json.extFields })
  expect(encodeRocketmqCommand(rocketmq)).toEqual(frames.rocketmq)
  // The order of an object's keys, and how text is escaped, are each one's own.
  expect(parts(encodeCommand(json))).toEqual(parts(frames.json, { serializeTypeCurrentRPC: 'JSON' }))
})

test.each(titled(ofHeaders))('%s: the header has the values that the client gave it', (_, vector) => {
  const codec = codecs[vector.code]!
  const { extFields } = decode(Buffer.from(vector.json, 'hex'))
  const fields = Object.entries(codec.fields as Record<string, AnyField>)
  const defaults = Object.fromEntries(fields.map(([key, { fallback }]) => [key, fallback]))
  const values = valuesOf(vector, fields)

  expect(codec.decode(extFields)).toEqual({ ...defaults, ...values })
  expect(codec.encode(values)).toEqual(extFields)
  if (codec === sendMessageRequestV2) expect(decodeSendMessageV2(extFields)).toEqual({ ...defaults, ...values })
})

/** What the client's header holds and writes, by our names. */
function valuesOf({ header, fields: theirs }: GoVector, ours: [string, AnyField][]): Record<string, unknown> {
  const as = written[header!] ?? {}
  const values: Record<string, unknown> = {}
  for (const { name, type, value } of theirs) {
    const wanted = (otherNames[name] ?? name).toLowerCase()
    const [key] = ours.find(([key, { wireName }]) => [key, wireName].some((each) => each?.toLowerCase() === wanted))!
    const text = name in as ? as[name] : value
    if (text !== undefined) values[key] = valueIn(type, text)
  }
  return values
}

function valueIn(type: string, text: string): unknown {
  if (type === 'string') return text
  if (type === 'bool') return text === 'true'
  const value = type === 'time.Duration' ? BigInt(text) / 1_000_000n : BigInt(text) // ns, to ms on the wire
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function decode(frame: Buffer): Command {
  const commands: Command[] = []
  new FrameDecoder().push(frame, (command) => commands.push(command))
  expect(commands).toHaveLength(1)
  return commands[0]!
}

function parts(frame: Buffer, besides: object = {}): object {
  const bodyAt = 8 + (frame.readInt32BE(4) & 0xff_ffff)
  const header = { ...JSON.parse(frame.toString('utf8', 8, bodyAt)), ...besides }
  return { length: frame.readInt32BE(0) === frame.length - 4, type: frame[4], header, body: frame.subarray(bodyAt) }
}

test('an answer of the client says why', () => {
  const answer = vectors.find(({ flag }) => flag === 1)!

  expect(answer).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: expect.stringContaining('remark ü') })
})
