import { assert } from '../../base/assert.ts'
import type { CopiedLog, RawLog } from '../store/index.ts'
import { compareFrom, type Finding, type Reach } from './comparison.ts'
import { type FrameEvents, FrameReader } from './protocol.ts'

/** A heartbeat where bytes should come may have been on its way before them; a second one says that there are none. */
const silentHeartbeatsMax = 2

export type Outcome =
  | { is: 'going on' }
  | { is: 'compared'; finding: Finding } // same: what follows is new
  | { is: 'broken'; why: string; expected: number; received: number }

/** What a slave does with one connection's frames: first compares what it has, then adds what is new. */
export class Session {
  /** What the master is asked for first. */
  readonly requestOffset: number
  readonly #raw: RawLog
  readonly #copy: CopiedLog
  readonly #reader = new FrameReader()
  readonly #isFresh: boolean
  /** Next byte to compare; at the log's end nothing is left to be compared. */
  #comparedTo: number
  readonly #compareEnd: number
  /** One past the last byte that was given to the log; it may not be written yet: at the latest when the turn ends. */
  #writtenTo: number
  #isFollowing: boolean
  #silentHeartbeats = 0
  #outcome: Outcome = { is: 'going on' }

  constructor(raw: RawLog, copy: CopiedLog, reach: Reach, masterMinOffset: number) {
    this.#raw = raw
    this.#copy = copy
    this.#isFresh = raw.maxOffset === raw.minOffset
    this.#isFollowing = this.#isFresh
    this.#compareEnd = raw.maxOffset
    this.requestOffset = this.#isFresh ? raw.maxOffset : compareFrom(raw, copy, reach, masterMinOffset)
    this.#comparedTo = this.requestOffset
    this.#writtenTo = raw.maxOffset
  }

  get isFollowing(): boolean {
    return this.#isFollowing
  }

  /** @throws OperatingError STORE_FULL, STORE_CLOSED */
  take(chunk: Buffer): Outcome {
    this.#outcome = { is: 'going on' }
    if (!this.#reader.take(chunk, this.#events) && this.#outcome.is === 'going on') {
      return { is: 'broken', why: 'no frame', expected: this.#writtenTo, received: -1 }
    }
    return this.#outcome
  }

  readonly #events: FrameEvents = {
    header: (phyOffset, bytes) =>
      this.#isFollowing ? this.#headerOfNew(phyOffset, bytes) : this.#headerOfKnown(phyOffset, bytes),
    bytes: (phyOffset, bytes) => {
      const known = this.#isFollowing ? 0 : Math.min(bytes.length, this.#compareEnd - phyOffset)
      if (known > 0 && !this.#compare(phyOffset, bytes.subarray(0, known))) return false
      if (known < bytes.length) this.#add(phyOffset + known, bytes.subarray(known))
      return true
    },
  }

  #headerOfNew(phyOffset: number, bytes: number): boolean {
    if (phyOffset === this.#writtenTo) return true
    const isEmpty = this.#writtenTo === this.#raw.minOffset && this.#isFresh
    if (!isEmpty || phyOffset % this.#raw.segmentBytes !== 0) return this.#break('offset', this.#writtenTo, phyOffset)
    if (bytes > 0) {
      this.#copy.beginAt(phyOffset)
      this.#writtenTo = phyOffset
    }
    return true
  }

  #headerOfKnown(phyOffset: number, bytes: number): boolean {
    if (phyOffset === this.#comparedTo) {
      if (bytes > 0) this.#silentHeartbeats = 0
      else if (++this.#silentHeartbeats >= silentHeartbeatsMax) return this.#found({ is: 'ahead', offset: phyOffset })
      return true
    }
    if (bytes > 0) return this.#break('offset', this.#comparedTo, phyOffset)
    return this.#found(
      phyOffset > this.#comparedTo ? { is: 'gone', minOffset: phyOffset } : { is: 'ahead', offset: phyOffset },
    )
  }

  #compare(phyOffset: number, bytes: Buffer): boolean {
    assert(phyOffset === this.#comparedTo, 'bytes are compared in their order')
    const { segmentBytes } = this.#raw
    for (let done = 0; done < bytes.length; ) {
      const at = phyOffset + done
      const own = Buffer.allocUnsafe(Math.min(bytes.length - done, segmentBytes - (at % segmentBytes)))
      this.#raw.read(own, at)
      const theirs = bytes.subarray(done, done + own.length)
      if (!own.equals(theirs)) {
        const first = own.findIndex((byte, index) => byte !== theirs[index])
        return this.#found({ is: 'different', offset: at + first })
      }
      done += own.length
    }
    this.#comparedTo += bytes.length
    if (this.#comparedTo < this.#compareEnd) return true
    this.#isFollowing = true
    this.#outcome = { is: 'compared', finding: { is: 'same' } }
    return true
  }

  #add(phyOffset: number, bytes: Buffer): void {
    this.#copy.append(phyOffset, bytes)
    this.#writtenTo = phyOffset + bytes.length
  }

  #found(finding: Finding): false {
    this.#outcome = { is: 'compared', finding }
    return false
  }

  #break(why: string, expected: number, received: number): false {
    this.#outcome = { is: 'broken', why, expected, received }
    return false
  }
}
