import type { Timer } from '../base/clock.ts'
import { RequestCode } from '../remoting/codes.ts'
import { sendMessageResponse } from '../remoting/headers/send-message.ts'
import { BatchBuilder } from './batch.ts'
import type { Message } from './message.ts'
import type { SendResult } from './producer.ts'
import type { Sender } from './sender.ts'

export interface AutoBatchOptions {
  /** How long a message may wait for others of its kind, in ms (10). */
  holdMs?: number
  /** A batch that has grown to so many bytes is sent at once (32 KiB). */
  batchBytes?: number
  /** The same in messages (256). */
  batchCount?: number
}

interface Waiting {
  resolve(result: SendResult): void
  reject(error: unknown): void
}

interface OpenBatch {
  builder: BatchBuilder
  waiting: Waiting[]
  timer: Timer
}

/**
 * Gathers messages of one topic, waitsForFlush and tag into batches. What waits is bounded by batchBytes for each of
 * these. Source: Apache RocketMQ 5.5, ProduceAccumulator.
 */
export class AutoBatcher {
  readonly #sender: Sender
  readonly #options: Required<AutoBatchOptions>
  readonly #open = new Map<string, OpenBatch>()
  readonly #underWay = new Set<Promise<void>>()

  constructor(sender: Sender, { holdMs = 10, batchBytes = 32 * 1024, batchCount = 256 }: AutoBatchOptions) {
    this.#sender = sender
    this.#options = { holdMs, batchBytes, batchCount }
  }

  /** Whether a message may be part of a batch. */
  static takes({ topic, delayLevel, deliverAt }: Message): boolean {
    return delayLevel === undefined && deliverAt === undefined && !topic.startsWith('%RETRY%')
  }

  /** @throws OperatingError MESSAGE_ILLEGAL, and as Sender.deliver of the batch that it becomes part of */
  async add(message: Message, msgId: string): Promise<SendResult> {
    const key = `${message.topic}@${message.waitsForFlush !== false}@${message.tags ?? ''}`
    const batch = this.#open.get(key) ?? this.#begin(key, message)
    batch.builder.add(message, msgId) // where it throws, the batch goes on without this message
    const { bytes, msgIds } = batch.builder
    const stored = new Promise<SendResult>((resolve, reject) => batch.waiting.push({ resolve, reject }))
    if (bytes >= this.#options.batchBytes || msgIds.length >= this.#options.batchCount) this.#send(key, batch)
    return stored
  }

  /** Sends what waits; resolves when all of it was stored or given up. */
  async close(): Promise<void> {
    for (const [key, batch] of [...this.#open]) this.#send(key, batch)
    await Promise.all(this.#underWay)
  }

  #begin(key: string, first: Message): OpenBatch {
    const builder = new BatchBuilder(first, this.#sender.options.bodyBytesMax)
    const timer = this.#sender.cluster.doors.clock.after(this.#options.holdMs, () => this.#send(key, batch))
    const batch: OpenBatch = { builder, waiting: [], timer }
    this.#open.set(key, batch)
    return batch
  }

  #send(key: string, batch: OpenBatch): void {
    batch.timer.cancel()
    this.#open.delete(key)
    if (batch.waiting.length === 0) return // its only message did not fit
    const sending = this.#deliver(batch).finally(() => this.#underWay.delete(sending))
    this.#underWay.add(sending)
  }

  async #deliver({ builder, waiting }: OpenBatch): Promise<void> {
    const { topic, msgIds, properties } = builder
    const code = RequestCode.SEND_BATCH_MESSAGE
    const outgoing = { topic, code, body: builder.build(), sysFlag: 0, properties, isBatch: true }
    try {
      const { queue, status, answer } = await this.#sender.deliver(outgoing, undefined)
      const { msgId, queueId, queueOffset } = sendMessageResponse.decode(answer.extFields)
      const offsetMsgIds = msgId.split(',')
      waiting.forEach(({ resolve }, index) => {
        resolve({
          status,
          msgId: msgIds[index]!,
          offsetMsgId: offsetMsgIds[index] ?? '',
          queue: { ...queue, queueId },
          queueOffset: queueOffset + index,
        })
      })
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    }
  }
}
