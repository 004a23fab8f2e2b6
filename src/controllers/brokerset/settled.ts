import type { Clock } from '../../base/clock.ts'

/** After so long a broker is asked again: somebody may have changed its settings by hand. */
export const settledMs = 300_000
const brokersMax = 4096

/** Brokers that were seen to run with the settings that they should have: they are not asked in every pass. */
export class SettledBrokers {
  readonly #clock: Clock
  readonly #settled = new Map<string, { state: string; seenMs: number }>() // by brokerAddr, the one seen longest ago first

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param state what it should have, and which process it is */
  has(brokerAddr: string, state: string): boolean {
    const known = this.#settled.get(brokerAddr)
    return known?.state === state && this.#clock.monotonicMs() - known.seenMs < settledMs
  }

  add(brokerAddr: string, state: string): void {
    this.#settled.delete(brokerAddr)
    this.#settled.set(brokerAddr, { state, seenMs: this.#clock.monotonicMs() })
    const [oldest] = this.#settled.keys()
    if (this.#settled.size > brokersMax && oldest !== undefined) this.#settled.delete(oldest)
  }
}
