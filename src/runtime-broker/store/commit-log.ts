import { assert } from '../../base/assert.ts'
import { isOperatingError, OperatingError } from '../../base/errors.ts'
import type { Files, OpenFile } from '../../base/files.ts'
import {
  blankBytes,
  encodeRecord,
  layoutOf,
  propertiesBytesMax,
  type RecordFields,
  RecordMagic,
  readInt64,
  recordAt,
  recordBytesLimit,
  recordBytesMin,
  v1TopicBytesMax,
} from '../../remoting/message/index.ts'
import { ReadAhead } from './read-ahead.ts'
import { assertWhole, Segments } from './segments.ts'

/** Room for the appends of one turn; a turn that brings more is written in parts. */
const writeBatchBytesMax = 8 * 1024 * 1024
const writeBatchBytesFirst = 256 * 1024
/** What topic, properties and fixed fields may add to a body. Apache's maxMessageSize + 64 KiB. */
const recordExtraBytesMax = 65_536
/** Segments shorter than this are made when they are needed. */
const preparedSegmentBytesMin = 1024 * 1024
/** Bytes this near the end were written a moment ago: reading them does not touch the disk. */
const hotBytes = 64 * 1024 * 1024

/** append's answer when what lies in the batch must be written first. */
export const mustWriteFirst = -1

/**
 * The one truth about messages: records one after the other in segments. Appends gather in a batch that write() hands to
 * the operating system in one piece; sync() makes it survive a power cut.
 *
 * endOffset ≥ writtenOffset ≥ flushedOffset: encoded, handed over, safe.
 */
export class CommitLog {
  readonly segments: Segments
  /** Of what lies further back than isHot says. */
  readonly ahead: ReadAhead
  readonly #recordBytesMax: number
  #batch = Buffer.allocUnsafeSlow(writeBatchBytesFirst)
  #batchBytes = 0
  #batchEndsSegment = false
  #written = 0
  #flushed = 0
  #unsynced: OpenFile[] = [] // segments written since the last sync: one, or two around a segment's end

  constructor(files: Files, directory: string, segmentBytes: number, maxMessageBytes: number) {
    this.segments = new Segments(files, directory, segmentBytes)
    this.ahead = new ReadAhead(this.segments)
    this.#recordBytesMax = Math.min(maxMessageBytes + recordExtraBytesMax, segmentBytes - blankBytes)
  }

  get minOffset(): number {
    return this.segments.minOffset
  }

  get endOffset(): number {
    return this.#written + this.#batchBytes
  }

  get writtenOffset(): number {
    return this.#written
  }

  get flushedOffset(): number {
    return this.#flushed
  }

  get hasUnwritten(): boolean {
    return this.#batchBytes > 0
  }

