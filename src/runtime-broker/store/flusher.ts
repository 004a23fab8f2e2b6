import type { Clock, Timer } from '../../base/clock.ts'
import { isOperatingError, OperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { CommitLog } from './commit-log.ts'

interface Options {
  commitLog: CommitLog
  isSyncFlush: boolean
  flushIntervalMs: number // ASYNC_FLUSH: after the first write that is not safe yet
  syncFlushTimeoutMs: number
  clock: Clock
  log: Log
  state(): 'open' | 'closing' | 'closed'
  /** SYNC_FLUSH: everything below flushedOffset of the log is safe now. */
  onFlushed(): void
  /** SYNC_FLUSH: what ends at or before phyOffset has waited for too long. */
  onTimeout(phyOffset: number): void
  /** No sync will succeed any more. */
  onFailed(error: OperatingError): void
}

/** Makes the written log survive a power cut: one fsync at a time, each for all that was written before it began. */
export class Flusher {
  readonly #options: Options
  #syncing: Promise<void> | undefined
  #error: OperatingError | undefined
  #flushTimer: Timer | undefined
  #deadlineTimer: Timer | undefined
  /** One per turn whose messages wait for an fsync: end of what was written, and when. */
  readonly #deadlines: { phyOffset: number; atMs: number }[] = []

  constructor(options: Options) {
    this.#options = options
  }

  /** Why no sync will succeed any more. */
  get error(): OperatingError | undefined {
    return this.#error
  }

  get syncing(): Promise<void> | undefined {
    return this.#syncing
  }

  /** Makes everything written safe; whoever calls while that goes on waits for the same. */
  sync(): Promise<void> {
    if (this.#error !== undefined) return Promise.resolve()
    this.#syncing ??= this.#syncOnce().finally(() => {
      const { commitLog, isSyncFlush, state } = this.#options
      this.#syncing = undefined
      if (state() === 'closed' || this.#error !== undefined) return
      if (isSyncFlush && commitLog.flushedOffset < commitLog.writtenOffset) void this.sync()
      else this.arm()
    })
    return this.#syncing
  }

  /** Makes everything below phyOffset safe, or fails. */
  async syncTo(phyOffset: number): Promise<void> {
    while (this.#options.commitLog.flushedOffset < phyOffset && this.#error === undefined) await this.sync()
  }

  /** ASYNC_FLUSH: something was written that will be safe in a while. */
  arm(): void {
    const { commitLog, isSyncFlush, clock, flushIntervalMs, state } = this.#options
    if (isSyncFlush || this.#flushTimer !== undefined || this.#syncing !== undefined) return
    if (state() !== 'open' || commitLog.flushedOffset >= commitLog.writtenOffset) return
    this.#flushTimer = clock.after(flushIntervalMs, () => {
      this.#flushTimer = undefined
      void this.sync()
    })
    this.#flushTimer.unref()
  }

  /** SYNC_FLUSH: a turn wrote what somebody waits for. */
  syncInTime(): void {
    const { commitLog, clock } = this.#options
    if (commitLog.flushedOffset >= commitLog.writtenOffset) return
    this.#deadlines.push({ phyOffset: commitLog.writtenOffset, atMs: clock.monotonicMs() })
    this.#armDeadline()
    void this.sync()
  }

  /** The log begins elsewhere: nobody waits for what it held. */
  forgetDeadlines(): void {
    this.#deadlines.length = 0
  }

  /**
   * A sync failed, of the log or of what is built from it. What the system dropped then does not come back with another fsync
   * that succeeds: only writing it again helps, and that takes a start.
   */
  fail(error: unknown): void {
    if (this.#error !== undefined) return
    const { log, onFailed } = this.#options
    this.#error = new OperatingError('STORE_CLOSED', {}, error)
    log.fatal({ err: error }, 'the store cannot be flushed: new messages are refused until a restart')
    onFailed(this.#error)
  }

  close(): void {
    this.#flushTimer?.cancel()
    this.#deadlineTimer?.cancel()
  }

  async #syncOnce(): Promise<void> {
    const { commitLog, isSyncFlush, onFlushed } = this.#options
    try {
      await commitLog.sync()
    } catch (error) {
      this.fail(error)
      return
    }
    if (!isSyncFlush) return
    while (this.#deadlines[0] !== undefined && this.#deadlines[0].phyOffset <= commitLog.flushedOffset) {
      this.#deadlines.shift()
    }
    onFlushed()
  }

  #armDeadline(): void {
    const oldest = this.#deadlines[0]
    if (oldest === undefined || this.#deadlineTimer !== undefined) return
    const { clock, syncFlushTimeoutMs } = this.#options
    const delayMs = Math.max(1, oldest.atMs + syncFlushTimeoutMs - clock.monotonicMs())
    this.#deadlineTimer = clock.after(delayMs, () => {
      this.#deadlineTimer = undefined
      this.#tellTimeouts(clock.monotonicMs() - syncFlushTimeoutMs)
      this.#armDeadline()
    })
    this.#deadlineTimer.unref()
  }

  #tellTimeouts(writtenBeforeMs: number): void {
    while (this.#deadlines[0] !== undefined && this.#deadlines[0].atMs <= writtenBeforeMs) {
      this.#options.onTimeout(this.#deadlines.shift()!.phyOffset)
    }
  }
}

/** Whether an fsync failed: the next one of the same file may succeed, and nothing be true of it. */
export function isSyncFailure(error: unknown): boolean {
  return isOperatingError(error, 'FILE_FAILED') && error.facts.operation === 'fdatasync'
}
