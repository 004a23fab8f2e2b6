import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { nodeClock } from '../base/node/index.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { brokerSetSpec } from '../crds/index.ts'
import { type Pod, type Service, type StatefulSet, statefulSets } from '../kube/index.ts'
import { observe } from './brokerset/observe.ts'
import { objectsOf } from './nameserver/objects.ts'
import type { BrokerSet, NameServer, Topic } from './resources.ts'
import { startCluster } from './testing/cluster.ts'
import { reconcileTopic } from './topic/reconcile.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
})
afterEach(() => cluster.stop())

function readyOf(resource: NameServer | BrokerSet | Topic | undefined) {
  return resource?.status?.conditions?.find(({ type }) => type === 'Ready')
}

const brokerSet = () => cluster.get<BrokerSet>('brokersets', 'b')
const topic = () => cluster.get<Topic>('topics', 'orders')
const isReady = (resource: NameServer | BrokerSet | Topic | undefined) => readyOf(resource)?.status === 'True'

async function createAll(groups = 2, topicSpec: object = {}) {
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' }, queues: { perBroker: 4 }, ...topicSpec })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, groups })
  await cluster.create('nameservers', 'mq', { replicas: 2 })
  await cluster.eventually(() => isReady(topic()))
}

test('applied in the wrong order, all become ready, and nothing is written any more', async () => {
  await createAll()

  expect(isReady(cluster.get<NameServer>('nameservers', 'mq'))).toBe(true)
  expect(isReady(brokerSet())).toBe(true)
  expect([...cluster.brokers.values()].map(({ topics }) => topics.get('orders')?.readQueueNums)).toEqual([4, 4])
  expect(topic()?.status).toMatchObject({ brokers: { desired: 2, synced: 2 }, queues: { write: 8, read: 8 } })

  await nodeClock.sleep(100) // passes that were on their way
  const revision = cluster.revision()
  await cluster.change('topics', 'orders', { metadata: { annotations: { looked: 'at' } } })
  await nodeClock.sleep(200)
  expect(cluster.revision()).toBe(revision + 1)
})

test('a new broker is asked for all its topics at once, so that they go together', async () => {
  const names = Array.from({ length: 20 }, (_, at) => `topic-${at}`)
  for (const name of names) await cluster.create('topics', name, { brokerSetRef: { name: 'b' } })
  const { createTopic } = cluster.admin
  let underWay = 0
  let most = 0
  cluster.admin.createTopic = async (...topic) => {
    most = Math.max(most, ++underWay)
    await nodeClock.sleep(20)
    underWay--
    return createTopic(...topic)
  }

  await createAll(1)

  expect(most).toBe(names.length + 1)
  expect(cluster.brokers.get('0')?.topics.has('topic-7')).toBe(true)
})

test('a topic that brokers refuse holds up none of them: it says so itself, until they take it', async () => {
  const { createTopic } = cluster.admin
  const isMixedTaken = () => brokerSet()?.spec.config?.enableMixedMessageType === 'true'
  cluster.admin.createTopic = async (brokerAddr, topic) => {
    if (topic.attributes['message.type'] === 'MIXED' && !isMixedTaken())
      throw new OperatingError('REQUEST_REFUSED', { responseCode: 1, remark: 'MIXED is not supported' })
    return createTopic(brokerAddr, topic)
  }
  await cluster.create('topics', 'mixed', { brokerSetRef: { name: 'b' }, messageType: 'Mixed' })
  const mixed = () => readyOf(cluster.get<Topic>('topics', 'mixed'))

  await createAll(1)
  await cluster.eventually(() => isReady(brokerSet()) && mixed()?.reason === 'BrokerError')

  await cluster.change('brokersets', 'b', { spec: { config: { enableMixedMessageType: 'true' } } })
  await cluster.eventually(() => mixed()?.status === 'True')
})

test('a group that brokers refuse holds up none of them, nor another group', async () => {
  const { createGroup } = cluster.admin
  cluster.admin.createGroup = async (brokerAddr, group) => {
    if (group.groupName === 'billing') throw new OperatingError('REQUEST_REFUSED', { responseCode: 29, remark: 'no' })
    return createGroup(brokerAddr, group)
  }
  for (const name of ['billing', 'shipping'])
    await cluster.create('consumergroups', name, { brokerSetRef: { name: 'b' } })

  await createAll(1)
  await cluster.eventually(() => isReady(brokerSet()))

  expect([...cluster.brokers.values()].at(-1)?.groups.has('shipping')).toBe(true)
})

