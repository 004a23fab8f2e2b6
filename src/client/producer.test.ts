import { inflateSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../base/testing/eventually.ts'
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

test('sends go on soon after the master of the only group registered again', async () => {
  const [broker] = cluster.brokers
  cluster.addTopic('single', 2, { brokerNames: ['broker-0'] })
  broker!.registeredAs = 1
  const one = producer()
  await one.writeQueues('single')
  const sending = [
    one.send({ topic: 'single', body: 'x' }),
    one.send({ topic: 'single', body: 'x' }, queueByKey('customer 7')),
    one.sendOneway({ topic: 'single', body: 'x' }),
  ]
  await testDoors.clock.sleep(50)
  broker!.registeredAs = 0
  const askedBefore = cluster.routeRequests
  await Promise.all(sending)
  await eventually(() => expect(broker!.count('single')).toBe(3))
  expect(cluster.routeRequests - askedBefore).toBe(1)
})

test('a topic that stays without a writable queue is not found once sendTimeoutMs is over', async () => {
  cluster.addTopic('orders', 2, { perm: 4 })
  const sending = producer({ sendTimeoutMs: 150 }).send({ topic: 'orders', body: 'x' })
  await expect(sending).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND', facts: { reason: 'no writable queue' } })
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
  [
    'differing waitsForFlush',
    [
      { topic: 'orders', body: 'x' },
      { topic: 'orders', body: 'x', waitsForFlush: false },
    ],
  ],
  ['a retry topic', [{ topic: '%RETRY%G', body: 'x' }]],
])('a batch with %s is refused', async (_, messages: Message[]) => {
  await expect(producer().sendBatch(messages)).rejects.toMatchObject({ code: 'MESSAGE_ILLEGAL' })
})

test('a batch that need not wait for the flush says so as a whole', async () => {
  const properties: (string | undefined)[] = []
  for (const broker of cluster.brokers) {
    broker.intercept = ({ extFields }) => {
      properties.push(extFields.i)
      return undefined
    }
  }
  const one = producer()
  await one.writeQueues('orders')
  properties.length = 0
  await one.sendBatch([{ topic: 'orders', body: 'x', waitsForFlush: false }])
  expect(properties).toContain('WAIT\u0001false\u0002')
})

/** How many records each batch of a broker had. */
function batchSizes(): number[] {
  return cluster.brokers
    .flatMap(({ batches }) => batches)
    .map((batch) => {
      let count = 0
      for (let at = 0; at < batch.length; at += batch.readInt32BE(at)) count++
      return count
    })
}

test('autoBatch gathers what is sent at a time, and each send learns its own offset', async () => {
  const one = producer({ autoBatch: { batchCount: 10 } })
  const sent = await Promise.all(Array.from({ length: 25 }, () => one.send({ topic: 'orders', body: 'x' })))
  expect(batchSizes().sort((a, b) => a - b)).toEqual([5, 10, 10])
  expect(sent.slice(0, 10).map(({ queueOffset }) => queueOffset)).toEqual(Array.from({ length: 10 }, (_, at) => at))
  expect(new Set(sent.map(({ msgId }) => msgId)).size).toBe(25)
})

test('autoBatch sends a batch that is large enough, and one that waited long enough', async () => {
  const one = producer({ autoBatch: { batchBytes: 250, holdMs: 20 } })
  const sending = [1, 2, 3].map(() => one.send({ topic: 'orders', body: 'x'.repeat(100) }))
  await Promise.all(sending)
  expect(batchSizes().sort()).toEqual([1, 2])
})

test('autoBatch keeps apart what no batch may mix, and leaves delays alone', async () => {
  const one = producer({ autoBatch: {} })
  cluster.addTopic('bills', 1)
  await Promise.all([
    one.send({ topic: 'orders', body: 'x' }),
    one.send({ topic: 'bills', body: 'x' }),
    one.send({ topic: 'orders', body: 'x', tags: 'A' }),
    one.send({ topic: 'orders', body: 'x', waitsForFlush: false }),
    one.send({ topic: 'orders', body: 'x', delayLevel: 1 }),
  ])
  expect(batchSizes()).toEqual([1, 1, 1, 1])
  expect(stored('orders')).toHaveLength(1)
})

test('a message that is illegal does not spoil the batch', async () => {
  const one = producer({ autoBatch: {} })
  const illegal = one.send({ topic: 'orders', body: '' })
  const legal = one.send({ topic: 'orders', body: 'x' })
  await expect(illegal).rejects.toMatchObject({ code: 'MESSAGE_ILLEGAL' })
  expect(await legal).toMatchObject({ status: 'SEND_OK' })
})

test('a batch that fails fails all its sends, and close sends what waits', async () => {
  const one = producer({ autoBatch: { holdMs: 60_000 }, sendTimeoutMs: 300 })
  const waiting = one.send({ topic: 'orders', body: 'x' })
  await one.close()
  expect(await waiting).toMatchObject({ status: 'SEND_OK' })
  await Promise.all(cluster.brokers.map((broker) => broker.stop()))
  const failing = producer({ autoBatch: {}, sendTimeoutMs: 300 })
  const outcomes = await Promise.allSettled([1, 2].map(() => failing.send({ topic: 'orders', body: 'x' })))
  expect(outcomes).toMatchObject([{ reason: { code: 'SEND_FAILED' } }, { reason: { code: 'SEND_FAILED' } }])
})

test('a message not stored safely goes to another broker too with retryAnotherBrokerWhenNotStoreOK', async () => {
  const [unsafe, safe] = cluster.brokers
  unsafe!.intercept = ({ code }) =>
    code === RequestCode.SEND_MESSAGE_V2
      ? { code: ResponseCode.SLAVE_NOT_AVAILABLE, extFields: { msgId: 'x', queueId: '0', queueOffset: '0' } }
      : undefined
  const one = producer({ retryAnotherBrokerWhenNotStoreOK: true })
  const results = [await one.send({ topic: 'orders', body: 'x' }), await one.send({ topic: 'orders', body: 'x' })]
  expect(results.map(({ status, queue }) => status + queue.brokerName)).toEqual(['SEND_OKbroker-1', 'SEND_OKbroker-1'])
  expect(safe!.count('orders')).toBe(2)
  const only = await one.send({ topic: 'orders', body: 'x' }, { topic: 'orders', brokerName: 'broker-0', queueId: 0 })
  expect(only.status).toBe('SLAVE_NOT_AVAILABLE')
})

test('a broker that hangs uses up one try only, with tryTimeoutMs', async () => {
  const [hanging, other] = cluster.brokers
  hanging!.hangs = true
  const one = producer({ tryTimeoutMs: 50, sendTimeoutMs: 3_000 })
  for (let count = 0; count < 4; count++) await one.send({ topic: 'orders', body: 'x' })
  expect(other!.count('orders')).toBe(4)
})

test('a broker that failed is passed by until it answers a probe, with startDetectorEnable', async () => {
  const [failing, other] = cluster.brokers
  const one = producer({ startDetectorEnable: true })
  await failing!.stop()
  for (let count = 0; count < 4; count++) await one.send({ topic: 'orders', body: 'x' })
  expect(other!.count('orders')).toBe(4)
  await failing!.start()
  await eventually(() => {
    expect(failing!.requestCodes).toContain(RequestCode.GET_MAX_OFFSET)
  })
  await testDoors.clock.sleep(50)
  for (let count = 0; count < 4; count++) await one.send({ topic: 'orders', body: 'x' })
  expect(failing!.count('orders')).toBe(2)
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
