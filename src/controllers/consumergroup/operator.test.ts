import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { nodeClock } from '../../base/node/index.ts'
import { consumerGroupSpec } from '../../crds/index.ts'
import type { ConsumerGroup } from '../resources.ts'
import { startCluster } from '../testing/cluster.ts'
import { reconcileConsumerGroup } from './reconcile.ts'
import { performReset } from './reset.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
})
afterEach(() => cluster.stop())

const group = (name = 'billing') => cluster.get<ConsumerGroup>('consumergroups', name)
const conditionOf = (type: string, name?: string) => group(name)?.status?.conditions?.find((one) => one.type === type)
const onBrokers = () => [...cluster.brokers.values()].map(({ groups }) => groups.get('billing'))
const resetsDone = () => [...cluster.brokers.values()].map(({ resets }) => resets.length)

async function createAll(spec: object = {}) {
  await cluster.create('consumergroups', 'billing', { brokerSetRef: { name: 'b' }, ...spec })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, groups: 2 })
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' }, queues: { perBroker: 4 } })
  await cluster.create('nameservers', 'mq', {})
  await cluster.eventually(() => conditionOf('Ready')?.status === 'True')
}

/** As if the group had consumed there. */
async function consumed(clients: number) {
  await cluster.eventually(() => [...cluster.brokers.values()].every(({ topics }) => topics.has('orders')))
  for (const { uses } of cluster.brokers.values()) uses.set('billing', { clients, topics: ['orders'] })
}

const ask = (requestId: string, more = {}) =>
  cluster.change('consumergroups', 'billing', { spec: { resetOffset: { requestId, to: 'Earliest', ...more } } })

test('is on every broker as the resource says, and follows it', async () => {
  await createAll({ retry: { maxTimes: 5 } })
  expect(onBrokers()).toEqual([5, 5].map((retryMaxTimes) => expect.objectContaining({ retryMaxTimes })))

  await cluster.change('consumergroups', 'billing', { spec: { consumeEnabled: false } })
  await cluster.eventually(() => onBrokers().every((one) => one?.consumeEnable === false))

  expect(onBrokers()).toEqual([5, 5].map((retryMaxTimes) => expect.objectContaining({ retryMaxTimes })))
  await cluster.eventually(() => group()?.status?.observedGeneration === group()?.metadata.generation)
  expect(group()?.status?.brokers).toEqual({ desired: 2, synced: 2 })
})

test('what it made itself is its own, also where it was to have a finalizer first', async () => {
  await createAll()
  await cluster.create('consumergroups', 'late', {
    brokerSetRef: { name: 'b' },
    deletionPolicy: 'Delete',
    adoptionPolicy: 'Never',
  })
  await cluster.eventually(() => conditionOf('Ready', 'late')?.status === 'True')

  await cluster.remove('consumergroups', 'late')
  await cluster.eventually(() => group('late') === undefined)

  expect([...cluster.brokers.values()].map(({ groups }) => groups.has('late'))).toEqual([false, false])
})

test('every new broker, the first one too, has it before it registers', async () => {
  await createAll({ retry: { maxTimes: 5 } })

  expect([...cluster.brokers.values()].map(({ registeredGroups }) => registeredGroups)).toEqual([
    ['billing'],
    ['billing'],
  ])
})

test('a reset waits for the consumers to stop, is done once, and another id asks for another one', async () => {
  await createAll()
  await consumed(1)

  await ask('july')
  await cluster.eventually(() => conditionOf('OffsetReset')?.reason === 'ConsumersOnline')
  expect(resetsDone()).toEqual([0, 0])

  await consumed(0)
  await cluster.change('consumergroups', 'billing', { spec: { orderly: true } }) // sooner than its next look
  await cluster.eventually(() => conditionOf('OffsetReset')?.status === 'True')
  expect(group()?.status?.lastReset).toMatchObject({ requestId: 'july', result: 'Done' })
  expect(conditionOf('OffsetReset')?.message).toBe('8 queues of 1 topics go on at their first message')

  await cluster.change('consumergroups', 'billing', { spec: { orderly: false } })
  await cluster.eventually(() => onBrokers().every((one) => one?.consumeMessageOrderly === false))
  await nodeClock.sleep(100)
  expect(resetsDone()).toEqual([1, 1])

  await ask('august', { to: 'Latest' })
  await cluster.eventually(() => group()?.status?.lastReset?.requestId === 'august')
  await cluster.eventually(() => group()?.status?.lastReset?.result === 'Done')
  expect(resetsDone()).toEqual([2, 2])
})

