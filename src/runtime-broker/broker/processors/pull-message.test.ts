import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

test('a held pull is answered by the message it waits for', async () => {
  await broker.client.createTopic('orders')
  const pull = broker.client.pull('orders', { holdMs: 7_000 })

  await broker.connect().send('orders', { body: 'paid' })

  expect(await pull).toMatchObject({
    code: ResponseCode.SUCCESS,
    bodies: ['paid'],
    nextBeginOffset: 1,
    remark: 'FOUND',
  })
})

test('a held pull of one tag sleeps through messages of others', async () => {
  await broker.client.createTopic('tagged')
  const pull = broker.client.pull('tagged', { holdMs: 7_000, subscription: 'wanted || also' })

  await broker.client.send('tagged', { body: 'no', properties: { TAGS: 'other' } })
  await broker.client.send('tagged', { body: 'yes', properties: { TAGS: 'also' } })

  expect(await pull).toMatchObject({ bodies: ['yes'], nextBeginOffset: 2 })
})

test('a held pull wakes for what its group wants by then', async () => {
  const consumerGroup = 'fickle'
  await broker.client.createTopic('changing')
  await broker.client.subscribe('changing', { group: consumerGroup, tags: ['a'] })
  const pull = broker.client.pull('changing', { consumerGroup, isLite: false, holdMs: 7_000 })
  await broker.client.subscribe('changing', { group: consumerGroup, tags: ['b'], subVersion: 2n })

  await broker.connect().send('changing', { body: 'no longer', properties: { TAGS: 'a' } })

  expect(await pull).toMatchObject({ code: ResponseCode.PULL_RETRY_IMMEDIATELY, bodies: [], nextBeginOffset: 1 })
})

test('where nothing is, the answer says where to go on', async () => {
  await broker.client.createTopic('ends')
  expect(await broker.client.pull('ends')).toMatchObject({ code: ResponseCode.PULL_NOT_FOUND, nextBeginOffset: 0 })
  expect(await broker.client.pull('ends', { queueOffset: 3 })).toMatchObject({ code: ResponseCode.PULL_OFFSET_MOVED })

  await broker.client.send('ends', { properties: { TAGS: 'a' } })

  expect(await broker.client.pull('ends', { queueOffset: 1 })).toMatchObject({
    code: ResponseCode.PULL_NOT_FOUND,
    nextBeginOffset: 1,
    remark: 'OFFSET_OVERFLOW_ONE',
  })
  expect(await broker.client.pull('ends', { queueOffset: 9 })).toMatchObject({
    code: ResponseCode.PULL_OFFSET_MOVED,
    nextBeginOffset: 1,
    remark: 'OFFSET_OVERFLOW_BADLY',
  })
  expect(await broker.client.pull('ends', { subscription: 'b' })).toMatchObject({
    code: ResponseCode.PULL_RETRY_IMMEDIATELY,
    nextBeginOffset: 1,
    remark: 'NO_MATCHED_MESSAGE',
  })
})

test('who may not pull is told why', async () => {
  const { client } = broker
  await client.createTopic('guarded')
  await client.createTopic('write-only', 1, 2)

  expect((await client.pull('unknown')).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
  expect((await client.pull('write-only')).code).toBe(ResponseCode.NO_PERMISSION)
  expect((await client.pull('guarded', { queueId: 1 })).code).toBe(ResponseCode.INVALID_PARAMETER)
  expect((await client.pull('guarded', { isLite: false, consumerGroup: 'silent' })).code).toBe(
    ResponseCode.SUBSCRIPTION_NOT_EXIST,
  )
})

test('subscription versions beyond 2^53 are told apart', async () => {
  await broker.client.createTopic('nanos')
  const subVersion = 1_795_411_641_097_123_456n
  await broker.client.subscribe('nanos', { group: 'go', subVersion })
  const pull = { consumerGroup: 'go', isLite: false }

  expect((await broker.client.pull('nanos', { ...pull, subVersion })).code).toBe(ResponseCode.PULL_NOT_FOUND)
  expect((await broker.client.pull('nanos', { ...pull, subVersion: subVersion + 1n })).code).toBe(
    ResponseCode.SUBSCRIPTION_NOT_LATEST,
  )
})

test('a reset sends the next pull elsewhere, once', async () => {
  const { client } = broker
  await client.createTopic('rewound')
  for (const body of ['a', 'b', 'c']) await client.send('rewound', { body })
  await client.pull('rewound') // makes the group
  const reset = { topic: 'rewound', group: 'consumers', timestamp: 0, isForce: true }

  const answer = await client.call(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, reset)

  expect(answer.body.toString()).toBe('{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"rewound"}:0}}')
  const commit = { topic: 'rewound', consumerGroup: 'consumers', queueId: 0, commitOffset: 3 }
  expect((await client.call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)).remark).toBe(
    'Offset has been previously reset',
  )
  expect(await client.pull('rewound', { queueOffset: 3 })).toMatchObject({
    code: ResponseCode.PULL_OFFSET_MOVED,
    nextBeginOffset: 0,
  })
  expect((await client.pull('rewound', { queueOffset: 0 })).bodies).toEqual(['a', 'b', 'c'])
})

test('pulls that are answered together have their own messages', async () => {
  await broker.client.createTopic('together')
  const bodies = Array.from({ length: 12 }, (_, number) => `${number}`.padStart(9_000, '-'))
  for (const body of bodies) await broker.client.send('together', { body })

  const pulls = await Promise.all(bodies.map((_, queueOffset) => broker.client.pull('together', { queueOffset })))

  expect(pulls.map((pull) => pull.bodies)).toEqual(bodies.map((_, queueOffset) => bodies.slice(queueOffset)))
})
