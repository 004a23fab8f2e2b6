import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually } from '../../../base/testing/eventually.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
  await broker.client.createTopic('orders', 4)
})
afterAll(() => broker.stop())

test('a heartbeat makes the group, its retry topic and its list of members', async () => {
  const answer = await broker.client.subscribe('orders', { group: 'billing' })

  expect(answer.extFields).toEqual({ IS_SUPPORT_HEART_BEAT_V2: 'true', IS_SUB_CHANGE: 'true' })
  expect(await members('billing')).toEqual(['client-1'])
  const retry = await broker.client.call(RequestCode.GET_TOPIC_CONFIG, { topic: '%RETRY%billing' })
  expect(JSON.parse(retry.body.toString())).toMatchObject({ perm: 6, readQueueNums: 1 })
})

test('members are told when one comes and when one goes, with its connection too', async () => {
  const first = broker.connect()
  const second = broker.connect()
  await first.subscribe('orders', { group: 'shared', clientId: 'first' })
  await second.subscribe('orders', { group: 'shared', clientId: 'second' })
  expect(await members('shared')).toEqual(['first', 'second'])
  const toldBefore = first.received.length
  expect(toldBefore).toBeGreaterThan(0)
  expect(first.received.at(-1)).toMatchObject({
    code: RequestCode.NOTIFY_CONSUMER_IDS_CHANGED,
    extFields: { consumerGroup: 'shared' },
    isOneway: true,
  })

  await second.close()

  await eventually(() => expect(first.received.length).toBe(toldBefore + 1))
  expect(await members('shared')).toEqual(['first'])
  await first.call(RequestCode.UNREGISTER_CLIENT, { clientID: 'first', consumerGroup: 'shared' })
  const list = await broker.client.call(RequestCode.GET_CONSUMER_LIST_BY_GROUP, { consumerGroup: 'shared' })
  expect(list).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: 'no consumer for this group, shared' })
})

test('the same heartbeat again tells nobody', async () => {
  const client = broker.connect()
  await client.subscribe('orders', { group: 'calm' })
  const told = client.received.length

  await client.subscribe('orders', { group: 'calm' })

  expect(client.received.length).toBe(told)
})

test('an admin sees connections and subscriptions', async () => {
  await broker.client.subscribe('orders', { group: 'seen', tags: ['a'], subVersion: 1_795_411_641_097_123_456n })

  const answer = await broker.client.call(RequestCode.GET_CONSUMER_CONNECTION_LIST, { consumerGroup: 'seen' })

  const text = answer.body.toString()
  expect(text).toContain('"subVersion":1795411641097123456')
  expect(JSON.parse(text)).toMatchObject({
    connectionSet: [{ clientId: 'client-1', clientAddr: expect.stringMatching(/^127\.0\.0\.1:\d+$/) }],
    consumeType: 'CONSUME_PASSIVELY',
    subscriptionTable: { orders: { codeSet: [97], subString: 'a' } },
  })
  const missing = await broker.client.call(RequestCode.GET_CONSUMER_CONNECTION_LIST, { consumerGroup: 'nobody' })
  expect(missing).toMatchObject({ code: ResponseCode.CONSUMER_NOT_ONLINE })
})

test('running info is asked of the client and passed on as it is', async () => {
  const client = broker.connect()
  client.answer = () => ({ code: 0, body: Buffer.from('{"jstack":"busy"}') })
  await client.subscribe('orders', { group: 'running', clientId: 'runner' })
  const ask = { consumerGroup: 'running', clientId: 'runner', jstackEnable: true }

  const answer = await broker.client.call(RequestCode.GET_CONSUMER_RUNNING_INFO, ask)

  expect(answer.body.toString()).toBe('{"jstack":"busy"}')
  const gone = await broker.client.call(RequestCode.GET_CONSUMER_RUNNING_INFO, { ...ask, clientId: 'x' })
  expect(gone.remark).toBe('The Consumer <running> <x> not online')
})

test('SQL92 is refused before a consumer starts with it', async () => {
  const subscriptionData = { topic: 'orders', subString: 'a > 1', expressionType: 'SQL92' }

  const answer = await broker.client.call(
    RequestCode.CHECK_CLIENT_CONFIG,
    {},
    { clientId: 'c', group: 'g', subscriptionData },
  )

  expect(answer).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: 'The broker does not support consumer to filter message by SQL92',
  })
})

test('a queue has one lock holder', async () => {
  const mqSet = [{ topic: 'orders', brokerName: 'broker-a', queueId: 0 }]
  const lock = async (clientId: string) => {
    const body = { consumerGroup: 'ordered', clientId, mqSet }
    const answer = await broker.client.call(RequestCode.LOCK_BATCH_MQ, {}, body)
    return JSON.parse(answer.body.toString()).lockOKMQSet.length
  }

  expect([await lock('a'), await lock('b'), await lock('a')]).toEqual([1, 0, 1])
  await broker.client.call(RequestCode.UNLOCK_BATCH_MQ, {}, { consumerGroup: 'ordered', clientId: 'a', mqSet })
  expect(await lock('b')).toBe(1)
})

async function members(consumerGroup: string): Promise<string[]> {
  const answer = await broker.client.call(RequestCode.GET_CONSUMER_LIST_BY_GROUP, { consumerGroup })
  return JSON.parse(answer.body.toString()).consumerIdList
}
