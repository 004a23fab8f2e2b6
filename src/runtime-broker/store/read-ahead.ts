import { assertWhole, type Segments } from './segments.ts'

/** What is read at once for readers that go on: one message of a kibibyte costs an eighth of what it does read by itself. */
export const aheadChunkBytes = 512 * 1024
const chunkCountMax = 16
/** Chunks that somebody read in lately. */
const touchedCountMax = 256

interface Chunk {
  /** aheadChunkBytes; bytes are a part of it. */
  readonly room: Buffer
  readonly bytes: Buffer
  /** Undefined once the bytes are there. */
  loading: Promise<void> | undefined
}

/**
 * The part of the log that consumers with a backlog are reading, in memory. They read on from where they were, and those of several
 * queues read in the same places, since the log holds the queues' messages side by side: a few large reads beside the event loop
 * serve what would be one for each pull. A reader of a single place is none of these, and is told so.
 */
export class ReadAhead {
  readonly #segments: Segments
  readonly #chunks = new Map<number, Chunk>() // by where they begin; the one used last comes last
  readonly #touched = new Set<number>() // as #chunks
  /** Room of chunks that are gone: a fresh one would have the garbage collector at work all the time. */
  readonly #spare: Buffer[] = [] // chunkCountMax at most
  #loadingCount = 0 // of chunks, also of those that were dropped meanwhile

  constructor(segments: Segments) {
    this.#segments = segments
  }

  /**
   * Copies bytes of the log, all of one segment, to into.
   * @returns false: they are not all in memory
   */
  copy(into: Buffer, at: number, phyOffset: number, size: number): boolean {
    for (let done = 0; done < size; ) {
      const start = this.#startOf(phyOffset + done)
      const chunk = this.#chunks.get(start)
      if (chunk === undefined || chunk.loading !== undefined) return false
      const from = phyOffset + done - start
      done += chunk.bytes.copy(into, at + done, from, Math.min(chunk.bytes.length, from + size - done))
    }
    return true
  }

  /**
   * Whether the reader of a range, all of one segment, goes on from a place where somebody read lately. Remembers that it was read.
   */
  isGoingOn(phyOffset: number, end: number): boolean {
    let isGoingOn = true
    for (const start of this.#startsOf(phyOffset, end)) {
      isGoingOn &&= this.#touched.has(start) || this.#touched.has(this.#startOf(Math.max(0, start - 1)))
      refresh(this.#touched, start)
    }
    return isGoingOn
  }

  /** So much is on its way that bringing this range too could drop what others wait for: its reader reads it alone. */
  isCrowdedFor(phyOffset: number, end: number): boolean {
    if (this.#loadingCount <= chunkCountMax / 2) return false
    return this.#startsOf(phyOffset, end).some((start) => !this.#chunks.has(start))
  }

  /** Brings a range, all of one segment, into memory; what was not used for longest goes. @throws OperatingError FILE_FAILED */
  async load(phyOffset: number, end: number): Promise<void> {
    await Promise.all(this.#startsOf(phyOffset, end).map((start) => this.#chunkAt(start).loading))
  }

  /** The log ends elsewhere now: what was behind may come anew. */
  forget(): void {
    for (const start of [...this.#chunks.keys()]) this.#drop(start)
    this.#touched.clear()
  }

  #chunkAt(start: number): Chunk {
    const known = this.#chunks.get(start)
    if (known !== undefined) {
      this.#chunks.delete(start)
      this.#chunks.set(start, known)
      return known
    }
    const segmentEnd = this.#segments.startOf(start) + this.#segments.segmentBytes
    const room = this.#spare.pop() ?? Buffer.allocUnsafeSlow(aheadChunkBytes)
    const chunk: Chunk = { room, bytes: room.subarray(0, segmentEnd - start), loading: undefined }
    this.#loadingCount++
    chunk.loading = this.#loaded(chunk.bytes, start).then(
      () => {
        this.#loadingCount--
        chunk.loading = undefined
        if (this.#chunks.get(start) !== chunk) this.#spareRoom(room) // it was dropped meanwhile
      },
      (error) => {
        this.#loadingCount--
        if (this.#chunks.get(start) === chunk) this.#chunks.delete(start)
        this.#spareRoom(room)
        throw error
      },
    )
    this.#chunks.set(start, chunk)
    if (this.#chunks.size > chunkCountMax) this.#drop(this.#chunks.keys().next().value!)
    return chunk
  }

  async #loaded(bytes: Buffer, start: number): Promise<void> {
    assertWhole(await this.#segments.readLater(bytes, start), bytes, start)
  }

  /** Its room is free once nothing is read into it any more: what was in it is copied out at once, never lent. */
  #drop(start: number): void {
    const { room, loading } = this.#chunks.get(start)!
    this.#chunks.delete(start)
    if (loading === undefined) this.#spareRoom(room)
  }

  #spareRoom(room: Buffer): void {
    if (this.#spare.length < chunkCountMax) this.#spare.push(room)
  }

  #startsOf(phyOffset: number, end: number): number[] {
    const starts: number[] = []
    for (let start = this.#startOf(phyOffset); start < end; start += aheadChunkBytes) starts.push(start)
    return starts
  }

  #startOf(phyOffset: number): number {
    const segmentStart = this.#segments.startOf(phyOffset)
    return phyOffset - ((phyOffset - segmentStart) % aheadChunkBytes)
  }
}

function refresh(touched: Set<number>, start: number): void {
  touched.delete(start)
  touched.add(start)
  if (touched.size > touchedCountMax) touched.delete(touched.keys().next().value!)
}
