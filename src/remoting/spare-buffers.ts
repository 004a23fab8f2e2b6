/** Smaller ones come from Node's own pool. */
const smallBytesMax = 4 * 1024

/**
 * Buffers that are used again: V8 takes count of fresh ones and collects garbage for them, in threads of its own, which costs more
 * than what is done with them.
 */
export class SpareBuffers {
  /** How long each of them is. What nobody writes to takes no memory. */
  readonly bufferBytes: number
  readonly #free: Buffer[] = []
  readonly #own = new WeakSet<ArrayBufferLike>()
  readonly #freeMax: number

  /** @param freeMax how many are kept for later */
  constructor(bufferBytes: number, freeMax: number) {
    this.bufferBytes = bufferBytes
    this.#freeMax = freeMax
  }

  /** A buffer of at least so many bytes. */
  take(bytes: number): Buffer {
    if (bytes <= smallBytesMax || bytes > this.bufferBytes) return Buffer.allocUnsafe(bytes)
    const free = this.#free.pop()
    if (free !== undefined) return free
    const fresh = Buffer.allocUnsafeSlow(this.bufferBytes)
    this.#own.add(fresh.buffer)
    return fresh
  }

  /**
   * Nobody uses a buffer of take any more. Those that are not given back, and those of other sizes, are the collector's.
   * @param buffer or a part of it
   */
  giveBack({ buffer }: Buffer): void {
    if (this.#free.length < this.#freeMax && this.#own.has(buffer)) this.#free.push(Buffer.from(buffer as ArrayBuffer))
  }
}
