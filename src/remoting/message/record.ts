import { crc32 } from 'node:zlib'
import { OperatingError } from '../../base/errors.ts'
import type { Address } from '../../base/network.ts'
import { decodeHost, ipv4HostBytes, ipv6HostBytes } from './host.ts'
import { readInt64, setInt64 } from './int64.ts'
import { parseProperties, propertiesBytesMax } from './properties.ts'

/**
 * The stored message: the same bytes in the commit log, in the body of a pull and on the replication link.
 * ```
 *  0 totalSize i32       20 queueOffset i64     48 bornHost 8 | 20     body
 *  4 magic i32           28 phyOffset i64          storeTimestamp i64  topicLength i8 (V1) | i16 (V2)
 *  8 bodyCrc i32         36 sysFlag i32            storeHost 8 | 20    topic
 * 12 queueId i32         40 bornTimestamp i64      reconsumeTimes i32  propertiesLength i16
 * 16 flag i32                                      preparedTransactionOffset i64
 *                                                  bodyLength i32      properties
 * ```
 * Big-endian and signed. Source: Apache RocketMQ 5, MessageExtEncoder, MessageDecoder.
 */
export const RecordMagic = { V1: 0xdaa320a7 | 0, V2: 0xdaa320ab | 0, BLANK: 0xcbd43194 | 0 } as const

export const MessageSysFlag = {
  COMPRESSED: 0x1,
  TRANSACTION_PREPARED: 0x4,
  TRANSACTION_COMMIT: 0x8,
  TRANSACTION_ROLLBACK: 0xc,
  TRANSACTION_MASK: 0xc,
  BORN_HOST_IPV6: 0x10,
  STORE_HOST_IPV6: 0x20,
  NEEDS_UNWRAP: 0x40,
  INNER_BATCH: 0x80,
  COMPRESSION_LZ4: 0x100,
  COMPRESSION_ZSTD: 0x200,
  COMPRESSION_ZLIB: 0x300,
  COMPRESSION_MASK: 0x700, // 0 with COMPRESSED set: zlib, from old clients
} as const

/** Where the fixed fields of every record lie. */
export const recordAt = {
  totalSize: 0,
  magic: 4,
  bodyCrc: 8,
  queueId: 12,
  flag: 16,
  queueOffset: 20,
  phyOffset: 28,
  sysFlag: 36,
  bornTimestamp: 40,
  bornHost: 48,
} as const

/** Bytes of the smallest record: IPv4 hosts, V1, no body, topic or properties. */
export const recordBytesMin = 91
/** Longest topic, in bytes, that a V1 record can name. */
export const v1TopicBytesMax = 127
/** totalSize and blank magic at a segment's end: always kept free for them. */
export const blankBytes = 8

export interface StoredMessage {
  topic: string
  queueId: number
  flag: number
  queueOffset: number
  phyOffset: number
  sysFlag: number
  bornTimestamp: number
  bornHost: Address
  storeTimestamp: number
  storeHost: Address
  reconsumeTimes: number
  preparedTransactionOffset: number
  body: Buffer // as stored: still compressed when sysFlag says so
  properties: Map<string, string>
  size: number
  bodyCrc: number
}

/** What a record says before it has its place in the log. */
export interface RecordFields {
  queueId: number
  flag: number
  sysFlag: number
  bornTimestamp: number
  bornHost: Buffer
  storeHost: Buffer
  reconsumeTimes: number
  preparedTransactionOffset: number
  body: Buffer
  /** The property text's beginning, in UTF-8, where it is there in bytes. */
  propertiesStart?: Buffer | undefined
  properties: string
  /** More properties, in UTF-8: what every message of a broker has is not made anew for each. */
  propertiesEnd?: Buffer | undefined
}

/** An upper bound of the bytes that encodeRecord will write. */
export function recordBytesLimit(fields: RecordFields, topicBytes: number): number {
  const { body, propertiesStart, properties, propertiesEnd } = fields
  const startBytes = propertiesStart === undefined ? 0 : propertiesStart.length
  const endBytes = propertiesEnd === undefined ? 0 : propertiesEnd.length
  return recordBytesMin + 1 + 24 + body.length + topicBytes + startBytes + 3 * properties.length + endBytes
}

