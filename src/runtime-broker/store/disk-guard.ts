import type { Clock, Timer } from '../../base/clock.ts'
import { isOperatingError, OperatingError } from '../../base/errors.ts'
import type { DiskSpace, Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'

const lookEveryMs = 10_000

export interface DiskGuardOptions {
  /** Whose volumes are watched: the fullest counts. */
  directories: readonly string[]
  usedRatioMax: number
  /** @throws OperatingError STORE_CORRUPT when what is written no longer reaches the files that a start would read */
  checkFiles: () => void
}

/**
 * Watches the store's volumes: writes are refused while it is nearly full, so that there is room for everything
 * else; and for good once the files were taken away under the store, since what is written then is read by nobody.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions
  readonly #files: Files
  readonly #log: Log
  readonly #timer: Timer
  isFull = false
  /** 0 to 1. */
  usedRatio = 0
  /** Why nothing may be written: STORE_CLOSED. */
  failure: OperatingError | undefined

  constructor(options: DiskGuardOptions, files: Files, clock: Clock, log: Log) {
    this.#options = options
    this.#files = files
    this.#log = log
    this.look()
    this.#timer = clock.every(lookEveryMs, () => this.look())
    this.#timer.unref()
  }

  close(): void {
    this.#timer.cancel()
  }

  /** Only a restart helps. */
  get isBeyondHelp(): boolean {
    return isOperatingError(this.failure?.cause, 'STORE_CORRUPT')
  }

  look(): void {
    if (this.isBeyondHelp) return
    const { directories, usedRatioMax, checkFiles } = this.#options
    try {
      checkFiles()
      this.usedRatio = Math.max(...directories.map((directory) => usedRatioOf(this.#files.diskSpace(directory))))
    } catch (error) {
      if (!isOperatingError(error)) throw error
      if (this.failure === undefined) {
        this.#log.fatal({ directories, err: error }, 'the volume of the store cannot be used: writes are refused')
      }
      this.failure = new OperatingError('STORE_CLOSED', {}, error)
      return
    }
    this.failure = undefined
    const isFull = this.usedRatio > usedRatioMax
    if (isFull === this.isFull) return
    this.isFull = isFull
    const facts = { directories, usedRatio: this.usedRatio, usedRatioMax }
    if (isFull) this.#log.error(facts, 'the volume of the store is nearly full: writes are refused')
    else this.#log.info(facts, 'the volume of the store has room again: writes are accepted')
  }
}

function usedRatioOf({ totalBytes, freeBytes }: DiskSpace): number {
  return totalBytes > 0 ? 1 - freeBytes / totalBytes : 0
}

/** Whether a file operation failed since there is no room, or no more allowed. */
export function isDiskFull(error: unknown): boolean {
  const systemCode = isOperatingError(error) ? error.facts.code : undefined
  return systemCode === 'ENOSPC' || systemCode === 'EDQUOT'
}
