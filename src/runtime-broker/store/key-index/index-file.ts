import { assert } from '../../../base/assert.ts'
import { OperatingError } from '../../../base/errors.ts'
import type { Files, OpenFile } from '../../../base/files.ts'
import { readInt64, writeInt64 } from '../../../remoting/message/index.ts'

export const headerBytes = 40
const slotBytes = 4
export const entryBytes = 20
/** Slots are read and written by pages of so many. */
const pageSlots = 1024
const pageBytes = pageSlots * slotBytes
/** Entries that gather before they are written. */
const tailEntriesMax = 3072
/** Entries that are read at once when slots are made anew from them. */
const rebuildEntries = 12_800

/** How large index files are: maxHashSlotNum, maxIndexNum. */
export interface IndexShape {
  slotCount: number
  entryCountMax: number
}

export function indexFileBytes({ slotCount, entryCountMax }: IndexShape): number {
  return headerBytes + slotCount * slotBytes + entryCountMax * entryBytes
}

export interface IndexHeader {
  beginTimestamp: number // storeTimestamp of the first entry's message
  endTimestamp: number
  beginPhyOffset: number
  endPhyOffset: number // where the last entry's message begins
  slotsUsed: number
  /** Number of the next entry: they are counted from 1. */
  count: number
}

interface Slots {
  values: Int32Array // allocated as zeroes: what is not touched takes no memory
  pages: Uint8Array // state of each page
}
const pageUnread = 0
const pageClean = 1
const pageChanged = 2

/**
 * A hash table in a file: slots name the newest entry of their chain, each entry the one before it.
 * ```
 * header 40 | slots, i32 each | entries: keyHash i32, phyOffset i64, seconds since beginTimestamp i32, previous i32
 * ```
 * While a file grows its slots are in memory; entries are written one after the other. On disk the slots are complete
 * only in a file that was finished or stopped cleanly: they can always be made again from the entries.
 * Source: Apache RocketMQ 5, IndexFile, IndexHeader.
 */
export class IndexFile {
  readonly path: string
  readonly header: IndexHeader
  readonly #file: OpenFile
  readonly #shape: IndexShape
  #slots: Slots | undefined
  #tail: Buffer | undefined // entries before header.count that are not in the file
  #tailCount = 0
  #slotPageAt = 0 // where writeSlots goes on
  #usesUnderWay = 0
  #isClosed = false
  /** Bytes since the last sync. */
  isUnsynced = false

  private constructor(file: OpenFile, shape: IndexShape, header: IndexHeader) {
    this.path = file.path
    this.header = header
    this.#file = file
    this.#shape = shape
  }

