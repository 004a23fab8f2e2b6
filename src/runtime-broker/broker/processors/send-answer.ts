import {
  completeFrame,
  framePrefixBytes,
  type LateFrame,
  responseMiddle,
  responseTail,
} from '../../../remoting/frame.ts'
import type { Appended } from '../../store/index.ts'
import type { Broker } from '../context.ts'

/** Longest UNIQ_KEY that is written by hand; clients make 32 characters, with IPv6 56. */
const uniqKeyCharsMax = 64
const hexDigitsOfOffset = 16
/** Code, queueId, opaque and queueOffset in decimal, with their signs; phyOffset in hexadecimal. */
const numbersBytesMax = 11 + 11 + 11 + 17 + hexDigitsOfOffset

/** The parts of every answer of one broker, between those that differ. */
interface Pieces {
  regionId: string
  traceOn: boolean
  storeHost: Buffer
  beforeQueueId: Buffer
  beforeUniqKey: Buffer
  beforePhyOffset: Buffer
  betweenPhyOffsets: Buffer
  beforeQueueOffset: Buffer
  beforeOpaque: Buffer
  tail: Buffer
  /** Of a whole answer. */
  bytesMax: number
  /** By what shapeKey makes of them. */
  shapes: Map<number, Shape>
}

/** A whole answer, and where the values lie in it that differ in another one of the same lengths. */
interface Shape {
  bytes: Buffer
  queueIdAt: number
  uniqKeyAt: number
  phyOffsetAt: number
  queueOffsetAt: number
  opaqueAt: number
}

/** Shapes of a broker's answers that are kept: lengths of numbers, and there are few of them at a time. All go when there are more. */
const shapesMax = 256

/** Whether the name of a message can stand in JSON as it is. */
export function isPlainUniqKey(uniqKey: string): boolean {
  if (uniqKey.length > uniqKeyCharsMax) return false
  for (let at = 0; at < uniqKey.length; at++) {
    const char = uniqKey.charCodeAt(at)
    if (char <= space || char > tilde || char === quote || char === backslash) return false
  }
  return true
}

const space = 0x20
const quote = 0x22
const backslash = 0x5c
const tilde = 0x7e

/**
 * The answer to the send of one message or a batch, written by hand: as text it would be joined from ten pieces, measured, and converted,
 * which took a tenth of what a send costs the broker.
 */
export class SendAnswer implements LateFrame {
  readonly bytesMax: number
  readonly #pieces: Pieces
  readonly #opaque: number
  readonly #code: number
  readonly #queueId: number
  readonly #uniqKey: string | undefined
  readonly #first: Appended
  readonly #others: readonly Appended[]

  /**
   * @param code SUCCESS, or what says that something was not waited for
   * @param uniqKey isPlainUniqKey; undefined: of a batch without one
   * @param others of a batch, behind its first message
   */
  constructor(
    broker: Broker,
    opaque: number,
    code: number,
    queueId: number,
    uniqKey: string | undefined,
    first: Appended,
    others: readonly Appended[],
  ) {
    this.#pieces = piecesOf(broker)
    this.bytesMax = this.#pieces.bytesMax + others.length * (this.#pieces.betweenPhyOffsets.length + hexDigitsOfOffset)
    this.#opaque = opaque
    this.#code = code
    this.#queueId = queueId
    this.#uniqKey = uniqKey
    this.#first = first
    this.#others = others
  }

