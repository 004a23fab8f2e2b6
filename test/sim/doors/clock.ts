import type { Clock, Timer } from '../../../src/base/clock.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

const timerMsMax = 2 ** 31 - 1 // Node takes longer ones for 1 ms
/** When the simulation begins: 2027-01-15T08:00:00Z. */
const epochMs = 1_800_000_000_000

export interface ProcessClockParts {
  timeline: Timeline
  random: SeededRandom
  /** What the machine's wall clock is ahead of the true time, in ms; it may jump. */
  skewMs: () => number
  /** Runs a task of the process, if that still lives. */
  run: (task: () => void) => void
}

/** The clock of one process, with the habits of Node's timers: whole milliseconds, cut off, and seldom in time. */
export function processClock({ timeline, random, skewMs, run }: ProcessClockParts): Clock {
  const startedAtMs = timeline.nowMs - random.between(10, 50)
  const delayOf = (ms: number) => {
    const whole = ms >= 1 && ms <= timerMsMax ? Math.trunc(ms) : 1
    return whole + (random.is(0.9) ? 0 : random.between(0, 3))
  }
  const after = (delayMs: number, task: () => void): Timer => {
    const event = timeline.after(delayOf(delayMs), () => run(task))
    return { cancel: () => event.cancel(), unref: () => {} }
  }
  return {
    now: () => Math.floor(epochMs + timeline.nowMs + skewMs()),
    monotonicMs: () => timeline.nowMs - startedAtMs,
    after,
    every(periodMs, task) {
      let timer: Timer
      const arm = () => {
        timer = after(periodMs, () => {
          arm()
          task()
        })
      }
      arm()
      return { cancel: () => timer.cancel(), unref: () => {} }
    },
    endOfTurn: (task) => timeline.endOfTurn(() => run(task)),
    microtask: (task) => queueMicrotask(() => run(task)),
    sleep(delayMs, signal) {
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        const timer = after(delayMs, () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        })
        const stop = () => {
          timer.cancel()
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', stop, { once: true })
      })
    },
  }
}
