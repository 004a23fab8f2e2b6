import { ResponseCode } from '../../../remoting/codes.ts'
import { ordinaryProperties, PropertyName, readProperty, tagsCodeOf } from '../../../remoting/message/index.ts'
import { isRetryTopic } from '../names.ts'
import { delayLevelOf } from '../property-text.ts'
import { type Response, refuse } from './processor.ts'
import { isHalfMessage, timerRefusal } from './send-check.ts'

export interface BatchEntry {
  flag: number
  body: Buffer
  properties: string
  tagsCode: number
  waitsForFlush: boolean
}

/** Of an entry without body and properties: totalSize, magic, crc, flag, bodyLength (i32 each), propertiesLength (i16). */
const entryBytesMin = 22
const topicBytesMax = 127
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
  if (isRetryTopic(topic) || Buffer.byteLength(topic) > topicBytesMax) return illegal('a batch cannot go to this topic')
  if (delayLevelOf(readProperty(batchProperties, 'DELAY')) > 0) return illegal('a batch cannot be delayed')
  const entries: BatchEntry[] = []
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
    const properties = bytes.toString('utf8', propertiesAt, end)
    const ordinary = ordinaryProperties(properties)
    const refusal = ordinary === undefined ? entryRefusal(properties) : undefined
    if (refusal !== undefined) return refusal
    entries.push({
      flag: bytes.readInt32BE(at + 12),
      body: bytes.subarray(at + 20, at + 20 + bodyLength),
      properties,
      tagsCode: ordinary?.tagsCode ?? tagsCodeOf(readProperty(properties, PropertyName.TAGS)),
      waitsForFlush: ordinary?.waitsForFlush ?? readProperty(properties, PropertyName.WAIT) !== 'false',
    })
    if (entries.length > entriesMax) return illegal(`a batch of more than ${entriesMax} messages`)
    at = end
  }
  return entries
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
