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
}

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
    const pieces = this.#pieces
    const uniqKey = this.#uniqKey
    let at = writeBytes(into, start + framePrefixBytes, codeKey)
    at = writeDecimal(into, at, this.#code)
    at = writeBytes(into, at, pieces.beforeQueueId)
    at = writeDecimal(into, at, this.#queueId)
    if (uniqKey !== undefined) {
      at = writeBytes(into, at, pieces.beforeUniqKey)
      for (let index = 0; index < uniqKey.length; index++) into[at++] = uniqKey.charCodeAt(index)
    }
    at = writeBytes(into, at, pieces.beforePhyOffset)
    at = writeHex(into, at, this.#first.phyOffset)
    for (const { phyOffset } of this.#others) {
      at = writeBytes(into, at, pieces.betweenPhyOffsets)
      at = writeHex(into, at, phyOffset)
    }
    at = writeBytes(into, at, pieces.beforeQueueOffset)
    at = writeDecimal(into, at, this.#first.queueOffset)
    at = writeBytes(into, at, pieces.beforeOpaque)
    at = writeDecimal(into, at, this.#opaque)
    at = writeBytes(into, at, pieces.tail)
    completeFrame(into, start, at)
    return at
  }
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
  lastPieces = { regionId, traceOn, storeHost, ...texts, bytesMax }
  return lastPieces
}

function writeBytes(into: Buffer, start: number, bytes: Buffer): number {
  into.set(bytes, start)
  return start + bytes.length
}

function writeDecimal(into: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  if (rest < 0) {
    into[at++] = minus
    rest = -rest
  }
  let end = at + 1
  for (let more = rest; more >= 10; more = Math.floor(more / 10)) end++
  for (let index = end - 1; index >= at; index--) {
    const next = Math.floor(rest / 10)
    into[index] = zero + (rest - next * 10)
    rest = next
  }
  return end
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

const minus = 0x2d
const zero = 0x30
const hexDigits = Buffer.from('0123456789ABCDEF')
