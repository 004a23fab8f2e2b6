import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { isOperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { CopiedRecords } from './copied-records.ts'
import type { DeletedTopics } from './deleted-topics.ts'
import type { KeyIndex } from './key-index/key-index.ts'
import type { PendingAppends } from './pending.ts'
import type { Recovered } from './recovery.ts'
import type { ArrivalListener, SettleGate, StoreSettings } from './types.ts'

/** After a read of what was copied that failed. */
const retryReadMs = 5000

export interface DispatcherParts {
  settings: Pick<StoreSettings, 'isCopy' | 'delayLevelsMs' | 'checkCrcOnRecover'>
  commitLog: CommitLog
  queues: ConsumeQueues
  index: KeyIndex | undefined
  deleted: DeletedTopics
  recovered: Recovered
  pending: PendingAppends
  clock: Clock
  log: Log
  isOpen: () => boolean
  /** How far the log is as safe as the store's flush mode wants it to be before it is read. */
  readableTo: () => number
  gate: () => SettleGate | undefined
  /** Queues have grown. */
  onDispatched: () => void
}

/**
 * Makes readable what lies in the log: gives each queue its units in order, tells who waits for arrivals, and settles who
 * waits for the append. With a copied log, what came whole is found in the log itself.
 */
export class Dispatcher {
  /** Records that another broker wrote; undefined: this log is written here. */
  readonly copied: CopiedRecords | undefined
  readonly #log: CommitLog
  readonly #queues: ConsumeQueues
  readonly #index: KeyIndex | undefined
  readonly #deleted: DeletedTopics
  readonly #pending: PendingAppends
  readonly #clock: Clock
  readonly #logger: Log
  readonly #isOpen: () => boolean
  readonly #readableTo: () => number
  readonly #gate: () => SettleGate | undefined
  readonly #onDispatched: () => void
  readonly #listeners: ArrivalListener[] = []
  #copiedRetry: Timer | undefined
  #dispatchedTo: number
  #storeTimestamp: number
  #count = 0
  #bytes = 0

  constructor(parts: DispatcherParts) {
    this.#log = parts.commitLog
    this.#queues = parts.queues
    this.#index = parts.index
    this.#deleted = parts.deleted
    this.#pending = parts.pending
    this.#clock = parts.clock
    this.#logger = parts.log
    this.#isOpen = parts.isOpen
    this.#readableTo = parts.readableTo
    this.#gate = parts.gate
    this.#onDispatched = parts.onDispatched
    this.#dispatchedTo = parts.recovered.endOffset
    this.#storeTimestamp = parts.recovered.storeTimestamp
    this.copied = parts.settings.isCopy ? this.#copiedRecords(parts) : undefined
    this.#index?.advance(this.#dispatchedTo)
  }

  /** One past the last record that is readable. */
  get dispatchedTo(): number {
    return this.#dispatchedTo
  }

  /** ms; of the newest record that is readable. */
  get storeTimestamp(): number {
    return this.#storeTimestamp
  }

  /** Messages since the start. */
  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  onArrival(listener: ArrivalListener): void {
    this.#listeners.push(listener)
  }

  /** Makes the pending entries before upTo readable, and those records readable that a copy has in full below the same place. */
  dispatch(upTo: number): void {
    this.#dispatchAppended(upTo)
    if (this.copied !== undefined) this.#dispatchCopied(this.copied, this.#readableTo())
  }

  /** With a copy: the log begins anew at phyOffset. */
  restartAt(phyOffset: number): void {
    this.#dispatchedTo = phyOffset
    this.#index?.cut(phyOffset)
  }

  /** What a slave has of a record that it did not get in full yet: its master will send it again, from its beginning. */
  cutPartRecord(): void {
    const { copied } = this
    if (copied === undefined || copied.offset >= this.#log.writtenOffset || copied.faultOffset !== undefined) return
    this.#log.segments.zeroFrom(copied.offset)
    this.#log.startAt(copied.offset)
  }

  #dispatchAppended(upTo: number): void {
    const pending = this.#pending
    if (upTo === pending.head) return
    for (let at = pending.head; at < upTo; at++) {
      const size = pending.sizes[at]!
      this.#count++
      this.#bytes += size
      const queue = pending.queues[at]
      if (queue === undefined || queue.isRemoved) continue
      assert(queue.maxOffset === pending.queueOffsets[at], 'a queue gets its units in order, without a gap')
      const tagsCode = pending.tagsCodes[at]!
      const phyOffset = pending.phyOffsets[at]!
      queue.push(phyOffset, size, tagsCode)
      const keys = pending.keys[at]
      if (keys !== undefined) this.#index?.note(queue.topic, keys, phyOffset, size, pending.storeTimestamps[at]!)
      // After a crash Apache's broker fills a queue that has no file from the log, also with what an earlier topic of this
      // name left there; it takes nothing that lies before a unit in the file.
      if (queue.maxOffset === 1 && this.#deleted.hasAny(queue.topic)) this.#queues.writeNow(queue)
      for (const listener of this.#listeners) listener(queue.topic, queue.queueId, queue.maxOffset, tagsCode)
    }
    this.#dispatchedTo = pending.phyOffsets[upTo - 1]! + pending.sizes[upTo - 1]!
    this.#storeTimestamp = pending.storeTimestamps[upTo - 1]!
    pending.settle(upTo, this.#gate())
    this.#index?.advance(this.#dispatchedTo)
    this.#onDispatched()
  }

  #dispatchCopied(copied: CopiedRecords, upTo: number): void {
    try {
      copied.advance(upTo)
      this.#copiedRetry?.cancel()
      this.#copiedRetry = undefined
    } catch (error) {
      if (!isOperatingError(error, 'FILE_FAILED')) throw error
      this.#lookAtCopiedAgain(copied, error)
    }
    const dispatchedTo = Math.min(copied.offset, upTo) // behind a blank record the segment's end may have to come yet
    if (dispatchedTo === this.#dispatchedTo) return
    this.#dispatchedTo = dispatchedTo
    this.#index?.advance(dispatchedTo)
    this.#storeTimestamp = copied.storeTimestamp || this.#storeTimestamp
    this.#count = copied.count
    this.#onDispatched()
  }

  /** A slave's own log cannot be read: it may be the disk, and it may be for a while. */
  #lookAtCopiedAgain(copied: CopiedRecords, error: unknown): void {
    if (this.#copiedRetry !== undefined) return
    this.#logger.error({ err: error }, 'what was copied cannot be read: trying again')
    this.#copiedRetry = this.#clock.after(retryReadMs, () => {
      this.#copiedRetry = undefined
      if (this.#isOpen()) this.#dispatchCopied(copied, this.#readableTo())
    })
    this.#copiedRetry.unref()
  }

  #copiedRecords({ commitLog, queues, deleted, recovered, settings, log }: DispatcherParts): CopiedRecords {
    return new CopiedRecords(
      commitLog,
      { queues, deleted, delayLevelsMs: settings.delayLevelsMs, log },
      {
        from: recovered.endOffset,
        checkCrc: settings.checkCrcOnRecover,
        onUnit: ({ topic, queueId, maxOffset }, tagsCode) => {
          for (const listener of this.#listeners) listener(topic, queueId, maxOffset, tagsCode)
        },
      },
    )
  }
}
