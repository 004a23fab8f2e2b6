import { isOperatingError } from '../base/errors.ts'
import type { Command } from './command.ts'
import { decodeSendMessageV2, type SendMessageRequest } from './headers/send-message.ts'
import { KnownSend, type SendForm } from './known-send.ts'
import { isLetterOrDigit, ordinaryProperties } from './message/index.ts'

/** Headers kept of all connections of a server; they are forgotten together when there are more. */
const headersMax = 512
const headerBytesMax = 1024
/**
 * So many others of a header's length and beginning come before one of them takes its place; twice as many each time that this
 * was in vain: a header with a key of its own in each message is never like another, and to learn it costs more than to parse.
 */
const patienceMin = 16
const patienceMax = 4096
/** What the headers begin with that are read here, as SEND_MESSAGE_V2 of all clients does. */
const beginning = Buffer.from('{"code":310,')
const codeAt = beginning.indexOf('310')
/** Bytes of a header's beginning that tell it from others: group and topic, as far as they go. */
const keyBytes = 64
const int32DigitsMax = 9
const int64DigitsMax = 15

/** A stretch of a header whose bytes differ from message to message. */
interface Hole {
  start: number
  length: number
}

interface Holes {
  opaque: Hole
  queueId: Hole
  bornTimestamp: Hole
  uniqKey: Hole
}

/** A header that came before, and what is read from one that has other bytes in its holes only. */
interface Known extends Holes {
  /** Its bytes; in the holes, those of the last header that was compared with it. */
  bytes: Buffer
  /** The property text in ASCII, and where the name of the message lies in it. */
  properties: Buffer
  uniqKeyAt: number
  command: Command
  form: SendForm
}

/** What is known of headers of one length and beginning. */
interface Slot {
  known: Known | undefined // undefined: the last one that was looked at cannot be known
  wasHit: boolean
  /** Others that came since, and how many are to come before one of them is looked at. */
  misses: number
  patience: number
}

/**
 * Reads the headers of sends without a parser. Those of one producer to one topic differ only in queue, time, the name of the message and the
 * number of the request: one that is byte for byte as an earlier one but for these digits says what that one said but for these values.
 * JSON.parse and the table of fields are half of what the JavaScript of a send costs.
 */
export class KnownHeaders {
  readonly #slots = new Map<number, Slot>()
  #notLearned = 0 // since there are headersMax

  /** @returns undefined: no such header came before, or it is none that is read here */
  read(from: Buffer, start: number, end: number, body: Buffer): Command | undefined {
    if (!mayBeKnown(from, start, end)) return undefined
    const slot = this.#slots.get(keyOf(from, start, end))
    const known = slot?.known
    if (slot === undefined || known === undefined || known.bytes.length !== end - start) return undefined
    const opaque = takeNumber(known, known.opaque, from, start)
    const queueId = takeNumber(known, known.queueId, from, start)
    const bornTimestamp = takeNumber(known, known.bornTimestamp, from, start)
    const isSame =
      opaque >= 0 &&
      queueId >= 0 &&
      bornTimestamp >= 0 &&
      takeName(known, from, start) &&
      known.bytes.compare(from, start, end) === 0
    if (!isSame) return undefined
    slot.wasHit = true
    const { properties, uniqKeyAt, uniqKey } = known
    const name = properties.toString('latin1', uniqKeyAt, uniqKeyAt + uniqKey.length)
    return new KnownCommand(
      known.command,
      opaque,
      new KnownSend(known.form, queueId, bornTimestamp, name, properties),
      body,
    )
  }

  /** @param header what from holds between start and end, of which the parser made command; read did not know it */
  learn(from: Buffer, start: number, end: number, header: string, command: Command): void {
    if (!mayBeKnown(from, start, end) || header.length !== end - start) return
    const key = keyOf(from, start, end)
    const old = this.#slots.get(key)
    if (old !== undefined && ++old.misses < old.patience) return
    if (old === undefined && this.#slots.size >= headersMax) {
      if (++this.#notLearned < headersMax * patienceMin) return // to learn costs more than to parse
      this.#slots.clear()
      this.#notLearned = 0
    }
    const patience = old === undefined || old.wasHit ? patienceMin : Math.min(2 * old.patience, patienceMax)
    this.#slots.set(key, { known: knownOf(header, command), wasHit: false, misses: 0, patience })
  }
}

/** A send whose header was known. Its fields are made of what was read when somebody asks for them. */
class KnownCommand implements Command {
  readonly code: number
  readonly language: string
  readonly version: number
  readonly opaque: number
  readonly flag: number
  readonly remark: string | undefined
  readonly body: Buffer
  readonly send: KnownSend
  readonly #known: Command

  constructor(known: Command, opaque: number, send: KnownSend, body: Buffer) {
    this.code = known.code
    this.language = known.language
    this.version = known.version
    this.opaque = opaque
    this.flag = known.flag
    this.remark = known.remark
    this.body = body
    this.send = send
    this.#known = known
  }