/**
 * Writes one record at position; into must have room for recordBytesLimit.
 * @param topic UTF-8 bytes; more than 127 make a V2 record
 * @returns the record's size, or -1 when the properties are longer than propertiesBytesMax (then what was written is no record)
 */
export function encodeRecord(
  into: Buffer,
  position: number,
  fields: RecordFields,
  topic: Buffer,
  queueOffset: number,
  phyOffset: number,
  storeTimestamp: number,
): number {
  const { body, bornHost, storeHost, propertiesStart, properties, propertiesEnd } = fields
  const isV2 = topic.length > v1TopicBytesMax
  const view = viewOf(into)
  view.setInt32(position + 4, isV2 ? RecordMagic.V2 : RecordMagic.V1)
  view.setInt32(position + 8, body.length === 0 ? 0 : crc32(body) & 0x7fffffff)
  view.setInt32(position + 12, fields.queueId)
  view.setInt32(position + 16, fields.flag)
  setInt64(view, position + 20, queueOffset)
  setInt64(view, position + 28, phyOffset)
  view.setInt32(position + 36, fields.sysFlag)
  setInt64(view, position + 40, fields.bornTimestamp)
  let at = position + 48
  into.set(bornHost, at)
  at += bornHost.length
  setInt64(view, at, storeTimestamp)
  at += 8
  into.set(storeHost, at)
  at += storeHost.length
  view.setInt32(at, fields.reconsumeTimes)
  setInt64(view, at + 4, fields.preparedTransactionOffset)
  view.setInt32(at + 12, body.length)
  at += 16
  into.set(body, at)
  at += body.length
  if (isV2) {
    view.setInt16(at, topic.length)
    at += 2
  } else into[at++] = topic.length
  into.set(topic, at)
  at += topic.length
  let propertiesLength = 0
  if (propertiesStart !== undefined) {
    into.set(propertiesStart, at + 2)
    propertiesLength = propertiesStart.length
  }
  if (properties !== '') propertiesLength += into.write(properties, at + 2 + propertiesLength)
  if (propertiesEnd !== undefined) {
    into.set(propertiesEnd, at + 2 + propertiesLength)
    propertiesLength += propertiesEnd.length
  }
  if (propertiesLength > propertiesBytesMax) return -1
  view.setInt16(at, propertiesLength)
  const size = at + 2 + propertiesLength - position
  view.setInt32(position, size)
  return size
}

let lastBytes: Buffer | undefined
let lastView: DataView | undefined

/** A Buffer's own methods take ten times as long for an integer; a log's records are all written into one buffer. */
function viewOf(bytes: Buffer): DataView {
  if (bytes === lastBytes) return lastView!
  lastBytes = bytes
  lastView = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return lastView
}

/** Where the parts of one record lie, in positions of the buffer that holds it. */
export interface RecordLayout {
  size: number
  storeTimestampAt: number
  storeHostAt: number
  bodyAt: number
  bodyLength: number
  topicAt: number
  topicLength: number
  propertiesAt: number
  propertiesLength: number
}

/**
 * Finds the parts of the record at position and checks that they add up to its size.
 * @returns undefined when there is no whole record: not a message magic, lengths that contradict each other, or an end
 *   beyond the buffer's
 */
