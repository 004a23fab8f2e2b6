import type { Clock, Timer } from '../../base/clock.ts'

/** A pull that waits at its queue's end. */
export interface HeldPull {
  readonly queueOffset: number
  /** Does the consumer want a message with this tagsCode? undefined: it wants all. */
  readonly matches: ((tagsCode: number) => boolean) | undefined
  readonly deadlineMs: number // monotonic
  isAlive(): boolean
  /** Looks again and answers, whatever it finds. Called at most once. */
  resume(): void
}

/** Pulls held at the same time, of all queues. */
const holdCountMax = 200_000
/** How often holds are checked for their deadline: a hold may last this much longer, as with Apache. */
const scanPeriodMs = 5_000

/** Pulls that wait for a message, by queue. Source: Apache RocketMQ 5, PullRequestHoldService. */
export class PullHold {
  readonly #queues = new Map<string, Map<number, HeldPull[]>>() // topic → queueId
  readonly #clock: Clock
  readonly #maxOffset: (topic: string, queueId: number) => number
  readonly #scanTimer: Timer
  #count = 0
  #woken: HeldPull[] = []

  constructor(clock: Clock, maxOffset: (topic: string, queueId: number) => number) {
    this.#clock = clock
    this.#maxOffset = maxOffset
    this.#scanTimer = clock.every(scanPeriodMs, () => this.#scan())
  }

  get count(): number {
    return this.#count
  }

  /** @returns false: too many are held, and this one is not */
  hold(topic: string, queueId: number, pull: HeldPull): boolean {
    if (this.#count >= holdCountMax) return false
    this.#count++
    if (this.#maxOffset(topic, queueId) > pull.queueOffset) {
      this.#wake(pull) // a message came while the read was under way
      return true
    }
    let queues = this.#queues.get(topic)
    if (queues === undefined) this.#queues.set(topic, (queues = new Map()))
    const pulls = queues.get(queueId)
    if (pulls === undefined) queues.set(queueId, [pull])
    else pulls.push(pull)
    return true
  }

  /** A message became readable; maxOffset counts it. Runs once per message: must be quick when nobody waits. */
  arrived(topic: string, queueId: number, maxOffset: number, tagsCode: number): void {
    const queues = this.#queues.get(topic)
    const pulls = queues?.get(queueId)
    if (pulls === undefined) return
    const isWoken = (pull: HeldPull) => maxOffset > pull.queueOffset && (pull.matches?.(tagsCode) ?? true)
    this.#keep(topic, queueId, pulls, isWoken)
  }

  /** Answers all. */
  close(): void {
    this.#scanTimer.cancel()
    for (const [topic, queues] of this.#queues) {
      for (const [queueId, pulls] of queues) this.#keep(topic, queueId, pulls, () => true)
    }
  }

  #scan(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [topic, queues] of this.#queues) {
      for (const [queueId, pulls] of queues) {
        const maxOffset = this.#maxOffset(topic, queueId)
        // A longer queue wakes also those that no message since matched: they learn how far it is.
        const isWoken = (pull: HeldPull) => nowMs >= pull.deadlineMs || maxOffset > pull.queueOffset || !pull.isAlive()
        this.#keep(topic, queueId, pulls, isWoken)
      }
    }
  }

  /** Wakes some and keeps the others. */
  #keep(topic: string, queueId: number, pulls: HeldPull[], isWoken: (pull: HeldPull) => boolean): void {
    const kept = pulls.filter((pull) => {
      if (!isWoken(pull)) return true
      this.#wake(pull)
      return false
    })
    if (kept.length === pulls.length) return
    const queues = this.#queues.get(topic)!
    if (kept.length > 0) queues.set(queueId, kept)
    else if (queues.delete(queueId) && queues.size === 0) this.#queues.delete(topic)
  }

  /** At the end of the turn, so that one answer has all messages that this turn brings. */
  #wake(pull: HeldPull): void {
    this.#woken.push(pull)
    if (this.#woken.length > 1) return
    this.#clock.endOfTurn(() => {
      const woken = this.#woken
      this.#woken = []
      this.#count -= woken.length
      for (const held of woken) if (held.isAlive()) held.resume()
    })
  }
}
