import type { Clock } from '../base/clock.ts'
import type { Held, ProcessQueue } from './process-queue.ts'

/**
 * Hands messages to the handler in the order of each queue: the next one begins when the one before is done with. Up to
 * countMax queues are worked on at a time and take turns. Flow control bounds the messages waiting.
 */
export class OrderlyDispatcher {
  readonly #countMax: number
  readonly #consume: (held: Held) => Promise<number>
  readonly #clock: Clock
  readonly #waiting = new Map<ProcessQueue, Held[]>() // the first of each is the next, or runs
  readonly #running = new Map<ProcessQueue, Promise<void>>()
  #ready: ProcessQueue[] = []
  #isStopped = false

  /**
   * @param consume must not reject; resolves to the ms after which the same message is to be tried again, 0: it is done with
   */
  constructor(countMax: number, consume: (held: Held) => Promise<number>, clock: Clock) {
    this.#countMax = countMax
    this.#consume = consume
    this.#clock = clock
  }

  add(held: readonly Held[]): void {
    for (const one of held) {
      const waiting = this.#waiting.get(one.owner)
      if (waiting !== undefined) waiting.push(one)
      else {
        this.#waiting.set(one.owner, [one])
        this.#ready.push(one.owner)
      }
    }
    this.#run()
  }

  isRunning(owner: ProcessQueue): boolean {
    return this.#running.has(owner)
  }

  /** Resolves when no message of a dropped queue runs any more. */
  idle(owner: ProcessQueue): Promise<void> {
    return this.#running.get(owner) ?? Promise.resolve()
  }

  /** Forgets what waits; resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#ready = []
    this.#waiting.clear()
    await Promise.all(this.#running.values())
  }

  #run(): void {
    while (this.#running.size < this.#countMax && this.#ready.length > 0) {
      const owner = this.#ready.shift()!
      const next = this.#waiting.get(owner)?.[0]
      if (next === undefined || owner.isDropped) this.#waiting.delete(owner)
      else
        this.#running.set(
          owner,
          this.#consume(next).then((pauseMs) => this.#ended(owner, pauseMs)),
        )
    }
  }

  #ended(owner: ProcessQueue, pauseMs: number): void {
    this.#running.delete(owner)
    if (pauseMs > 0) this.#clock.after(pauseMs, () => this.#again(owner)).unref()
    else {
      const waiting = this.#waiting.get(owner)
      waiting?.shift()
      if (waiting?.length) this.#ready.push(owner)
      else this.#waiting.delete(owner)
    }
    this.#run()
  }

  #again(owner: ProcessQueue): void {
    if (this.#isStopped) return
    this.#ready.push(owner)
    this.#run()
  }
}