  writeTo(into: Buffer, start: number): number {
    const uniqKey = this.#uniqKey
    const hasSign = this.#queueId < 0 || this.#opaque < 0 || this.#first.queueOffset < 0
    if (uniqKey === undefined || this.#others.length > 0 || hasSign) return this.#writeParts(into, start)
    const queueIdDigits = digitsOf(this.#queueId)
    const queueOffsetDigits = digitsOf(this.#first.queueOffset)
    const opaqueDigits = digitsOf(this.#opaque)
    const key = shapeKey(this.#code, uniqKey.length, queueIdDigits, queueOffsetDigits, opaqueDigits)
    const shape = this.#pieces.shapes.get(key)
    if (shape === undefined) return this.#learn(key, into, start)
    into.set(shape.bytes, start)
    writeDigits(into, start + shape.queueIdAt, queueIdDigits, this.#queueId)
    writeAscii(into, start + shape.uniqKeyAt, uniqKey)
    writeHex(into, start + shape.phyOffsetAt, this.#first.phyOffset)
    writeDigits(into, start + shape.queueOffsetAt, queueOffsetDigits, this.#first.queueOffset)
    writeDigits(into, start + shape.opaqueAt, opaqueDigits, this.#opaque)
    return start + shape.bytes.length
  }

  /** Writes the first answer of its shape. */
  #learn(key: number, into: Buffer, start: number): number {
    const places = { queueIdAt: 0, uniqKeyAt: 0, phyOffsetAt: 0, queueOffsetAt: 0, opaqueAt: 0 }
    const end = this.#writeParts(into, start, places)
    const { shapes } = this.#pieces
    if (shapes.size >= shapesMax) shapes.clear() // numbers grow: most of those are not asked for any more
    shapes.set(key, { bytes: Buffer.from(into.subarray(start, end)), ...places })
    return end
  }

  /** @param places is told where the values lie, from start on */
  #writeParts(into: Buffer, start: number, places?: Omit<Shape, 'bytes'>): number {
    const pieces = this.#pieces
    const uniqKey = this.#uniqKey
    let at = writeBytes(into, start + framePrefixBytes, codeKey)
    at = writeDecimal(into, at, this.#code)
    at = writeBytes(into, at, pieces.beforeQueueId)
    if (places !== undefined) places.queueIdAt = at - start
    at = writeDecimal(into, at, this.#queueId)
    if (uniqKey !== undefined) {
      at = writeBytes(into, at, pieces.beforeUniqKey)
      if (places !== undefined) places.uniqKeyAt = at - start
      at = writeAscii(into, at, uniqKey)
    }
    at = writeBytes(into, at, pieces.beforePhyOffset)
    if (places !== undefined) places.phyOffsetAt = at - start
    at = writeHex(into, at, this.#first.phyOffset)
    for (const { phyOffset } of this.#others) {
      at = writeBytes(into, at, pieces.betweenPhyOffsets)
      at = writeHex(into, at, phyOffset)
    }
    at = writeBytes(into, at, pieces.beforeQueueOffset)
    if (places !== undefined) places.queueOffsetAt = at - start
    at = writeDecimal(into, at, this.#first.queueOffset)
    at = writeBytes(into, at, pieces.beforeOpaque)
    if (places !== undefined) places.opaqueAt = at - start
    at = writeDecimal(into, at, this.#opaque)
    at = writeBytes(into, at, pieces.tail)
    completeFrame(into, start, at)
    return at
  }
}

/** One number for what the length of an answer depends on, and its code. */
function shapeKey(
  code: number,
  uniqKeyChars: number,
  queueIdDigits: number,
  queueOffsetDigits: number,
  opaqueDigits: number,
): number {
  return (((code * 65 + uniqKeyChars) * 16 + queueIdDigits) * 32 + queueOffsetDigits) * 16 + opaqueDigits
}

const codeKey = Buffer.from('{"code":')

let lastPieces: Pieces | undefined

function piecesOf({ settings, storeHost }: Broker): Pieces {
  const { regionId, traceOn } = settings
  const last = lastPieces
  if (last?.storeHost === storeHost && last.regionId === regionId && last.traceOn === traceOn) return last
  const host = storeHost.toString('hex').toUpperCase()
  const texts = {
    beforeQueueId: Buffer.from(',"extFields":{"queueId":"'),
    beforeUniqKey: Buffer.from('","transactionId":"'),
    beforePhyOffset: Buffer.from(`","MSG_REGION":${JSON.stringify(regionId)},"msgId":"${host}`),
    betweenPhyOffsets: Buffer.from(`,${host}`),
    beforeQueueOffset: Buffer.from('","queueOffset":"'),
    beforeOpaque: Buffer.from(`","TRACE_ON":"${traceOn}"},${responseMiddle}`),
    tail: Buffer.from(responseTail),
  }
  const textBytes = Object.values(texts).reduce((sum, text) => sum + text.length, codeKey.length)
  const bytesMax = framePrefixBytes + textBytes + uniqKeyCharsMax + numbersBytesMax
  lastPieces = { regionId, traceOn, storeHost, ...texts, bytesMax, shapes: new Map() }
  return lastPieces
}

function writeBytes(into: Buffer, start: number, bytes: Buffer): number {
  into.set(bytes, start)
  return start + bytes.length
}

function writeAscii(into: Buffer, start: number, text: string): number {
  for (let index = 0; index < text.length; index++) into[start + index] = text.charCodeAt(index)
  return start + text.length
}

function writeDecimal(into: Buffer, start: number, value: number): number {
  const at = value < 0 ? start + 1 : start
  if (value < 0) into[start] = minus
  const rest = Math.abs(value)
  return writeDigits(into, at, digitsOf(rest), rest)
}

function digitsOf(value: number): number {
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  return digits
}

function writeDigits(into: Buffer, start: number, digits: number, value: number): number {
  let rest = value
  let at = start + digits - 1
  for (; rest > int32Max; at--) {
    const next = Math.floor(rest / 10)
    into[at] = zero + (rest - next * 10)
    rest = next
  }
  for (let small = rest | 0; at >= start; at--) {
    const next = (small / 10) | 0
    into[at] = zero + (small - next * 10)
    small = next
  }
  return start + digits
}

/** hexDigitsOfOffset digits. */
function writeHex(into: Buffer, start: number, value: number): number {
  let high = Math.floor(value / 0x1_0000_0000)
  let low = value >>> 0
  for (let index = 7; index >= 0; index--) {
    into[start + index] = hexDigits[high & 15]!
    into[start + 8 + index] = hexDigits[low & 15]!
    high >>>= 4
    low >>>= 4
  }
  return start + 16
}

const int32Max = 0x7fff_ffff
const minus = 0x2d
const zero = 0x30
const hexDigits = Buffer.from('0123456789ABCDEF')
