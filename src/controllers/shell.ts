import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { EventRecorder, KubeClient } from '../kube/index.ts'
import type { MqAdmin } from './admin.ts'
import type { DiskUse } from './brokerset/disk-use.ts'
import type { SettledBrokers } from './brokerset/settled.ts'
import type { Resets } from './consumergroup/reset.ts'
import type { World } from './world.ts'

/** What one pass of a reconciler works with. */
export interface Shell {
  client: KubeClient
  world: World
  admin: MqAdmin
  recorder: EventRecorder
  /** Offset resets of this process that are not over. */
  resets: Resets
  settledBrokers: SettledBrokers
  diskUse: DiskUse
  clock: Clock
  log: Log
  /** Image of the pods of resources that name none. */
  runtimeImage: string
  /** Aborted when the pass has taken too long or the operator stops. */
  signal: AbortSignal
}

/** One pass over one resource. Throws to be tried again with back-off, after it has written the status. */
export type Reconcile<T> = (desired: T, shell: Shell) => Promise<{ recheckAfterMs: number | undefined }>
