import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { nodeClock } from '../../base/node/index.ts'
import type { ConsumerGroup } from '../resources.ts'
import { startCluster } from '../testing/cluster.ts'

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
  await cluster.eventually(() => calls === 1)
  const replaced = cluster.replaceOperator()
  answer.resolve(4)
  await replaced
  await cluster.eventually(() => group()?.status?.lastReset?.result === 'Interrupted')

  expect(calls).toBe(1)
  expect(conditionOf('OffsetReset')).toMatchObject({ status: 'False', reason: 'Interrupted' })
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
