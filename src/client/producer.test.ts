import { inflateSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { decodeMessage, MessageSysFlag } from '../remoting/message/index.ts'
import { sendMany } from './bulk.ts'
import type { Message } from './message.ts'
import { Producer, type ProducerOptions, queueByKey } from './producer.ts'
import { FakeCluster, testDoors } from './testing/fake-cluster.ts'

let cluster: FakeCluster
let closing: Producer[]

beforeEach(async () => {
  cluster = await FakeCluster.start(2)
  cluster.addTopic('orders', 2)
  closing = []
})

afterEach(async () => {
  await Promise.all(closing.map((producer) => producer.close()))
  await cluster.stop()
})

function producer(options: Partial<ProducerOptions> = {}): Producer {
  const created = new Producer({ namesrvAddr: cluster.namesrvAddr, producerGroup: 'P', ...options }, testDoors)
  closing.push(created)
  return created
}

function stored(topic: string) {
  return cluster.brokers.flatMap((broker) =>
    [...broker.queues].filter(([key]) => key.startsWith(`${topic}@`)).flatMap(([, records]) => records),
  )
}

test('a message arrives with its tag, keys and properties', async () => {
  const message = { topic: 'orders', body: 'paid', tags: 'A', keys: ['k1', 'k2'], properties: { shop: 'b' } }
  const { status, msgId, queue, queueOffset } = await producer().send(message)

  const [record] = stored('orders')
  const { body, properties, queueId } = decodeMessage(record!, 0)
  expect(body.toString()).toBe('paid')
  expect(Object.fromEntries(properties)).toMatchObject({ TAGS: 'A', KEYS: 'k1 k2', shop: 'b', UNIQ_KEY: msgId })
  expect({ status, queueId: queue.queueId, queueOffset }).toEqual({ status: 'SEND_OK', queueId, queueOffset: 0 })
})

test('queues take turns', async () => {
  const messages = Array.from({ length: 40 }, () => ({ topic: 'orders', body: 'x' }))
  const sent = await sendMany(producer(), messages, { inFlightCountMax: 8 })
  expect(sent.rows().map(({ count }) => count)).toEqual([10, 10, 10, 10])
})

test('a key always has the same queue', async () => {
  const { send } = bound(producer())
  const message = { topic: 'orders', body: 'x' }
  const { queue } = await send(message, queueByKey('customer 7'))
  for (let again = 0; again < 5; again++) expect((await send(message, queueByKey('customer 7'))).queue).toEqual(queue)
})

function bound(one: Producer) {
  return { send: (...given: Parameters<Producer['send']>) => one.send(...given) }
}

test('a broker that refuses is followed by another', async () => {
  cluster.brokers[0]!.intercept = ({ code }) =>
    code === RequestCode.SEND_MESSAGE_V2 ? { code: ResponseCode.SERVICE_NOT_AVAILABLE } : undefined
  const one = producer()
  for (let count = 0; count < 4; count++) await one.send({ topic: 'orders', body: 'x' })
  expect(cluster.brokers[1]!.count('orders')).toBe(4)
})

test('a broker that is gone is followed by another', async () => {
  await cluster.brokers[1]!.stop()
  const one = producer()
  for (let count = 0; count < 4; count++) await one.send({ topic: 'orders', body: 'x' })
  expect(cluster.brokers[0]!.count('orders')).toBe(4)
})

test('a broker that just failed is passed by until some time went by', async () => {
  const [failing, other] = cluster.brokers
  failing!.intercept = ({ code }) =>
    code === RequestCode.SEND_MESSAGE_V2 ? { code: ResponseCode.SERVICE_NOT_AVAILABLE } : undefined
  const one = producer()
  for (let count = 0; count < 8; count++) await one.send({ topic: 'orders', body: 'x' })
  expect(failing!.requestCodes.filter((code) => code === RequestCode.SEND_MESSAGE_V2)).toHaveLength(1)
  expect(other!.count('orders')).toBe(8)
})

test('a refusal that another broker would repeat is not retried', async () => {
  for (const broker of cluster.brokers) {
    broker.intercept = ({ code }) =>
      code === RequestCode.SEND_MESSAGE_V2 ? { code: 13, remark: 'too big' } : undefined
  }
  const sending = producer().send({ topic: 'orders', body: 'x' })
  await expect(sending).rejects.toMatchObject({
    code: 'REQUEST_REFUSED',
    facts: { responseCode: 13, remark: 'too big' },
  })
  const sends = cluster.brokers.flatMap(({ requestCodes }) => requestCodes.filter((code) => code === 310))
  expect(sends).toHaveLength(1)
})

test('tries end with retryCountMax', async () => {
  for (const broker of cluster.brokers) {
    broker.intercept = ({ code }) =>
      code === RequestCode.SEND_MESSAGE_V2 ? { code: ResponseCode.SYSTEM_BUSY } : undefined
  }
  const sending = producer({ retryCountMax: 2 }).send({ topic: 'orders', body: 'x' })
  await expect(sending).rejects.toMatchObject({ code: 'SEND_FAILED', facts: { failedTries: 3 } })
})

test('sends survive a restart of the only broker of a topic', async () => {
  cluster.addTopic('single', 1, { brokerNames: ['broker-0'] })
  const one = producer()
  await one.send({ topic: 'single', body: 'before' })
  await cluster.brokers[0]!.stop()
  const sending = one.send({ topic: 'single', body: 'after' })
  await testDoors.clock.sleep(100)
  await cluster.brokers[0]!.start()
  expect(await sending).toMatchObject({ status: 'SEND_OK', queueOffset: 1 })
})

test('a send gives up after sendTimeoutMs', async () => {
  await Promise.all(cluster.brokers.map((broker) => broker.stop()))
  const startMs = testDoors.clock.monotonicMs()
  const sending = producer({ sendTimeoutMs: 300 }).send({ topic: 'orders', body: 'x' })
  await expect(sending).rejects.toMatchObject({ code: 'SEND_FAILED', cause: { code: 'CONNECT_FAILED' } })
  expect(testDoors.clock.monotonicMs() - startMs).toBeLessThan(1_500)
})

test('a NameServer that is gone is followed by another of the list', async () => {
  const namesrvAddr = `127.0.0.1:1;${cluster.namesrvAddr}`
  for (let count = 0; count < 4; count++) {
    expect(await producer({ namesrvAddr }).send({ topic: 'orders', body: 'x' })).toMatchObject({ status: 'SEND_OK' })
  }
})

test('known routes outlast the NameServer', async () => {
  const one = producer({ routeRefreshMs: 20 })
  await one.send({ topic: 'orders', body: 'x' })
  await cluster.stopNameServer()
  await testDoors.clock.sleep(60)
  expect(await one.send({ topic: 'orders', body: 'x' })).toMatchObject({ status: 'SEND_OK' })
})

test('an unknown topic is created by sending where the template is', async () => {
  cluster.addTopic('TBW102', 8, { perm: 7 })
  const { queue } = await producer().send({ topic: 'new', body: 'x' })
  expect(queue.queueId).toBeLessThan(4)
  expect(stored('new')).toHaveLength(1)
})

test.each([
  ['no template', undefined],
  ['a template that is not to be copied', 6],
])('an unknown topic is not found with %s', async (_, perm) => {
  if (perm !== undefined) cluster.addTopic('TBW102', 8, { perm })
  await expect(producer().send({ topic: 'new', body: 'x' })).rejects.toMatchObject({
    code: 'TOPIC_NOT_FOUND',
    facts: { topic: 'new' },
  })
})

test('sends beyond the limits fail at once', async () => {
  const one = producer({ inFlightCountMax: 2, inFlightBytesMax: 10 })
  const sending = [1, 2].map(() => one.send({ topic: 'orders', body: 'x' }))
  await expect(one.send({ topic: 'orders', body: 'x' })).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' })
  await Promise.all(sending)
  const large = one.send({ topic: 'orders', body: 'longer than ten' })
  await expect(large).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' })
})

test('large bodies are compressed as Apache does it', async () => {
  const text = 'abc'.repeat(5_000)
  await producer().send({ topic: 'orders', body: text })
  const { body, sysFlag } = decodeMessage(stored('orders')[0]!, 0)
  expect(sysFlag).toBe(MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB)
  expect(inflateSync(body).toString()).toBe(text)
})

test.each<[string, Partial<Message>]>([
  ['no body', { body: '' }],
  ['a body above the limit', { body: 'x'.repeat(101) }],
  ['a topic name with a space', { topic: 'a b' }],
  ["a property of RocketMQ's own", { properties: { UNIQ_KEY: 'x' } }],
  ['a property with a separator', { properties: { a: 'x\u0002y' } }],
  ['too long properties', { properties: { a: '\u20ac'.repeat(11_000) } }],
])('a message with %s is refused before it is sent', async (_, broken) => {
  const sending = producer({ bodyBytesMax: 100 }).send({ topic: 'orders', body: 'x', ...broken })
  await expect(sending).rejects.toMatchObject({ code: 'MESSAGE_ILLEGAL' })
  expect(cluster.routeRequests).toBe(0)
})

test('a batch is one request with one record a message', async () => {
  const { msgIds, queueOffset } = await producer().sendBatch([
    { topic: 'orders', body: 'one', tags: 'A' },
    { topic: 'orders', body: 'four' },
  ])

  const [batch] = cluster.brokers.flatMap(({ batches }) => batches)
  const first = batch!.readInt32BE(0)
  expect(batch!.readInt32BE(first) + first).toBe(batch!.length)
  expect(batch!.subarray(20, 23).toString()).toBe('one')
  expect(batch!.subarray(25, first).toString()).toContain(`UNIQ_KEY\u0001${msgIds[0]}\u0002TAGS\u0001A\u0002`)
  expect({ count: msgIds.length, queueOffset }).toEqual({ count: 2, queueOffset: 0 })
})

test.each([
  [
    'several topics',
    [
      { topic: 'orders', body: 'x' },
      { topic: 'bills', body: 'x' },
    ],
  ],
  ['a delay', [{ topic: 'orders', body: 'x', delayLevel: 1 }]],
  ['nothing', []],
])('a batch with %s is refused', async (_, messages: Message[]) => {
  await expect(producer().sendBatch(messages)).rejects.toMatchObject({ code: 'MESSAGE_ILLEGAL' })
})

test('oneway messages arrive', async () => {
  const one = producer()
  await one.sendOneway({ topic: 'orders', body: 'x' })
  await one.send({ topic: 'orders', body: 'y' }) // the next queue
  for (let tries = 0; stored('orders').length < 2 && tries < 100; tries++) await testDoors.clock.sleep(5)
  expect(stored('orders')).toHaveLength(2)
})

test('sendMany ends with the first failure', async () => {
  let sends = 0
  const failing = {
    send: () => Promise.reject(new Error(`failure ${++sends}`)),
  }
  const messages = Array.from({ length: 100 }, () => ({ topic: 'orders', body: 'x' }))
  await expect(sendMany(failing, messages, { inFlightCountMax: 4 })).rejects.toThrow('failure 1')
  expect(sends).toBe(4)
})
