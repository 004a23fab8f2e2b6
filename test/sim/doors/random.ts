import { crc32 } from 'node:zlib'
import type { Random } from '../../../src/base/random.ts'
import { Chance } from '../../../src/base/testing/chance.ts'

/** Chance under a seed as a door. */
export class SeededRandom extends Chance implements Random {
  uuid(): string {
    const bytes = this.bytes(16)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }

  override fork(): SeededRandom {
    return new SeededRandom(this.int(0x1_0000_0000))
  }

  /** A number in [min, max). */
  between(min: number, max: number): number {
    return min + this.float() * (max - min)
  }

  /** As between, but small ones are as frequent as large ones: for times and sizes. */
  scaled(min: number, max: number): number {
    return min * (max / min) ** this.float()
  }

  /** As many choices of its own for whoever has this name: what others draw does not change them. */
  static of(seed: number, name: string): SeededRandom {
    return new SeededRandom((Math.imul(seed, 0x9e3779b1) ^ crc32(name)) >>> 0)
  }
}
