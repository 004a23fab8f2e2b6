import type { Clock } from '../base/clock.ts'

/** How a send to a broker group ended, as far as the next sends care. */
export type SendOutcome = 'stored' | 'failed' | 'unreachable'

interface Fault {
  availableAtMs: number // monotonic
  isReachable: boolean
}

/**
 * Which broker groups sends should pass by for a while: those that just failed and, with sendLatencyFaultEnable, those
 * that answered late. Source of the table: Apache RocketMQ 5.5, MQFaultStrategy.
 */
export class BrokerFaults {
  readonly #clock: Clock
  readonly #isLatencyCounted: boolean
  readonly #faults = new Map<string, Fault>() // by brokerName: as many as the cluster has groups

  constructor(clock: Clock, { sendLatencyFaultEnable = false }: { sendLatencyFaultEnable?: boolean } = {}) {
    this.#clock = clock
    this.#isLatencyCounted = sendLatencyFaultEnable
  }

  /**
   * @param latencyMs how long the send took
   * @param outcome unreachable: passed by until a send to it works or reached says so
   */
  note(brokerName: string, latencyMs: number, outcome: SendOutcome): void {
    if (!this.#isLatencyCounted) {
      if (outcome !== 'stored') this.#set(brokerName, failurePauseMs, outcome !== 'unreachable')
      else if (this.#faults.size > 0) this.#faults.delete(brokerName)
      return
    }
    const pauseMs = pauseAfter(outcome === 'stored' ? latencyMs : isolationLatencyMs)
    const fault = this.#faults.size > 0 ? this.#faults.get(brokerName) : undefined
    if (pauseMs > 0 || fault !== undefined) this.#set(brokerName, pauseMs, outcome !== 'unreachable')
  }

  /** The broker answered a probe. */
  reached(brokerName: string): void {
    const fault = this.#faults.get(brokerName)
    if (fault !== undefined) fault.isReachable = true
  }

  /** The broker group is gone. */
  forget(brokerName: string): void {
    this.#faults.delete(brokerName)
  }

  /** Broker groups that nothing is known to have reached since they failed. */
  unreachable(): string[] {
    return [...this.#faults].filter(([, { isReachable }]) => !isReachable).map(([brokerName]) => brokerName)
  }

  /** Whether sends shall pass the broker group by, now. */
  isAvoided(brokerName: string): boolean {
    const fault = this.#faults.size > 0 ? this.#faults.get(brokerName) : undefined
    return fault !== undefined && (!fault.isReachable || this.#clock.monotonicMs() < fault.availableAtMs)
  }

  isReachable(brokerName: string): boolean {
    return this.#faults.size === 0 || this.#faults.get(brokerName)?.isReachable !== false
  }

  /** A pause never ends earlier than one that was set before. */
  #set(brokerName: string, pauseMs: number, isReachable: boolean): void {
    const availableAtMs = this.#clock.monotonicMs() + pauseMs
    const known = this.#faults.get(brokerName)
    this.#faults.set(brokerName, {
      availableAtMs: pauseMs > 0 ? Math.max(availableAtMs, known?.availableAtMs ?? 0) : (known?.availableAtMs ?? 0),
      isReachable,
    })
  }
}

function pauseAfter(latencyMs: number): number {
  for (const [latencyMsMin, pauseMs] of pauses) if (latencyMs >= latencyMsMin) return pauseMs
  return 0
}

/** Sends that took so long keep others away from the broker for so long, in ms. */
const pauses = [
  [15_000, 30_000],
  [5_000, 10_000],
  [3_000, 6_000],
  [1_800, 5_000],
  [550, 2_000],
] as const
const isolationLatencyMs = 10_000 // what a failed send counts as
const failurePauseMs = 3_000 // without sendLatencyFaultEnable