test('a broker that is too busy for a topic or a group is let go once it has them', async () => {
  const { createTopic, createGroup, release } = cluster.admin
  const busy = new OperatingError('REQUEST_REFUSED', { responseCode: 2, remark: 'system busy' })
  const closing = new OperatingError('REQUEST_REFUSED', { responseCode: 14, remark: 'the server is shutting down' })
  let refusals = 0
  cluster.admin.createTopic = async (...topic) => {
    if (refusals++ === 0) throw busy
    return createTopic(...topic)
  }
  cluster.admin.createGroup = async (...group) => {
    if (refusals++ < 5) throw closing
    return createGroup(...group)
  }
  const had: unknown[] = []
  cluster.admin.release = async (brokerAddr) => {
    const broker = [...cluster.brokers.values()].at(-1)
    had.push([broker?.topics.has('orders'), broker?.groups.has('billing')])
    return release(brokerAddr)
  }
  await cluster.create('consumergroups', 'billing', { brokerSetRef: { name: 'b' } })

  await createAll(1)
  await cluster.eventually(() => isReady(brokerSet()))

  expect(refusals).toBeGreaterThan(5)
  expect(had).toEqual([[true, true]])
})

test('an operator that only follows writes nothing, and goes on from there when it leads', async () => {
  await cluster.stop()
  cluster = await startCluster({ leads: false })
  await cluster.create('nameservers', 'mq', { replicas: 2 })
  const revision = cluster.revision()
  await nodeClock.sleep(300)
  expect(cluster.revision()).toBe(revision)

  cluster.lead()
  await cluster.eventually(() => isReady(cluster.get<NameServer>('nameservers', 'mq')))
})

test('a StatefulSet of NameServers that an earlier version let roll by itself goes over to OnDelete', async () => {
  await cluster.stop()
  cluster = await startCluster({ leads: false })
  await cluster.create('nameservers', 'mq', { replicas: 2 })
  const { children } = objectsOf(cluster.get<NameServer>('nameservers', 'mq')!, undefined, 'localhost/mq:1')
  const [, made] = children.find(([type]) => type === statefulSets) as [unknown, StatefulSet]
  const spec = { ...made.spec, updateStrategy: { type: 'RollingUpdate' } } as StatefulSet['spec']
  await cluster.client.apply(statefulSets, { ...made, spec } as StatefulSet)
  const strategy = () => (cluster.list('apps/statefulsets') as StatefulSet[])[0]?.spec?.updateStrategy
  expect(strategy()).toEqual({ type: 'RollingUpdate', rollingUpdate: { partition: 0 } })

  cluster.lead()
  await cluster.eventually(() => isReady(cluster.get<NameServer>('nameservers', 'mq')))

  expect(strategy()).toEqual({ type: 'OnDelete' })
})

test('a NameServer that is to go serves on under its name, and stands for none of those that stay', async () => {
  await createAll(1)
  const { brokers: all } = cluster.admin
  const nameServerOf = (namesrvAddr: string) =>
    (cluster.list('/pods') as Pod[]).find(({ status }) => namesrvAddr === `${status?.podIP}:9876`)?.metadata.name
  const who = () => cluster.get<NameServer>('nameservers', 'mq')

  await cluster.change('nameservers', 'mq', { spec: { replicas: 1 } })
  await cluster.eventually(() => who()?.status?.members?.[1]?.leavesAt !== undefined)
  expect(who()?.status?.address).toBe('mq-0.mq-headless.shop.svc:9876')
  expect(cluster.list('/pods').map(({ metadata }) => metadata.name)).toContain('mq-1')
  const isTold = (why: string) => cluster.list('/events').some((event) => 'reason' in event && event.reason === why)
  await cluster.eventually(() => isTold('ScaleInStarted'))
  await cluster.eventually(() => isReady(brokerSet()))

  cluster.admin.brokers = async (address) => (nameServerOf(address) === 'mq-1' ? all(address) : [])
  await cluster.change('brokersets', 'b', { metadata: { annotations: { looked: 'at' } } })
  await cluster.eventually(() => readyOf(brokerSet())?.reason === 'NotRegistered')

  cluster.admin.brokers = all
  await cluster.change('nameservers', 'mq', { spec: { replicas: 2 } })
  await cluster.eventually(() => isReady(who()) && isReady(brokerSet()))
  await cluster.eventually(() => isTold('ScaleInCancelled'))
})

