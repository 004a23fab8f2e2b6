import type { Clock } from '../base/clock.ts'

/** Which broker groups just failed a send: round robin passes them by for a while. */
export class BrokerFaults {
  readonly #clock: Clock
  readonly #untilMs = new Map<string, number>() // by brokerName: as many as the cluster has groups

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(brokerName: string): void {
    this.#untilMs.set(brokerName, this.#clock.monotonicMs() + avoidMs)
  }

  clear(brokerName: string): void {
    if (this.#untilMs.size > 0) this.#untilMs.delete(brokerName)
  }

  isAvoided(brokerName: string): boolean {
    const until = this.#untilMs.size > 0 ? this.#untilMs.get(brokerName) : undefined
    return until !== undefined && this.#clock.monotonicMs() < until
  }
}

const avoidMs = 3_000
