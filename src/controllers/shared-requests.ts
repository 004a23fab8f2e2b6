import { isOperatingError } from '../base/errors.ts'

const togetherMax = 256 // topics in one request: some 60 KB, far below a frame's limit
const underWayMax = 2 // requests to one broker: while they are on their way, the next one fills

interface Waiting<T> {
  item: T
  done: () => void
  failed: (error: unknown) => void
}

/**
 * What is asked of a broker while it still has requests to answer goes together in the next one. A request that the broker refuses
 * is tried again for each of its items, so that a wrong one fails alone.
 */
export class SharedRequests<T> {
  readonly #send: (brokerAddr: string, items: readonly T[]) => Promise<void>
  readonly #brokers = new Map<string, { waiting: Waiting<T>[]; underWay: number }>() // those with something to do

  /** @param send one request for all the items */
  constructor(send: (brokerAddr: string, items: readonly T[]) => Promise<void>) {
    this.#send = send
  }

  /** Resolves when the broker has done it. @throws what send throws */
  add(brokerAddr: string, item: T): Promise<void> {
    const broker = this.#brokers.get(brokerAddr) ?? { waiting: [], underWay: 0 }
    this.#brokers.set(brokerAddr, broker)
    const { promise, resolve: done, reject: failed } = Promise.withResolvers<void>()
    broker.waiting.push({ item, done, failed })
    if (broker.underWay < underWayMax) void this.#go(brokerAddr, broker)
    return promise
  }

  async #go(brokerAddr: string, broker: { waiting: Waiting<T>[]; underWay: number }): Promise<void> {
    broker.underWay++
    while (broker.waiting.length > 0) await this.#sendAll(brokerAddr, broker.waiting.splice(0, togetherMax))
    broker.underWay--
    if (broker.underWay === 0) this.#brokers.delete(brokerAddr)
  }

  async #sendAll(brokerAddr: string, some: readonly Waiting<T>[]): Promise<void> {
    try {
      await this.#send(
        brokerAddr,
        some.map(({ item }) => item),
      )
      for (const { done } of some) done()
    } catch (error) {
      if (some.length > 1 && isOperatingError(error, 'REQUEST_REFUSED')) {
        for (const one of some) await this.#sendAll(brokerAddr, [one])
        return
      }
      for (const { failed } of some) failed(error)
    }
  }
}
