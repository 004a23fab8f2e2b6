import {
  encodeHost,
  encodeRecord,
  formatProperties,
  MessageSysFlag,
  PropertyName,
  readProperty,
  recordBytesLimit,
  type StoredMessage,
  tagsCodeOf,
} from '../../../remoting/message/index.ts'
import type { Appended, NewMessage } from '../../store/index.ts'
import { withHostFlags } from '../host-flags.ts'
import { TopicName } from '../names.ts'
import { setProperties } from '../property-text.ts'

/**
 * The messages of a transaction. A half message waits in a topic of the broker's own, which no consumer reads; a commit
 * stores it again where it belongs. Source: Apache RocketMQ 5, TransactionalMessageBridge, EndTransactionProcessor.
 */

const { TRANSACTION_MASK, TRANSACTION_COMMIT } = MessageSysFlag

/** All half messages lie in one queue, and what ended them in the queue of the same number. */
export const halfQueueId = 0

/** The message as it waits. Without its transaction bits, which would keep it out of the consume queue. */
export function toHalf(message: NewMessage): NewMessage {
  const uniqKey = readProperty(message.properties, PropertyName.UNIQ_KEY)
  return {
    ...message,
    topic: TopicName.TRANS_HALF,
    queueId: halfQueueId,
    sysFlag: message.sysFlag & ~TRANSACTION_MASK,
    properties: setProperties(message.properties, [
      ...(uniqKey === undefined ? [] : [[PropertyName.TRANSACTION_ID, uniqKey] as const]),
      [PropertyName.REAL_TOPIC, message.topic],
      [PropertyName.REAL_QUEUE_ID, String(message.queueId)],
    ]),
  }
}

/** Where a half message belongs. */
export interface RealQueue {
  topic: string
  queueId: number
}

/** @returns undefined: it does not say, so it is no half message of ours or of Apache's */
export function realQueueOf({ properties }: StoredMessage): RealQueue | undefined {
  const topic = properties.get(PropertyName.REAL_TOPIC)
  const queueId = Number(properties.get(PropertyName.REAL_QUEUE_ID) ?? Number.NaN)
  return topic === undefined || !Number.isInteger(queueId) || queueId < 0 ? undefined : { topic, queueId }
}

/** What consumers get. It keeps the other properties of its half message, as with Apache. */
export function committed(half: StoredMessage, real: RealQueue, storeHost: Buffer): NewMessage {
  const properties = new Map(half.properties)
  properties.delete(PropertyName.REAL_TOPIC)
  properties.delete(PropertyName.REAL_QUEUE_ID)
  return {
    ...copy(half, properties, storeHost),
    ...real,
    sysFlag: flags(half, storeHost, TRANSACTION_COMMIT),
    reconsumeTimes: half.reconsumeTimes,
    preparedTransactionOffset: half.phyOffset,
    waitsForFlush: true, // the producer is told that it is committed
  }
}

/** The half message at the end of its queue again, asked about once more. */
export function askedAgain(half: StoredMessage, storeHost: Buffer): NewMessage {
  const times = String(checkTimesOf(half) + 1)
  return copy(half, new Map(half.properties).set(PropertyName.TRANSACTION_CHECK_TIMES, times), storeHost)
}

/** The half message at the end of its queue again, not asked about yet: it must not hold up those behind it. */
export function keptImmune(half: StoredMessage, storeHost: Buffer): NewMessage {
  const first = String(firstOffsetOf(half) ?? half.queueOffset)
  return copy(half, new Map(half.properties).set(PropertyName.TRANSACTION_PREPARED_QUEUE_OFFSET, first), storeHost)
}

/** One that was given up, to be asked about again as if it never had been. */
export function resumed(half: StoredMessage, storeHost: Buffer): NewMessage {
  const properties = new Map(half.properties).set(PropertyName.TRANSACTION_CHECK_TIMES, '0')
  return { ...copy(half, properties, storeHost), queueId: halfQueueId, waitsForFlush: true }
}