  /** Sets where the next record goes: recovery found the end of the valid ones there. */
  startAt(phyOffset: number): void {
    assert(this.#batchBytes === 0, 'the end of the log is set before the first append')
    this.#written = phyOffset
    this.#flushed = phyOffset
    this.ahead.forget()
  }

  /**
   * Encodes one record at the end of the batch. It ends at endOffset then.
   * @returns its size, or mustWriteFirst (nothing was taken: write, then append again)
   * @throws OperatingError MESSAGE_ILLEGAL when the record is too long
   */
  append(fields: RecordFields, topic: Buffer, queueOffset: number, storeTimestamp: number): number {
    if (this.#batchEndsSegment || !this.#hasRoom(recordBytesLimit(fields, topic.length))) return mustWriteFirst
    const phyOffset = this.#written + this.#batchBytes
    const size = encodeRecord(this.#batch, this.#batchBytes, fields, topic, queueOffset, phyOffset, storeTimestamp)
    if (size < 0 || size > this.#recordBytesMax) this.#refuse(fields, topic, size)
    if (this.#leftInSegment() < size + blankBytes) {
      this.endSegment()
      return mustWriteFirst
    }
    this.#batchBytes += size
    return size
  }

  /**
   * Puts bytes of another log, which has them at endOffset too, at the end of the batch.
   * @returns how many were taken: fewer than all where the segment ends or the batch is full; then write, and go on
   */
  appendBytes(bytes: Buffer): number {
    const count = Math.min(bytes.length, this.#leftInBatchSegment(), writeBatchBytesMax - this.#batchBytes)
    if (count === 0) return 0
    const hasRoom = this.#hasRoom(count)
    assert(hasRoom, 'a batch grows up to its limit')
    bytes.copy(this.#batch, this.#batchBytes, 0, count)
    this.#batchBytes += count
    return count
  }

  /**
   * Makes sure that records of together bytesLimit find room in the batch without a write between them.
   * @returns false: write first
   */
  reserve(bytesLimit: number): boolean {
    return !this.#batchEndsSegment && this.#hasRoom(bytesLimit)
  }

  /** Takes back what was appended from phyOffset on, which must still be in the batch. */
  rewind(phyOffset: number): void {
    assert(phyOffset >= this.#written && phyOffset <= this.endOffset, 'only unwritten records are taken back')
    this.#batchBytes = phyOffset - this.#written
    this.#batchEndsSegment = false
  }

  /** Closes this segment: the next record begins the next one. */
  endSegment(): void {
    const left = this.#leftInSegment()
    assert(left >= blankBytes, 'a segment always has room for its end mark')
    this.#batch.writeInt32BE(left, this.#batchBytes)
    this.#batch.writeInt32BE(RecordMagic.BLANK, this.#batchBytes + 4)
    this.#batchBytes += blankBytes
    this.#batchEndsSegment = true
  }

  /** Hands the batch to the operating system. @throws OperatingError FILE_FAILED; the batch is then still there */
  write(): void {
    if (this.#batchBytes === 0) return
    const { segments } = this
    const file = segments.fileForWriting(this.#written)
    const start = segments.startOf(this.#written)
    file.write(this.#batch.subarray(0, this.#batchBytes), this.#written - start)
    if (!this.#unsynced.includes(file)) this.#unsynced.push(file)
    this.#written = this.#batchEndsSegment ? start + segments.segmentBytes : this.#written + this.#batchBytes
    this.#batchBytes = 0
    this.#batchEndsSegment = false
    if (
      segments.segmentBytes >= preparedSegmentBytesMin &&
      segments.endOffset - this.#written < segments.segmentBytes / 2
    )
      this.#prepareNext()
  }

  #prepareNext(): void {
    this.segments.prepareNext().catch((error) => {
      if (!isOperatingError(error)) throw error // the write that needs the segment will fail too, and say why
    })
  }

  /** After a write that failed: forgets the batch. What of it reached the file goes with the next eraseUnwritten. */
  dropBatch(): void {
    this.#batchBytes = 0
    this.#batchEndsSegment = false
  }

  /**
   * Zeroes what a failed write may have left behind writtenOffset: left there, it could pass for records after a crash.
   * @throws OperatingError FILE_FAILED
   */
  eraseUnwritten(): void {
    this.segments.zeroFrom(this.#written)
  }

  /** Resolves when everything that was written before the call survives a power cut. @throws OperatingError FILE_FAILED */
  async sync(): Promise<void> {
    const target = this.#written
    const files = this.#unsynced
    this.#unsynced = []
    for (const file of files) await file.sync()
    if (target > this.#flushed) this.#flushed = target
  }

  /** @throws OperatingError STORE_CORRUPT when the segment being written is not where the next start looks for it */
  checkFiles(): void {
    if (this.#written > this.segments.minOffset) this.segments.check(this.#written - 1)
  }

  isHot(phyOffset: number): boolean {
    return this.#written - phyOffset <= hotBytes
  }

  /** Fills into with the bytes from phyOffset on, all within one segment. @returns how many there were */
  read(into: Buffer, phyOffset: number): number {
    return this.segments.file(phyOffset).read(into, phyOffset - this.segments.startOf(phyOffset))
  }

  readLater(into: Buffer, phyOffset: number): Promise<number> {
    return this.segments.readLater(into, phyOffset)
  }

  /** As read, for bytes that go to others: a buffer that is used again holds somebody else's where the file has none. */
  readWhole(into: Buffer, phyOffset: number): void {
    assertWhole(this.read(into, phyOffset), into, phyOffset)
  }

  /** As readWhole, from the disk if need be. */
  async readWholeLater(into: Buffer, phyOffset: number): Promise<void> {
    assertWhole(await this.readLater(into, phyOffset), into, phyOffset)
  }

  /** Whether a record of size could lie at phyOffset, for whoever was told so by a file that may be damaged. */
  mayHold(phyOffset: number, size: number): boolean {
    const { minOffset, segmentBytes } = this.segments
    if (size < recordBytesMin || phyOffset < minOffset || phyOffset + size > this.#written) return false
    return (phyOffset % segmentBytes) + size <= segmentBytes
  }

  /** The record that begins at phyOffset; undefined when none does. */
  recordAt(phyOffset: number): Buffer | undefined {
    if (!this.#mayBegin(phyOffset)) return undefined
    const head = Buffer.alloc(recordBytesMin)
    this.read(head, phyOffset)
    const record = this.#roomFor(head, phyOffset)
    if (record === undefined) return undefined
    return asRecord(record, this.read(record, phyOffset))
  }

  /** As recordAt, from the disk if need be. */
  async recordLater(phyOffset: number): Promise<Buffer | undefined> {
    if (!this.#mayBegin(phyOffset)) return undefined
    if (this.isHot(phyOffset)) return this.recordAt(phyOffset)
    const head = Buffer.alloc(recordBytesMin)
    await this.readLater(head, phyOffset)
    const record = this.#roomFor(head, phyOffset)
    if (record === undefined || !this.#mayBegin(phyOffset)) return undefined
    return asRecord(record, await this.readLater(record, phyOffset))
  }

  #mayBegin(phyOffset: number): boolean {
    return phyOffset >= this.minOffset && phyOffset + recordBytesMin <= this.#written
  }

  #roomFor(head: Buffer, phyOffset: number): Buffer | undefined {
    const size = head.readInt32BE(recordAt.totalSize)
    const left = this.segments.segmentBytes - (phyOffset % this.segments.segmentBytes)
    if (size < recordBytesMin || size > left || readInt64(head, recordAt.phyOffset) !== phyOffset) return undefined
    return Buffer.allocUnsafe(size)
  }

  /** @param isClean what was made ahead of time goes: other brokers take an empty segment for a crash's */
  close(isClean: boolean): void {
    if (isClean) this.segments.removeSpare(this.#written)
    this.segments.close()
  }

  #leftInSegment(): number {
    return this.segments.segmentBytes - (this.endOffset % this.segments.segmentBytes)
  }

  /** As #leftInSegment, but none at all once the batch ends where its segment does. */
  #leftInBatchSegment(): number {
    const { segmentBytes } = this.segments
    return segmentBytes - (this.#written % segmentBytes) - this.#batchBytes
  }

  #hasRoom(bytes: number): boolean {
    const needed = this.#batchBytes + bytes
    if (needed <= this.#batch.length) return true
    if (this.#batchBytes > 0 && needed > writeBatchBytesMax) return false
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(2 * this.#batch.length, writeBatchBytesMax)))
    this.#batch.copy(grown, 0, 0, this.#batchBytes)
    this.#batch = grown
    return true
  }

  #refuse(fields: RecordFields, topic: Buffer, size: number): never {
    throw new OperatingError('MESSAGE_ILLEGAL', {
      bodyBytes: fields.body.length,
      topicBytes: topic.length,
      ...(size < 0
        ? { propertiesBytesMax }
        : { recordBytes: size, recordBytesMax: this.#recordBytesMax, v1TopicBytesMax }),
    })
  }
}

/** Where the file ends within the record, the rest of the buffer is what its memory held before: it must reach nobody. */
function asRecord(record: Buffer, bytes: number): Buffer | undefined {
  return bytes < record.length || layoutOf(record, 0) === undefined ? undefined : record
}
