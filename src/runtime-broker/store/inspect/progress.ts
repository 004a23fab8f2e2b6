import type { Clock } from '../../../base/clock.ts'

const everyMs = 2000

/** Says now and then how far a long read is: nothing in its first seconds. */
export class ProgressText {
  readonly #clock: Clock
  readonly #startedMs: number
  #nextMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonicMs()
    this.#nextMs = this.#startedMs + everyMs
  }

  /** @returns what to tell, if it is time */
  next(doneBytes: number, totalBytes: number): string | undefined {
    const now = this.#clock.monotonicMs()
    if (now < this.#nextMs) return undefined
    this.#nextMs = now + everyMs
    const mib = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`
    const perSecond = (doneBytes / (now - this.#startedMs)) * 1000
    const percent = totalBytes > 0 ? Math.floor((100 * doneBytes) / totalBytes) : 100
    return `${mib(doneBytes)} of at most ${mib(totalBytes)} read (${percent} %), ${mib(perSecond)}/s`
  }
}
