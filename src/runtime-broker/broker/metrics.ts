import type { Registry } from 'prom-client'
import type { Broker } from './context.ts'
import { consumeStatsOf, diffOf } from './lag.ts'
import { addReplicationMetrics } from './replication-metrics.ts'

/**
 * The metrics of one broker in Prometheus' text format, under Apache's names. prom-client is loaded by the first scrape:
 * a broker that nobody scrapes does not pay for it.
 */
export function metricsOf(broker: Broker): () => Promise<string> {
  let registry: Promise<Registry> | undefined
  return async () => {
    registry ??= registryOf(broker)
    return (await registry).metrics()
  }
}

async function registryOf(broker: Broker): Promise<Registry> {
  const { collectDefaultMetrics, Counter, Gauge, Registry } = await import('prom-client')
  const { settings, store, topics, groups, clients, pullHold } = broker
  const registry = new Registry()
  registry.setDefaultLabels({
    cluster: settings.brokerClusterName,
    node_type: 'broker',
    node_id: settings.brokerName,
  })
  const registers = [registry]
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  collectDefaultMetrics({ register: registry })
  gauge('rocketmq_broker_permission', 'brokerPermission: 4 read, 2 write.', () => settings.brokerPermission)
  gauge('rocketmq_topic_number', 'Topics.', () => [...topics.all()].length)
  gauge('rocketmq_consumer_group_number', 'Consumer groups.', () => [...groups.names()].length)
  gauge('rocketmq_storage_size_bytes', 'Bytes of the commit log.', () => store.stats.commitLogBytes)
  gauge(
    'rocketmq_storage_disk_used_ratio',
    'Used part of the volume of the commit log.',
    () => store.stats.diskUsedRatio,
  )
  gauge(
    'rocketmq_storage_flush_behind_bytes',
    'Bytes of the commit log that a power cut would lose.',
    () => store.commitLog.maxOffset - store.commitLog.flushedOffset,
  )
  gauge(
    'rocketmq_storage_dispatch_behind_bytes',
    'Bytes stored and not yet readable.',
    () => store.stats.dispatchBehindBytes,
  )
  gauge('rocketmq_broker_held_pulls', 'Pulls that wait for a message.', () => pullHold.count)
  gauge('rocketmq_producer_connections', 'Producers, once for each of their groups.', () => {
    let count = 0
    for (const [, members] of clients.producerGroups()) count += members.size
    return count
  })
  gauge(
    'rocketmq_half_messages',
    'Messages of transactions that no pass of the check has found ended.',
    () => broker.transactions.waitingCount,
  )
  for (const [outcome, name] of [
    ['commit', 'rocketmq_commit_messages_total'],
    ['rollback', 'rocketmq_rollback_messages_total'],
  ] as const) {
    new Counter({
      name,
      help: `Transactions that ended by a ${outcome}, since the start.`,
      registers,
      collect() {
        this.reset()
        this.inc(broker.transactions.counts[outcome])
      },
    })
  }
  new Counter({
    name: 'rocketmq_messages_in_total',
    help: 'Messages that producers had stored, since the start.',
    labelNames: ['topic'],
    registers,
    collect() {
      this.reset()
      for (const { config, puts } of topics.all()) if (puts.total > 0) this.inc({ topic: config.topicName }, puts.total)
    },
  })
  new Counter({
    name: 'rocketmq_messages_out_total',
    help: 'Messages handed to consumers, since the start.',
    registers,
    collect() {
      this.reset()
      this.inc(broker.stats.gets.total)
    },
  })
  new Gauge({
    name: 'rocketmq_consumer_connections',
    help: 'Consumers of a group.',
    labelNames: ['consumer_group'],
    registers,
    collect() {
      this.reset()
      for (const { name, clients: members } of clients.consumerGroups())
        this.set({ consumer_group: name }, members.size)
    },
  })
  addReplicationMetrics(broker, gauge, { Counter, Gauge }, registers)
  const lagLabels = ['consumer_group', 'topic'] as const
  const lag = new Gauge({
    name: 'rocketmq_consumer_lag_messages',
    help: 'Messages stored and not yet consumed, of groups with an offset; also of groups that nobody runs.',
    labelNames: lagLabels,
    registers,
    collect() {
      lag.reset()
      inflight.reset() // collected after this one
      for (const consumer_group of groups.names()) {
        for (const topic of broker.consumerOffsets.topicsOf(consumer_group)) {
          const { diff, inflightDiff } = diffOf(consumeStatsOf(consumer_group, [topic], broker))
          lag.set({ consumer_group, topic }, diff)
          inflight.set({ consumer_group, topic }, inflightDiff)
        }
      }
    },
  })
  const inflight = new Gauge({
    name: 'rocketmq_consumer_inflight_messages',
    help: 'Messages handed out and not yet consumed.',
    labelNames: lagLabels,
    registers,
  })
  return registry
}
