import type { Timer } from '../base/clock.ts'
import { isOperatingError } from '../base/errors.ts'
import { allocateAveragely } from './allocation.ts'
import type { Cluster } from './cluster.ts'
import type { Heartbeats } from './heartbeats.ts'
import { groupMembers } from './membership.ts'
import type { MessageQueue } from './message.ts'
import type { Route } from './routes.ts'

interface Parts {
  cluster: Cluster
  heartbeats: Heartbeats
  consumerGroup: string
  topics: readonly string[]
  /** false: each member has all queues. */
  isShared: boolean
  /** Makes these the member's queues of the topic. @returns false: it is to be tried again */
  take: (route: Route, share: readonly MessageQueue[]) => Promise<boolean>
}

/**
 * Gives a member of a consumer group its share of the queues: every 20 s, when members, queues or connections come and go,
 * and soon again, then ever later, where a topic or its broker is not there. Runs follow one another; one that is asked for while
 * one runs comes next.
 */
export class Rebalancer {
  readonly #parts: Parts
  #periodTimer: Timer | undefined
  #soonTimer: Timer | undefined
  #soonAtMs = Number.POSITIVE_INFINITY
  #incompleteMs = incompleteMsMin
  #running: Promise<void> | undefined
  #state: 'new' | 'started' | 'closed' = 'new'

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Resolves after the first run. */
  async start(): Promise<void> {
    this.#state = 'started'
    await this.#now()
    if (this.#isClosed()) return
    this.#periodTimer = this.#parts.cluster.doors.clock.every(rebalanceMs, () => void this.#now())
  }

  /** Resolves when no run is under way any more. */
  async close(): Promise<void> {
    this.#state = 'closed'
    this.#periodTimer?.cancel()
    this.#soonTimer?.cancel()
    await this.#running
  }

  /** A run in delayMs, unless there is one before. */
  soon(delayMs: number): void {
    const { clock } = this.#parts.cluster.doors
    const atMs = clock.monotonicMs() + delayMs
    if (this.#state !== 'started' || atMs >= this.#soonAtMs) return
    this.#soonTimer?.cancel()
    this.#soonAtMs = atMs
    this.#soonTimer = clock.after(delayMs, () => {
      this.#soonAtMs = Number.POSITIVE_INFINITY
      void this.#now()
    })
    this.#soonTimer.unref()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  async #now(): Promise<void> {
    if (this.#running !== undefined) return this.soon(rebalanceAgainMs)
    this.#running = this.#run()
    await this.#running
    this.#running = undefined
  }

  async #run(): Promise<void> {
    const { cluster, heartbeats, topics } = this.#parts
    const routes = await Promise.all(topics.map((topic) => this.#routeOf(topic)))
    await heartbeats.beatNew()
    const outcomes = await Promise.all(
      routes.map(async (route) => {
        if (route === undefined) return false
        try {
          return await this.#runTopic(route)
        } catch (error) {
          if (this.#isClosed()) return true
          cluster.doors.log.debug({ topic: route.topic, err: error }, 'rebalance failed')
          return false
        }
      }),
    )
    if (!outcomes.includes(false)) this.#incompleteMs = incompleteMsMin
    else {
      this.soon(this.#incompleteMs)
      this.#incompleteMs = Math.min(rebalanceMs, 2 * this.#incompleteMs)
    }
  }

  async #routeOf(topic: string): Promise<Route | undefined> {
    const { routes, doors } = this.#parts.cluster
    try {
      return await routes.get(topic)
    } catch (error) {
      if (!isOperatingError(error)) throw error
      doors.log.debug({ topic, err: error }, 'topic has no route yet')
      return undefined
    }
  }

  /** @returns whether this member now has its share */
  async #runTopic(route: Route): Promise<boolean> {
    const { cluster, consumerGroup, heartbeats, isShared, take } = this.#parts
    if (!isShared) return take(route, route.readQueues)
    const { clientId } = cluster
    const members = await groupMembers(cluster, route, consumerGroup)
    if (members.includes(clientId)) return take(route, allocateAveragely(route.readQueues, members, clientId))
    await heartbeats.beatAll() // that broker does not know this member: it keeps what it has until it does
    return false
  }
}

const rebalanceMs = 20_000
const rebalanceAgainMs = 100 // a run that is asked for while one runs
const incompleteMsMin = 200 // a topic or its broker was not there; then twice as long each time
