import type { Counter, Gauge, Registry } from 'prom-client'
import type { Broker } from './context.ts'

interface Kinds {
  Counter: typeof Counter
  Gauge: typeof Gauge
}

/** What a master says of its slaves, or a slave of itself. */
export function addReplicationMetrics(
  { replication }: Broker,
  gauge: (name: string, help: string, value: () => number) => void,
  { Counter, Gauge }: Kinds,
  registers: Registry[],
): void {
  const { master, slave } = replication
  new Counter({
    name: 'rocketmq_ha_transferred_bytes_total',
    help: 'Bytes of the log sent to slaves, or received from the master, since the start.',
    registers,
    collect() {
      this.reset()
      this.inc(master?.transferredBytes ?? slave?.transferredBytes ?? 0)
    },
  })
  if (master !== undefined) {
    gauge('rocketmq_ha_slaves', 'Slaves that copy this log.', () => master.slaveCount)
    gauge('rocketmq_ha_in_sync_slaves', 'Slaves that lack no more than haMaxGapNotInSync.', () => {
      return master.status().inSyncSlaveNums
    })
    gauge('rocketmq_ha_waiting_sends', 'Sends that wait until slaves have their message.', () => master.waitingCount)
    new Gauge({
      name: 'rocketmq_ha_slave_lag_bytes',
      help: 'Bytes of the log that a slave lacks.',
      labelNames: ['slave'],
      registers,
      collect() {
        this.reset()
        for (const { addr, diff } of master.status().haConnectionInfo) this.set({ slave: addr }, diff)
      },
    })
  }
  if (slave !== undefined) {
    gauge('rocketmq_ha_following', '1 while the master’s log is being copied.', () => (slave.isFollowing ? 1 : 0))
    gauge(
      'rocketmq_ha_lag_bytes',
      'Bytes that this slave lacked when it last asked its master; -1: it never could.',
      () => {
        return replication.lagBytes ?? -1
      },
    )
  }
}
