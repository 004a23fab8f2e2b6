/** Smaller ones come from Node's own pool. */
const smallBytesMax = 4 * 1024

/**
 * Buffers that are used again: V8 takes count of fresh ones and collects garbage for them, in threads of its own, which costs more
 * than what is done with them. They are as long as powers of two, so that none keeps more than twice what it is for.
 */
export class SpareBuffers {
  /** What is longer has a buffer of its own. */
  readonly bytesMax: number
  readonly #keptBytesMax: number
  readonly #free = new Map<number, Buffer[]>() // by length, those first that were not taken for longest
  readonly #own = new WeakSet<ArrayBufferLike>()
  #keptBytes = 0

  /**
   * @param bytesMax a power of two
   * @param keptBytesMax how much is kept for later, all lengths together
   */
  constructor(bytesMax: number, keptBytesMax: number) {
    this.bytesMax = bytesMax
    this.#keptBytesMax = keptBytesMax
  }

  /** A buffer of at least so many bytes. */
  take(bytes: number): Buffer {
    if (bytes <= smallBytesMax || bytes > this.bytesMax) return Buffer.allocUnsafe(bytes)
    const length = 1 << (32 - Math.clz32(bytes - 1))
    const kept = this.#free.get(length) ?? []
    this.#free.delete(length)
    this.#free.set(length, kept)
    const free = kept.pop()
    if (free !== undefined) {
      this.#keptBytes -= length
      return free
    }
    const fresh = Buffer.allocUnsafeSlow(length)
    this.#own.add(fresh.buffer)
    return fresh
  }

  /**
   * Nobody uses a buffer of take any more. Those that are not given back, and those of other lengths, are the collector's.
   * @param buffer or a part of it
   */
  giveBack({ buffer }: Buffer): void {
    const length = buffer.byteLength
    const kept = this.#free.get(length)
    if (kept === undefined || !this.#own.has(buffer) || !this.#makeRoom(length)) return
    kept.push(Buffer.from(buffer as ArrayBuffer))
    this.#keptBytes += length
  }

  /** What is kept of lengths that nobody takes any more gives way: else it would be all that is ever kept. */
  #makeRoom(length: number): boolean {
    for (const [other, kept] of this.#free) {
      if (other === length) break // this one is wanted less than all behind it
      while (this.#keptBytes + length > this.#keptBytesMax && kept.pop() !== undefined) this.#keptBytes -= other
    }
    return this.#keptBytes + length <= this.#keptBytesMax
  }
}