export function layoutOf(from: Buffer, position: number): RecordLayout | undefined {
  if (position + recordBytesMin > from.length) return undefined
  const size = from.readInt32BE(position)
  const magic = from.readInt32BE(position + 4)
  if (size < recordBytesMin || position + size > from.length) return undefined
  if (magic !== RecordMagic.V1 && magic !== RecordMagic.V2) return undefined
  const end = position + size
  const sysFlag = from.readInt32BE(position + 36)
  const storeTimestampAt = position + 48 + hostBytes(sysFlag, MessageSysFlag.BORN_HOST_IPV6)
  const storeHostAt = storeTimestampAt + 8
  const bodyAt = storeHostAt + hostBytes(sysFlag, MessageSysFlag.STORE_HOST_IPV6) + 16
  if (bodyAt > end) return undefined
  const bodyLength = from.readInt32BE(bodyAt - 4)
  const topicLengthAt = bodyAt + bodyLength
  if (bodyLength < 0 || topicLengthAt + 4 > end) return undefined
  const isV2 = magic === RecordMagic.V2
  const topicLength = isV2 ? from.readInt16BE(topicLengthAt) : from.readInt8(topicLengthAt)
  const topicAt = topicLengthAt + (isV2 ? 2 : 1)
  const propertiesAt = topicAt + topicLength + 2
  if (topicLength < 0 || propertiesAt > end) return undefined
  const propertiesLength = from.readInt16BE(propertiesAt - 2)
  if (propertiesLength < 0 || propertiesAt + propertiesLength !== end) return undefined
  return {
    size,
    storeTimestampAt,
    storeHostAt,
    bodyAt,
    bodyLength,
    topicAt,
    topicLength,
    propertiesAt,
    propertiesLength,
  }
}

function hostBytes(sysFlag: number, ipv6Bit: number): number {
  return (sysFlag & ipv6Bit) === 0 ? ipv4HostBytes : ipv6HostBytes
}

/** Whether the body still has the checksum that its record names. */
export function isBodyIntact(from: Buffer, position: number, { bodyAt, bodyLength }: RecordLayout): boolean {
  const crc = bodyLength === 0 ? 0 : crc32(from.subarray(bodyAt, bodyAt + bodyLength)) & 0x7fffffff
  return crc === from.readInt32BE(position + recordAt.bodyCrc)
}

/**
 * Reads the record at position; the body is a view on the buffer. The checksum is left to those who want it checked.
 * @throws OperatingError BODY_INVALID when there is no whole record
 */
export function decodeMessage(from: Buffer, position: number): StoredMessage {
  const layout = layoutOf(from, position)
  if (layout === undefined) throw new OperatingError('BODY_INVALID', { expected: 'a stored message', position })
  const { storeTimestampAt, storeHostAt, bodyAt, topicAt, propertiesAt } = layout
  const sysFlag = from.readInt32BE(position + recordAt.sysFlag)
  return {
    topic: from.toString('utf8', topicAt, topicAt + layout.topicLength),
    queueId: from.readInt32BE(position + recordAt.queueId),
    flag: from.readInt32BE(position + recordAt.flag),
    queueOffset: readInt64(from, position + recordAt.queueOffset),
    phyOffset: readInt64(from, position + recordAt.phyOffset),
    sysFlag,
    bornTimestamp: readInt64(from, position + recordAt.bornTimestamp),
    bornHost: decodeHost(from, position + recordAt.bornHost, (sysFlag & MessageSysFlag.BORN_HOST_IPV6) !== 0),
    storeTimestamp: readInt64(from, storeTimestampAt),
    storeHost: decodeHost(from, storeHostAt, (sysFlag & MessageSysFlag.STORE_HOST_IPV6) !== 0),
    reconsumeTimes: from.readInt32BE(bodyAt - 16),
    preparedTransactionOffset: readInt64(from, bodyAt - 12),
    body: from.subarray(bodyAt, bodyAt + layout.bodyLength),
    properties: parseProperties(from.toString('utf8', propertiesAt, propertiesAt + layout.propertiesLength)),
    size: layout.size,
    bodyCrc: from.readInt32BE(position + recordAt.bodyCrc),
  }
}

/**
 * Reads records that lie one after the other, as the body of a pull does.
 * @throws OperatingError BODY_INVALID
 */
export function decodeMessages(from: Buffer): StoredMessage[] {
  const messages: StoredMessage[] = []
  for (let position = 0; position < from.length; ) {
    const message = decodeMessage(from, position)
    messages.push(message)
    position += message.size
  }
  return messages
}