/** A half message that is given up, where an administrator may find it. */
export function givenUp(half: StoredMessage, storeHost: Buffer): NewMessage {
  return { ...copy(half, half.properties, storeHost), topic: TopicName.TRANS_CHECK_MAX_TIME, queueId: 0 }
}

/** How often producers were asked about it. */
export function checkTimesOf({ properties }: StoredMessage): number {
  const times = Number(properties.get(PropertyName.TRANSACTION_CHECK_TIMES) ?? 0)
  return Number.isInteger(times) && times > 0 ? times : 0
}

/** The queueOffset that its producer knows it by, of one that was kept immune. */
export function firstOffsetOf({ properties }: StoredMessage): number | undefined {
  const offset = Number(properties.get(PropertyName.TRANSACTION_PREPARED_QUEUE_OFFSET) ?? Number.NaN)
  return Number.isInteger(offset) && offset >= 0 ? offset : undefined
}

/**
 * How long the producer is not to be asked, in ms since the message was born; undefined: it did not say. What is no number
 * means timeOutMs.
 */
export function immunityMsOf({ properties }: StoredMessage, timeOutMs: number): number | undefined {
  const text = properties.get(PropertyName.CHECK_IMMUNITY_TIME_IN_SECONDS)
  if (text === undefined) return undefined
  return /^-?\d{1,12}$/.test(text) && text !== '-1' ? Number(text) * 1000 : timeOutMs
}

/** Says which half messages ended. Source: TransactionalMessageServiceImpl#getOpMessage. */
export function opMessage(body: string, storeHost: Buffer, now: number): NewMessage {
  return {
    topic: TopicName.TRANS_OP_HALF,
    queueId: halfQueueId,
    flag: 0,
    sysFlag: withHostFlags(0, storeHost, storeHost),
    bornTimestamp: now,
    bornHost: storeHost,
    storeHost,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.from(body),
    properties: formatProperties([
      [PropertyName.WAIT, 'true'],
      [PropertyName.TAGS, opTag],
    ]),
    tagsCode: tagsCodeOf(opTag),
    waitsForFlush: false,
  }
}

const opTag = 'd'

/** The half offsets that an op message names; those that are no numbers are left out. */
export function offsetsOf({ body, properties }: StoredMessage): number[] {
  if (properties.get(PropertyName.TAGS) !== opTag) return []
  const texts = body.toString('latin1').split(',')
  return texts.filter((text) => /^\d{1,16}$/.test(text)).map(Number)
}

/** The body of a question to a producer: the half message as if it lay where it belongs. */
export function questionBody(half: NewMessage, real: RealQueue, at: Appended): Buffer {
  const topic = Buffer.from(real.topic)
  const record = Buffer.alloc(recordBytesLimit(half, topic.length))
  const fields = { ...half, queueId: real.queueId }
  return record.subarray(0, encodeRecord(record, 0, fields, topic, at.queueOffset, at.phyOffset, at.storeTimestamp))
}

function copy(half: StoredMessage, properties: ReadonlyMap<string, string>, storeHost: Buffer): NewMessage {
  return {
    topic: TopicName.TRANS_HALF,
    queueId: half.queueId,
    flag: half.flag,
    sysFlag: flags(half, storeHost, 0),
    bornTimestamp: half.bornTimestamp,
    bornHost: encodeHost(half.bornHost),
    storeHost,
    reconsumeTimes: half.reconsumeTimes,
    preparedTransactionOffset: 0,
    body: half.body,
    properties: formatProperties(properties),
    tagsCode: tagsCodeOf(properties.get(PropertyName.TAGS)),
    waitsForFlush: false, // a pass ends with a flush of all it did
  }
}

function flags(half: StoredMessage, storeHost: Buffer, transaction: number): number {
  return withHostFlags((half.sysFlag & ~TRANSACTION_MASK) | transaction, encodeHost(half.bornHost), storeHost)
}
