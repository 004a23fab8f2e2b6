import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Warnings } from '../../base/warnings.ts'
import type { MinBrokerIdChange } from './broker-group.ts'
import type { BrokerRegistry } from './broker-registry.ts'
import type { KvConfig } from './kv-config.ts'
import type { LiveSettings } from './live-settings.ts'
import type { Routes } from './routes.ts'
import type { StepQueue } from './step-queue.ts'

/** What requests read and change. */
export interface NameServerState {
  readonly settings: LiveSettings
  readonly routes: Routes
  readonly brokers: BrokerRegistry
  /** Brokers come and go one after the other. */
  readonly registrations: StepQueue
  /** Tells a group who has its smallest id now, where notifyMinBrokerIdChanged says so. */
  readonly tellMinBrokerId: (change: MinBrokerIdChange) => void
  readonly kvConfig: KvConfig
  readonly startedAtMs: number // monotonic
  readonly clock: Clock
  readonly log: Log
  /** For what whoever can connect can cause. */
  readonly warnings: Warnings
}

/**
 * Brokers need a moment to register after this process started; with needWaitForService no route is answered before, so
 * that nobody takes an incomplete route for the truth.
 */
export function isWaitingForBrokers({ settings, startedAtMs, clock }: NameServerState): boolean {
  const { needWaitForService, waitSecondsForService } = settings.current
  return needWaitForService && clock.monotonicMs() - startedAtMs < waitSecondsForService * 1000
}
