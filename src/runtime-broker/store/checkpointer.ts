import type { Clock, Timer } from '../../base/clock.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import { writeCheckpoint } from './checkpoint.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { type Flusher, isSyncFailure } from './flusher.ts'
import type { KeyIndex } from './key-index/key-index.ts'

/** How often what the queues know is made safe, so that a recovery reads little. */
const checkpointEveryMs = 10_000

interface Options {
  queues: ConsumeQueues
  index: KeyIndex | undefined
  flusher: Flusher
  files: Files
  path: string
  clock: Clock
  log: Log
  isOpen(): boolean
  /** Every record below it is in its queue, and when the last of them was stored. */
  dispatched(): { phyOffset: number; storeTimestamp: number }
}

/** Makes queues, index and log safe as they are from time to time, and writes that down: a recovery begins there. */
export class Checkpointer {
  readonly #options: Options
  #timer: Timer | undefined
  #running: Promise<boolean> | undefined
  #safeTo = -1
  #untilMs = Number.POSITIVE_INFINITY // monotonic; a stop sets it, also for a pass that is under way

  constructor(options: Options) {
    this.#options = options
  }

  /** What the checkpoint says: everything below it is safe in queues and log. -1: nothing. */
  get safeTo(): number {
    return this.#safeTo
  }

  get running(): Promise<boolean> | undefined {
    return this.#running
  }

  /** What the checkpoint says is no longer so: a recovery must not miss what changed. */
  forget(): void {
    this.#safeTo = -1
  }

  /** There is something to write down. */
  arm(): void {
    const { clock, log, isOpen, dispatched } = this.#options
    if (this.#timer !== undefined || !isOpen()) return
    this.#timer = clock.after(checkpointEveryMs, () => {
      this.#running = this.run()
        .catch((error) => {
          log.warn({ err: error }, 'no checkpoint: a recovery will read more of the log')
          return false
        })
        .finally(() => {
          this.#timer = undefined
          this.#running = undefined
          if (dispatched().phyOffset > this.#safeTo) this.arm()
        })
    })
    this.#timer.unref()
  }

  cancel(): void {
    this.#timer?.cancel()
  }

  /** Whatever runs or will run gives up at this time; returns when nothing runs. @param untilMs monotonic */
  async end(untilMs: number): Promise<void> {
    this.#untilMs = untilMs
    await this.#running
  }

  /**
   * Makes queues and log safe as they are now and writes that down.
   * @returns false when the time for it was up first, or nothing can be made safe any more
   * @throws OperatingError FILE_FAILED
   */
  async run(): Promise<boolean> {
    const { flusher } = this.#options
    try {
      return flusher.error === undefined && (await this.#run())
    } catch (error) {
      if (isSyncFailure(error)) flusher.fail(error)
      throw error
    }
  }

  async #run(): Promise<boolean> {
    const { queues, index, flusher, files, path, clock, dispatched } = this.#options
    const { phyOffset, storeTimestamp } = dispatched()
    const { unitCount } = queues // of the records below phyOffset, all of which are dispatched
    const isTimeUp = () => clock.monotonicMs() > this.#untilMs
    if (!(await queues.writeAll(isTimeUp)) || !(await queues.syncAll(isTimeUp))) return false
    const saved = await index?.checkpoint()
    await flusher.syncTo(Math.max(phyOffset, saved?.indexedTo ?? 0))
    if (flusher.error !== undefined) return false
    await writeCheckpoint(files, path, {
      physicMsgTimestamp: storeTimestamp,
      logicsMsgTimestamp: storeTimestamp,
      indexMsgTimestamp: index?.finishedTimestamp ?? 0,
      queuesSyncedTo: phyOffset,
      unitCount,
      index: saved,
    })
    this.#safeTo = phyOffset
    return true
  }
}
