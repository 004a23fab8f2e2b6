import type { Random } from '../base/random.ts'

/** Waiting times that double from firstMs to mostMs, each with chance in it so that many waiters spread out. */
export class Backoff {
  readonly #limits: { firstMs: number; mostMs: number }
  readonly #random: Random
  #failures = 0

  constructor(limits: { firstMs: number; mostMs: number }, random: Random) {
    this.#limits = limits
    this.#random = random
  }

  /**
   * The next waiting time in milliseconds.
   * @param askedMs what the other side asked for: waited at least
   */
  next(askedMs?: unknown): number {
    const { firstMs, mostMs } = this.#limits
    const wholeMs = Math.min(mostMs, firstMs * 2 ** Math.min(this.#failures, 30))
    this.#failures++
    const delayMs = wholeMs / 2 + (this.#random.float() * wholeMs) / 2
    return typeof askedMs === 'number' ? Math.max(askedMs, delayMs) : delayMs
  }

  reset(): void {
    this.#failures = 0
  }
}