test('a new group gets the topics and groups by itself, before it registers', async () => {
  await createAll(1)
  cluster.brokers.get('0')?.groups.set('billing', { groupName: 'billing' } as never)

  await cluster.change('brokersets', 'b', { spec: { groups: 3 } })
  await cluster.eventually(() => topic()?.status?.brokers?.synced === 3)

  expect(brokerSet()?.status).toMatchObject({ groups: 3, readyGroups: 3 })
  expect(cluster.brokers.get('2')?.topics.has('orders')).toBe(true)
  expect(cluster.brokers.get('2')?.registeredWith).toEqual(['orders'])
  expect(cluster.brokers.get('2')?.groups.has('billing')).toBe(true)
})

test('another version of the operator restarts nothing; restart-at brings its image, one broker at a time', async () => {
  await createAll(2)
  const pods = () => cluster.list('/pods') as Pod[]
  const before = pods().map(({ metadata }) => metadata.uid)
  const policies = (prefix: string) =>
    pods()
      .filter(({ metadata }) => metadata.name.startsWith(prefix))
      .map(({ spec }) => spec?.containers[0]?.terminationMessagePolicy)
  expect(policies('')).toEqual(Array(4).fill('FallbackToLogsOnError'))
  const earlier = (cluster.list('apps/statefulsets') as StatefulSet[]).map((one) => {
    const [container] = structuredClone(one.spec!.template.spec!.containers)
    const containers = [{ ...container, terminationMessagePolicy: 'File' }] // as versions before this field made it
    return cluster.client.merge(statefulSets, one.metadata, { spec: { template: { spec: { containers } } } })
  })
  await Promise.all(earlier)

  await cluster.replaceOperator('localhost/mq:2')
  await cluster.change('brokersets', 'b', { spec: { groups: 3 } })
  await cluster.eventually(() => isReady(brokerSet()) && brokerSet()?.status?.readyGroups === 3)
  expect(pods().map(({ metadata }) => metadata.uid)).toEqual(expect.arrayContaining(before))
  expect(pods().map(({ spec }) => spec?.containers[0]?.image)).toEqual(Array(5).fill('localhost/mq:1'))
  const policyOf = ({ spec }: StatefulSet) => spec?.template.spec?.containers[0]?.terminationMessagePolicy
  const kept = (cluster.list('apps/statefulsets') as StatefulSet[]).filter(({ metadata }) => metadata.name !== 'b-2')
  expect(kept.map(policyOf)).toEqual(['File', 'File', 'File'])

  const restart = { metadata: { annotations: { 'rocketmq.alt/restart-at': '2026-01-02T03:04:05Z' } } }
  await cluster.change('brokersets', 'b', restart)
  const brokerPods = () => pods().filter(({ metadata }) => metadata.name.startsWith('b-'))
  await cluster.eventually(() => brokerPods().every(({ spec }) => spec?.containers[0]?.image === 'localhost/mq:2'))
  await cluster.eventually(() => isReady(brokerSet()))
  expect(pods().find(({ metadata }) => metadata.name === 'mq-0')?.spec?.containers[0]?.image).toBe('localhost/mq:1')
  expect(policies('b-')).toEqual(Array(3).fill('FallbackToLogsOnError'))
})

