import type { Clock } from '../../base/clock.ts'

/** A lock that its owner does not renew ends after this; clients renew every 20 s and give up their own after 30 s. */
const lockTtlMs = 60_000
/** Locks of all groups: a queue that finds no room is not granted. */
const lockCountMax = 200_000

interface Lock {
  clientId: string
  renewedAtMs: number // monotonic
}

/** Which client of a group may consume a queue in order. Source: Apache RocketMQ 5, RebalanceLockManager. */
export class QueueLocks {
  readonly #clock: Clock
  readonly #groups = new Map<string, Map<string, Lock>>()
  #count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes or renews; true when clientId holds the queue now. */
  lock(consumerGroup: string, queueKey: string, clientId: string): boolean {
    const now = this.#clock.monotonicMs()
    let locks = this.#groups.get(consumerGroup)
    const held = locks?.get(queueKey)
    if (held !== undefined) {
      if (held.clientId !== clientId && now - held.renewedAtMs <= lockTtlMs) return false
      held.clientId = clientId
      held.renewedAtMs = now
      return true
    }
    if (this.#count >= lockCountMax) this.#sweep(now)
    if (this.#count >= lockCountMax) return false
    locks = this.#groups.get(consumerGroup) // the sweep may have dropped it
    if (locks === undefined) this.#groups.set(consumerGroup, (locks = new Map()))
    locks.set(queueKey, { clientId, renewedAtMs: now })
    this.#count++
    return true
  }

  /** Gives the queue free when clientId holds it. */
  unlock(consumerGroup: string, queueKey: string, clientId: string): void {
    const locks = this.#groups.get(consumerGroup)
    if (locks?.get(queueKey)?.clientId !== clientId) return
    locks.delete(queueKey)
    this.#count--
    if (locks.size === 0) this.#groups.delete(consumerGroup)
  }

  /** Whether some queue is held for a client of the group: it consumes in order. */
  isInUse(consumerGroup: string): boolean {
    const now = this.#clock.monotonicMs()
    for (const { renewedAtMs } of this.#groups.get(consumerGroup)?.values() ?? []) {
      if (now - renewedAtMs <= lockTtlMs) return true
    }
    return false
  }

  #sweep(now: number): void {
    for (const [group, locks] of this.#groups) {
      for (const [queueKey, lock] of locks) {
        if (now - lock.renewedAtMs <= lockTtlMs) continue
        locks.delete(queueKey)
        this.#count--
      }
      if (locks.size === 0) this.#groups.delete(group)
    }
  }
}