test('a reset that a former operator did not finish is not begun again', async () => {
  await createAll()
  await consumed(0)
  let calls = 0
  const answer = Promise.withResolvers<number>()
  cluster.admin.resetOffset = () => {
    calls++
    return answer.promise
  }

  await ask('july')
  await cluster.eventually(() => calls === 2) // one for each broker
  const replaced = cluster.replaceOperator()
  answer.resolve(4)
  await replaced
  await cluster.eventually(() => group()?.status?.lastReset?.result === 'Interrupted')

  expect(calls).toBe(2)
  expect(conditionOf('OffsetReset')).toMatchObject({ status: 'False', reason: 'Interrupted' })
})

test('a cache that lags has no reset done again, and takes no end of one back', async () => {
  await createAll()
  await consumed(0)
  const parsed = (resource: ConsumerGroup) => ({ ...resource, spec: consumerGroupSpec.parse(resource.spec) })
  const before = parsed(structuredClone(group()!))
  before.status = { ...before.status, brokers: { desired: 2, synced: 1 } } // so that there is something to write
  await ask('july')
  await cluster.eventually(() => group()?.status?.lastReset?.result === 'Done')
  const asked = { ...before, spec: parsed(group()!).spec }
  await using shell = await cluster.newShell()

  await expect(reconcileConsumerGroup(before, shell)).rejects.toMatchObject({ facts: { status: 409 } })
  await reconcileConsumerGroup(asked, shell)

  expect(resetsDone()).toEqual([1, 1])
  expect(group()?.status?.lastReset).toMatchObject({ requestId: 'july', result: 'Done' })
})

test('a reset whose pass ran out of time goes on with the next one, and does nothing twice', async () => {
  await createAll()
  await consumed(0)
  for (const { uses } of cluster.brokers.values()) uses.set('billing', { clients: 0, topics: ['bills', 'orders'] })
  await using shell = await cluster.newShell()
  const desired = {
    ...group()!,
    spec: { ...group()!.spec, resetOffset: { requestId: 'july', to: 'Earliest' as const, force: false } },
  }
  const outOfTime = new AbortController()
  const asked: string[] = []
  const admin = {
    ...shell.admin,
    resetOffset: async (brokerAddr: string, _: string, topic: string) => {
      asked.push(`${topic} ${brokerAddr}`)
      outOfTime.abort(new Error('out of time'))
      return 4
    },
  }
  const brokers = ['10.0.0.1:10911', '10.0.0.2:10911'].map((brokerAddr, index) => ({
    brokerName: `b-${index}`,
    brokerAddr,
  }))
  const plan = {
    do: 'reset' as const,
    timestampMs: 0,
    targets: brokers.map((place) => ({ ...place, topics: ['bills', 'orders'] })),
  }
  const begin = async () => {}

  await expect(performReset(desired, plan, begin, { ...shell, admin, signal: outOfTime.signal })).rejects.toThrow(
    'out of time',
  )
  const end = await performReset(desired, { do: 'goOn' }, begin, { ...shell, admin })

  expect(end).toMatchObject({ result: 'Done', message: '16 queues of 2 topics go on at their first message' })
  expect(asked.toSorted()).toEqual(
    brokers.flatMap(({ brokerAddr }) => [`bills ${brokerAddr}`, `orders ${brokerAddr}`]).toSorted(),
  )
})

test('a group that has consumed nothing has nothing to reset, and is told so', async () => {
  await createAll()

  await ask('july')
  await cluster.eventually(() => conditionOf('OffsetReset')?.reason === 'Failed')

  expect(conditionOf('OffsetReset')?.message).toContain('has consumed nothing yet')
})

test('a topic that no broker has makes a reset fail, and says so', async () => {
  await createAll()
  await consumed(0)

  await ask('july', { topics: ['nowhere'] })
  await cluster.eventually(() => conditionOf('OffsetReset')?.reason === 'Failed')

  expect(conditionOf('OffsetReset')?.message).toContain('no broker has nowhere')
  expect(conditionOf('Ready')?.status).toBe('True')
})

test('with deletionPolicy Delete it goes when it is gone from the brokers, with its offsets where asked', async () => {
  await createAll({ deletionPolicy: 'Delete', deleteOffsets: true })
  await consumed(0)

  await cluster.remove('consumergroups', 'billing')
  await cluster.eventually(() => group() === undefined)

  expect(onBrokers()).toEqual([undefined, undefined])
  expect([...cluster.brokers.values()].map(({ uses }) => uses.size)).toEqual([0, 0])
})

test('with deletionPolicy Retain it stays on the brokers', async () => {
  await createAll()

  await cluster.remove('consumergroups', 'billing')
  await cluster.eventually(() => group() === undefined)
  await nodeClock.sleep(50)

  expect(onBrokers()).toEqual([expect.anything(), expect.anything()])
})