test('slaves come, are waited for in a roll before their master, and go; the master stays', async () => {
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, slavesPerGroup: 2 })
  await cluster.create('nameservers', 'mq', { replicas: 1 })
  await cluster.eventually(() => isReady(brokerSet()))
  const pods = () => cluster.list('/pods').filter(({ metadata }) => metadata.name.startsWith('b-'))
  const uidOf = (name: string) => pods().find(({ metadata }) => metadata.name === name)?.metadata.uid
  const inSync = () => brokerSet()?.status?.conditions?.find(({ type }) => type === 'InSync')
  await cluster.eventually(() => pods().every(({ metadata }) => metadata.labels?.['rocketmq.alt/role'] !== undefined))
  expect(pods().map(({ metadata }) => [metadata.name, metadata.labels?.['rocketmq.alt/role']])).toEqual([
    ['b-0-0', 'master'],
    ['b-0-1', 'slave'],
    ['b-0-2', 'slave'],
  ])
  const [master, first, second] = ['b-0-0', 'b-0-1', 'b-0-2'].map(uidOf)

  cluster.brokers.get('0-2')!.isFollowing = false // as after a restart: it has to find its master again
  await cluster.change('brokersets', 'b', { spec: { config: { maxMessageSize: '1024' } } })
  await cluster.eventually(
    () => inSync()?.message.includes("b-0-2: it does not copy its master's log from master:10912") ?? false,
  )
  expect([uidOf('b-0-0'), uidOf('b-0-1'), uidOf('b-0-2')]).toEqual([master, first, second])
  cluster.brokers.get('0-2')!.isFollowing = true
  await cluster.eventually(() => uidOf('b-0-2') !== second && uidOf('b-0-2') !== undefined)
  await cluster.eventually(() => isReady(brokerSet()))
  expect([master, first]).not.toContain(uidOf('b-0-0'))
  expect(first).not.toBe(uidOf('b-0-1'))
  const served = uidOf('b-0-0')

  await cluster.change('brokersets', 'b', { spec: { slavesPerGroup: 0 } })
  await cluster.eventually(() => isReady(brokerSet()) && pods().length === 1)
  expect(uidOf('b-0-0')).toBe(served)
  const services = () => cluster.list('/services').map(({ metadata }) => metadata.name)
  await cluster.eventually(() => !services().includes('b-0-1') && !services().includes('b-0-2'))
})

test('the group that leaves takes no more messages and is kept while there is something to read', async () => {
  await createAll(2)
  const leaving = cluster.brokers.get('1')!
  leaving.unread = [{ consumerGroup: 'billing', topic: 'orders', count: 7 }]

  await cluster.change('brokersets', 'b', { spec: { groups: 1 } })
  await cluster.eventually(() => leaving.permission === 4)
  await cluster.eventually(() => brokerSet()?.status?.groupStatuses?.[1]?.draining?.blockers?.length === 1)
  expect(cluster.list('apps/statefulsets').map(({ metadata }) => metadata.name)).toContain('b-1')

  await cluster.change('brokersets', 'b', { spec: { groups: 2 } })
  await cluster.eventually(() => leaving.permission === 6)
  await cluster.eventually(() => isReady(brokerSet()))
})

test('a cache without the StatefulSet of a group that leaves is not believed: it is not gone', async () => {
  await createAll(2)
  await using shell = await cluster.newShell()
  for (const { cache } of shell.world.statefulSets.informers) cache.replace([])
  const desired = { ...brokerSet()!, spec: brokerSetSpec.parse({ ...brokerSet()!.spec, groups: 1 }) }

  const { groups } = await observe(desired, shell)

  expect(groups[1]?.statefulSet?.metadata.name).toBe('b-1')
})

test('an object of somebody else is left alone, and the resource says so', async () => {
  await cluster.client.create({ apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps' }, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'mq-namesrv',
      namespace: 'shop',
      labels: { 'app.kubernetes.io/managed-by': 'rocketmq-operator' },
    },
    data: { mine: 'yes' },
  } as never)

  await cluster.create('nameservers', 'mq', {})
  await cluster.eventually(() => readyOf(cluster.get<NameServer>('nameservers', 'mq'))?.reason === 'NameTaken')

  const stalled = cluster
    .get<NameServer>('nameservers', 'mq')
    ?.status?.conditions?.find(({ type }) => type === 'Stalled')
  expect(stalled?.status).toBe('True')
  expect(cluster.list('/configmaps').find(({ metadata }) => metadata.name === 'mq-namesrv')).toMatchObject({
    data: { mine: 'yes' },
  })
})

test('a Topic with deletionPolicy Delete goes when it is gone from the brokers', async () => {
  await createAll(2, { deletionPolicy: 'Delete' })
  expect(topic()?.metadata.finalizers).toEqual(['rocketmq.alt/cleanup'])

  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => topic() === undefined)

  expect([...cluster.brokers.values()].map(({ topics }) => topics.size)).toEqual([0, 0])
})

