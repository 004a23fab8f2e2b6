import type { Clock } from '../../../base/clock.ts'
import type { Findings } from './findings.ts'
import type { LogFiles } from './log-files.ts'

/** The machine whose broker wrote the directory may have another clock than the one that reads it. */
const clockSlackMs = 60_000

/** Looks for records that say they were stored when none can have been: no checksum covers their storeTimestamp. */
export class TimeCheck {
  readonly #clock: Clock
  #count = 0
  #first = { phyOffset: 0, storeTimestamp: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns whether a record can have been stored then */
  take(phyOffset: number, storeTimestamp: number): boolean {
    if (storeTimestamp >= 0 && storeTimestamp <= this.#clock.now() + clockSlackMs) return true
    if (this.#count++ === 0) this.#first = { phyOffset, storeTimestamp }
    return false
  }

  /** One finding for all: a clock that was wrong for an hour leaves millions. */
  finish(log: LogFiles, findings: Findings): void {
    if (this.#count === 0) return
    const { phyOffset, storeTimestamp } = this.#first
    const which = storeTimestamp < 0 ? 'negative' : 'later than now'
    const others = this.#count === 1 ? '' : `; ${this.#count} records say a time that cannot be, this one first`
    const what = `the record says storeTimestamp ${storeTimestamp}, which is ${which}${others}`
    findings.add({ kind: 'time', path: log.pathOf(phyOffset), phyOffset, what })
  }
}
