import { assert } from '../../base/assert.ts'
import { OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import type { CopiedRecords } from './copied-records.ts'
import { cutTail } from './recovery.ts'
import type { CopiedLog, RawLog, SettleGate } from './types.ts'

/** The store as those see it who copy its log. */
export class RawLogView implements RawLog {
  readonly #log: CommitLog
  readonly #listeners: (() => void)[] = []
  readonly copy: CopiedLog | undefined
  /** Undefined as long as nobody has to be waited for. */
  gate: SettleGate | undefined

  constructor(log: CommitLog, copy: CopiedLog | undefined) {
    this.#log = log
    this.copy = copy
  }

  get minOffset(): number {
    return this.#log.minOffset
  }

  get maxOffset(): number {
    return this.#log.writtenOffset
  }

  get flushedOffset(): number {
    return this.#log.flushedOffset
  }

  get segmentBytes(): number {
    return this.#log.segments.segmentBytes
  }

  isHot(phyOffset: number): boolean {
    return this.#log.isHot(phyOffset)
  }

  read(into: Buffer, phyOffset: number): void {
    this.#assertThere(into.length, phyOffset)
    this.#log.readWhole(into, phyOffset)
  }

  async readLater(into: Buffer, phyOffset: number): Promise<void> {
    this.#assertThere(into.length, phyOffset)
    await this.#log.readWholeLater(into, phyOffset)
  }

  onProgress(listener: () => void): void {
    this.#listeners.push(listener)
  }

  settleThrough(gate: SettleGate): void {
    this.gate = gate
  }

  progressed(): void {
    for (const listener of this.#listeners) listener()
  }

  #assertThere(bytes: number, phyOffset: number): void {
    const { segmentBytes } = this
    assert(
      phyOffset >= this.minOffset &&
        phyOffset + bytes <= this.maxOffset &&
        (phyOffset % segmentBytes) + bytes <= segmentBytes,
      'bytes are read where the log has them, of one segment',
    )
  }
}

/** What the copy needs of the store around it. */
export interface CopyHooks {
  /** @throws OperatingError STORE_FULL, STORE_CLOSED */
  admit(): void
  /** @throws OperatingError STORE_FULL, STORE_CLOSED */
  writeOut(): void
  scheduleTurnEnd(): void
  /** Resolves when all that was written is safe, and neither a sync nor a checkpoint is under way. */
  settled(): Promise<void>
  /** The log ends at phyOffset now: queues and log are to be made safe as they are. */
  restarted(phyOffset: number): Promise<void>
}

export interface CopyParts {
  log: CommitLog
  queues: ConsumeQueues
  records: CopiedRecords
  tornDirectory: string
  files: Files
  logger: Log
}

export class CopyView implements CopiedLog {
  readonly #parts: CopyParts
  readonly #hooks: CopyHooks
  #isCutting = false

  constructor(parts: CopyParts, hooks: CopyHooks) {
    this.#parts = parts
    this.#hooks = hooks
  }

  get dispatchedOffset(): number {
    return this.#parts.records.offset
  }

  get faultOffset(): number | undefined {
    return this.#parts.records.faultOffset
  }

  get lastRecordOffset(): number | undefined {
    return this.#parts.records.lastOffset
  }

  append(phyOffset: number, bytes: Buffer): void {
    const { log } = this.#parts
    assert(!this.#isCutting, 'a log is not appended to while it is cut')
    this.#hooks.admit()
    const { endOffset } = log
    // After a write that failed the log ends earlier than whoever goes on believes.
    if (phyOffset !== endOffset) throw new OperatingError('STORE_CLOSED', { phyOffset, endOffset })
    for (let done = 0; done < bytes.length; ) {
      const count = log.appendBytes(bytes.subarray(done))
      if (count === 0) this.#hooks.writeOut()
      done += count
    }
    this.#hooks.scheduleTurnEnd()
  }

  beginAt(phyOffset: number): void {
    const { log, records } = this.#parts
    assert(log.endOffset === log.minOffset, 'only an empty log begins elsewhere')
    if (phyOffset === log.minOffset) return
    this.#dropSegments(-1)
    log.segments.beginAt(phyOffset)
    log.startAt(phyOffset)
    records.restart(phyOffset)
  }

  async cut(phyOffset: number): Promise<void> {
    const { log, queues, records, tornDirectory, files, logger } = this.#parts
    assert(!this.#isCutting && phyOffset >= log.minOffset, 'a log is cut where it is')
    this.#isCutting = true
    try {
      this.#hooks.writeOut()
      await this.#hooks.settled()
      await queues.writeAll(() => false)
      for (const queue of queues.all()) if (queue.lastEnd() > phyOffset) queue.load(log.minOffset, phyOffset)
      cutTail({ commitLog: log, tornDirectory, wasClean: false, files, log: logger }, phyOffset)
      await log.segments.sync(phyOffset)
      log.startAt(phyOffset)
      records.restart(phyOffset)
      await this.#hooks.restarted(phyOffset)
    } finally {
      this.#isCutting = false
    }
  }

  recordEndBefore(phyOffset: number): number {
    const { log, queues } = this.#parts
    let end: number = log.minOffset
    for (const queue of queues.all()) end = Math.max(end, queue.lastEndBefore(phyOffset))
    return end
  }

  #dropSegments(phyOffset: number): void {
    const { log, tornDirectory, logger } = this.#parts
    log.segments.dropAfter(phyOffset, tornDirectory, logger)
  }
}