test('a Topic that is seen deleted once more when it is gone takes nothing from the one that has its name', async () => {
  await createAll(1, { deletionPolicy: 'Delete' })
  const seen = topic()!
  const deletionTimestamp = new Date(nodeClock.now()).toISOString()
  const late = { ...seen, metadata: { ...seen.metadata, deletionTimestamp } }
  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => topic() === undefined)
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' }, deletionPolicy: 'Delete' })
  await cluster.eventually(() => isReady(topic()))

  await using shell = await cluster.newShell()
  Object.assign(shell.world.topics, { by: () => [late] }) // what a cache that lags has under the name
  await reconcileTopic(late, shell)

  expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(true)
})

test('a Topic that this version cannot read says so, and goes when it is deleted', async () => {
  await cluster.stop()
  cluster = await startCluster({ takesAnySpec: true })
  await createAll(1, { deletionPolicy: 'Delete' })
  await cluster.change('topics', 'orders', { spec: { queues: 'many' } })
  await cluster.eventually(() => readyOf(topic())?.reason === 'InvalidSpec')

  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => topic() === undefined)

  expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(true)
})

test('Topics that this version cannot read hold up no broker, and no other Topic', async () => {
  await cluster.stop()
  cluster = await startCluster({ takesAnySpec: true })
  await cluster.create('topics', 'odd', { brokerSetRef: { name: 'b' }, queues: 'many' })
  await cluster.create('topics', 'empty', {})
  await createAll(1)

  expect(cluster.brokers.get('0')?.registeredWith).toEqual(['orders'])
})

test('of two Topics that speak for one topic the other takes it over, messages and all, when one is deleted', async () => {
  const spec = { deletionPolicy: 'Delete', topicName: 'orders' }
  await createAll(1, spec)
  await cluster.create('topics', 'again', { ...spec, brokerSetRef: { name: 'b' }, queues: { perBroker: 4 } })
  const get = (name: string) => cluster.get<Topic>('topics', name)
  const isHeir = (name: string) => readyOf(get(name))?.reason === 'ResourceConflict' // uids decide within one second
  await cluster.eventually(() => isHeir('again') || isHeir('orders'))
  const [speaker, heir] = isHeir('again') ? ['orders', 'again'] : ['again', 'orders']
  const deleted: string[] = []
  cluster.admin.deleteTopic = async (_, name) => void deleted.push(name)

  await cluster.remove('topics', speaker as string)
  await cluster.eventually(() => get(speaker as string) === undefined && isReady(get(heir as string)))

  expect(deleted).toEqual([])
})

test('an operator that may not list storage classes looks after brokers all the same', async () => {
  const { client } = cluster
  const listPage = client.listPage.bind(client)
  client.listPage = async (selection, ...more) => {
    if (selection.type.plural === 'storageclasses')
      throw new OperatingError('KUBE_REFUSED', { status: 403, causes: [] })
    return listPage(selection, ...more) as never
  }

  await createAll(1)

  expect(isReady(brokerSet())).toBe(true)
})

test('a volume that is too full is told, once, and until there is room, also while the set is paused', async () => {
  await cluster.stop()
  const clock = new ManualClock()
  cluster = await startCluster({ clock })
  let ratio = 0.95
  cluster.admin.diskUsedRatio = async () => ratio
  await createAll(1)
  const pressure = () => brokerSet()?.status?.conditions?.find(({ type }) => type === 'DiskPressure')
  const events = () => (cluster.list('/events') as unknown as { reason: string }[]).map(({ reason }) => reason)
  const told = () => events().filter((reason) => reason === 'DiskPressure').length
  await cluster.eventually(() => pressure()?.reason === 'SendsRefused' && told() === 1)
  expect(brokerSet()?.status?.groupStatuses?.[0]?.members?.[0]).toMatchObject({ pod: 'b-0-0', disk: 'SendsRefused' })

  await cluster.change('brokersets', 'b', { spec: { paused: true } })
  ratio = 0.5
  await clock.advance(60_000)
  await cluster.eventually(() => pressure()?.status === 'False')
  ratio = 0.87
  await clock.advance(60_000)
  await cluster.eventually(() => pressure()?.reason === 'OldestRemoved' && told() === 2)
})

