import { compareQueues, type MessageQueue, queueKey } from './message.ts'

/** Counts by queue: what went where. */
export class QueueTally {
  readonly #rows = new Map<string, { queue: MessageQueue; count: number }>() // as many as the topics have queues
  #total = 0

  get total(): number {
    return this.#total
  }

  add(queue: MessageQueue): void {
    const key = queueKey(queue)
    const row = this.#rows.get(key)
    if (row === undefined) this.#rows.set(key, { queue, count: 1 })
    else row.count++
    this.#total++
  }

  /** One row a queue, sorted by topic, brokerName and queueId. */
  rows(): { queue: MessageQueue; count: number }[] {
    return [...this.#rows.values()].sort((a, b) => compareQueues(a.queue, b.queue))
  }
}
