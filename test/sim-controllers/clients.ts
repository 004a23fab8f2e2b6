import type { PretendedBroker } from '../../src/controllers/testing/brokers.ts'
import { label } from '../../src/crds/index.ts'
import { isReady, type Stage } from './stage.ts'

export const producerPollMs = 30_000 // so often producers ask where they may send

/** Producers write where they may; consumers read, sometimes slowly, and now and then not at all for a while. */
export class Clients {
  /** By group: when its master took a message last. */
  readonly acceptedAtMs = new Map<string, number>()
  /** By group and queue: when it was writable last. */
  readonly routes = new Map<string, Map<number, number>>()
  readonly #stage: Stage
  #readsAgainMs = 0
  #onlineSinceMs = 0

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** How long consumers have been online; 0: they are not. */
  get onlineMs(): number {
    const nowMs = this.#stage.clock.monotonicMs()
    return nowMs > this.#readsAgainMs ? nowMs - this.#onlineSinceMs : 0
  }

  /** Consumers go, and come again later. */
  pause(ms: number): void {
    this.#readsAgainMs = this.#stage.clock.monotonicMs() + ms
    this.#onlineSinceMs = this.#readsAgainMs
  }

  tick(): void {
    const { chance, clock, faults, pretended } = this.#stage
    const nowMs = clock.monotonicMs()
    if (faults.refused > 0 && nowMs > this.#readsAgainMs && chance.is(0.02)) this.pause(chance.whole(20, 120) * 1000)
    const isReading = nowMs > this.#readsAgainMs
    for (const pod of this.#stage.pods()) {
      const group = pod.metadata.labels?.[label.group]
      if (group === undefined || !pod.metadata.name.endsWith('-0') || !isReady(pod)) continue
      const broker = pretended.brokers.get(group) as PretendedBroker
      const topic = broker.topics.get('orders')
      const lastRouteMs = this.routes.get(group) ?? new Map<number, number>()
      this.routes.set(group, lastRouteMs)
      const writable = topic && (topic.perm & 2) !== 0 ? topic.writeQueueNums : 0
      for (let queueId = 0; queueId < writable; queueId++) lastRouteMs.set(queueId, nowMs)
      const unread = new Map(broker.unread.map(({ queueId = 0, count }) => [queueId, count]))
      if (topic && !broker.isHeld && (broker.permission & 2) !== 0 && chance.is(0.7)) {
        // some producers go by a route that is half a minute old
        const known = [...lastRouteMs].flatMap(([queueId, seenMs]) =>
          nowMs - seenMs < producerPollMs ? [queueId] : [],
        )
        const able = known.filter((queueId) => queueId < topic.readQueueNums)
        if (able.length > 0) {
          const queueId = chance.one(able)
          unread.set(queueId, (unread.get(queueId) ?? 0) + chance.int(4))
          this.acceptedAtMs.set(group, nowMs)
        }
      }
      for (const [queueId, count] of unread) {
        if (isReading && chance.is(0.5)) unread.set(queueId, Math.max(0, count - chance.int(10)))
      }
      broker.unread = [...unread].flatMap(([queueId, count]) =>
        count > 0 ? [{ consumerGroup: 'billing', topic: 'orders', queueId, count }] : [],
      )
      broker.uses.set('billing', { clients: isReading ? 1 : 0, topics: ['orders'] })
    }
  }
}
