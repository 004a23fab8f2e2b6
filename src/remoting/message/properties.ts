/**
 * The property text of a message: `name 0x01 value 0x02` repeated, the last 0x02 optional on input. Nothing is escaped,
 * so names and values must not hold these two characters. Where a name stands twice the later value wins; a piece
 * without 0x01 is no property. Source: Apache RocketMQ 5, MessageDecoder#string2messageProperties.
 */
const nameEnd = '\u0001'
const pairEnd = '\u0002'
/** The same as characters of the text, and as its bytes. */
export const nameEndCode = 1
export const pairEndCode = 2

/** Longest property text in bytes: its length is a signed int16 in the record. */
export const propertiesBytesMax = 32_767

/** Names that the broker itself reads or writes. Source: MessageConst. */
export const PropertyName = {
  KEYS: 'KEYS',
  TAGS: 'TAGS',
  WAIT: 'WAIT',
  DELAY: 'DELAY',
  RETRY_TOPIC: 'RETRY_TOPIC',
  REAL_TOPIC: 'REAL_TOPIC',
  REAL_QUEUE_ID: 'REAL_QID',
  TRANSACTION_PREPARED: 'TRAN_MSG',
  TRANSACTION_ID: '__transactionId__',
  TRANSACTION_CHECK_TIMES: 'TRANSACTION_CHECK_TIMES',
  TRANSACTION_PREPARED_QUEUE_OFFSET: 'TRAN_PREPARED_QUEUE_OFFSET',
  CHECK_IMMUNITY_TIME_IN_SECONDS: 'CHECK_IMMUNITY_TIME_IN_SECONDS',
  PRODUCER_GROUP: 'PGROUP',
  UNIQ_KEY: 'UNIQ_KEY',
  ORIGIN_MESSAGE_ID: 'ORIGIN_MESSAGE_ID',
  RECONSUME_TIME: 'RECONSUME_TIME',
  MAX_RECONSUME_TIMES: 'MAX_RECONSUME_TIMES',
  DLQ_ORIGIN_TOPIC: 'DLQ_ORIGIN_TOPIC',
  DLQ_ORIGIN_MESSAGE_ID: 'DLQ_ORIGIN_MESSAGE_ID',
  MSG_REGION: 'MSG_REGION',
  TRACE_ON: 'TRACE_ON',
  CLUSTER: 'CLUSTER',
  INNER_NUM: 'INNER_NUM',
  INNER_BASE: 'INNER_BASE',
  SHARDING_KEY: '__SHARDINGKEY',
  POP_CK: 'POP_CK',
  REPLY_TO_CLIENT: 'REPLY_TO_CLIENT',
  PUSH_REPLY_TIME: 'PUSH_REPLY_TIME',
} as const

/**
 * One property, found without taking the others apart; the later one where a name stands twice. Searches forwards only: most
 * names are not there, and V8 searches backwards ten times slower.
 */
export function readProperty(text: string, name: string): string | undefined {
  const mark = name + nameEnd
  let value: string | undefined
  for (let at = text.indexOf(mark); at >= 0; ) {
    const start = at + mark.length
    const end = text.indexOf(pairEnd, start)
    if (at === 0 || text.charCodeAt(at - 1) === pairEndCode) {
      const found = end < 0 ? text.slice(start) : text.slice(start, end)
      if (!found.includes(nameEnd)) value = found // a piece with two marks is no property
    }
    at = end < 0 ? -1 : text.indexOf(mark, end)
  }
  return value
}

export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf(pairEnd, start)
    if (end < 0) end = text.length
    const mark = text.indexOf(nameEnd, start)
    if (mark >= 0 && mark < end) {
      const value = text.slice(mark + 1, end)
      if (!value.includes(nameEnd)) properties.set(text.slice(start, mark), value)
    }
    start = end + 1
  }
  return properties
}

export function formatProperties(properties: Iterable<readonly [string, string]>): string {
  let text = ''
  for (const [name, value] of properties) text += name + nameEnd + value + pairEnd
  return text
}

/** The text with one more property at its end, where it wins over an earlier one of that name. */
export function appendProperty(text: string, name: string, value: string): string {
  const separator = text.length === 0 || text.endsWith(pairEnd) ? '' : pairEnd
  return text + separator + name + nameEnd + value + pairEnd
}

/** Java's String.hashCode of a tag, which the consume queue keeps: int32, over UTF-16 units; 0 for no tag. */
export function tagsCodeOf(tag: string | undefined): number {
  let hash = 0
  if (tag !== undefined) for (let at = 0; at < tag.length; at++) hash = (Math.imul(31, hash) + tag.charCodeAt(at)) | 0
  return hash
}
