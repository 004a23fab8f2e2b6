import {
  isBodyIntact,
  layoutOf,
  RecordMagic,
  readInt64,
  recordAt,
  recordBytesMin,
} from '../../../remoting/message/index.ts'
import { type ScannedRecord, scanChunk } from '../scan.ts'
import type { LogFiles } from './log-files.ts'

const chunkBytes = 4 * 1024 * 1024
/** Bytes of a record's head that tell whether it is one at its place: all up to phyOffset. */
const headBytes = recordAt.phyOffset + 8

/** Bytes of the log between two whole records, or behind the last one, that should be records and are not. */
export interface Damage {
  phyOffset: number
  endOffset: number
  why: string
}

export interface WalkVisitor {
  /** Called for each whole record; false ends the walk before it. */
  onRecord(record: ScannedRecord): boolean
  /** There is no segment before phyOffset, where one begins. */
  onHole?(phyOffset: number): void
  /** A place that is no record; true: that is where the log ends, and records behind it do not count. */
  onDamage(damage: Damage): boolean
  /** Called before each read, of at most chunkBytes; what it returns is waited for. */
  onProgress(phyOffset: number): void | Promise<void>
  /** Whether what is no record may be half of a write that is under way: then it is looked at again. */
  mayGrow(phyOffset: number): Promise<boolean>
}

export interface Walked {
  /** Where the whole records end. */
  endOffset: number
  /** Whole records behind a damage that ends the log. */
  behindCount: number
  isStopped: boolean
}

/** Goes through all records of a log, and past damaged places to the next whole record. Takes as much memory as one chunk. */
export async function walkLog(log: LogFiles, from: number, checkCrc: boolean, visitor: WalkVisitor): Promise<Walked> {
  const walk = new Walk(log, checkCrc, visitor)
  let end = from
  for (const segment of log.segments) {
    const { start } = segment
    if (start + log.segmentBytes <= from) continue
    if (start > end) visitor.onHole?.(start)
    end = start + log.segmentBytes
    if (!(await walk.segment(segment, Math.max(start, from)))) break
  }
  return walk.result
}

type Segment = LogFiles['segments'][number]

class Walk {
  readonly #log: LogFiles
  readonly #checkCrc: boolean
  readonly #visitor: WalkVisitor
  #buffer = Buffer.allocUnsafeSlow(chunkBytes)
  #isBehind = false
  readonly result: Walked = { endOffset: 0, behindCount: 0, isStopped: false }

  constructor(log: LogFiles, checkCrc: boolean, visitor: WalkVisitor) {
    this.#log = log
    this.#checkCrc = checkCrc
    this.#visitor = visitor
    this.result.endOffset = log.minOffset
  }

