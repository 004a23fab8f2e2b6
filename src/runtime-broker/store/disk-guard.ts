import type { Clock, Timer } from '../../base/clock.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'

const lookEveryMs = 10_000

/** Watches how full a volume is, so that writes are refused while there is still room for everything else. */
export class DiskGuard {
  readonly #directory: string
  readonly #usedRatioMax: number
  readonly #files: Files
  readonly #log: Log
  readonly #timer: Timer
  isFull = false
  /** 0 to 1. */
  usedRatio = 0

  constructor(directory: string, usedRatioMax: number, files: Files, clock: Clock, log: Log) {
    this.#directory = directory
    this.#usedRatioMax = usedRatioMax
    this.#files = files
    this.#log = log
    this.#look()
    this.#timer = clock.every(lookEveryMs, () => this.#look())
    this.#timer.unref()
  }

  close(): void {
    this.#timer.cancel()
  }

  #look(): void {
    const { totalBytes, freeBytes } = this.#files.diskSpace(this.#directory)
    this.usedRatio = totalBytes > 0 ? 1 - freeBytes / totalBytes : 0
    const isFull = this.usedRatio > this.#usedRatioMax
    if (isFull === this.isFull) return
    this.isFull = isFull
    const facts = { directory: this.#directory, usedRatio: this.usedRatio, usedRatioMax: this.#usedRatioMax }
    if (isFull) this.#log.error(facts, 'the volume of the commit log is nearly full: writes are refused')
    else this.#log.info(facts, 'the volume of the commit log has room again: writes are accepted')
  }
}
