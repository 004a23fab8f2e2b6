import { ResponseCode } from '../../../remoting/codes.ts'
import {
  isLetterOrDigit,
  type OrdinaryProperties,
  ordinaryProperties,
  PropertyName,
  pairEndCode,
  readProperty,
  tagsCodeOf,
  v1TopicBytesMax,
} from '../../../remoting/message/index.ts'
import type { MessageKeys } from '../../store/index.ts'
import { isRetryTopic } from '../names.ts'
import { delayLevelOf } from '../property-text.ts'
import { type Response, refuse } from './processor.ts'
import { isHalfMessage, timerRefusal } from './send-check.ts'

export interface BatchEntry {
  flag: number
  body: Buffer
  /** The property text in UTF-8. */
  properties: Buffer
  tagsCode: number
  /** Of an ordinary message; of others whoever wants them reads the properties. */
  keys: MessageKeys | undefined
}

/** Of an entry without body and properties: totalSize, magic, crc, flag, bodyLength (i32 each), propertiesLength (i16). */
const entryBytesMin = 22
/** The answer names each message in up to 57 bytes, and must fit into a frame. */
const entriesMax = 262_144

/**
 * Takes the body of SEND_BATCH_MESSAGE apart: entries back to back, each
 * totalSize i32 | magic i32 | crc i32 | flag i32 | bodyLength i32 | body | propertiesLength i16 | properties.
 * @param batchProperties those of the request, which are added to every entry
 * @returns a refusal when the entries do not add up, or ask for what a batch cannot have
 * Source: Apache RocketMQ 5, MessageDecoder#encodeMessages, MessageExtEncoder#encode.
 */
export function splitBatch(topic: string, batchProperties: string, bytes: Buffer): BatchEntry[] | Response {
  if (isRetryTopic(topic) || Buffer.byteLength(topic) > v1TopicBytesMax)
    return illegal('a batch cannot go to this topic')
  if (delayLevelOf(readProperty(batchProperties, 'DELAY')) > 0) return illegal('a batch cannot be delayed')
  const entries: BatchEntry[] = []
  let known: KnownProperties | undefined
  for (let at = 0; at < bytes.length; ) {
    if (at + entryBytesMin > bytes.length) return illegal('the batch is cut short')
    const size = bytes.readInt32BE(at)
    const bodyLength = bytes.readInt32BE(at + 16)
    const end = at + size
    if (bodyLength < 0 || size < entryBytesMin + bodyLength || end > bytes.length)
      return illegal('the batch is cut short')
    const propertiesAt = at + 22 + bodyLength
    const propertiesLength = bytes.readInt16BE(propertiesAt - 2)
    if (propertiesLength < 0 || propertiesAt + propertiesLength !== end) return illegal('the batch is cut short')
    const flag = bytes.readInt32BE(at + 12)
    const body = bytes.subarray(at + 20, at + 20 + bodyLength)
    const properties = bytes.subarray(propertiesAt, end)
    if (known !== undefined && isLike(bytes, propertiesAt, end, known)) {
      const { tagsCode, keys, tag } = known.ordinary
      const nameAt = propertiesAt + known.nameAt
      const uniqKey = bytes.toString('latin1', nameAt, nameAt + known.nameLength)
      entries.push({ flag, body, properties, tagsCode, keys: { uniqKey, keys, tag } })
    } else {
      const text = bytes.toString('utf8', propertiesAt, end)
      const ordinary = ordinaryProperties(text)
      const refusal = ordinary === undefined ? entryRefusal(text) : undefined
      if (refusal !== undefined) return refusal
      known = ordinary && knownOf(text, ordinary, propertiesAt, end)
      const tagsCode = ordinary?.tagsCode ?? tagsCodeOf(readProperty(text, PropertyName.TAGS))
      entries.push({ flag, body, properties, tagsCode, keys: ordinary })
    }
    if (entries.length > entriesMax) return illegal(`a batch of more than ${entriesMax} messages`)
    at = end
  }
  return entries
}

/** What was read of one entry: the messages of a producer differ in their names only, nearly always. */
interface KnownProperties {
  start: number
  length: number
  /** Of the value of UNIQ_KEY, from start. */
  nameAt: number
  nameLength: number
  ordinary: OrdinaryProperties
}

/** @returns undefined where the bytes of the name cannot be told from the text */
function knownOf(text: string, ordinary: OrdinaryProperties, start: number, end: number): KnownProperties | undefined {
  const at = text.lastIndexOf(nameMark)
  const isItsName = at === 0 || text.charCodeAt(at - 1) === pairEndCode
  if (text.length !== end - start || !isItsName) return undefined
  return { start, length: end - start, nameAt: at + nameMark.length, nameLength: ordinary.uniqKey.length, ordinary }
}

const nameMark = `${PropertyName.UNIQ_KEY}\u0001`

/** Whether the text between start and end is the known one but for the name, which has letters and digits. */
function isLike(bytes: Buffer, start: number, end: number, known: KnownProperties): boolean {
  if (end - start !== known.length) return false
  const nameEnd = known.nameAt + known.nameLength
  for (let at = 0; at < known.nameAt; at++) if (bytes[start + at] !== bytes[known.start + at]) return false
  for (let at = nameEnd; at < known.length; at++) if (bytes[start + at] !== bytes[known.start + at]) return false
  for (let at = known.nameAt; at < nameEnd; at++) if (!isLetterOrDigit(bytes[start + at]!)) return false
  return true
}

function entryRefusal(properties: string): Response | undefined {
  const refusal = timerRefusal(properties)
  if (refusal !== undefined) return refusal
  if (isHalfMessage(properties, 0)) return illegal('a batch cannot be part of a transaction')
  if (delayLevelOf(readProperty(properties, 'DELAY')) > 0) return illegal('a batch cannot be delayed')
  return undefined
}

function illegal(what: string): Response {
  return refuse(ResponseCode.MESSAGE_ILLEGAL, `the message is illegal: ${what}`)
}