  /** @returns whether the next segment may have more */
  async segment(segment: Segment, from: number): Promise<boolean> {
    const segmentEnd = segment.start + this.#log.segmentBytes
    for (let at = from; at < segmentEnd; ) {
      await this.#visitor.onProgress(at)
      const { next, stop } = await this.#chunk(segment, at, segmentEnd)
      if (this.result.isStopped) return false
      at = next
      if (stop !== 'invalid') continue
      if (await this.#isLogEnd(segment, at)) return false
      if (!this.#isBehind && (await this.#visitor.mayGrow(at))) continue
      const why = await this.#whyInvalid(segment, at, segmentEnd)
      const found = await this.#findRecord(segment, at + 1, segmentEnd)
      if (!this.#isBehind) this.#isBehind = this.#visitor.onDamage({ phyOffset: at, endOffset: found, why })
      at = found
    }
    return true
  }

  /** Reads once and passes the records of it. */
  async #chunk(segment: Segment, at: number, segmentEnd: number): Promise<{ next: number; stop: 'more' | 'invalid' }> {
    const wanted = Math.min(this.#buffer.length, segmentEnd - at)
    const bytes = this.#buffer.subarray(0, await this.#log.read(this.#buffer.subarray(0, wanted), segment, at))
    let stoppedAt = -1
    const { position, stop } = scanChunk(bytes, at, this.#checkCrc, (record) => {
      if (stoppedAt >= 0) return
      if (this.#isBehind) this.result.behindCount++
      else if (this.#visitor.onRecord(record)) this.result.endOffset = record.phyOffset + record.layout.size
      else stoppedAt = record.phyOffset
    })
    if (stoppedAt >= 0) {
      this.result.isStopped = true
      return { next: stoppedAt, stop: 'more' }
    }
    const next = at + position
    if (stop === 'blank' && next + bytes.readInt32BE(position) === segmentEnd) {
      if (!this.#isBehind) this.result.endOffset = segmentEnd
      return { next: segmentEnd, stop: 'more' }
    }
    if (stop !== 'needsMore') return { next, stop: 'invalid' }
    if (position > 0) return { next, stop: 'more' }
    return { next, stop: this.#mayGrowBuffer(bytes, at, segmentEnd) ? 'more' : 'invalid' }
  }

  /** A record that is longer than the buffer, by what its head says: makes room for it. */
  #mayGrowBuffer(bytes: Buffer, at: number, segmentEnd: number): boolean {
    if (bytes.length < headBytes || readInt64(bytes, recordAt.phyOffset) !== at) return false
    const size = bytes.readInt32BE(0)
    if (size <= this.#buffer.length || at + size > segmentEnd) return false
    this.#buffer = Buffer.allocUnsafeSlow(size)
    return true
  }

  /** Whether there are only zeroes from here on, in this segment and at the beginning of later ones. */
  async #isLogEnd(segment: Segment, at: number): Promise<boolean> {
    for (const later of this.#log.segments) {
      if (later.start <= segment.start) continue
      const head = Buffer.alloc(4096)
      await this.#log.read(head, later, later.start)
      if (!isZero(head)) return false
    }
    const end = segment.start + this.#log.segmentBytes
    const bytes = this.#buffer.subarray(0, chunkBytes)
    for (let from = at; from < end; from += bytes.length) {
      const count = await this.#log.read(bytes.subarray(0, Math.min(bytes.length, end - from)), segment, from)
      if (!isZero(bytes.subarray(0, count))) return false
      if (count === 0) break
    }
    return true
  }

  async #whyInvalid(segment: Segment, at: number, segmentEnd: number): Promise<string> {
    const head = Buffer.alloc(Math.min(recordBytesMin, segmentEnd - at))
    const count = await this.#log.read(head, segment, at)
    if (count < 8) return count < head.length ? 'the file ends here' : 'no room for a record or an end mark'
    const size = head.readInt32BE(0)
    const magic = head.readInt32BE(recordAt.magic)
    if (magic === RecordMagic.BLANK) return `an end mark says that ${size} bytes are left, not ${segmentEnd - at}`
    if (magic !== RecordMagic.V1 && magic !== RecordMagic.V2) {
      return isZero(head) ? 'zeroes where a record should begin' : `magic ${hex(magic)} is that of no record`
    }
    if (size < recordBytesMin || at + size > segmentEnd) return `totalSize ${size} cannot be`
    const phyOffset = count < headBytes ? -1 : readInt64(head, recordAt.phyOffset)
    if (phyOffset !== at) return `the record says that it lies at phyOffset ${phyOffset}`
    const record = Buffer.allocUnsafe(size)
    if ((await this.#log.read(record, segment, at)) < size) return `the file ends within a record of ${size} bytes`
    const layout = layoutOf(record, 0)
    if (layout === undefined) return `the lengths in the record do not add up to its totalSize ${size}`
    if (!isBodyIntact(record, 0, layout)) return 'the body does not fit bodyCrc'
    return 'topic or properties hold bytes that none has' // the last thing that a scan looks at
  }

  /** Where the next whole record, or the segment's end mark, begins; the segment's end when there is none. */
  async #findRecord(segment: Segment, from: number, segmentEnd: number): Promise<number> {
    const bytes = Buffer.allocUnsafe(Math.min(chunkBytes, segmentEnd - from))
    for (let at = from; at < segmentEnd; ) {
      const count = await this.#log.read(bytes.subarray(0, Math.min(bytes.length, segmentEnd - at)), segment, at)
      for (let position = 0; position + 8 <= count; position++) {
        position = nextMagic(bytes, position, count)
        if (position < 0) break
        if (await this.#isWhole(segment, at + position, segmentEnd)) return at + position
      }
      if (count <= headBytes) break
      at += count - 8 // a magic that lies across the border is found in the next chunk
    }
    return segmentEnd
  }

  async #isWhole(segment: Segment, at: number, segmentEnd: number): Promise<boolean> {
    const head = Buffer.alloc(headBytes)
    const count = await this.#log.read(head, segment, at)
    const size = head.readInt32BE(0)
    if (head.readInt32BE(recordAt.magic) === RecordMagic.BLANK) return at + size === segmentEnd
    if (count < headBytes || readInt64(head, recordAt.phyOffset) !== at) return false
    if (size < recordBytesMin || at + size > segmentEnd) return false
    const record = Buffer.allocUnsafe(size)
    if ((await this.#log.read(record, segment, at)) < size) return false
    return scanChunk(record, at, this.#checkCrc, () => {}).position === size
  }
}

/** The next position whose record would have a magic that there is; -1: none. */
function nextMagic(bytes: Buffer, from: number, end: number): number {
  for (let position = from; position + 8 <= end; position++) {
    const high = bytes[position + 4]
    if (high !== 0xda && high !== 0xcb) continue
    const magic = bytes.readInt32BE(position + recordAt.magic)
    if (magic === RecordMagic.V1 || magic === RecordMagic.V2 || magic === RecordMagic.BLANK) return position
  }
  return -1
}

const zeroes = Buffer.alloc(64 * 1024)

export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeroes.length) {
    const part = bytes.subarray(at, at + zeroes.length)
    if (!part.equals(zeroes.subarray(0, part.length))) return false
  }
  return true
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
