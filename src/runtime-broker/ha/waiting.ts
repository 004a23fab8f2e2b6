import type { Clock, Timer } from '../../base/clock.ts'
import type { AppendWaiter } from '../store/index.ts'

/** Sends that wait for slaves at the same time; above it the oldest is told that its time is up. */
const waitingCountMax = 500_000
const compactAt = 65_536 // told ones that may stand before the oldest that waits

type Status = 'ok' | 'flushTimeout'

/** Those who wait until slaves have the log up to some byte, in the log's order, hence also in that of their coming. */
export class Waiting {
  readonly #clock: Clock
  readonly #timeoutMs: () => number
  readonly #countMax: number
  readonly #endOffsets: number[] = []
  readonly #waiters: (AppendWaiter | undefined)[] = []
  readonly #statuses: Status[] = []
  readonly #sinceMs: number[] = []
  #head = 0
  #end = 0
  #timer: Timer | undefined
  #dueAtMs = 0 // of #timer

  constructor(clock: Clock, timeoutMs: () => number, countMax = waitingCountMax) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#countMax = countMax
  }

  get count(): number {
    return this.#end - this.#head
  }

  /** One past the last byte that the oldest of them waits for; undefined: nobody waits. */
  get oldestEndOffset(): number | undefined {
    return this.#head === this.#end ? undefined : this.#endOffsets[this.#head]
  }

  add(endOffset: number, waiter: AppendWaiter, status: Status): void {
    if (this.count >= this.#countMax) this.#tellOldest('slaveTimeout')
    const at = this.#end++
    this.#endOffsets[at] = endOffset
    this.#waiters[at] = waiter
    this.#statuses[at] = status
    this.#sinceMs[at] = this.#clock.monotonicMs()
    this.#arm()
  }

  /** Slaves have everything before confirmedOffset. */
  confirm(confirmedOffset: number): void {
    while (this.#head < this.#end && this.#endOffsets[this.#head]! <= confirmedOffset)
      this.#tellOldest('slaves have it')
    this.#compact()
  }

  /** Nobody will confirm any more. */
  close(): void {
    this.#timer?.cancel()
    while (this.#head < this.#end) this.#tellOldest('slaveTimeout')
  }

  #tellOldest(outcome: 'slaves have it' | 'slaveTimeout'): void {
    const at = this.#head++
    const waiter = this.#waiters[at]!
    this.#waiters[at] = undefined
    waiter.settle(outcome === 'slaveTimeout' ? outcome : this.#statuses[at]!)
  }

  #arm(): void {
    if (this.#head === this.#end) return
    const untilMs = this.#sinceMs[this.#head]! + this.#timeoutMs()
    if (this.#timer !== undefined) {
      if (this.#dueAtMs <= untilMs) return
      this.#timer.cancel() // the timeout is a shorter one now
    }
    this.#dueAtMs = untilMs
    this.#timer = this.#clock.after(Math.max(1, untilMs - this.#clock.monotonicMs()), () => {
      this.#timer = undefined
      const oldestMs = this.#clock.monotonicMs() - this.#timeoutMs()
      while (this.#head < this.#end && this.#sinceMs[this.#head]! <= oldestMs) this.#tellOldest('slaveTimeout')
      this.#compact()
      this.#arm()
    })
    this.#timer.unref()
  }

  #compact(): void {
    if (this.#head === this.#end) this.#head = this.#end = 0
    else if (this.#head >= compactAt) {
      const { length } = this.#waiters
      for (const column of [this.#endOffsets, this.#waiters, this.#statuses, this.#sinceMs]) {
        column.copyWithin(0, this.#head, this.#end)
      }
      this.#end -= this.#head
      this.#head = 0
      this.#waiters.fill(undefined, this.#end, length)
    }
  }
}
