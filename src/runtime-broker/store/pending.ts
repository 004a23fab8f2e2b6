import type { OperatingError } from '../../base/errors.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import type { MessageKeys } from './key-index/keys.ts'
import type { AppendWaiter, NewMessage, SettleGate } from './types.ts'

/**
 * Appends on their way, oldest first: encoded, then written, then (SYNC_FLUSH) flushed, then dispatched and settled.
 * Columns instead of an object per message; an entry is named by its index in them, valid until settle or compaction.
 */
export class PendingAppends {
  readonly queues: (ConsumeQueue | undefined)[] = [] // undefined: gets no unit (prepared and rolled back)
  readonly queueOffsets: number[] = []
  readonly phyOffsets: number[] = []
  readonly sizes: number[] = []
  readonly tagsCodes: number[] = []
  readonly waitsForFlush: boolean[] = []
  readonly waiters: (AppendWaiter | undefined)[] = [] // undefined: none, or already told
  readonly storeTimestamps: number[] = []
  readonly keys: (MessageKeys | undefined)[] = [] // undefined: they are not known here
  /** Oldest entry. */
  head = 0
  /** One past the newest entry that was written. */
  written = 0
  /** One past the newest written entry that was looked at for WAIT=false. */
  looked = 0
  end = 0

  get count(): number {
    return this.end - this.head
  }

  add(
    queue: ConsumeQueue | undefined,
    queueOffset: number,
    phyOffset: number,
    size: number,
    message: NewMessage,
    storeTimestamp: number,
    waiter: AppendWaiter | undefined,
  ): void {
    const at = this.end++
    this.queues[at] = queue
    this.queueOffsets[at] = queueOffset
    this.phyOffsets[at] = phyOffset
    this.sizes[at] = size
    this.tagsCodes[at] = message.tagsCode
    this.waitsForFlush[at] = message.waitsForFlush
    this.storeTimestamps[at] = storeTimestamp
    this.keys[at] = message.keys
    this.waiters[at] = waiter
  }

  /** Takes back the entries that were not written, the newest first, and gives their queue offsets back. */
  takeBack(from: number): AppendWaiter[] {
    const untold: AppendWaiter[] = []
    for (let at = this.end - 1; at >= from; at--) {
      const queue = this.queues[at]
      if (queue !== undefined) queue.nextOffset = this.queueOffsets[at]!
      const waiter = this.waiters[at]
      if (waiter !== undefined) untold.push(waiter)
      this.#clear(at)
    }
    this.end = from
    return untold.reverse()
  }

  /** The entries before upTo are done: tells who was not told yet, or leaves it to the gate, and forgets them. */
  settle(upTo: number, gate: SettleGate | undefined): void {
    for (let at = this.head; at < upTo; at++) this.#tell(at, 'ok', gate)
    this.#remove(upTo)
  }

  /** With SYNC_FLUSH: who does not want to wait for the fsync (WAIT=false) is told after the write. */
  settleUnwaiting(): void {
    for (; this.looked < this.written; this.looked++) {
      if (this.waitsForFlush[this.looked]) continue
      const waiter = this.waiters[this.looked]
      this.waiters[this.looked] = undefined
      waiter?.settle('ok')
    }
  }

  /** The written entries before phyOffset have waited for too long; they stay, as they may be done yet. */
  settleTimedOut(phyOffset: number, gate: SettleGate | undefined): void {
    const { head, written, phyOffsets } = this
    for (let at = head; at < written && phyOffsets[at]! < phyOffset; at++) this.#tell(at, 'flushTimeout', gate)
  }

  /** None of the entries will be done. */
  settleFailed(error: OperatingError): void {
    for (let at = this.head; at < this.end; at++) {
      const waiter = this.waiters[at]
      this.waiters[at] = undefined
      waiter?.settle('failed', error)
    }
  }

  #tell(at: number, status: 'ok' | 'flushTimeout', gate: SettleGate | undefined): void {
    const waiter = this.waiters[at]
    if (waiter === undefined) return
    this.waiters[at] = undefined
    if (gate !== undefined && this.waitsForFlush[at]) {
      if (gate.hold(this.phyOffsets[at]! + this.sizes[at]!, waiter, status)) return
    }
    waiter.settle(status)
  }

  #remove(upTo: number): void {
    for (let at = this.head; at < upTo; at++) this.#clear(at)
    this.head = upTo
    if (this.head === this.end) this.head = this.written = this.looked = this.end = 0
    else if (this.head >= compactAt) this.#compact()
  }

  #compact(): void {
    const { head, end } = this
    const columns = [
      this.queues,
      this.queueOffsets,
      this.phyOffsets,
      this.sizes,
      this.tagsCodes,
      this.waitsForFlush,
      this.waiters,
      this.storeTimestamps,
      this.keys,
    ]
    for (const column of columns) column.copyWithin(0, head, end)
    for (let at = Math.max(end - head, head); at < end; at++) this.#clear(at)
    this.written -= head
    this.looked = Math.max(0, this.looked - head)
    this.end -= head
    this.head = 0
  }

  #clear(at: number): void {
    this.queues[at] = undefined
    this.waiters[at] = undefined
    this.keys[at] = undefined
  }
}

const compactAt = 65_536 // done entries that may stand before the oldest one
