import { assert } from '../../base/assert.ts'
import type { Files } from '../../base/files.ts'
import { readInt64, writeInt64 } from '../../remoting/message/index.ts'
import type { FilePool, PooledFile } from './file-pool.ts'
import { loadStarts, offsetName } from './segments.ts'

/** One unit: phyOffset i64, size i32, tagsCode i64. Source: Apache RocketMQ 5, ConsumeQueue. */
export const unitBytes = 20
const tailUnitsFirst = 32
/** Units of one queue that wait in memory before they are written without waiting for the flush interval. */
const tailUnitsMax = 2048
/** Size of the units that stand before the first real one in a file whose beginning never was: Apache's preBlank. */
const preBlankSize = 0x7fffffff
/** Read at once where a file is looked through: one page of the system's, in whole units. */
const pageBytes = 4096 - (4096 % unitBytes)

/** What all queues of a store share. */
export interface QueueShelf {
  files: Files
  pool: FilePool
  fileBytes: number
  /** A queue has units that are not in its file. */
  onDirty(queue: ConsumeQueue): void
  /** Writes the queue's tail, or notes that this failed and says false. */
  tryWriteTail(queue: ConsumeQueue): boolean
  /** A file got units that would not survive a power cut yet. */
  onUnsynced(path: string): void
  /** A file goes. */
  onRemoved(path: string): void
}

const zeroes = Buffer.alloc(pageBytes)

/**
 * Where the messages of one queue lie in the commit log, by queueOffset. Units gather in memory (the tail) and reach the
 * file in batches; readers see both. Everything here can be rebuilt from the log.
 *
 * nextOffset ≥ maxOffset ≥ #filedOffset: given to an append, readable, in the file.
 */
export class ConsumeQueue {
  readonly topic: string
  readonly queueId: number
  readonly directory: string
  readonly #shelf: QueueShelf
  #files: number[] = [] // starts, in bytes, of the files there are
  #lastUsed: PooledFile | undefined
  #lastUsedStart = -1
  #tail: Buffer | undefined
  #filedOffset = 0
  nextOffset = 0
  maxOffset = 0
  minOffset = 0
  isDirty = false
  /** Its topic was deleted: what still comes for it is dropped. */
  isRemoved = false
  dirtySinceMs = 0

  constructor(topic: string, queueId: number, directory: string, shelf: QueueShelf) {
    this.topic = topic
    this.queueId = queueId
    this.directory = directory
    this.#shelf = shelf
  }

