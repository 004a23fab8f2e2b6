import type { StoredMessage } from '../remoting/message/index.ts'
import type { MessageQueue } from './message.ts'

/** A message between pull and acknowledgement. */
export interface Held {
  readonly owner: ProcessQueue
  readonly queueOffset: number
  stored: StoredMessage | undefined // let go of when done
}

/**
 * The messages of one queue that were pulled and are not yet consumed. They may be done in any order; consumerOffset
 * follows the first that is not, so that a consumer that dies loses none.
 */
export class ProcessQueue {
  readonly queue: MessageQueue
  /** The queueOffset of the next pull. */
  nextOffset: number
  /** Set when the queue is no longer ours: what is still done counts for nothing. */
  isDropped = false
  /** The consumerOffset as last stored; undefined before. */
  storedOffset: number | undefined
  #held: Held[] = [] // by queueOffset; those before #first are done with
  #first = 0
  #count = 0
  #bytes = 0

  constructor(queue: MessageQueue, nextOffset: number) {
    this.queue = queue
    this.nextOffset = nextOffset
  }

  get count(): number {
    return this.#count
  }

  /** Of their records. */
  get bytes(): number {
    return this.#bytes
  }

  /** How far the pulls are ahead of the first message that is not done. */
  get span(): number {
    return this.nextOffset - this.consumerOffset
  }

  /** The next queueOffset that the group needs: all before it is done. */
  get consumerOffset(): number {
    return this.#held[this.#first]?.queueOffset ?? this.nextOffset
  }

  /** Keeps a pulled message until it is done; they come in the order of their offsets. */
  hold(stored: StoredMessage): Held {
    const held: Held = { owner: this, queueOffset: stored.queueOffset, stored }
    this.#held.push(held)
    this.#count++
    this.#bytes += stored.size
    return held
  }

  /** A message needs no further try here: it was consumed, or stored again for a later try. */
  done(held: Held): void {
    if (held.stored === undefined) return
    this.#count--
    this.#bytes -= held.stored.size
    held.stored = undefined
    while (this.#first < this.#held.length && this.#held[this.#first]!.stored === undefined) this.#first++
    if (this.#first === this.#held.length) {
      this.#held.length = 0
      this.#first = 0
    } else if (this.#first >= compactCount) {
      this.#held = this.#held.slice(this.#first)
      this.#first = 0
    }
  }
}

const compactCount = 1_024 // so a shift is paid once in so many messages