  /** Makes an empty file; the times and offsets of the one before it stand in until it has an entry, as Apache's do. */
  static create(files: Files, path: string, shape: IndexShape, before: IndexHeader | undefined): IndexFile {
    const file = files.open(path, 'either')
    try {
      file.truncate(0)
      file.truncate(indexFileBytes(shape))
      const index = new IndexFile(file, shape, {
        beginTimestamp: before?.endTimestamp ?? 0,
        endTimestamp: before?.endTimestamp ?? 0,
        beginPhyOffset: before?.endPhyOffset ?? 0,
        endPhyOffset: before?.endPhyOffset ?? 0,
        slotsUsed: 0,
        count: 1,
      })
      index.#grow(pageClean)
      index.writeHeader()
      return index
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** @throws OperatingError STORE_CORRUPT when its length or header is not what it must be */
  static open(files: Files, path: string, shape: IndexShape): IndexFile {
    const file = files.open(path, 'existing')
    try {
      const sizeBytes = file.sizeBytes()
      const expectedBytes = indexFileBytes(shape)
      if (sizeBytes !== expectedBytes) throw new OperatingError('STORE_CORRUPT', { path, sizeBytes, expectedBytes })
      const header = readHeader(file)
      const { count, slotsUsed, beginPhyOffset, endPhyOffset } = header
      const isSound =
        count >= 1 &&
        count <= shape.entryCountMax &&
        slotsUsed >= 0 &&
        slotsUsed < count &&
        beginPhyOffset <= endPhyOffset
      if (!isSound) throw new OperatingError('STORE_CORRUPT', { path, ...header })
      return new IndexFile(file, shape, header)
    } catch (error) {
      file.close()
      throw error
    }
  }

  get isFull(): boolean {
    return this.header.count >= this.#shape.entryCountMax
  }

  get isGrowing(): boolean {
    return this.#slots !== undefined
  }

  /** Makes ready for more entries; the slots in the file are believed. */
  growOn(): void {
    this.#grow(pageUnread)
  }

  /**
   * Forgets the entries from count on and makes the slots from those that stay: what the file says about both may be
   * half of a write.
   * @throws OperatingError STORE_CORRUPT when an entry is none
   */
  async growFrom(count: number): Promise<void> {
    const slots = this.#grow(pageClean)
    const { header } = this
    header.count = 1
    header.slotsUsed = 0
    const bytes = Buffer.allocUnsafeSlow(rebuildEntries * entryBytes)
    for (let first = 1; first < count; first += rebuildEntries) {
      const block = bytes.subarray(0, Math.min(rebuildEntries, count - first) * entryBytes)
      const isWhole = (await this.#file.readLater(block, this.#entryAt(first))) === block.length
      for (let at = 0; at < block.length && isWhole; at += entryBytes) {
        const slot = block.readInt32BE(at) % this.#shape.slotCount
        if (slot < 0 || slots.values[slot] !== block.readInt32BE(at + 16)) break
        if (slots.values[slot] === 0) header.slotsUsed++
        slots.values[slot] = header.count++
        header.endPhyOffset = readInt64(block, at + 4)
        header.endTimestamp = header.beginTimestamp + block.readInt32BE(at + 12) * 1000 + 999 // seconds are all that is left
      }
    }
    if (header.count !== count)
      throw new OperatingError('STORE_CORRUPT', { path: this.path, countExpected: count, ...header })
    slots.pages.fill(pageChanged)
  }

  /** Adds an entry; the file must grow and not be full. @throws OperatingError FILE_FAILED; then nothing was added */
  put(hash: number, phyOffset: number, storeTimestamp: number): void {
    if (this.#tailCount === tailEntriesMax) this.writeEntries()
    const { header } = this
    const slots = this.#slots
    assert(slots !== undefined && header.count < this.#shape.entryCountMax, 'only a growing index file takes entries')
    const slot = hash % this.#shape.slotCount
    const previous = this.#newestOf(slots, slot)
    if (header.count === 1) {
      header.beginTimestamp = storeTimestamp
      header.beginPhyOffset = phyOffset
    }
    const seconds = Math.floor((storeTimestamp - header.beginTimestamp) / 1000)
    this.#tail ??= Buffer.allocUnsafeSlow(tailEntriesMax * entryBytes)
    const at = this.#tailCount * entryBytes
    this.#tail.writeInt32BE(hash, at)
    writeInt64(this.#tail, phyOffset, at + 4)
    this.#tail.writeInt32BE(Math.min(Math.max(0, seconds), 0x7fff_ffff), at + 12)
    this.#tail.writeInt32BE(previous, at + 16)
    this.#tailCount++
    slots.values[slot] = header.count
    slots.pages[Math.floor(slot / pageSlots)] = pageChanged
    if (previous === 0) header.slotsUsed++
    header.count++
    header.endPhyOffset = phyOffset
    header.endTimestamp = storeTimestamp
  }

  /** @throws OperatingError FILE_FAILED; the entries stay in memory then */
  writeEntries(): void {
    if (this.#tailCount === 0) return
    this.#file.write(
      this.#tail!.subarray(0, this.#tailCount * entryBytes),
      this.#entryAt(this.header.count - this.#tailCount),
    )
    this.#tailCount = 0
    this.isUnsynced = true
  }

  writeHeader(): void {
    const { header } = this
    const bytes = Buffer.allocUnsafe(headerBytes)
    writeInt64(bytes, header.beginTimestamp, 0)
    writeInt64(bytes, header.endTimestamp, 8)
    writeInt64(bytes, header.beginPhyOffset, 16)
    writeInt64(bytes, header.endPhyOffset, 24)
    bytes.writeInt32BE(header.slotsUsed, 32)
    bytes.writeInt32BE(header.count, 36)
    this.#file.write(bytes, 0)
    this.isUnsynced = true
  }

  /**
   * Writes changed slots, at most pagesMax pages of them.
   * @returns whether all are in the file now
   */
  writeSlots(pagesMax: number): boolean {
    const slots = this.#slots
    if (slots === undefined) return true
    const { pages } = slots
    let left = pagesMax
    while (this.#slotPageAt < pages.length) {
      const first = this.#slotPageAt
      if (pages[first] !== pageChanged) {
        this.#slotPageAt++
        continue
      }
      if (left === 0) return false
      let end = first
      while (end < pages.length && pages[end] === pageChanged && end - first < left) end++
      left -= end - first
      this.#file.write(slotsToBytes(slots.values, first * pageSlots, end * pageSlots), headerBytes + first * pageBytes)
      this.isUnsynced = true
      pages.fill(pageClean, first, end)
      this.#slotPageAt = end
    }
    this.#slotPageAt = 0
    return true
  }

  /** No more entries come, and all of it is in the file: its memory goes. */
  endGrowth(): void {
    assert(this.#tailCount === 0, 'an index file is finished when its entries are written')
    this.#slots = undefined
    this.#tail = undefined
  }

  async sync(): Promise<void> {
    if (!this.isUnsynced) return
    this.isUnsynced = false
    try {
      await this.#use(this.#file.sync())
    } catch (error) {
      this.isUnsynced = true
      throw error
    }
  }

  /** Number of the newest entry of the hash's chain; 0: there is none. */
  async newestEntry(hash: number): Promise<number> {
    const slot = hash % this.#shape.slotCount
    if (this.#slots !== undefined) return this.#newestOf(this.#slots, slot)
    const bytes = Buffer.alloc(slotBytes)
    await this.#use(this.#file.readLater(bytes, headerBytes + slot * slotBytes))
    return this.#sound(bytes.readInt32BE(0))
  }

  /** Reads the entries [first, first + into.length / entryBytes), which must be there. */
  async readEntries(into: Buffer, first: number): Promise<void> {
    const filed = this.header.count - this.#tailCount
    const inFile = Math.min(into.length / entryBytes, Math.max(0, filed - first))
    const rest = into.subarray(inFile * entryBytes)
    const at = (first + inFile - filed) * entryBytes
    if (rest.length > 0) this.#tail!.copy(rest, 0, at, at + rest.length) // first: meanwhile it may be written
    if (inFile > 0) await this.#use(this.#file.readLater(into.subarray(0, inFile * entryBytes), this.#entryAt(first)))
  }

  /** No more calls come; those under way end well. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#usesUnderWay === 0) this.#file.close()
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  async #use<T>(work: Promise<T>): Promise<T> {
    this.#usesUnderWay++
    try {
      return await work
    } finally {
      if (--this.#usesUnderWay === 0 && this.#isClosed) this.#file.close()
    }
  }

  #grow(pageState: number): Slots {
    const { slotCount } = this.#shape
    const pages = new Uint8Array(Math.ceil(slotCount / pageSlots)).fill(pageState)
    this.#slots = { values: new Int32Array(slotCount), pages }
    this.#slotPageAt = 0
    return this.#slots
  }

  #newestOf(slots: Slots, slot: number): number {
    const page = Math.floor(slot / pageSlots)
    if (slots.pages[page] === pageUnread) {
      const first = page * pageSlots
      const bytes = Buffer.alloc(Math.min(pageSlots, this.#shape.slotCount - first) * slotBytes)
      this.#file.read(bytes, headerBytes + page * pageBytes)
      for (let index = 0; index < bytes.length / slotBytes; index++) {
        slots.values[first + index] = bytes.readInt32BE(index * slotBytes)
      }
      slots.pages[page] = pageClean
    }
    return this.#sound(slots.values[slot]!)
  }

  #sound(entry: number): number {
    return entry > 0 && entry < this.header.count ? entry : 0
  }

  #entryAt(entry: number): number {
    return headerBytes + this.#shape.slotCount * slotBytes + entry * entryBytes
  }
}

function readHeader(file: OpenFile): IndexHeader {
  const bytes = Buffer.alloc(headerBytes)
  file.read(bytes, 0)
  return {
    beginTimestamp: readInt64(bytes, 0),
    endTimestamp: readInt64(bytes, 8),
    beginPhyOffset: readInt64(bytes, 16),
    endPhyOffset: readInt64(bytes, 24),
    slotsUsed: bytes.readInt32BE(32),
    count: Math.max(1, bytes.readInt32BE(36)), // 0 in a file that Apache made and never wrote
  }
}

function slotsToBytes(values: Int32Array, first: number, end: number): Buffer {
  const part = values.subarray(first, end)
  const bytes = Buffer.allocUnsafe(part.length * slotBytes)
  for (let index = 0; index < part.length; index++) bytes.writeInt32BE(part[index]!, index * slotBytes)
  return bytes
}
