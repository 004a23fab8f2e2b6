import type { Clock, Timer } from '../clock.ts'

interface Waiting {
  atMs: number
  order: number
  task: () => void
  periodMs: number | undefined
}

/** A clock that stands still until it is told to go on. */
export class ManualClock implements Clock {
  readonly #isQuick: boolean
  #nowMs: number
  #monotonicMs = 0
  #order = 0
  readonly #waiting = new Set<Waiting>()
  #endOfTurn: (() => void)[] = []
  #isStopped = false

  /**
   * @param nowMs wall time at the start, ms since 1970
   * @param isQuick a turn whose end nobody waits for has one round of promises instead of two: for who has very many
   */
  constructor(nowMs = 1_700_000_000_000, isQuick = false) {
    this.#nowMs = nowMs
    this.#isQuick = isQuick
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#waiting.size
  }

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#start(delayMs, task, undefined)
  }

  every(periodMs: number, task: () => void): Timer {
    return this.#start(periodMs, task, periodMs)
  }

  endOfTurn(task: () => void): void {
    this.#endOfTurn.push(task)
  }

  microtask(task: () => void): void {
    queueMicrotask(() => {
      if (!this.#isStopped) task()
    })
  }

  /** The process that has this clock is no more: microtasks that wait do not run. */
  stop(): void {
    this.#isStopped = true
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const abort = () => {
        timer.cancel()
        reject(signal?.reason)
      }
      const timer = this.after(delayMs, () => {
        signal?.removeEventListener('abort', abort) // one that lives long would be slower with each sleep
        resolve()
      })
      signal?.addEventListener('abort', abort)
    })
  }

  /** Ends the turn: runs what waits for that, and the promises in between. */
  async turn(): Promise<void> {
    await settled()
    const tasks = this.#endOfTurn
    if (this.#isQuick && tasks.length === 0) return
    this.#endOfTurn = []
    for (const task of tasks) task()
    await settled()
  }

  /** Lets time pass: timers that fall due run in order, each at its own moment. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms
    await this.turn()
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#pass(next.atMs - this.#monotonicMs)
      if (next.periodMs === undefined) this.#waiting.delete(next)
      else next.atMs += next.periodMs
      next.task()
      await this.turn()
    }
    this.#pass(untilMs - this.#monotonicMs)
  }

  #start(delayMs: number, task: () => void, periodMs: number | undefined): Timer {
    const waiting = { atMs: this.#monotonicMs + Math.max(0, delayMs), order: this.#order++, task, periodMs }
    this.#waiting.add(waiting)
    return { cancel: () => void this.#waiting.delete(waiting), unref: () => {} }
  }

  #next(untilMs: number): Waiting | undefined {
    let first: Waiting | undefined
    for (const one of this.#waiting) {
      if (one.atMs > untilMs) continue
      const sooner = first === undefined || one.atMs - first.atMs || one.order - first.order
      if (sooner === true || sooner < 0) first = one
    }
    return first
  }

  #pass(ms: number): void {
    this.#monotonicMs += ms
    this.#nowMs += ms
  }
}

/** Resolves after everything that is ready now, and what that makes ready, has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
