import type { Doors } from '../base/doors.ts'
import { OperatingError } from '../base/errors.ts'
import type { Message } from './message.ts'
import type { Producer } from './producer.ts'
import { productionDoors } from './production-doors.ts'
import { PushConsumer, type PushConsumerOptions } from './push-consumer.ts'
import { QueueTally } from './tally.ts'

export interface SendManyOptions {
  /** How many sends are under way at a time (256). */
  inFlightCountMax?: number
  /** Called after each message that was stored. */
  onProgress?: (sent: QueueTally) => void
}

/**
 * Sends many messages, pipelined, in no promised order.
 * @returns how many went to which queue
 * @throws OperatingError the first failure, as Producer.send; then no more are begun and those under way are waited for
 */
export async function sendMany(
  producer: Pick<Producer, 'send'>,
  messages: Iterable<Message>,
  { inFlightCountMax = 256, onProgress }: SendManyOptions = {},
): Promise<QueueTally> {
  const sent = new QueueTally()
  const source = messages[Symbol.iterator]()
  const failures: unknown[] = []
  const sendInTurn = async () => {
    while (failures.length === 0) {
      const next = source.next()
      if (next.done) return
      try {
        sent.add((await producer.send(next.value)).queue)
        onProgress?.(sent)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: inFlightCountMax }, sendInTurn))
  if (failures.length > 0) throw failures[0]
  return sent
}

export interface ReceiveManyOptions {
  /** How many different messages (by msgId) to wait for. */
  count: number
  timeoutMs: number
  /** Called after each message. */
  onProgress?: (received: QueueTally) => void
}

/**
 * Consumes as a member of a group until count different messages came, and leaves the group.
 * @returns how many came from which queue, each message counted once; more than count where more were under way
 * @throws OperatingError DEADLINE_EXCEEDED when fewer came in time; facts: received, count, timeoutMs
 */
export async function receiveMany(
  options: Omit<PushConsumerOptions, 'onMessage'>,
  { count, timeoutMs, onProgress }: ReceiveManyOptions,
  doors: Doors = productionDoors(),
): Promise<QueueTally> {
  const received = new QueueTally()
  const msgIds = new Set<string>()
  const over = new AbortController()
  const consumer = new PushConsumer(
    {
      ...options,
      onMessage({ msgId, queue }) {
        if (msgIds.has(msgId)) return
        msgIds.add(msgId)
        received.add(queue)
        onProgress?.(received)
        if (msgIds.size === count) over.abort()
      },
    },
    doors,
  )
  try {
    await consumer.start()
    await doors.clock.sleep(timeoutMs, over.signal).catch(() => {}) // rejects when all are here
  } finally {
    await consumer.close()
  }
  if (msgIds.size < count) throw new OperatingError('DEADLINE_EXCEEDED', { received: msgIds.size, count, timeoutMs })
  return received
}
