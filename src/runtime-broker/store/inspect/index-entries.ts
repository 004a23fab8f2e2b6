import type { Files, OpenFile } from '../../../base/files.ts'
import { readInt64 } from '../../../remoting/message/index.ts'
import { entryBytes, headerBytes, IndexFile, type IndexShape } from '../key-index/index-file.ts'

const slotBytes = 4
/** Entries, and slots, that are read at once. */
const blockCount = 12_800

export interface IndexEntry {
  hash: number
  phyOffset: number
}

/**
 * The entries of one index file in their order. On the way it makes the slots anew, so that it can tell which chains are
 * not what the entries say.
 */
export class IndexEntries {
  readonly path: string
  readonly #file: OpenFile
  readonly #count: number // of the next entry: they are counted from 1
  readonly #slotCount: number
  readonly #newest: Int32Array
  readonly #block = Buffer.allocUnsafeSlow(blockCount * entryBytes)
  #blockFirst = 1
  #blockEnd = 1
  #at = 1
  brokenCount = 0

  /** @throws OperatingError STORE_CORRUPT when its length or header is not what it must be */
  constructor(files: Files, path: string, shape: IndexShape) {
    const index = IndexFile.open(files, path, shape)
    this.#count = index.header.count
    index.close()
    this.path = path
    this.#slotCount = shape.slotCount
    this.#newest = new Int32Array(shape.slotCount)
    this.#file = files.open(path, 'reading')
  }

  /** @returns undefined behind the last one */
  next(): IndexEntry | undefined {
    if (this.#at >= this.#count) return undefined
    if (this.#at >= this.#blockEnd) {
      this.#blockFirst = this.#at
      const bytes = Math.min(blockCount, this.#count - this.#at) * entryBytes
      this.#file.read(this.#block.subarray(0, bytes), headerBytes + this.#slotCount * slotBytes + this.#at * entryBytes)
      this.#blockEnd = this.#at + bytes / entryBytes
    }
    const at = (this.#at - this.#blockFirst) * entryBytes
    const hash = this.#block.readInt32BE(at)
    const slot = hash % this.#slotCount
    if (slot < 0 || this.#newest[slot] !== this.#block.readInt32BE(at + 16)) this.brokenCount++
    if (slot >= 0) this.#newest[slot] = this.#at
    this.#at++
    return { hash, phyOffset: readInt64(this.#block, at + 4) }
  }

  /** Slots in the file that are not those of its entries; call it behind the last entry. */
  wrongSlots(): number {
    const bytes = Buffer.allocUnsafe(blockCount * slotBytes)
    let count = 0
    for (let first = 0; first < this.#slotCount; first += blockCount) {
      const slots = Math.min(blockCount, this.#slotCount - first)
      this.#file.read(bytes.subarray(0, slots * slotBytes), headerBytes + first * slotBytes)
      for (let slot = 0; slot < slots; slot++) {
        if (bytes.readInt32BE(slot * slotBytes) !== this.#newest[first + slot]) count++
      }
    }
    return count
  }

  close(): void {
    this.#file.close()
  }
}
