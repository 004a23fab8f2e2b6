import {
  bool,
  type HeaderOf,
  headerCodec,
  int32,
  int64,
  named,
  optional,
  parseInt32,
  parseInteger,
  text,
  withDefault,
} from '../header.ts'

/** SEND_MESSAGE; the message itself is the body. Source: Apache RocketMQ 5, SendMessageRequestHeader. */
export const sendMessageRequest = headerCodec('SendMessageRequestHeader', {
  producerGroup: text,
  topic: text,
  defaultTopic: text, // template of a topic that is created by sending to it
  defaultTopicQueueNums: int32,
  queueId: int32, // negative: the broker picks one
  sysFlag: int32,
  bornTimestamp: int64, // ms
  flag: int32, // the user's; stored
  properties: optional(text),
  reconsumeTimes: withDefault(int32, 0),
  unitMode: withDefault(bool, false),
  maxReconsumeTimes: optional(int32),
  batch: withDefault(bool, false),
  brokerName: named('bname', optional(text)),
})
export type SendMessageRequest = HeaderOf<typeof sendMessageRequest>

/** SEND_MESSAGE_V2 and SEND_BATCH_MESSAGE: the same header in one-letter names. Source: SendMessageRequestHeaderV2. */
export const sendMessageRequestV2 = headerCodec('SendMessageRequestHeaderV2', {
  producerGroup: named('a', text),
  topic: named('b', text),
  defaultTopic: named('c', text),
  defaultTopicQueueNums: named('d', int32),
  queueId: named('e', int32),
  sysFlag: named('f', int32),
  bornTimestamp: named('g', int64),
  flag: named('h', int32),
  properties: named('i', optional(text)),
  reconsumeTimes: named('j', withDefault(int32, 0)),
  unitMode: named('k', withDefault(bool, false)),
  maxReconsumeTimes: named('l', optional(int32)),
  batch: named('m', withDefault(bool, false)),
  brokerName: named('n', optional(text)),
})

type ExtFields = Readonly<Record<string, string>>

/**
 * As sendMessageRequestV2.decode, in a third of the time: a loop over the table looks each field up by a name that it learns from
 * the table, and every message has this header. What is not as Apache's and Go's clients send it, the table decides.
 */
export function decodeSendMessageV2(extFields: ExtFields): SendMessageRequest {
  const { a, b, c, d, e, f, g, h, i, j, k, l, m, n } = extFields
  if (a === undefined || b === undefined || c === undefined) return sendMessageRequestV2.decode(extFields)
  const defaultTopicQueueNums = d && parseInt32(d)
  const queueId = e && parseInt32(e)
  const sysFlag = f && parseInt32(f)
  const bornTimestamp = g && parseInteger(g)
  const flag = h && parseInt32(h)
  const reconsumeTimes = parseInt32(j ?? '0')
  const maxReconsumeTimes = l === undefined ? undefined : parseInt32(l) // Go's client writes it into every send
  if (
    typeof defaultTopicQueueNums !== 'number' ||
    typeof queueId !== 'number' ||
    typeof sysFlag !== 'number' ||
    typeof bornTimestamp !== 'number' ||
    typeof flag !== 'number' ||
    reconsumeTimes === undefined ||
    (l !== undefined && maxReconsumeTimes === undefined)
  ) {
    return sendMessageRequestV2.decode(extFields)
  }
  return {
    producerGroup: a,
    topic: b,
    defaultTopic: c,
    defaultTopicQueueNums,
    queueId,
    sysFlag,
    bornTimestamp,
    flag,
    properties: i,
    reconsumeTimes,
    unitMode: isTrue(k),
    maxReconsumeTimes,
    batch: isTrue(m),
    brokerName: n,
  }
}

function isTrue(received: string | undefined): boolean {
  return received !== undefined && received !== 'false' && bool.parse(received) === true
}

export const sendMessageResponse = headerCodec('SendMessageResponseHeader', {
  msgId: text, // offsetMsgId; of a batch all, joined by commas
  queueId: int32,
  queueOffset: int64, // of the first message
  transactionId: optional(text), // the UNIQ_KEY, whether or not there is a transaction
  batchUniqId: optional(text),
  recallHandle: optional(text),
  regionId: named('MSG_REGION', optional(text)), // this and the next stand on errors too
  traceOn: named('TRACE_ON', optional(text)),
})
export type SendMessageResponse = HeaderOf<typeof sendMessageResponse>
