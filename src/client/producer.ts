import type { Doors } from '../base/doors.ts'
import { RequestCode } from '../remoting/codes.ts'
import { sendMessageResponse } from '../remoting/headers/send-message.ts'
import { AutoBatcher, type AutoBatchOptions } from './auto-batch.ts'
import { encodeBatch } from './batch.ts'
import type { Message, MessageQueue } from './message.ts'
import { productionDoors } from './production-doors.ts'
import { type Outgoing, Sender, type ProducerOptions as SenderOptions, type SendStatus, type Target } from './sender.ts'

export type { SendStatus } from './sender.ts'

export interface ProducerOptions extends SenderOptions {
  /** Gathers sends that are under way at a time into batches: more messages a second, each up to holdMs later (off). */
  autoBatch?: AutoBatchOptions | undefined
}

/** Picks the queue of a message among the topic's writable ones, which are sorted and at least one. */
export type QueueSelector = (queues: readonly MessageQueue[], message: Message) => MessageQueue

/** A message was stored. Any status but SEND_OK: stored, but not yet as safely as the broker is set to do it. */
export interface SendResult {
  status: SendStatus
  msgId: string // what this producer named it (UNIQ_KEY)
  offsetMsgId: string // what the broker named it
  queue: MessageQueue
  queueOffset: number
}

export interface BatchResult {
  status: SendStatus
  msgIds: readonly string[]
  queue: MessageQueue
  queueOffset: number // of the first; the others follow it
}

/**
 * Sends messages. Nothing needs to be started: connections come about with the first send, and anew after they broke.
 * Sends may be pipelined: each returns its own promise, and many can be under way.
 */
export class Producer {
  readonly #sender: Sender
  readonly #autoBatcher: AutoBatcher | undefined

  /** @throws OperatingError SETTING_INVALID, MESSAGE_ILLEGAL (the group's name) */
  constructor(options: ProducerOptions, doors: Doors = productionDoors()) {
    this.#sender = new Sender(options, doors)
    if (options.autoBatch !== undefined) this.#autoBatcher = new AutoBatcher(this.#sender, options.autoBatch)
  }

  /**
   * Sends one message and waits until a broker has stored it. Without target queues take turns, and a broker that fails
   * is followed by another; with one there is one try, for a second one could break the order of a queue. A send that
   * timed out may have been stored all the same: its next try makes it twice.
   * @param target the queue, or who picks it
   * @throws OperatingError MESSAGE_ILLEGAL, TOPIC_NOT_FOUND, TOO_MANY_REQUESTS, REQUEST_REFUSED (facts.responseCode says
   *   why), SEND_FAILED (its cause is the last try's)
   */
  async send(message: Message, target?: MessageQueue | QueueSelector): Promise<SendResult> {
    const msgId = this.#sender.cluster.nextMsgId()
    if (this.#autoBatcher !== undefined && target === undefined && AutoBatcher.takes(message)) {
      return this.#autoBatcher.add(message, msgId)
    }
    const outgoing = this.#sender.outgoing(message, msgId)
    return sendResult(await this.#sender.deliver(outgoing, targetOf(message, target)), msgId)
  }

  /**
   * Sends one message and asks for no answer: it may be lost.
   * @throws OperatingError as send, for what fails on this side of the wire
   */
  async sendOneway(message: Message, target?: MessageQueue | QueueSelector): Promise<void> {
    const outgoing = this.#sender.outgoing(message, this.#sender.cluster.nextMsgId())
    await this.#sender.oneway(outgoing, targetOf(message, target))
  }

  /**
   * Sends messages of one topic as one request: they get consecutive offsets of one queue, all or none. Not compressed.
   * @throws OperatingError as send; MESSAGE_ILLEGAL also for several topics, delays, differing waitsForFlush, retry
   *   topics, or more than bodyBytesMax in all
   */
  async sendBatch(messages: readonly Message[], target?: MessageQueue): Promise<BatchResult> {
    const { topic, msgIds, properties, body } = encodeBatch(
      messages,
      this.#sender.cluster.nextMsgId,
      this.#sender.options.bodyBytesMax,
    )
    const outgoing: Outgoing = {
      topic,
      code: RequestCode.SEND_BATCH_MESSAGE,
      body,
      sysFlag: 0,
      properties,
      isBatch: true,
    }
    const { queue, status, answer } = await this.#sender.deliver(outgoing, target)
    const { queueId, queueOffset } = sendMessageResponse.decode(answer.extFields)
    return { status, msgIds, queue: { ...queue, queueId }, queueOffset }
  }

  /** The queues that messages of the topic can be sent to, sorted. @throws OperatingError TOPIC_NOT_FOUND, CONNECT_FAILED… */
  async writeQueues(topic: string): Promise<readonly MessageQueue[]> {
    return (await this.#sender.route(topic)).writeQueues
  }

  /** Sends what autoBatch still holds, then ends all connections; other sends under way fail. */
  async close(): Promise<void> {
    await this.#autoBatcher?.close()
    await this.#sender.close()
  }
}

/** Where the same queue shall get all messages of one key: an order, a customer. */
export function queueByKey(key: string): QueueSelector {
  let hash = 0
  for (let at = 0; at < key.length; at++) hash = (Math.imul(31, hash) + key.charCodeAt(at)) >>> 0
  return (queues) => queues[hash % queues.length]!
}

function targetOf(message: Message, target: MessageQueue | QueueSelector | undefined): Target | undefined {
  return typeof target === 'function' ? (queues) => target(queues, message) : target
}

function sendResult({ queue, status, answer }: Awaited<ReturnType<Sender['deliver']>>, msgId: string): SendResult {
  const { msgId: offsetMsgId, queueId, queueOffset } = sendMessageResponse.decode(answer.extFields)
  return { status, msgId, offsetMsgId, queue: queueId === queue.queueId ? queue : { ...queue, queueId }, queueOffset }
}
