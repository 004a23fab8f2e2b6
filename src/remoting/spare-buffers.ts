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
  readonly #free = new Map<number, Buffer[]>() // by length
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
    const free = this.#free.get(length)?.pop()
    if (free !== undefined) {
      this.#keptBytes -= length
      return free
    }
    this.#makeRoom(length)
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
    if (this.#keptBytes + length > this.#keptBytesMax || !this.#own.has(buffer)) return
    const free = this.#free.get(length)
    const whole = Buffer.from(buffer as ArrayBuffer)
    if (free === undefined) this.#free.set(length, [whole])
    else free.push(whole)
    this.#keptBytes += length
  }

  /** What is kept of other lengths goes: it may be of a time when those were wanted, and would be all that is ever kept. */
  #makeRoom(length: number): void {
    for (const [other, free] of this.#free) {
      while (this.#keptBytes + length > this.#keptBytesMax && free.pop() !== undefined) this.#keptBytes -= other
    }
  }
}
