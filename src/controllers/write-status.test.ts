import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { TopicStatus } from '../crds/index.ts'
import { isRefused } from '../kube/index.ts'
import { readiness } from './conditions.ts'
import { writeStatus } from './perform.ts'
import { type Topic, topics } from './resources.ts'
import type { Shell } from './shell.ts'
import { startCluster } from './testing/cluster.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
let shell: Shell & AsyncDisposable
let seen: Topic

beforeEach(async () => {
  cluster = await startCluster({ leads: false })
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' } })
  shell = await cluster.newShell()
  seen = topic()!
})

afterEach(async () => {
  await shell[Symbol.asyncDispose]()
  await cluster.stop()
})

const topic = () => cluster.get<Topic>('topics', 'orders')
const ready = readiness({ status: 'True', reason: 'Synced', message: '' })
const write = (object: Topic, status: TopicStatus, options = {}) =>
  writeStatus(topics, object, { status, verdicts: ready, notes: [] }, shell, options)
const foreign = {
  type: 'acme.example/Audited',
  status: 'True' as const,
  reason: 'Asked',
  message: '',
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
}

test('what a status no longer says goes', async () => {
  await write(seen, { topicName: 'orders', failing: [{ broker: 'b-0', reason: 'away' }] })
  await write(topic()!, { topicName: 'orders' })

  expect(topic()?.status).toMatchObject({ topicName: 'orders', observedGeneration: 1 })
  expect(topic()?.status).not.toHaveProperty('failing')
})

test('conditions of others stay, also those that came since the object was read', async () => {
  await shell.client.merge(topics, seen.metadata, { status: { conditions: [foreign] } }, undefined, 'status')

  await write(seen, { topicName: 'orders' })

  expect(topic()?.status?.topicName).toBe('orders')
  expect(topic()?.status?.conditions?.map(({ type }) => type)).toEqual([
    'Ready',
    'Reconciling',
    'Stalled',
    'acme.example/Audited',
  ])
})

test('a status that is there already is not written again', async () => {
  await write(seen, { topicName: 'orders' })
  const { resourceVersion } = topic()!.metadata

  await write(topic()!, { topicName: 'orders' })

  expect(topic()?.metadata.resourceVersion).toBe(resourceVersion)
})

test('one that was made of an older status than is there is refused: plans go by statuses', async () => {
  await write(seen, { topicName: 'orders', owner: 'someone' })

  const failure = await write(seen, { topicName: 'orders' }).catch((error) => error)

  expect(isRefused(failure, 409)).toBe(true)
  expect(topic()?.status?.owner).toBe('someone')
})

test('one that must be exact is not written over what came since', async () => {
  await write(seen, { topicName: 'orders' })

  const failure = await write(seen, { topicName: 'orders', syncedGeneration: 1 }, { isExact: true }).catch(
    (error) => error,
  )

  expect(isRefused(failure, 409)).toBe(true)
  expect(topic()?.status).not.toHaveProperty('syncedGeneration')
})

test('an object that took the name of one that is gone is left alone', async () => {
  await cluster.remove('topics', 'orders')
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' } })

  await write(seen, { topicName: 'orders' })

  expect(topic()?.status).toBeUndefined()
})
