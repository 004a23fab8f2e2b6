import type { Clock, Timer } from '../base/clock.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { Backoff } from './backoff.ts'

export interface QueueOptions {
  workers: number
  /** How long one pass may take; its signal is aborted then, and the pass counts as failed. */
  passTimeoutMs: number
  backoff?: { firstMs: number; mostMs: number }
  /** Does the work for key. Throws to be tried again with back-off, not before facts.retryAfterMs of an OperatingError. */
  work: (key: string, signal: AbortSignal) => Promise<{ againAfterMs: number | undefined }>
  /** Told about every end of a pass. */
  done?: (key: string, elapsedMs: number, error: unknown) => void
}

/** How soon a key should have its turn: what has just changed goes before what is only looked at again. */
export type Urgency = 'fresh' | 'resync'

const resyncEvery = 8 // of so many passes one is for what waits behind fresh keys, so that it has its turn, too
const defaultBackoff = { firstMs: 500, mostMs: 60_000 }

/**
 * Keys that need a look. A key is in it once, however often it was added, and never with two workers at a time: added
 * while it is worked on, it comes round again. It grows with the number of objects, no further.
 */
export class WorkQueue {
  readonly #options: QueueOptions
  readonly #clock: Clock
  readonly #random: Random
  readonly #ready = { fresh: new Set<string>(), resync: new Set<string>() } // each in the order they were added
  readonly #working = new Map<string, number>() // since when, in monotonic ms; those longest under way first
  readonly #dirty = new Map<string, Urgency>() // added while they were worked on
  readonly #timers = new Map<string, { timer: Timer; atMs: number }>()
  readonly #backoffs = new Map<string, Backoff>()
  readonly #idle: (() => void)[] = []
  #stopping = new AbortController()
  #passes = 0

  constructor(options: QueueOptions, doors: { clock: Clock; random: Random }) {
    this.#options = options
    this.#clock = doors.clock
    this.#random = doors.random
  }

  get depth(): number {
    return this.#ready.fresh.size + this.#ready.resync.size
  }

  /** The pass that has been under way longest. A deadline only asks a pass to end: one that waits for ever keeps its worker. */
  get longestPass(): { key: string; elapsedMs: number } | undefined {
    const [first] = this.#working
    return first && { key: first[0], elapsedMs: this.#clock.monotonicMs() - first[1] }
  }

  /** @param urgency of two for one key the higher one holds */
  add(key: string, urgency: Urgency = 'fresh'): void {
    if (this.#stopping.signal.aborted) return
    if (this.#working.has(key)) {
      if (urgency === 'fresh' || !this.#dirty.has(key)) this.#dirty.set(key, urgency)
      return
    }
    const { fresh, resync } = this.#ready
    if (urgency === 'fresh') {
      resync.delete(key)
      fresh.add(key)
    } else if (!fresh.has(key)) resync.add(key)
    this.#start()
  }

  /** Adds key in delayMs, as a resync; of two such times the earlier one holds. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopping.signal.aborted) return
    const atMs = this.#clock.monotonicMs() + delayMs
    const waiting = this.#timers.get(key)
    if (waiting && waiting.atMs <= atMs) return
    waiting?.timer.cancel()
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(key)
      this.add(key, 'resync')
    })
    this.#timers.set(key, { timer, atMs })
  }

  /** Forgets what is remembered about a key whose object is gone. */
  forget(key: string): void {
    this.#backoffs.delete(key)
    this.#timers.get(key)?.timer.cancel()
    this.#timers.delete(key)
  }

  /** Takes no more keys, tells the passes under way to end, and waits until they have. */
  async stop(): Promise<void> {
    this.#stopping.abort(new OperatingError('DEADLINE_EXCEEDED', { what: 'stopping' }))
    for (const { timer } of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    this.#ready.fresh.clear()
    this.#ready.resync.clear()
    this.#dirty.clear()
    if (this.#working.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #start(): void {
    while (this.#working.size < this.#options.workers) {
      const key = this.#next()
      if (key === undefined) return
      const startedMs = this.#clock.monotonicMs()
      this.#working.set(key, startedMs)
      void this.#pass(key, startedMs)
    }
  }

  #next(): string | undefined {
    const { fresh, resync } = this.#ready
    const isResyncsTurn = resync.size > 0 && (fresh.size === 0 || this.#passes % resyncEvery === resyncEvery - 1)
    const keys = isResyncsTurn ? resync : fresh
    const [key] = keys
    if (key === undefined) return undefined
    keys.delete(key)
    this.#passes++
    return key
  }

  async #pass(key: string, startedMs: number): Promise<void> {
    const { passTimeoutMs, work, done } = this.#options
    const pass = new AbortController()
    const end = () => pass.abort(this.#stopping.signal.reason)
    this.#stopping.signal.addEventListener('abort', end, { once: true })
    const deadline = this.#clock.after(passTimeoutMs, () =>
      pass.abort(new OperatingError('DEADLINE_EXCEEDED', { what: `pass of ${key}`, passTimeoutMs })),
    )
    let failure: unknown
    try {
      const { againAfterMs } = await work(key, pass.signal)
      this.#backoffs.delete(key)
      if (againAfterMs !== undefined) this.addAfter(key, againAfterMs)
    } catch (error) {
      failure = pass.signal.aborted ? pass.signal.reason : error
      const backoff = this.#backoffs.get(key) ?? new Backoff(this.#options.backoff ?? defaultBackoff, this.#random)
      this.#backoffs.set(key, backoff)
      this.addAfter(key, backoff.next(isOperatingError(failure) ? failure.facts.retryAfterMs : undefined))
    } finally {
      deadline.cancel()
      this.#stopping.signal.removeEventListener('abort', end)
      this.#working.delete(key)
    }
    done?.(key, this.#clock.monotonicMs() - startedMs, failure)
    const again = this.#dirty.get(key)
    this.#dirty.delete(key)
    if (again !== undefined) this.add(key, again)
    this.#start()
    if (this.#working.size === 0) for (const wake of this.#idle.splice(0)) wake()
  }
}
