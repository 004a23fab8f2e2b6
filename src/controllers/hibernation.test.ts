import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { BrokerSet, NameServer, Topic } from './resources.ts'
import { startCluster } from './testing/cluster.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
  await cluster.create('nameservers', 'mq', { replicas: 1 })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, groups: 2, slavesPerGroup: 1 })
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' }, deletionPolicy: 'Delete' })
  await cluster.eventually(() => conditionOf(brokerSet(), 'Ready')?.status === 'True')
  await cluster.eventually(() => conditionOf(topic(), 'Ready')?.status === 'True')
})
afterEach(() => cluster.stop())

const brokerSet = () => cluster.get<BrokerSet>('brokersets', 'b')
const nameServer = () => cluster.get<NameServer>('nameservers', 'mq')
const topic = () => cluster.get<Topic>('topics', 'orders')

/** What a resource says for its present spec. */
function conditionOf(resource: BrokerSet | NameServer | Topic | undefined, type: string) {
  const { generation } = resource?.metadata ?? {}
  return resource?.status?.conditions?.find((one) => one.type === type && one.observedGeneration === generation)
}

const hibernate = (kind: 'brokersets' | 'nameservers', name: string, asleep = true) =>
  cluster.change(kind, name, { spec: { hibernate: asleep } })
const podNames = () => cluster.list('/pods').map(({ metadata }) => metadata.name)
const eventReasons = () => cluster.list('/events').map((event) => (event as unknown as { reason: string }).reason)

async function fallAsleep() {
  await hibernate('brokersets', 'b')
  await cluster.eventually(() => conditionOf(brokerSet(), 'Hibernated')?.status === 'True')
}

test('a set that hibernates has no pods, keeps its volumes, is not drained, and wakes with what it had', async () => {
  const claims = () => cluster.list('/persistentvolumeclaims').map(({ metadata }) => [metadata.name, metadata.uid])
  const before = claims()
  expect(before).toHaveLength(4)

  await fallAsleep()

  expect(podNames()).toEqual(['mq-0'])
  expect(claims()).toEqual(before)
  expect([...cluster.brokers.values()].map(({ permission }) => permission)).toEqual([6, 6, 6, 6])
  expect(conditionOf(brokerSet(), 'Ready')).toMatchObject({ status: 'False', reason: 'Hibernated' })
  expect(conditionOf(brokerSet(), 'Reconciling')?.status).toBe('False')
  expect(brokerSet()?.status).toMatchObject({ groups: 0, readyGroups: 0 })
  await cluster.eventually(() => conditionOf(topic(), 'Ready')?.reason === 'ClusterHibernated')
  expect(conditionOf(topic(), 'Ready')?.status).toBe('Unknown')

  await hibernate('brokersets', 'b', false)
  await cluster.eventually(() => conditionOf(brokerSet(), 'Ready')?.status === 'True')
  await cluster.eventually(() => conditionOf(topic(), 'Ready')?.status === 'True')
  expect(claims()).toEqual(before)
  expect(conditionOf(brokerSet(), 'Hibernated')).toMatchObject({ status: 'False', reason: 'Awake' })
  await cluster.eventually(() => eventReasons().includes('Hibernated') && eventReasons().includes('Woken'))
})

test('a smaller number waits until the set is awake, and so does a drain that was under way', async () => {
  const leaving = cluster.brokers.get('1')!
  leaving.unread = [{ consumerGroup: 'billing', topic: 'orders', count: 7 }]
  await cluster.change('brokersets', 'b', { spec: { groups: 1 } })
  await cluster.eventually(() => leaving.permission === 4)

  await fallAsleep()
  expect(conditionOf(brokerSet(), 'ScaleInBlocked')).toMatchObject({ status: 'True', reason: 'Hibernated' })
  const statefulSets = cluster.list('apps/statefulsets').map(({ metadata }) => metadata)
  expect(statefulSets.find(({ name }) => name === 'b-1')?.annotations).not.toHaveProperty([
    'rocketmq.alt/draining-since',
  ])

  await hibernate('brokersets', 'b', false)
  await cluster.eventually(() => brokerSet()?.status?.groupStatuses?.[1]?.draining?.blockers?.length === 1)
  expect(leaving.permission).toBe(4)
  await cluster.eventually(() => podNames().includes('b-1-0'))
})

test('what hibernates can be deleted, and so can the topics of it: they stay on the volumes', async () => {
  await fallAsleep()

  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => topic() === undefined)
  await cluster.eventually(() => eventReasons().includes('Orphaned'))
  expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(true)

  await cluster.remove('brokersets', 'b')
  await cluster.eventually(() => brokerSet() === undefined)
  await cluster.eventually(() => cluster.list('apps/statefulsets').length === 1)
})

test('NameServers stay while a set that is awake needs them, hibernate after it, and come back with it', async () => {
  await hibernate('nameservers', 'mq')
  await cluster.eventually(() => conditionOf(nameServer(), 'Hibernated')?.reason === 'InUse')
  expect(conditionOf(nameServer(), 'Ready')).toMatchObject({ status: 'False', reason: 'HibernationRefused' })
  expect(podNames()).toContain('mq-0')
  const { address } = nameServer()?.status ?? {}

  await fallAsleep()
  await cluster.eventually(() => conditionOf(nameServer(), 'Hibernated')?.status === 'True')
  expect(podNames()).toEqual([])
  expect(nameServer()?.status).toMatchObject({ replicas: 0, readyReplicas: 0, address })

  await hibernate('brokersets', 'b', false)
  await cluster.eventually(() => conditionOf(brokerSet(), 'Ready')?.status === 'True')
})

test('a set that is asleep takes new settings, and wakes with them', async () => {
  await fallAsleep()

  await cluster.change('brokersets', 'b', { spec: { config: { maxMessageSize: '1024', fileReservedTime: '48' } } })
  await cluster.eventually(() => conditionOf(brokerSet(), 'Hibernated')?.status === 'True')
  await hibernate('brokersets', 'b', false)
  await cluster.eventually(() => conditionOf(brokerSet(), 'Ready')?.status === 'True')

  expect(cluster.brokers.get('0-1')?.settings.get('fileReservedTime')).toBe('48')
})