test('of each broker it is told how full its own volume is', async () => {
  const addressOf = (name: string) => {
    const found = cluster.list('/services').find(({ metadata }) => metadata.name === name) as Service | undefined
    return `${found?.spec?.clusterIP}:10911`
  }
  cluster.admin.diskUsedRatio = async (brokerAddr) => (brokerAddr === addressOf('b-0-1') ? 0.87 : 0.5)
  await cluster.create('nameservers', 'mq', { replicas: 1 })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, slavesPerGroup: 2 })
  await cluster.eventually(() => isReady(brokerSet()))

  expect(brokerSet()?.status?.groupStatuses?.[0]?.members?.map(({ pod, disk }) => [pod, disk])).toEqual([
    ['b-0-0', undefined],
    ['b-0-1', 'OldestRemoved'],
    ['b-0-2', undefined],
  ])
})

test('a Topic that takes nothing over leaves what is there, also when it is deleted', async () => {
  await createAll(1)
  const has = { ...cluster.brokers.get('0')!.topics.get('orders')!, topicName: 'by-hand', perm: 4 }
  cluster.brokers.get('0')!.topics.set('by-hand', has)
  await cluster.create('topics', 'by-hand', { brokerSetRef: { name: 'b' }, deletionPolicy: 'Delete' })
  const get = () => cluster.get<Topic>('topics', 'by-hand')
  await cluster.eventually(() => readyOf(get())?.reason === 'AdoptionConflict')
  expect(cluster.brokers.get('0')?.topics.get('by-hand')).toEqual(has)

  await cluster.change('topics', 'by-hand', { spec: { adoptionPolicy: 'Always' } })
  await cluster.eventually(() => isReady(get()) && cluster.brokers.get('0')?.topics.get('by-hand')?.perm === 6)

  await cluster.change('topics', 'by-hand', { spec: { adoptionPolicy: 'Never' } })
  await cluster.eventually(() => get()?.status?.observedGeneration === get()?.metadata.generation && isReady(get()))

  cluster.brokers.get('0')!.topics.set('other', { ...has, topicName: 'other' })
  await cluster.create('topics', 'other', { brokerSetRef: { name: 'b' }, deletionPolicy: 'Delete' })
  await cluster.eventually(() => readyOf(cluster.get<Topic>('topics', 'other'))?.reason === 'AdoptionConflict')
  await cluster.remove('topics', 'other')
  await cluster.eventually(() => cluster.get<Topic>('topics', 'other') === undefined)
  expect(cluster.brokers.get('0')?.topics.has('other')).toBe(true)
})

test('a placement decides what a new group gets, too', async () => {
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' }, placement: { groups: [0, 2] } })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' } })
  await cluster.create('nameservers', 'mq', {})
  await cluster.eventually(() => topic()?.status?.brokers?.synced === 1)
  await cluster.change('brokersets', 'b', { spec: { groups: 3 } })
  await cluster.eventually(() => topic()?.status?.brokers?.synced === 2 && isReady(brokerSet()))

  expect(['0', '1', '2'].map((index) => cluster.brokers.get(index)?.topics.has('orders'))).toEqual([true, false, true])
  expect(cluster.brokers.get('2')?.registeredWith).toEqual(['orders'])
})

test('a deletion that a silent broker holds up says so, and until when', async () => {
  await createAll(1, { deletionPolicy: 'Delete' })
  const { deleteTopic } = cluster.admin
  cluster.admin.deleteTopic = () => Promise.reject(new Error('it does not answer'))

  await cluster.remove('topics', 'orders')
  const deferred = () => topic()?.status?.conditions?.find(({ type }) => type === 'DeletionDeferred')
  await cluster.eventually(() => deferred()?.status === 'True')
  expect(deferred()?.message).toMatch(/it does not answer; the resource goes at .* all the same/)

  cluster.admin.deleteTopic = deleteTopic
  await cluster.change('topics', 'orders', { metadata: { annotations: { 'rocketmq.alt/restart-at': 'now' } } })
  await cluster.eventually(() => topic() === undefined)
  expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(false)
})

test('a Topic whose brokers went before it goes too', async () => {
  await createAll(1, { deletionPolicy: 'Delete' })
  await cluster.remove('brokersets', 'b')
  await cluster.eventually(() => brokerSet() === undefined)

  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => topic() === undefined)
})

test('a Topic whose deletionPolicy is Retain leaves the topic on the brokers', async () => {
  await createAll(1)

  await cluster.remove('topics', 'orders')
  await cluster.eventually(() => topic() === undefined)
  await nodeClock.sleep(50)

  expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(true)
})
