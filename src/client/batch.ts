import { OperatingError } from '../base/errors.ts'
import { encodeMessage, type Message } from './message.ts'

/**
 * Packs messages of one topic into the body of SEND_BATCH_MESSAGE. Each record, big-endian:
 * total int32 (itself included) | magic 0 int32 | bodyCRC 0 int32 | flag int32 | body length int32 | body |
 * properties length int16 | properties.
 * @throws OperatingError MESSAGE_ILLEGAL: none at all, several topics, a delay, or more than bodyBytesMax
 * Source: Apache RocketMQ 5, MessageDecoder#encodeMessage.
 */
export function encodeBatch(messages: readonly Message[], nextMsgId: () => string, bodyBytesMax: number) {
  const topic = messages[0]?.topic
  const msgIds: string[] = []
  const parts: Buffer[] = []
  let bytes = 0
  for (const message of messages) {
    if (message.topic !== topic || message.delayLevel !== undefined || message.deliverAt !== undefined) {
      throw new OperatingError('MESSAGE_ILLEGAL', { topic: message.topic, fits: 'a batch has one topic and no delays' })
    }
    const msgId = nextMsgId()
    const { body, properties } = encodeMessage(message, msgId, bodyBytesMax)
    const propertyBytes = Buffer.from(properties)
    const head = Buffer.alloc(20)
    head.writeInt32BE(22 + body.length + propertyBytes.length, 0)
    head.writeInt32BE(body.length, 16)
    const propertiesLength = Buffer.alloc(2)
    propertiesLength.writeInt16BE(propertyBytes.length, 0)
    parts.push(head, body, propertiesLength, propertyBytes)
    bytes += 22 + body.length + propertyBytes.length
    msgIds.push(msgId)
  }
  if (topic === undefined || bytes > bodyBytesMax) {
    throw new OperatingError('MESSAGE_ILLEGAL', { topic, batchBytes: bytes, batchCount: messages.length, bodyBytesMax })
  }
  return { topic, msgIds, body: Buffer.concat(parts, bytes) }
}
