import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { Clock } from '../base/clock.ts'
import { nodeClock } from '../base/node/index.ts'
import { configMaps, type KubeObject, namespaces, pods, type Resource, services } from '../kube/index.ts'
import { driftCheckAfterMs } from './on-brokers/reconcile.ts'
import { startCluster } from './testing/cluster.ts'

const quietMs = 550 // longer than the first pause before a pass that failed is tried again
const movingQuietMs = 1_300 // longer than what is looked at each second while something moves

/** A clock by which nothing is looked at again for its own sake while a test runs. */
function clockFarFromDriftChecks(): Clock {
  const sets = [
    ['shop', 'b'],
    ['shop', 'c'],
    ['team', 'b'],
  ].map(([namespace, name]) => ({ metadata: { namespace }, spec: { brokerSetRef: { name } } }) as never)
  for (let shiftMs = 0; ; shiftMs += 1_000) {
    const clock = { ...nodeClock, monotonicMs: () => nodeClock.monotonicMs() + shiftMs }
    if (sets.every((set) => driftCheckAfterMs(set, clock) > 25_000)) return clock
  }
}

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster({ looksEverywhere: true, clock: clockFarFromDriftChecks() })
})
afterEach(() => cluster.stop())

async function quiet(forMs: number): Promise<void> {
  for (let count = -1; count !== cluster.passes.length; await nodeClock.sleep(forMs)) count = cluster.passes.length
}

/** Who has passes after a change, until all is quiet. @param first one that must have one */
async function wokenBy(first: string, change: () => Promise<unknown>): Promise<string[]> {
  const before = cluster.passes.length
  const since = () => cluster.passes.slice(before)
  await change()
  await cluster.eventually(() => since().includes(first))
  await quiet(quietMs)
  return [...new Set(since())].sort()
}

const shop = 'shop'
const touch = (type: typeof pods, name: string, namespace?: string) =>
  cluster.client.merge(
    type,
    { name, ...(namespace !== undefined && { namespace }) },
    { metadata: { labels: { touched: 'yes' } } },
  )
const isReady = (kind: Parameters<typeof cluster.get>[0], name: string, where = shop) =>
  cluster
    .get<Resource<unknown, { conditions?: { type: string; status: string }[] }>>(kind, name, where)
    ?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false

test('a change wakes what depends on it, and nobody else', async () => {
  const all = { allowedNamespaces: { from: 'All' } }
  await cluster.createNamespace('team')
  for (const name of ['mq', 'other']) await cluster.create('nameservers', name, { replicas: 1 })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, ...all })
  await cluster.create('brokersets', 'c', { nameServerRef: { name: 'other' } })
  await cluster.eventually(() => isReady('brokersets', 'b') && isReady('brokersets', 'c'))
  const onB = { brokerSetRef: { name: 'b' } }
  const onC = { brokerSetRef: { name: 'c' } }
  await cluster.create('topics', 'orders', onB)
  await cluster.create('consumergroups', 'billing', onB)
  await cluster.create('topics', 'away', { brokerSetRef: { name: 'b', namespace: shop } }, 'team')
  await cluster.create('topics', 'audit', onC) // the bystanders: all that belongs to c and other
  await cluster.create('consumergroups', 'auditors', onC)
  await cluster.eventually(() => isReady('topics', 'away', 'team') && isReady('topics', 'audit'))
  await quiet(movingQuietMs)

  const orders = 'Topic shop/orders'
  const moreQueues = () => cluster.change('topics', 'orders', { spec: { queues: { perBroker: 9 } } })
  expect(await wokenBy(orders, moreQueues)).toEqual([orders])

  const billing = 'ConsumerGroup shop/billing'
  const retries = () => cluster.change('consumergroups', 'billing', { spec: { retry: { maxTimes: 3 } } })
  expect(await wokenBy(billing, retries)).toEqual([billing])

  const b = 'BrokerSet shop/b'
  expect(await wokenBy(b, () => touch(configMaps, 'b-0', shop))).toEqual([b])

  const mq = 'NameServer shop/mq'
  expect(await wokenBy(mq, () => touch(services, 'mq', shop))).toEqual([mq])

  const away = 'Topic team/away'
  const labels = async () => {
    await touch(namespaces, shop) // nothing in it refers to another one
    await touch(namespaces, 'team')
  }
  expect(await wokenBy(away, labels)).toEqual([away])

  const open = () => cluster.change('nameservers', 'mq', { spec: all })
  expect(await wokenBy(mq, open)).toEqual([b, mq])

  const setting = () => cluster.change('brokersets', 'b', { spec: { config: { fileReservedTime: '48' } } })
  expect(await wokenBy(b, setting)).toEqual([b, billing, mq, orders, away])

  const [pod] = cluster.list('/pods').filter(({ metadata }) => metadata.name === 'b-0-0') as [KubeObject]
  const dies = () => cluster.client.delete(pods, pod.metadata)
  const mayBeConcerned = [b, billing, mq, orders, away]
  expect((await wokenBy(b, dies)).filter((one) => !mayBeConcerned.includes(one))).toEqual([])
}, 40_000)

test.each(['topics', 'consumergroups'] as const)(
  '%s: what is new has one pass, what was changed another',
  async (kind) => {
    await cluster.create('nameservers', 'mq', { replicas: 1 })
    await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' } })
    await cluster.eventually(() => isReady('brokersets', 'b'))
    await quiet(movingQuietMs)

    const passes = () => cluster.passes.filter((pass) => pass.endsWith(' shop/mine')).length
    await cluster.create(kind, 'mine', { brokerSetRef: { name: 'b' } })
    await cluster.eventually(() => isReady(kind, 'mine'))
    await quiet(quietMs)
    expect(passes()).toBe(1)

    await cluster.change(kind, 'mine', { spec: { paused: true } })
    await quiet(quietMs)
    expect(passes()).toBe(2)
  },
  20_000,
)
