/** Chance that comes from a seed: the same seed, the same choices (mulberry32). */
export class Chance {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number in [0, 1). */
  float(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** An integer in [0, limit). */
  int(limit: number): number {
    return Math.floor(this.float() * limit)
  }

  /** An integer from min to max, both among them. */
  whole(min: number, max: number): number {
    return min + this.int(max - min + 1)
  }

  is(probability: number): boolean {
    return this.float() < probability
  }

  one<T>(of: readonly T[]): T {
    return of[this.int(of.length)]!
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count)
    for (let at = 0; at < count; at++) bytes[at] = this.int(256)
    return bytes
  }

  /** A chance of its own, which takes nothing from this one's later choices. */
  fork(): Chance {
    return new Chance(this.int(0x1_0000_0000))
  }
}
