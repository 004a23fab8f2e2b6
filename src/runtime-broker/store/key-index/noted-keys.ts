import type { KeyTaker } from './records.ts'

const entriesMax = 16_384 // of what a broker takes in the 50 ms until they are asked for, with room to spare

/**
 * The keys of messages that came lately, whose sender's header told them: what is noted need not be read from the log. A
 * ring of one entry a key, which are those of whole records in the order of the log; what finds no room is left to the log.
 */
export class NotedKeys {
  #columns: Columns | undefined
  #head = 0
  #count = 0

  /** @param hashes of all keys of the record at phyOffset: the first count, at least one */
  note(phyOffset: number, size: number, storeTimestamp: number, hashes: readonly number[], count: number): void {
    if (this.#count + count > entriesMax) return
    this.#columns ??= newColumns()
    const columns = this.#columns
    for (let index = 0; index < count; index++) {
      const at = (this.#head + this.#count++) % entriesMax
      columns.hashes[at] = hashes[index]!
      columns.phyOffsets[at] = phyOffset
      columns.sizes[at] = size
      columns.storeTimestamps[at] = storeTimestamp
    }
  }

  /** Where the first record begins; Infinity: there is none. */
  get first(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : this.#columns!.phyOffsets[this.#head]!
  }

  /** What lies before phyOffset was indexed, or is gone. */
  forgetBefore(phyOffset: number): void {
    while (this.first < phyOffset) this.#drop(1)
  }

  /** The log ends at phyOffset now. */
  forgetFrom(phyOffset: number): void {
    const phyOffsets = this.#columns?.phyOffsets
    while (this.#count > 0 && phyOffsets![(this.#head + this.#count - 1) % entriesMax]! >= phyOffset) this.#count--
  }

  /**
   * Tells the keys of the first record, and of those that follow it without a gap, up to end.
   * @returns as KeyReader's read
   */
  tell(end: number, take: KeyTaker): { next: number; wasTaken: boolean; isLost: boolean } {
    const { hashes, phyOffsets, sizes, storeTimestamps } = this.#columns!
    let next = phyOffsets[this.#head]!
    for (let records = 0; records < recordsAtOnce; records++) {
      if (this.#count === 0 || next >= end || phyOffsets[this.#head] !== next) break
      const head = this.#head
      let count = 0
      for (let at = head; count < this.#count && phyOffsets[at] === next; at = (at + 1) % entriesMax) {
        ofOne[count++] = hashes[at]!
      }
      if (!take(ofOne, count, next, storeTimestamps[head]!)) return { next, wasTaken: false, isLost: false }
      next += sizes[head]!
      this.#drop(count)
    }
    return { next, wasTaken: true, isLost: false }
  }

  #drop(count: number): void {
    this.#head = (this.#head + count) % entriesMax
    this.#count -= count
  }
}

const recordsAtOnce = 64
const ofOne: number[] = []

type Columns = ReturnType<typeof newColumns>

function newColumns() {
  return {
    hashes: new Int32Array(entriesMax),
    phyOffsets: new Float64Array(entriesMax),
    sizes: new Int32Array(entriesMax),
    storeTimestamps: new Float64Array(entriesMax),
  }
}
