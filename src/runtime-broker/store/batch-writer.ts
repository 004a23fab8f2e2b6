import type { Clock } from '../../base/clock.ts'
import { isOperatingError, OperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { CommitLog } from './commit-log.ts'
import { isDiskFull } from './disk-guard.ts'

/** After a write that failed, this passes before the next try. */
const retryWriteMs = 1000

/** Writes what was appended to the commit log, and knows when a write that failed may be tried again. */
export class BatchWriter {
  readonly #commitLog: CommitLog
  readonly #clock: Clock
  readonly #log: Log
  #error: OperatingError | undefined
  /** Set after a write that failed; not before this time (monotonic ms) is the next one tried. */
  #retryAtMs: number | undefined

  constructor({ commitLog, clock, log }: { commitLog: CommitLog; clock: Clock; log: Log }) {
    this.#commitLog = commitLog
    this.#clock = clock
    this.#log = log
  }

  /** Why the last write failed; undefined: it did not. */
  get error(): OperatingError | undefined {
    return this.#error
  }

  /** Whether prepareRetry has to come before the next append. */
  get isRetryDue(): boolean {
    return this.#retryAtMs !== undefined
  }

  /** @returns why it failed, STORE_FULL or STORE_CLOSED: what was not written is no longer in the log then */
  tryWrite(): OperatingError | undefined {
    if (!this.#commitLog.hasUnwritten) return undefined
    try {
      this.#commitLog.write()
    } catch (error) {
      // A full disk fails every try, one a second, perhaps for hours: the first one is said.
      if (this.#error === undefined)
        this.#log.error({ err: error }, 'the commit log cannot be written: new messages are refused')
      this.#error = refusalOf(error)
      this.#retryAtMs = this.#clock.monotonicMs() + retryWriteMs
      this.#commitLog.dropBatch()
      return this.#error
    }
    if (this.#error !== undefined) this.#log.info({}, 'the commit log can be written again')
    this.#error = undefined
    return undefined
  }

  /** Makes ready for the next try after a write that failed. @throws OperatingError its reason, until it may be tried */
  prepareRetry(): void {
    const now = this.#clock.monotonicMs()
    if (now < this.#retryAtMs!) throw this.#error
    try {
      this.#commitLog.eraseUnwritten()
      this.#retryAtMs = undefined
    } catch (error) {
      this.#retryAtMs = now + retryWriteMs
      throw (this.#error = refusalOf(error))
    }
  }
}

/** What a failed write means to those who send. */
export function refusalOf(error: unknown): OperatingError {
  const systemCode = isOperatingError(error) ? error.facts.code : undefined
  return new OperatingError(isDiskFull(error) ? 'STORE_FULL' : 'STORE_CLOSED', { systemCode }, error)
}