  get tailBytes(): number {
    return (this.maxOffset - this.#filedOffset) * unitBytes
  }

  /** Adds the unit of the message at maxOffset: it is readable from now on. */
  push(phyOffset: number, size: number, tagsCode: number): void {
    let at = this.tailBytes
    if (this.#tail === undefined || at === this.#tail.length) at = this.#makeRoom()
    const tail = this.#tail!
    writeInt64(tail, phyOffset, at)
    tail.writeInt32BE(size, at + 8)
    writeInt64(tail, tagsCode, at + 12)
    this.maxOffset++
    if (!this.isDirty) this.#shelf.onDirty(this)
  }

  /** Lets the queue, which has no units, begin at queueOffset: earlier messages are gone with retention or a copy. */
  beginAt(queueOffset: number): void {
    assert(this.maxOffset === this.minOffset && this.tailBytes === 0, 'only an empty queue begins elsewhere')
    this.#filedOffset = this.maxOffset = this.minOffset = this.nextOffset = queueOffset
  }

  /** Writes the tail to the file. @throws OperatingError FILE_FAILED; the units stay in memory then */
  writeTail(): void {
    const { fileBytes } = this.#shelf
    while (this.#filedOffset < this.maxOffset) {
      const position = this.#filedOffset * unitBytes
      const start = position - (position % fileBytes)
      const bytes = Math.min(this.tailBytes, start + fileBytes - position)
      const pooled = this.#fileForWriting(start, position)
      pooled.file.write(this.#tail!.subarray(0, bytes), position - start)
      this.#shelf.onUnsynced(pooled.path)
      this.#filedOffset += bytes / unitBytes
      this.#tail!.copyWithin(0, bytes)
    }
    if (this.#tail !== undefined && this.#tail.length !== tailUnitsMax * unitBytes) this.#tail = undefined
  }

  /**
   * Copies units from queueOffset on to the beginning of into.
   * @returns how many: fewer than asked at maxOffset, or at a file's end
   */
  readUnits(into: Buffer, queueOffset: number, count: number): number {
    const wanted = Math.min(count, this.maxOffset - queueOffset)
    if (wanted <= 0) return 0
    if (queueOffset >= this.#filedOffset) {
      const at = (queueOffset - this.#filedOffset) * unitBytes
      this.#tail!.copy(into, 0, at, at + wanted * unitBytes)
      return wanted
    }
    const { fileBytes } = this.#shelf
    const position = queueOffset * unitBytes
    const start = position - (position % fileBytes)
    const filedBytes = this.#filedOffset * unitBytes - position
    const bytes = Math.min(wanted * unitBytes, filedBytes, start + fileBytes - position)
    this.#file(start).file.read(into.subarray(0, bytes), position - start)
    if (bytes < filedBytes || this.#tail === undefined) return bytes / unitBytes
    return (bytes + this.#tail.copy(into, bytes, 0, wanted * unitBytes - bytes)) / unitBytes
  }

  /** phyOffset of one unit. */
  phyOffsetAt(queueOffset: number): number {
    this.readUnits(scratch, queueOffset, 1)
    return readInt64(scratch, 0)
  }

  /** End in the log of the last message: 0 when there is none. */
  lastEnd(): number {
    if (this.maxOffset === this.minOffset) return 0
    this.readUnits(scratch, this.maxOffset - 1, 1)
    return readInt64(scratch, 0) + scratch.readInt32BE(8)
  }

  /** End in the log of the last message that ends at or before phyOffset; 0 when there is none. */
  lastEndBefore(phyOffset: number): number {
    const endOf = (unit: Buffer) => readInt64(unit, 0) + unit.readInt32BE(8)
    const isLater = (unit: Buffer) => unit.readInt32BE(8) !== preBlankSize && endOf(unit) > phyOffset
    const later = this.search(isLater)
    if (later === this.minOffset) return 0
    this.readUnits(scratch, later - 1, 1)
    return endOf(scratch)
  }

  /**
   * First queueOffset in [from, maxOffset) whose unit satisfies holds, which must be false up to some unit and true from
   * there on; maxOffset when none does.
   */
  search(holds: (unit: Buffer) => boolean, from = this.minOffset): number {
    let low = from
    let high = this.maxOffset
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      this.readUnits(scratch, middle, 1)
      if (holds(scratch)) high = middle
      else low = middle + 1
    }
    return low
  }

  /**
   * Reads from the directory which units there are.
   * @param logMinOffset units of messages below it are no longer part of the queue
   * @param logEndOffset units of messages at or above it are not trusted: they are cut
   * @throws OperatingError STORE_CORRUPT when a file has another length or name than it must
   */
  load(logMinOffset: number, logEndOffset: number): void {
    const { files, fileBytes } = this.#shelf
    this.#files = loadStarts(files, this.directory, fileBytes)
    const firstStart = this.#files[0]
    if (firstStart === undefined) return
    this.#lastUsed = undefined
    this.#filedOffset = this.maxOffset = this.#findEnd((unit) => isTrusted(unit, logEndOffset))
    this.minOffset = this.search(
      (unit) => unit.readInt32BE(8) !== preBlankSize && readInt64(unit, 0) >= logMinOffset,
      firstStart / unitBytes,
    )
    this.nextOffset = this.maxOffset
    this.#cutFiles()
  }

  /**
   * Forgets the messages that the log no longer has, and removes the files that hold nothing else. The last file stays: it
   * knows which queueOffset comes next.
   * @returns whether anything was forgotten
   */
  trim(logMinOffset: number): boolean {
    if (this.minOffset === this.maxOffset || this.phyOffsetAt(this.minOffset) >= logMinOffset) return false
    this.minOffset = this.search((unit) => readInt64(unit, 0) >= logMinOffset)
    const { files, pool, fileBytes } = this.#shelf
    while (this.#files.length > 1 && this.#files[0]! + fileBytes <= this.minOffset * unitBytes) {
      const start = this.#files.shift()!
      const path = this.#path(start)
      if (this.#lastUsedStart === start) {
        this.#lastUsed = undefined
        this.#lastUsedStart = -1
      }
      pool.dropFile(path)
      this.#shelf.onRemoved(path)
      files.remove(path)
      files.syncDirectory(this.directory) // a later file that goes first would leave a hole
    }
    return true
  }

  /** Forgets all units; the queue begins again at queueOffset. */
  restart(queueOffset: number): void {
    this.forget()
    this.#shelf.files.remove(this.directory)
    this.beginAt(queueOffset)
  }

  /** Closes what is open: the directory goes. */
  forget(): void {
    this.#shelf.pool.drop(this.directory)
    this.#files = []
    this.#lastUsed = undefined
    this.#lastUsedStart = -1
    this.#tail = undefined
    this.#filedOffset = this.nextOffset = this.maxOffset = this.minOffset = 0
  }

  /**
   * Trusted units come first in every file and untrusted ones follow: the border is searched, last file first, from the file's
   * beginning in growing strides, since most queues are short and a start looks at all of them.
   */
  #findEnd(isGood: (unit: Buffer) => boolean): number {
    const { fileBytes } = this.#shelf
    const pageCount = Math.ceil(fileBytes / pageBytes)
    for (let index = this.#files.length - 1; index >= 0; index--) {
      const start = this.#files[index]!
      const { file } = this.#file(start)
      const beginsGood = (page: number) => {
        file.read(scratch, page * pageBytes)
        return isGood(scratch)
      }
      let low = 0
      let high = pageCount // the first page whose first unit is not good lies in [low, high]
      for (let probe = 0; probe < high; probe = 2 * probe + 1) {
        if (beginsGood(probe)) low = probe + 1
        else high = probe
      }
      while (low < high) {
        const middle = low + Math.floor((high - low) / 2)
        if (beginsGood(middle)) low = middle + 1
        else high = middle
      }
      if (low === 0) continue // nothing good in this file
      const pageStart = (low - 1) * pageBytes
      const units = file.read(page.subarray(0, Math.min(pageBytes, fileBytes - pageStart)), pageStart) / unitBytes
      let good = 1
      while (good < units && isGood(page.subarray(good * unitBytes))) good++
      return (start + pageStart) / unitBytes + good
    }
    return this.#files[0]! / unitBytes
  }

  /** Takes away what lies behind maxOffset, so that no later load mistakes it for units. */
  #cutFiles(): void {
    const { files, fileBytes } = this.#shelf
    const end = this.maxOffset * unitBytes
    while (this.#files.length > 1 && this.#files.at(-1)! >= end) {
      const path = this.#path(this.#files.pop()!)
      this.#shelf.pool.drop(this.directory)
      files.remove(path)
    }
    const start = this.#files.at(-1)
    if (start === undefined || end === start + fileBytes) return
    const { file, path } = this.#file(start)
    const count = file.read(page.subarray(0, Math.min(pageBytes, start + fileBytes - end)), end - start)
    if (page.subarray(0, count).equals(zeroes.subarray(0, count))) return
    file.truncate(end - start)
    file.truncate(fileBytes)
    this.#shelf.onUnsynced(path)
  }

  #makeRoom(): number {
    if (this.#tail === undefined) {
      this.#tail = Buffer.allocUnsafe(tailUnitsFirst * unitBytes)
      return 0
    }
    if (this.#tail.length >= tailUnitsMax * unitBytes && this.#shelf.tryWriteTail(this)) return this.tailBytes
    // A tail that cannot be written grows on: the store takes no new messages then, so it ends with those on their way.
    const grown = Buffer.allocUnsafe(4 * this.#tail.length)
    this.#tail.copy(grown)
    this.#tail = grown
    return this.tailBytes
  }

  #file(start: number): PooledFile {
    const last = this.#lastUsed
    if (last?.isOpen && this.#lastUsedStart === start) {
      last.wasUsed = true
      return last
    }
    this.#lastUsedStart = start
    return (this.#lastUsed = this.#shelf.pool.get(this.#path(start)))
  }

  #fileForWriting(start: number, position: number): PooledFile {
    if (this.#files.at(-1) === start) return this.#file(start)
    const { files, pool, fileBytes } = this.#shelf
    if (this.#files.length === 0) files.makeDirectory(this.directory)
    const pooled = pool.create(this.#path(start), fileBytes)
    for (let at = start; at < position && this.#files.length === 0; at += preBlank.length) {
      pooled.file.write(preBlank.subarray(0, Math.min(preBlank.length, position - at)), at - start)
    }
    this.#files.push(start)
    this.#lastUsed = pooled
    this.#lastUsedStart = start
    return pooled
  }

  #path(start: number): string {
    return `${this.directory}/${offsetName(start)}`
  }
}

function isTrusted(unit: Buffer, logEndOffset: number): boolean {
  const phyOffset = readInt64(unit, 0)
  const size = unit.readInt32BE(8)
  if (size === preBlankSize && phyOffset === 0) return true
  return size > 0 && phyOffset >= 0 && phyOffset + size <= logEndOffset
}

const scratch = Buffer.alloc(unitBytes) // for one unit, within one call
const page = Buffer.alloc(pageBytes) // for a page of units, within one call

const preBlank = Buffer.alloc(zeroes.length)
for (let at = 0; at < preBlank.length; at += unitBytes) preBlank.writeInt32BE(preBlankSize, at + 8)
