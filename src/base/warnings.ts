import type { Clock } from './clock.ts'
import type { Log, LogFields } from './log.ts'

const periodMs = 60_000
const countMax = 10 // of one message in a period

/**
 * Warnings that strangers can cause as often as they like: a few of each message are logged in a minute, and with the
 * first one after that how many were left out. Messages are constant, so there are few.
 */
export class Warnings {
  readonly #clock: Clock
  readonly #periods = new Map<string, { beganAtMs: number; count: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  warn(log: Log, fields: LogFields, message: string): void {
    const nowMs = this.#clock.monotonicMs()
    const before = this.#periods.get(message)
    if (before !== undefined && nowMs - before.beganAtMs < periodMs) {
      if (before.count++ < countMax) log.warn(fields, message)
      return
    }
    const leftOut = Math.max(0, (before?.count ?? 0) - countMax)
    this.#periods.set(message, { beganAtMs: nowMs, count: 1 })
    log.warn(leftOut > 0 ? { ...fields, leftOut } : fields, message)
  }
}
