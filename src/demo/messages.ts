import type { Doors } from '../base/doors.ts'
import { OperatingError } from '../base/errors.ts'
import {
  Admin,
  type Message,
  type MessageQueue,
  Producer,
  PushConsumer,
  QueueTally,
  sendMany,
} from '../client/index.ts'

const routeRefreshMs = 1_000 // the default of 30 s is for production; here somebody is watching
const timeoutMs = 30_000
const pollMs = 50
const roundCount = 10 // parts in which sendTo sends
const consumerGroup = 'demo'

/** One row of the table: what went through a queue. */
export interface QueueRow {
  queue: MessageQueue
  sent: number
  consumed: number
  lag: number
}

/** The client side of the demo: one producer, one consumer group and the administrator who looks at both. */
export class Messaging {
  readonly #topic: string
  readonly #doors: Doors
  readonly #admin: Admin
  readonly #producer: Producer
  readonly #consumer: PushConsumer
  readonly #sent = new QueueTally()
  readonly #consumed = new QueueTally()
  readonly #seen = new Set<string>()
  #isConsuming = false

  constructor(namesrvAddr: string, topic: string, doors: Doors) {
    this.#topic = topic
    this.#doors = doors
    this.#admin = new Admin({ namesrvAddr }, doors)
    this.#producer = new Producer(
      { namesrvAddr, producerGroup: 'demo-producer', routeRefreshMs, mayCreateTopics: false },
      doors,
    )
    this.#consumer = new PushConsumer(
      {
        namesrvAddr,
        consumerGroup,
        subscriptions: { [topic]: '*' },
        consumeFrom: 'first',
        routeRefreshMs,
        onMessage: ({ msgId, queue }) => {
          if (this.#seen.has(msgId)) return // at least once: a message may come again
          this.#seen.add(msgId)
          this.#consumed.add(queue)
        },
      },
      doors,
    )
  }

  get consumedCount(): number {
    return this.#consumed.total
  }

  /** brokerName → address of the brokers that take messages for the topic now. */
  async brokers(): Promise<Map<string, string>> {
    const { brokerDatas } = await this.#admin.topicRoute(this.#topic)
    return new Map(brokerDatas.map(({ brokerName, brokerAddrs }) => [brokerName, brokerAddrs.get(0) ?? '']))
  }

  /** Makes the consumer group known at every broker: nothing is created by just using it. */
  async createGroup(): Promise<void> {
    for (const address of (await this.brokers()).values())
      await this.#admin.createSubscriptionGroup(address, { groupName: consumerGroup })
  }

  /**
   * Sends at least count messages, and goes on with rounds of them until every queue of these brokers has taken one: a
   * producer that runs finds a new broker when it reads its routes again.
   * @returns how many were sent
   */
  async sendTo(
    brokers: Iterable<string>,
    count: number,
    tell: (sent: number) => void,
    signal: AbortSignal,
  ): Promise<number> {
    const before = this.#sent.total
    const awaited = new Set(brokers)
    await this.#until(
      async () => {
        const sent = this.#sent.total - before
        await this.send(count / roundCount, (more) => tell(sent + more))
        for (const { queue } of this.#sent.rows()) awaited.delete(queue.brokerName)
        return awaited.size === 0 && this.#sent.total - before >= count
      },
      'messages on every broker',
      signal,
    )
    return this.#sent.total - before
  }

  async send(count: number, tell: (sent: number) => void): Promise<void> {
    let here = 0
    const messages = function* (topic: string): Generator<Message> {
      for (let number = 0; number < count; number++)
        yield { topic, body: JSON.stringify({ order: number, state: 'paid' }) }
    }
    const sent = await sendMany(this.#producer, messages(this.#topic), { onProgress: () => tell(++here) })
    for (const { queue, count: more } of sent.rows()) for (let one = 0; one < more; one++) this.#sent.add(queue)
  }

  /** Consumes until everything sent has come. @throws OperatingError DEADLINE_EXCEEDED */
  async consume(tell: (consumed: number) => void, signal: AbortSignal): Promise<void> {
    if (!this.#isConsuming) {
      this.#isConsuming = true
      await this.#consumer.start()
    }
    await this.#until(
      async () => this.consumedCount >= this.#sent.total,
      'messages consumed',
      signal,
      () => tell(this.consumedCount),
    )
  }

  /** Waits until the group's offsets at the brokers say what the consumer has done, then tells queue by queue. */
  async rows(signal: AbortSignal): Promise<QueueRow[]> {
    const keyOf = ({ brokerName, queueId }: MessageQueue) => `${brokerName}@${queueId}`
    const countsOf = (tally: QueueTally) => new Map(tally.rows().map(({ queue, count }) => [keyOf(queue), count]))
    let lags = await this.#admin.consumerLag(consumerGroup, this.#topic)
    await this.#until(
      async () => {
        lags = await this.#admin.consumerLag(consumerGroup, this.#topic)
        return lags.length > 0 && lags.every(({ lag }) => lag === 0)
      },
      'a lag of 0',
      signal,
    )
    const sent = countsOf(this.#sent)
    const consumed = countsOf(this.#consumed)
    return lags.map(({ queue, lag }) => ({
      queue,
      sent: sent.get(keyOf(queue)) ?? 0,
      consumed: consumed.get(keyOf(queue)) ?? 0,
      lag,
    }))
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#consumer.close(), this.#producer.close()])
    await this.#admin.close()
  }

  async #until(holds: () => Promise<boolean>, what: string, signal: AbortSignal, tell = () => {}): Promise<void> {
    const { clock } = this.#doors
    const deadline = clock.monotonicMs() + timeoutMs
    while (!(await holds())) {
      tell()
      if (clock.monotonicMs() > deadline)
        throw new OperatingError('DEADLINE_EXCEEDED', { what, sent: this.#sent.total, consumed: this.consumedCount })
      await clock.sleep(pollMs, signal)
    }
  }
}
