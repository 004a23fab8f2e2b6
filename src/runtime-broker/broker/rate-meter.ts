const slotMs = 10_000

/**
 * Counts events in slots of 10 s, so that a rate over the last minutes costs no timer. Rates are over whole slots that
 * have ended: they lag by up to 10 s, as Apache's samples do, and a young meter's silent past counts as silence.
 */
export class RateMeter {
  #total = 0
  #slotIndex = 0 // number of the slot being filled, since 1970
  readonly #slots: number[]

  /** @param windowSlots longest window that perSecond is asked for, in slots */
  constructor(windowSlots = 6) {
    this.#slots = new Array<number>(windowSlots + 1).fill(0)
  }

  get total(): number {
    return this.#total
  }

  add(count: number, now: number): void {
    this.#turnTo(now)
    this.#total += count
    const at = this.#slotIndex % this.#slots.length
    this.#slots[at] = this.#slots[at]! + count
  }

  /** Mean events per second over the last ended slots. */
  perSecond(now: number, windowSlots = this.#slots.length - 1): number {
    this.#turnTo(now)
    let count = 0
    for (let back = 1; back <= windowSlots; back++) {
      count += this.#slots[(this.#slotIndex - back + this.#slots.length) % this.#slots.length]!
    }
    return count / ((windowSlots * slotMs) / 1000)
  }

  #turnTo(now: number): void {
    const slotIndex = Math.floor(now / slotMs)
    if (slotIndex <= this.#slotIndex) return // same slot, or a clock that was set back
    const stale = Math.min(slotIndex - this.#slotIndex, this.#slots.length)
    for (let ahead = 0; ahead < stale; ahead++) this.#slots[(slotIndex - ahead) % this.#slots.length] = 0
    this.#slotIndex = slotIndex
  }
}
