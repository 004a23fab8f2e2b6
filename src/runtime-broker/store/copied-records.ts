import { recordAt } from '../../remoting/message/index.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { type DispatchParts, RecoveryDispatch } from './recovery.ts'
import { scanChunk } from './scan.ts'

const chunkBytesFirst = 256 * 1024
/** No master takes a longer one: it would not fit into a frame. A size above it is no size. */
const recordBytesMax = 32 * 1024 * 1024

/** Makes the records of a copied log readable: bytes come in any cut, so the last record may be there in part only. */
export class CopiedRecords {
  readonly #log: CommitLog
  readonly #checkCrc: boolean
  readonly #dispatch: RecoveryDispatch
  #chunk = Buffer.allocUnsafeSlow(chunkBytesFirst)
  #offset: number
  #lastOffset: number | undefined
  #needsTo = 0 // as far the log must have grown before another look is worth it
  #faultOffset: number | undefined

  constructor(
    log: CommitLog,
    parts: DispatchParts,
    {
      from,
      checkCrc,
      onUnit,
    }: { from: number; checkCrc: boolean; onUnit: (queue: ConsumeQueue, tagsCode: number) => void },
  ) {
    this.#log = log
    this.#checkCrc = checkCrc
    this.#offset = from
    // whole: there is no earlier record to be found in the log, so a queue begins where the master's log says so
    this.#dispatch = new RecoveryDispatch(parts, true, onUnit)
  }

  /** One past the last record that is readable; past the segment when it ends with a blank one. */
  get offset(): number {
    return this.#offset
  }

  get lastOffset(): number | undefined {
    return this.#lastOffset
  }

  /** Where a record should be and none is. */
  get faultOffset(): number | undefined {
    return this.#faultOffset
  }

  get count(): number {
    return this.#dispatch.count
  }

  /** ms; of the newest record. 0: there was none yet. */
  get storeTimestamp(): number {
    return this.#dispatch.storeTimestamp
  }

  /** Begins again at offset: what was behind it is gone. */
  restart(offset: number): void {
    this.#offset = offset
    this.#lastOffset = undefined
    this.#needsTo = 0
    this.#faultOffset = undefined
  }

  /** Looks at the records below upTo, which are in the log. */
  advance(upTo: number): void {
    while (this.#faultOffset === undefined && upTo - this.#offset >= recordAt.magic + 4 && upTo >= this.#needsTo) {
      this.#look(upTo)
    }
  }

  #look(upTo: number): void {
    const { segments } = this.#log
    const from = this.#offset
    const segmentEnd = segments.startOf(from) + segments.segmentBytes
    const bytes = this.#chunk.subarray(0, Math.min(this.#chunk.length, segmentEnd - from, upTo - from))
    this.#log.read(bytes, from)
    const { position, stop } = scanChunk(bytes, from, this.#checkCrc, (record) => {
      this.#dispatch.take(record)
      this.#lastOffset = record.phyOffset
    })
    const next = (this.#offset = from + position)
    if (stop === 'invalid') this.#faultOffset = next
    else if (stop === 'blank') {
      if (next + bytes.readInt32BE(position) === segmentEnd) this.#offset = segmentEnd
      else this.#faultOffset = next
    } else if (position === 0) this.#awaitRecord(bytes, segmentEnd, upTo)
  }

  /** Not even one record is in bytes, which begin where one does. */
  #awaitRecord(bytes: Buffer, segmentEnd: number, upTo: number): void {
    const size = bytes.length < recordAt.magic + 4 ? 0 : bytes.readInt32BE(recordAt.totalSize)
    if (size <= bytes.length || size > recordBytesMax || this.#offset + size > segmentEnd) {
      this.#faultOffset = this.#offset // too near to the segment's end for a record, or its length is none
    } else if (this.#offset + size > upTo) {
      this.#needsTo = this.#offset + size
    } else {
      this.#chunk = Buffer.allocUnsafeSlow(size)
    }
  }
}
