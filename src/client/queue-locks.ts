import { isOperatingError } from '../base/errors.ts'
import { readLockedQueues, writeLockBatch } from '../remoting/body/lock-batch.ts'
import { RequestCode } from '../remoting/codes.ts'
import type { Cluster } from './cluster.ts'
import { type MessageQueue, queueKey } from './message.ts'

/** What brokers said to a wish for locks. Queues that are in neither are those of brokers that did not answer. */
export interface LockOutcome {
  granted: readonly MessageQueue[]
  /** Another member of the group has them. */
  refused: readonly MessageQueue[]
}

/**
 * The locks that let one member of a group alone consume a queue: given by the broker for 60 s, renewed every 20 s, and not
 * relied on after 30 s, so that clocks need not agree. Source: Apache RocketMQ 5, RebalanceImpl and ProcessQueue.
 */
export class QueueLocks {
  readonly #cluster: Cluster
  readonly #consumerGroup: string
  readonly #lockedAtMs = new Map<string, number>() // monotonic, by queueKey

  constructor(cluster: Cluster, consumerGroup: string) {
    this.#cluster = cluster
    this.#consumerGroup = consumerGroup
  }

  /** Whether the queue is this member's for certain. */
  isHeld(queue: MessageQueue): boolean {
    const lockedAtMs = this.#lockedAtMs.get(queueKey(queue))
    return lockedAtMs !== undefined && this.#cluster.doors.clock.monotonicMs() - lockedAtMs < lockLiveMs
  }

  /** Takes or renews locks, with one request for each broker. */
  async lock(queues: readonly MessageQueue[]): Promise<LockOutcome> {
    const outcomes = await Promise.all([...byBroker(queues)].map(([, wanted]) => this.#lockAt(wanted)))
    return {
      granted: outcomes.flatMap(({ granted }) => granted),
      refused: outcomes.flatMap(({ refused }) => refused),
    }
  }

  /** Gives locks back. Never fails: what a broker does not hear it lets expire. */
  async unlock(queues: readonly MessageQueue[]): Promise<void> {
    for (const queue of queues) this.#lockedAtMs.delete(queueKey(queue))
    await Promise.all(
      [...byBroker(queues)].map(async ([brokerName, held]) => {
        try {
          await this.#call(RequestCode.UNLOCK_BATCH_MQ, held)
        } catch (error) {
          if (!isOperatingError(error)) throw error
          this.#cluster.doors.log.debug({ brokerName, err: error }, 'queues not unlocked')
        }
      }),
    )
  }

  async #lockAt(wanted: readonly MessageQueue[]): Promise<LockOutcome> {
    const { clock, log } = this.#cluster.doors
    const askedAtMs = clock.monotonicMs()
    try {
      const answer = await this.#call(RequestCode.LOCK_BATCH_MQ, wanted)
      const keys = new Set(readLockedQueues(answer.body).map(queueKey))
      const granted = wanted.filter((queue) => keys.has(queueKey(queue)))
      const refused = wanted.filter((queue) => !keys.has(queueKey(queue)))
      for (const queue of granted) this.#lockedAtMs.set(queueKey(queue), askedAtMs)
      for (const queue of refused) this.#lockedAtMs.delete(queueKey(queue))
      return { granted, refused }
    } catch (error) {
      if (!isOperatingError(error)) throw error
      log.debug({ brokerName: wanted[0]?.brokerName, err: error }, 'queues not locked')
      return { granted: [], refused: [] }
    }
  }

  async #call(code: number, queues: readonly MessageQueue[]) {
    const { topic, brokerName } = queues[0]!
    const address = (await this.#cluster.routes.get(topic)).masterOf(brokerName) ?? ''
    const { clientId } = this.#cluster
    const batch = { consumerGroup: this.#consumerGroup, clientId, onlyThisBroker: false, mqSet: [...queues] }
    return this.#cluster.call(address, { code, body: Buffer.from(writeLockBatch(batch)) })
  }
}

function byBroker(queues: readonly MessageQueue[]): ReadonlyMap<string, MessageQueue[]> {
  return Map.groupBy(queues, ({ brokerName }) => brokerName)
}

export const lockRenewalMs = 20_000
const lockLiveMs = 30_000
