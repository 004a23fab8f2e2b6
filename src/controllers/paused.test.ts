import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { type BrokerSet, brokerSets, type ConsumerGroup, type NameServer, type Topic } from './resources.ts'
import { startCluster } from './testing/cluster.ts'

type Any = NameServer | BrokerSet | Topic | ConsumerGroup
const names = [
  ['nameservers', 'mq'],
  ['brokersets', 'b'],
  ['topics', 'orders'],
  ['consumergroups', 'billing'],
] as const

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
  await cluster.create('nameservers', 'mq', { replicas: 1 })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, groups: 2 })
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' }, deletionPolicy: 'Delete' })
  await cluster.create('consumergroups', 'billing', { brokerSetRef: { name: 'b' } })
  await cluster.eventually(() => all((_, type) => type('Ready')?.status === 'True'))
})
afterEach(() => cluster.stop())

type Condition = NonNullable<NonNullable<Any['status']>['conditions']>[number]

/** Whether it holds for each resource, whose conditions for its present spec are found by type. */
function all(holds: (resource: Any, condition: (type: string) => Condition | undefined) => boolean): boolean {
  return names.every(([kind, name]) => {
    const resource = cluster.get<Any>(kind, name)
    const conditions = resource?.status?.conditions?.filter(
      ({ observedGeneration }) => observedGeneration === resource.metadata.generation,
    )
    return resource !== undefined && holds(resource, (type) => conditions?.find((one) => one.type === type))
  })
}

async function pauseAll() {
  for (const [kind, name] of names) await cluster.change(kind, name, { spec: { paused: true } })
  await cluster.eventually(() => all((_, type) => type('Paused')?.status === 'True'))
}

const statefulSets = () => cluster.list('apps/statefulsets').map(({ metadata }) => [metadata.name, metadata.generation])

test('while a resource is paused nothing is changed, its status says what is, and afterwards everything is done', async () => {
  await pauseAll()
  expect(all((_, type) => type('Ready')?.status === 'True')).toBe(true)
  const before = [statefulSets(), structuredClone(cluster.brokers)]

  await cluster.change('nameservers', 'mq', { spec: { replicas: 2 } })
  await cluster.change('brokersets', 'b', { spec: { groups: 1, config: { maxMessageSize: '1024' } } })
  await cluster.change('topics', 'orders', { spec: { queues: { perBroker: 9 } } })
  await cluster.change('consumergroups', 'billing', { spec: { retry: { maxTimes: 3 } } })
  await cluster.eventually(() => all((_, type) => type('Ready')?.status === 'False'))

  expect(all((_, type) => type('Reconciling')?.status === 'False' && type('Stalled')?.status === 'False')).toBe(true)
  const messages = names.map(
    ([kind, name]) => cluster.get<Any>(kind, name)?.status?.conditions?.find(({ type }) => type === 'Ready')?.message,
  )
  expect(messages).toEqual(Array(4).fill(expect.stringContaining('spec.paused: nothing is done about it')))
  expect([statefulSets(), cluster.brokers]).toEqual(before)

  for (const [kind, name] of names) await cluster.change(kind, name, { spec: { paused: false } })
  await cluster.eventually(() => cluster.brokers.get('0')?.topics.get('orders')?.readQueueNums === 9)
  await cluster.eventually(() => cluster.brokers.get('0')?.groups.get('billing')?.retryMaxTimes === 3)
  await cluster.eventually(() => cluster.brokers.get('1')?.permission === 4)
  await cluster.eventually(() => cluster.get<NameServer>('nameservers', 'mq')?.status?.readyReplicas === 2)
})

test('that a rollout is over is told while the set is paused, too', async () => {
  await pauseAll()
  const { metadata } = cluster.get<BrokerSet>('brokersets', 'b')!
  const status = { rollout: { revision: 'former', updated: 1, total: 2 } }
  await cluster.client.merge(brokerSets, metadata, { metadata: { uid: metadata.uid }, status }, undefined, 'status')
  await cluster.change('brokersets', 'b', { metadata: { annotations: { looked: 'at' } } })

  await cluster.eventually(() => cluster.get<BrokerSet>('brokersets', 'b')?.status?.rollout === undefined)
  const isTold = (event: object) => 'reason' in event && event.reason === 'RolloutCompleted'
  await cluster.eventually(() => cluster.list('/events').some(isTold))
})

test('a drain that was under way goes no further while the set is paused', async () => {
  const leaving = cluster.brokers.get('1')!
  leaving.unread = [{ consumerGroup: 'billing', topic: 'orders', count: 7 }]
  await cluster.change('brokersets', 'b', { spec: { groups: 1 } })
  const brokerSet = () => cluster.get<BrokerSet>('brokersets', 'b')
  await cluster.eventually(() => brokerSet()?.status?.groupStatuses?.[1]?.draining?.blockers?.length === 1)

  await cluster.change('brokersets', 'b', { spec: { paused: true, groups: 2 } })
  await cluster.eventually(() => brokerSet()?.status?.observedGeneration === brokerSet()?.metadata.generation)

  expect(leaving.permission).toBe(4)
  expect(brokerSet()?.status?.groupStatuses?.[1]?.state).toBe('Draining')
})

test('what is paused can be deleted', async () => {
  await pauseAll()

  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => cluster.get('topics', 'orders') === undefined)
  expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(false)
  for (const [kind, name] of names.filter(([kind]) => kind !== 'topics')) await cluster.remove(kind, name)
  await cluster.eventually(() => cluster.list('/pods').length === 0)
})
