import type { Clock, Timer } from '../base/clock.ts'
import { isRefusedForGood } from './failure.ts'

const togetherMax = 256 // topics in one request: some 60 KB, far below a frame's limit
const underWayMax = 2 // requests to one broker: while they are on their way, the next one fills
/** Between the beginnings of two requests to one broker: each has it write its whole table, which takes 4 ms for 10,000 topics. */
const apartMs = 50

interface Waiting<T> {
  item: T
  done: () => void
  failed: (error: unknown) => void
}

interface Broker<T> {
  waiting: Waiting<T>[]
  underWay: number
  nextMs: number
  timer: Timer | undefined
}

/**
 * What is asked of a broker soon after a request, or while it still has requests to answer, goes together in the next one. A
 * request that the broker refuses is tried again for each of its items, so that a wrong one fails alone; one that it is too busy
 * for is not.
 */
export class SharedRequests<T> {
  readonly #clock: Clock
  readonly #send: (brokerAddr: string, items: readonly T[]) => Promise<void>
  readonly #brokers = new Map<string, Broker<T>>() // those with something to do, now or lately

  /** @param send one request for all the items */
  constructor(clock: Clock, send: (brokerAddr: string, items: readonly T[]) => Promise<void>) {
    this.#clock = clock
    this.#send = send
  }

  /** Resolves when the broker has done it. @throws what send throws */
  add(brokerAddr: string, item: T): Promise<void> {
    const broker = this.#brokers.get(brokerAddr) ?? { waiting: [], underWay: 0, nextMs: 0, timer: undefined }
    this.#brokers.set(brokerAddr, broker)
    const { promise, resolve: done, reject: failed } = Promise.withResolvers<void>()
    broker.waiting.push({ item, done, failed })
    this.#go(brokerAddr, broker)
    return promise
  }

  #go(brokerAddr: string, broker: Broker<T>): void {
    if (broker.timer !== undefined || broker.underWay >= underWayMax) return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < broker.nextMs) {
      broker.timer = this.#clock.after(broker.nextMs - nowMs, () => {
        broker.timer = undefined
        this.#go(brokerAddr, broker)
      })
      return
    }
    if (broker.waiting.length === 0) {
      if (broker.underWay === 0) this.#brokers.delete(brokerAddr)
      return
    }
    broker.nextMs = nowMs + apartMs
    broker.underWay++
    void this.#sendAll(brokerAddr, broker.waiting.splice(0, togetherMax)).then(() => {
      broker.underWay--
      this.#go(brokerAddr, broker)
    })
  }

  async #sendAll(brokerAddr: string, some: readonly Waiting<T>[]): Promise<void> {
    try {
      await this.#send(
        brokerAddr,
        some.map(({ item }) => item),
      )
      for (const { done } of some) done()
    } catch (error) {
      if (some.length > 1 && isRefusedForGood(error)) {
        for (const one of some) await this.#sendAll(brokerAddr, [one])
        return
      }
      for (const { failed } of some) failed(error)
    }
  }
}
