import type { Log } from '../base/log.ts'
import type { Address } from '../base/network.ts'
import type { Warnings } from '../base/warnings.ts'
import { formatAddress } from './address.ts'

interface Holder {
  readonly remote: Address
  readonly heldBytes: number
  destroy(): void
}

const countsEach = 16 // while as many bytes move as may be held: often enough, and seldom
const tightFrom = 1 / 4 // of what may be held
const tightShare = 1 / 32 // of what a connection else may queue

/**
 * What the connections of one server hold together: frames under way, and answers that wait to be read. Each has limits of its
 * own, but there may be many of them. From a quarter of bytesMax on each may queue much less before its requests wait, which
 * harms nobody who reads; above bytesMax those that hold most are closed.
 */
export class HeldBytes {
  readonly #connections: ReadonlySet<Holder>
  readonly #limits: { queuedBytesHigh: number }
  readonly #looseHigh: number
  readonly #bytesMax: number
  readonly #warnings: Warnings
  readonly #log: Log
  #movedBytes = 0 // since the last count

  /** @param limits of all these connections, which are changed */
  constructor(
    connections: ReadonlySet<Holder>,
    limits: { queuedBytesHigh: number },
    bytesMax: number,
    { warnings, log }: { warnings: Warnings; log: Log },
  ) {
    this.#connections = connections
    this.#limits = limits
    this.#looseHigh = limits.queuedBytesHigh
    this.#bytesMax = bytesMax
    this.#warnings = warnings
    this.#log = log
  }

  /** Bytes came in, or were queued. */
  moved(bytes: number): void {
    this.#movedBytes += bytes
    if (this.#movedBytes >= this.#bytesMax / countsEach) this.count()
  }

  count(): void {
    this.#movedBytes = 0
    let heldBytes = 0
    for (const connection of this.#connections) heldBytes += connection.heldBytes
    const isTight = heldBytes > this.#bytesMax * tightFrom
    this.#limits.queuedBytesHigh = isTight ? this.#looseHigh * tightShare : this.#looseHigh
    if (heldBytes > this.#bytesMax) this.#closeLargest(heldBytes)
  }

  #closeLargest(heldBytes: number): void {
    const largestFirst = [...this.#connections].sort((a, b) => b.heldBytes - a.heldBytes)
    for (let left = heldBytes, next = 0; left > this.#bytesMax; next++) {
      const connection = largestFirst[next]!
      const { heldBytes: bytes, remote } = connection
      const facts = { remote: formatAddress(remote), bytes, heldBytes: left, heldBytesMax: this.#bytesMax }
      this.#warnings.warn(this.#log, facts, 'closing the connection that holds most: all hold too much')
      left -= bytes
      connection.destroy()
    }
  }
}