  get extFields(): Record<string, string> {
    const { queueId, bornTimestamp, properties } = this.send
    return { ...this.#known.extFields, e: String(queueId), g: String(bornTimestamp), i: properties }
  }
}

function mayBeKnown(from: Buffer, start: number, end: number): boolean {
  const length = end - start
  if (length < keyBytes || length > headerBytesMax) return false
  for (let at = codeAt; at < beginning.length; at++) if (from[start + at] !== beginning[at]) return false
  return true
}

/** FNV-1a of length and beginning. */
function keyOf(from: Buffer, start: number, end: number): number {
  let hash = 0x811c_9dc5 ^ (end - start)
  for (let at = start + beginning.length; at < start + keyBytes; at++) hash = Math.imul(hash ^ from[at]!, 0x0100_0193)
  return hash
}

/** Copies a hole's bytes from the header that begins at start. @returns the number they are; -1: they are none, or one written otherwise */
function takeNumber({ bytes }: Known, hole: Hole, from: Buffer, start: number): number {
  const end = hole.start + hole.length
  let value = 0
  for (let at = hole.start; at < end; at++) {
    const byte = from[start + at]!
    bytes[at] = byte
    const digit = byte - zero
    if (digit < 0 || digit > 9 || (digit === 0 && value === 0 && hole.length > 1)) return -1
    value = value * 10 + digit
  }
  return value
}

/** As takeNumber, for the name of the message: letters and digits. */
function takeName({ bytes, properties, uniqKey, uniqKeyAt }: Known, from: Buffer, start: number): boolean {
  for (let index = 0; index < uniqKey.length; index++) {
    const byte = from[start + uniqKey.start + index]!
    if (!isLetterOrDigit(byte)) return false
    bytes[uniqKey.start + index] = byte
    properties[uniqKeyAt + index] = byte
  }
  return true
}

const zero = 0x30

const nameMark = 'UNIQ_KEY\u0001' // a second one would be the message's name
const uniqKeyPattern = /(?:^|\u0002)UNIQ_KEY\u0001([0-9A-Za-z]{1,64})(?:\u0002|$)/
const nothing = Buffer.alloc(0)
const numberPattern = /^(?:0|[1-9]\d*)$/
const asciiPattern = /^[\u0000-\u007f]*$/

/** @returns undefined where a value is missing, cannot be found for sure, or is not written as usual */
function knownOf(header: string, command: Command): Known | undefined {
  try {
    return findHoles(header, command, decodeSendMessageV2(command.extFields))
  } catch (error) {
    if (isOperatingError(error, 'HEADER_INVALID')) return undefined // whoever handles the request will say so
    throw error
  }
}

function findHoles(header: string, command: Command, send: SendMessageRequest): Known | undefined {
  const { e = '', g = '', i = '' } = command.extFields
  const match = uniqKeyPattern.exec(i)
  const name = match?.[1]
  const ordinary = ordinaryProperties(i)
  if (name === undefined || ordinary === undefined || !asciiPattern.test(header) || !asciiPattern.test(i))
    return undefined
  const opaque = holeOf(header, '"opaque":', String(command.opaque), int32DigitsMax)
  const queueId = holeOf(header, '"e":"', e, int32DigitsMax)
  const bornTimestamp = holeOf(header, '"g":"', g, int64DigitsMax)
  const uniqKey = { start: header.indexOf(name), length: name.length }
  if (opaque === undefined || queueId === undefined || bornTimestamp === undefined) return undefined
  if (!',}'.includes(header.charAt(opaque.start + opaque.length))) return undefined // 10e-1 is a whole number, too
  const holes = { opaque, queueId, bornTimestamp, uniqKey }
  if (Object.values(holes).some(({ start }) => start < keyBytes)) return undefined
  const uniqKeyAt = i.indexOf('\u0001', match!.index) + 1 // the name alone may stand elsewhere, even in UNIQ_KEY
  if (!isProven(header, holes, uniqKeyAt) || i.indexOf(nameMark, uniqKeyAt) >= 0) return undefined
  return {
    bytes: ownBytes(header),
    ...holes,
    properties: ownBytes(i),
    uniqKeyAt,
    command: { ...command, body: nothing }, // that of the first one would keep what it lies in
    form: {
      first: send,
      ordinary,
      propertiesBefore: i.slice(0, uniqKeyAt),
      propertiesBehind: i.slice(uniqKeyAt + name.length),
    },
  }
}

/** Not in a pool, of which a few bytes would keep the whole. */
function ownBytes(ascii: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(ascii.length)
  bytes.write(ascii, 'latin1')
  return bytes
}

function holeOf(header: string, before: string, digits: string, digitsMax: number): Hole | undefined {
  const at = header.indexOf(before + digits)
  if (at < 0 || digits.length > digitsMax || !numberPattern.test(digits)) return undefined
  return { start: at + before.length, length: digits.length }
}

/**
 * Whether the holes are where the values are, and nothing else: with other digits in them the parser must read those values, and
 * all else as before. Which digits they are makes no difference to how JSON is cut into words.
 */
function isProven(header: string, holes: Record<keyof Holes, Hole>, uniqKeyAt: number): boolean {
  let probe = header
  for (const { start, length } of Object.values(holes))
    probe = probe.slice(0, start) + otherDigits(header.slice(start, start + length)) + probe.slice(start + length)
  const expected = JSON.parse(header)
  const { extFields } = expected
  if (typeof extFields.e !== 'string' || typeof extFields.g !== 'string') return false // numbers elsewhere in the text
  const nameEnd = uniqKeyAt + holes.uniqKey.length
  expected.opaque = Number(otherDigits(String(expected.opaque)))
  extFields.e = otherDigits(extFields.e)
  extFields.g = otherDigits(extFields.g)
  extFields.i =
    extFields.i.slice(0, uniqKeyAt) + otherDigits(extFields.i.slice(uniqKeyAt, nameEnd)) + extFields.i.slice(nameEnd)
  try {
    return JSON.stringify(JSON.parse(probe)) === JSON.stringify(expected)
  } catch {
    return false // a hole lay within an escape, or a word
  }
}

/** As long, and another in each place. */
function otherDigits(text: string): string {
  return text.replaceAll(/./g, (char) => (char === '9' ? '8' : '9'))
}
