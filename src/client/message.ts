import { OperatingError } from '../base/errors.ts'
import type { Address } from '../base/network.ts'
import type { MessageQueue } from '../remoting/body/message-queue.ts'
import { formatProperties, PropertyName, propertiesBytesMax } from '../remoting/message/index.ts'

export type { MessageQueue }

/** A message to be sent. Everything but topic and body is optional. */
export interface Message {
  topic: string
  /** A string is sent as UTF-8. At least one byte, at most the producer's bodyBytesMax. */
  body: Uint8Array | string
  /** One tag: consumers subscribe to a topic by tags. */
  tags?: string
  /** Business keys without spaces; the broker indexes each. */
  keys?: readonly string[]
  /** Whatever else shall travel along; names of RocketMQ's own are refused. */
  properties?: Readonly<Record<string, string>>
  /** 1 (1 s) to 18 (2 h): the broker delivers it so much later. */
  delayLevel?: number
  /** Milliseconds since 1970: not delivered earlier; needs a broker with timerWheelEnable. */
  deliverAt?: number
  /** false: the broker answers before the message is flushed, also where it flushes synchronously. */
  waitsForFlush?: boolean
}

/** A message as a consumer gets it. */
export interface ReceivedMessage {
  topic: string // the topic it was sent to, also on a later try
  body: Buffer
  tags: string | undefined
  keys: readonly string[]
  properties: ReadonlyMap<string, string>
  msgId: string // what the producer named it (UNIQ_KEY); the broker's name where it has none
  offsetMsgId: string // what the broker named it: another one at each try
  queue: MessageQueue // where it was read: a queue of %RETRY%consumerGroup on a later try
  queueOffset: number
  phyOffset: number
  bornTimestamp: number // ms since 1970, by the producer's clock
  bornHost: Address
  storeTimestamp: number // ms since 1970, by the broker's clock
  reconsumeTimes: number // tries before this one
}

/** One text per queue, for maps. */
export function queueKey({ topic, brokerName, queueId }: MessageQueue): string {
  return `${topic}@${brokerName}@${queueId}`
}

/** The order in which all members of a group must list queues: Apache RocketMQ's MessageQueue#compareTo. */
export function compareQueues(a: MessageQueue, b: MessageQueue): number {
  return compareText(a.topic, b.topic) || compareText(a.brokerName, b.brokerName) || a.queueId - b.queueId
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0 // by UTF-16 units, as Java does
}

/**
 * The body's bytes and the properties' text of a message.
 * @param more properties of RocketMQ's own, besides those that follow from the message
 * @throws OperatingError MESSAGE_ILLEGAL when it breaks a limit
 */
export function encodeMessage(
  message: Message,
  msgId: string | undefined,
  bodyBytesMax: number,
  more: readonly [string, string][] = [],
): { body: Buffer; properties: string } {
  checkName(message.topic, 'topic')
  const body = bytesOf(message.body)
  if (body.length === 0 || body.length > bodyBytesMax) {
    throw new OperatingError('MESSAGE_ILLEGAL', { topic: message.topic, bodyBytes: body.length, bodyBytesMax })
  }
  const properties = propertiesOf(message, msgId, more)
  if (3 * properties.length > propertiesBytesMax && Buffer.byteLength(properties) > propertiesBytesMax) {
    throw new OperatingError('MESSAGE_ILLEGAL', { topic: message.topic, propertiesBytesMax })
  }
  return { body, properties }
}

/** @throws OperatingError MESSAGE_ILLEGAL for what no broker takes as a topic's or group's name */
export function checkName(name: string, what: 'topic' | 'group'): void {
  const lengthMax = what === 'topic' ? 127 : 255
  if (!/^[%|\w-]+$/.test(name) || name.length > lengthMax) {
    throw new OperatingError('MESSAGE_ILLEGAL', { [what]: name.slice(0, 300), fits: `[%|a-zA-Z0-9_-], ${lengthMax}` })
  }
}

function bytesOf(body: Uint8Array | string): Buffer {
  if (typeof body === 'string') return Buffer.from(body)
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function propertiesOf(message: Message, msgId: string | undefined, more: readonly [string, string][]): string {
  const pairs: [string, string][] = [...more]
  for (const [name, value] of Object.entries(message.properties ?? {})) {
    if (name === '' || reservedNames.has(name)) throw new OperatingError('MESSAGE_ILLEGAL', { propertyName: name })
    pairs.push([name, value])
  }
  if (msgId !== undefined) pairs.push([PropertyName.UNIQ_KEY, msgId])
  if (message.keys?.length) pairs.push([PropertyName.KEYS, message.keys.join(' ')])
  if (message.tags !== undefined) pairs.push([PropertyName.TAGS, message.tags])
  if (message.delayLevel !== undefined) pairs.push([PropertyName.DELAY, String(message.delayLevel)])
  if (message.deliverAt !== undefined) pairs.push([deliverAtName, String(message.deliverAt)])
  pairs.push([PropertyName.WAIT, message.waitsForFlush === false ? 'false' : 'true'])
  for (const [name, value] of pairs) {
    if (/[\x01\x02]/.test(name) || /[\x01\x02]/.test(value)) {
      throw new OperatingError('MESSAGE_ILLEGAL', { propertyName: name, fits: 'text without U+0001 and U+0002' })
    }
  }
  return formatProperties(pairs)
}

const deliverAtName = 'TIMER_DELIVER_MS'

/** What this client or the broker writes: an application that set them would break one of the two. */
const reservedNames: ReadonlySet<string> = new Set([
  ...Object.values(PropertyName),
  deliverAtName,
  'TIMER_DELAY_SEC',
  'TIMER_DELAY_MS',
  'TIMER_OUT_MS',
])
