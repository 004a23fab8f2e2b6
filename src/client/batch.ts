import { OperatingError } from '../base/errors.ts'
import { formatProperties, PropertyName } from '../remoting/message/index.ts'
import { encodeMessage, type Message } from './message.ts'

/** A body of SEND_BATCH_MESSAGE as it grows. */
export class BatchBuilder {
  readonly topic: string
  readonly msgIds: string[] = []
  readonly #waitsForFlush: boolean
  readonly #bodyBytesMax: number
  #parts: Buffer[] = []
  #bytes = 0

  /** @param first decides on what all messages of the batch must have alike */
  constructor(first: Message, bodyBytesMax: number) {
    this.topic = first.topic
    this.#waitsForFlush = first.waitsForFlush !== false
    this.#bodyBytesMax = bodyBytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Of the batch itself: brokers look there for whether to wait for the flush, and do where nothing is said. */
  get properties(): string {
    return this.#waitsForFlush ? '' : formatProperties([[PropertyName.WAIT, 'false']])
  }

  /**
   * Appends one record, big-endian:
   * total int32 (itself included) | magic 0 int32 | bodyCRC 0 int32 | flag int32 | body length int32 | body |
   * properties length int16 | properties.
   * @throws OperatingError MESSAGE_ILLEGAL: another topic or waitsForFlush, a delay, a retry topic; the batch stays as it was
   * Source: Apache RocketMQ 5, MessageDecoder#encodeMessage, MessageBatch#generateFromList.
   */
  add(message: Message, msgId: string): void {
    const misfit = this.#misfitOf(message)
    if (misfit !== undefined) throw new OperatingError('MESSAGE_ILLEGAL', { topic: message.topic, fits: misfit })
    const { body, properties } = encodeMessage(message, msgId, this.#bodyBytesMax)
    const propertyBytes = Buffer.from(properties)
    const head = Buffer.alloc(20)
    head.writeInt32BE(22 + body.length + propertyBytes.length, 0)
    head.writeInt32BE(body.length, 16)
    const propertiesLength = Buffer.alloc(2)
    propertiesLength.writeInt16BE(propertyBytes.length, 0)
    this.#parts.push(head, body, propertiesLength, propertyBytes)
    this.#bytes += 22 + body.length + propertyBytes.length
    this.msgIds.push(msgId)
  }

  build(): Buffer {
    return Buffer.concat(this.#parts, this.#bytes)
  }

  #misfitOf(message: Message): string | undefined {
    if (message.topic !== this.topic) return 'a batch has one topic'
    if (message.delayLevel !== undefined || message.deliverAt !== undefined) return 'a batch has no delays'
    if ((message.waitsForFlush !== false) !== this.#waitsForFlush) return 'a batch has one waitsForFlush'
    if (message.topic.startsWith('%RETRY%')) return 'a batch is for no retry topic'
    return undefined
  }
}

/**
 * Packs messages of one topic into the body of SEND_BATCH_MESSAGE.
 * @throws OperatingError MESSAGE_ILLEGAL: as BatchBuilder.add, none at all, or more than bodyBytesMax
 */
export function encodeBatch(messages: readonly Message[], nextMsgId: () => string, bodyBytesMax: number) {
  const [first] = messages
  const batch = first && new BatchBuilder(first, bodyBytesMax)
  for (const message of messages) batch?.add(message, nextMsgId())
  if (batch === undefined || batch.bytes > bodyBytesMax) {
    const batchBytes = batch?.bytes ?? 0
    throw new OperatingError('MESSAGE_ILLEGAL', { batchBytes, batchCount: messages.length, fits: `1, ${bodyBytesMax}` })
  }
  return { topic: batch.topic, msgIds: batch.msgIds, properties: batch.properties, body: batch.build() }
}
