import type { Registry } from 'prom-client'
import type { BrokerRegistry } from './broker-registry.ts'
import type { Routes } from './routes.ts'

export interface Measured {
  routes: Routes
  brokers: BrokerRegistry
  /** Requests answered since the start, by name. */
  requestCounts: ReadonlyMap<string, number>
  connections: Iterable<unknown>
}

/**
 * The metrics of one NameServer in Prometheus' text format. prom-client is loaded by the first scrape: a NameServer that
 * nobody scrapes does not pay for it.
 */
export function metricsOf(measured: Measured): () => Promise<string> {
  let registry: Promise<Registry> | undefined
  return async () => {
    registry ??= registryOf(measured)
    return (await registry).metrics()
  }
}

async function registryOf({ routes, brokers, requestCounts, connections }: Measured): Promise<Registry> {
  const { collectDefaultMetrics, Counter, Gauge, Registry } = await import('prom-client')
  const registry = new Registry()
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
  gauge('rocketmq_namesrv_brokers', 'Brokers that are registered.', () => brokers.count)
  gauge('rocketmq_namesrv_topics', 'Topics that some broker has.', () => routes.topicCount)
  gauge('rocketmq_namesrv_connections', 'Open connections of brokers and clients.', () => [...connections].length)
  new Counter({
    name: 'rocketmq_namesrv_requests_total',
    help: 'Requests answered, by what they ask for.',
    labelNames: ['request'],
    registers,
    collect() {
      this.reset()
      for (const [request, count] of requestCounts) this.inc({ request }, count)
    },
  })
  return registry
}
