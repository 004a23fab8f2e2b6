/** A message of a queue, as its record says it. */
export interface Seen {
  queueOffset: number
  phyOffset: number
}

/** Which units of a queue can be looked at: those of [minOffset, maxOffset). */
export interface UnitRange {
  readonly minOffset: number
  readonly maxOffset: number
}

/** What became of one record. */
export interface Placed {
  seen: Seen
  /** Its place in the queue; undefined: it has none, since an earlier message has it, or since nobody knows. */
  place: number | undefined
  /** The queueOffset in the record is not the one that it must have. */
  isWrong: boolean
  /** The topic was deleted and made again before this record: what came before has no units. */
  beginsAnew: boolean
}

/** A record that says another queueOffset than the one that is due, and of which no unit tells which one is right. */
interface Doubt {
  seen: Seen
  due: number
  isBehindHole: boolean
}

interface Tally {
  count: number
  first: number
}

/**
 * The queueOffsets of one queue's records, in the order of the log. No checksum covers them. Whether one that is not due is
 * wrong, or others before it are lost, is told by the queue's units; where these do not say, by the queue's next record.
 */
export class QueueSequence {
  readonly #units: UnitRange
  #next: number | undefined
  #lastPhyOffset = -1
  #doubt: Doubt | undefined
  /** queueOffsets that no message has. */
  lost: Tally = { count: 0, first: 0 }
  /** Messages whose queueOffset an earlier one has. */
  twice: Tally = { count: 0, first: 0 }

  constructor(units: UnitRange) {
    this.#units = units
  }

  /** queueOffset that the next message must have; undefined before the first one. */
  get next(): number | undefined {
    return this.#next
  }

  /** Takes the next record when it is the one that is due; false: take must decide. */
  takeDue({ queueOffset, phyOffset }: Seen): boolean {
    if (queueOffset !== this.#next || this.#doubt !== undefined) return false
    this.#next++
    this.#lastPhyOffset = phyOffset
    return true
  }

  /**
   * Takes the next record.
   * @param names whether the unit at a queueOffset is this record's
   * @param holeAt where the log lacks records: the last such place before this record; -1 where there is none
   * @returns what is decided now: of this record, of the one before it, of both or of none
   */
  take(seen: Seen, names: (queueOffset: number) => boolean, holeAt: number): Placed[] {
    const placed = this.settle(seen.queueOffset)
    const { queueOffset, phyOffset } = seen
    const isBehindHole = holeAt > this.#lastPhyOffset
    this.#lastPhyOffset = phyOffset
    const { minOffset, maxOffset } = this.#units
    const due = this.#next ?? (maxOffset > minOffset ? minOffset : undefined)
    const isPossible = queueOffset >= 0 && Number.isSafeInteger(queueOffset)
    if (isPossible && (due === undefined || queueOffset === due || names(queueOffset))) placed.push(this.#accept(seen))
    else if (due === undefined || !isPossible || names(due)) placed.push(this.#correct(seen, due))
    else this.#doubt = { seen, due, isBehindHole }
    return placed
  }

  /**
   * Decides on the record that is in doubt.
   * @param following what the next record of the queue says; undefined: there is none
   */
  settle(following?: number): Placed[] {
    if (this.#doubt === undefined) return []
    const { seen, due, isBehindHole } = this.#doubt
    this.#doubt = undefined
    const { queueOffset } = seen
    const isBeyond = queueOffset > due && queueOffset >= this.#units.maxOffset
    const isRight = following === queueOffset + 1 || (following !== due + 1 && (!isBeyond || isBehindHole))
    return [isRight ? this.#accept(seen) : this.#correct(seen, due)]
  }

  #correct(seen: Seen, due: number | undefined): Placed {
    if (due !== undefined) this.#next = due + 1
    return { seen, place: due, isWrong: true, beginsAnew: false }
  }

  #accept(seen: Seen): Placed {
    const { queueOffset } = seen
    const next = this.#next
    const beginsAnew = next !== undefined && queueOffset === 0 && next > 0
    if (beginsAnew) {
      this.lost = { count: 0, first: 0 }
      this.twice = { count: 0, first: 0 }
    } else if (next === undefined) {
      const { minOffset, maxOffset } = this.#units
      if (queueOffset > minOffset && maxOffset > minOffset) note(this.lost, minOffset, queueOffset - minOffset)
    } else if (queueOffset > next) note(this.lost, next, queueOffset - next)
    else if (queueOffset < next) {
      note(this.twice, queueOffset, 1)
      return { seen, place: undefined, isWrong: false, beginsAnew }
    }
    this.#next = queueOffset + 1
    return { seen, place: queueOffset, isWrong: false, beginsAnew }
  }
}

function note(tally: Tally, first: number, count: number): void {
  if (tally.count === 0) tally.first = first
  tally.count += count
}
