/** Half messages that are remembered as ended, or as copied; the oldest are forgotten first. */
const rememberedMax = 100_000

export type Outcome = 'commit' | 'rollback'

/** An end that is known: settled when its message is stored. */
export interface End {
  readonly outcome: Outcome | undefined // undefined: ended by an earlier run, which noted no more than that
  isStored: boolean
  halfOffset: number
  readonly stored: Promise<void>
}

/**
 * Which half messages of this run ended, by queueOffset: known at once, while op messages say so later, and told of all
 * copies of a message that was asked about while its producer was about to end it.
 */
export class Ended {
  readonly #ends = new Map<number, End>()
  readonly #copies = new Map<number, number>() // queueOffset → that of the next copy

  get(halfOffset: number): End | undefined {
    return this.#ends.get(this.newestOf(halfOffset))
  }

  /** The last copy of a half message, which may be itself. */
  newestOf(halfOffset: number): number {
    let newest = halfOffset
    for (let next = this.#copies.get(newest); next !== undefined; next = this.#copies.get(newest)) newest = next
    return newest
  }

  copied(halfOffset: number, copyOffset: number): void {
    put(this.#copies, halfOffset, copyOffset)
  }

  /** The copy could not be stored. Another message gets its offset: what was said of the copy is true of its original alone. */
  notCopied(halfOffset: number): void {
    const copyOffset = this.#copies.get(halfOffset)
    this.#copies.delete(halfOffset)
    const end = copyOffset === undefined ? undefined : this.#ends.get(copyOffset)
    if (end === undefined) return
    this.#ends.delete(end.halfOffset)
    end.halfOffset = halfOffset
    put(this.#ends, halfOffset, end)
  }

  /** Notes an end; one whose message cannot be stored did not happen. */
  add(halfOffset: number, outcome: Outcome | undefined, stored: Promise<void>): End {
    const end: End = { outcome, isStored: false, halfOffset, stored }
    put(this.#ends, halfOffset, end)
    stored.then(
      () => (end.isStored = true),
      () => {
        if (this.#ends.get(end.halfOffset) === end) this.#ends.delete(end.halfOffset)
      },
    )
    return end
  }
}

function put<V>(map: Map<number, V>, key: number, value: V): void {
  map.set(key, value)
  if (map.size > rememberedMax) map.delete(map.keys().next().value!)
}
