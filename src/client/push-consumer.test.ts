import { deflateSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../base/testing/eventually.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { pullMessageResponse } from '../remoting/headers/pull-message.ts'
import { formatProperties, MessageSysFlag } from '../remoting/message/index.ts'
import { receiveMany } from './bulk.ts'
import type { ReceivedMessage } from './message.ts'
import { PushConsumer, type PushConsumerOptions } from './push-consumer.ts'
import { FakeBroker, FakeCluster, testDoors } from './testing/fake-cluster.ts'

let cluster: FakeCluster
let closing: PushConsumer[]
let received: ReceivedMessage[]

beforeEach(async () => {
  cluster = await FakeCluster.start(1)
  cluster.addTopic('orders', 4)
  cluster.addTopic('%RETRY%G', 1)
  closing = []
  received = []
})

afterEach(async () => {
  await Promise.all(closing.map((consumer) => consumer.close()))
  await cluster.stop()
})

async function consume(options: Partial<PushConsumerOptions> = {}): Promise<PushConsumer> {
  const consumer = new PushConsumer(
    {
      namesrvAddr: cluster.namesrvAddr,
      consumerGroup: 'G',
      subscriptions: { orders: '*' },
      consumeFrom: 'first',
      onMessage: (message) => void received.push(message),
      closeGraceMs: 1_000, // a test that failed leaves messages unconsumed
      ...options,
    },
    testDoors,
  )
  closing.push(consumer)
  await consumer.start()
  return consumer
}

function put(count: number, topic = 'orders', queueId = 0): void {
  for (let index = 0; index < count; index++) cluster.brokers[0]!.put(topic, queueId, Buffer.from(`m${index}`))
}

function bodies(): string[] {
  return received.map(({ body }) => body.toString())
}

function offset(queueId = 0, topic = 'orders'): number | undefined {
  return cluster.brokers[0]!.offsets.get(`G@${topic}@${queueId}`)
}

test('messages there and messages to come are consumed, and the progress is stored at close', async () => {
  put(3)
  const consumer = await consume()
  await eventually(() => expect(bodies()).toEqual(['m0', 'm1', 'm2']))
  put(1)
  await eventually(() => expect(received).toHaveLength(4))
  await consumer.close()
  expect(offset()).toBe(4)
  expect(cluster.brokers[0]!.members.get('G')?.size).toBe(0)
})

test('a group goes on where it stopped', async () => {
  put(5)
  cluster.brokers[0]!.offsets.set('G@orders@0', 3)
  await consume()
  await eventually(() => expect(bodies()).toEqual(['m3', 'm4']))
})

test('a new group begins at the end by default', async () => {
  put(5)
  const consumer = await consume({ consumeFrom: 'last' })
  put(1)
  await eventually(() => expect(received.map(({ queueOffset }) => queueOffset)).toEqual([5]))
  await consumer.close()
  expect(offset(1)).toBe(0) // also where nothing came: the next start begins here, not at its own end
})

test('members share the queues, and take over those of one that leaves', async () => {
  const first = await consume()
  expect(first.queues).toHaveLength(5)
  const second = await consume()
  await eventually(() => {
    const shares = [first, second].map(({ queues }) => queues.filter(({ topic }) => topic === 'orders').length)
    expect(shares).toEqual([2, 2])
    expect(new Set([...first.queues, ...second.queues].map(({ topic, queueId }) => topic + queueId)).size).toBe(5)
  })
  await first.close()
  await eventually(() => expect(second.queues).toHaveLength(5))
})

test('only messages with a wanted tag are consumed, whatever the broker sends', async () => {
  for (const tag of ['A', 'B', 'C']) {
    cluster.brokers[0]!.put('orders', 0, Buffer.from(tag), formatProperties([['TAGS', tag]]))
  }
  const consumer = await consume({ subscriptions: { orders: 'A || C' } })
  await eventually(() => expect(bodies()).toEqual(['A', 'C']))
  await consumer.close()
  expect(offset()).toBe(3)
})

test('what onMessage throws at is sent back and counts as done', async () => {
  put(3)
  const consumer = await consume({
    onMessage({ queueOffset }) {
      if (queueOffset === 1) throw new Error('not now')
    },
  })
  const { sentBack } = cluster.brokers[0]!
  await eventually(() => expect(sentBack).toMatchObject([{ group: 'G' }]))
  await consumer.close()
  expect(offset()).toBe(3)
})

test('what onMessage does not end in time is sent back, and progress goes on', async () => {
  put(2)
  const consumer = await consume({ consumeTimeoutMs: 30, closeGraceMs: 0, onMessage: () => new Promise(() => {}) })
  await eventually(() => expect(cluster.brokers[0]!.sentBack).toHaveLength(2))
  await consumer.close()
  expect(offset()).toBe(2)
})

test('a later try names the topic that the message was sent to', async () => {
  const properties = formatProperties([['RETRY_TOPIC', 'orders']])
  cluster.brokers[0]!.put('%RETRY%G', 0, Buffer.from('again'), properties, 0, 2)
  await consume()
  await eventually(() => expect(received).toMatchObject([{ topic: 'orders', reconsumeTimes: 2 }]))
})

test('progress stops at the first message that is not done', async () => {
  put(3)
  let finish = () => {}
  const consumer = await consume({
    closeGraceMs: 50,
    onMessage: (message) => {
      received.push(message)
      return message.queueOffset === 1 ? new Promise<void>((resolve) => (finish = resolve)) : undefined
    },
  })
  await eventually(() => expect(received).toHaveLength(3))
  await consumer.close()
  expect(offset()).toBe(1)
  finish()
})

test('close waits for those under way', async () => {
  put(1)
  const consumer = await consume({ onMessage: () => testDoors.clock.sleep(100) })
  await testDoors.clock.sleep(20)
  await consumer.close()
  expect(offset()).toBe(1)
})

test('no more than consumeThreads run at a time', async () => {
  put(30)
  let running = 0
  let runningMax = 0
  await consume({
    consumeThreads: 3,
    async onMessage(message) {
      runningMax = Math.max(runningMax, ++running)
      await testDoors.clock.sleep(2)
      running--
      received.push(message)
    },
  })
  await eventually(() => expect(received).toHaveLength(30))
  expect(runningMax).toBe(3)
})

test.each<[string, Partial<PushConsumerOptions>, (body: string) => boolean]>([
  ['messages are not consumed', { heldCountMax: 10 }, () => true],
  ['bytes are not consumed', { heldBytesMax: 20 }, () => true], // ten bodies of two bytes
  ['first message is not consumed', { heldSpanMax: 10 }, (body) => body === 'm0'],
])('a queue whose %s is not pulled on', async (_, limits, isHeld) => {
  put(200)
  let finish = () => {}
  const waiting = new Promise<void>((resolve) => (finish = resolve))
  const onMessage = ({ body }: ReceivedMessage) => (isHeld(String(body)) ? waiting : undefined)
  const consumer = await consume({ ...limits, pullCountMax: 5, onMessage, closeGraceMs: 0 })
  await testDoors.clock.sleep(100)
  expect(pulls()).toBeGreaterThan(0)
  expect(pulls()).toBeLessThanOrEqual(2 + consumer.queues.length)
  finish()
  await eventually(() => expect(pulls()).toBeGreaterThan(30))
})

function pulls(): number {
  return cluster.brokers[0]!.requestCodes.filter((code) => code === RequestCode.PULL_MESSAGE).length
}

test('consumption goes on after the broker restarted', async () => {
  put(1)
  await consume()
  await eventually(() => expect(received).toHaveLength(1))
  await cluster.brokers[0]!.stop()
  await testDoors.clock.sleep(50)
  await cluster.brokers[0]!.start()
  put(1)
  await eventually(() => expect(received).toHaveLength(2))
})

test('the queues of a broker that was gone are consumed soon after it registered again', async () => {
  const second = new FakeBroker('broker-1')
  await second.start()
  cluster.brokers.push(second)
  cluster.addTopic('orders', 4)
  const consumer = await consume()
  await second.stop()
  cluster.topics.get('orders')!.brokerNames = ['broker-0']
  await eventually(() => expect(consumer.queues).toHaveLength(5))
  await second.start()
  second.put('orders', 3, Buffer.from('back'))
  cluster.topics.get('orders')!.brokerNames = ['broker-0', 'broker-1']
  await eventually(() => expect(bodies()).toEqual(['back']), 2_500)
})

test('a NameServer that restarts is not missed', async () => {
  await cluster.stopNameServer()
  const consumer = await consume()
  expect(consumer.queues).toHaveLength(0)
  await cluster.startNameServer()
  put(1)
  await eventually(() => expect(received).toHaveLength(1))
})

test('queues that come later are consumed', async () => {
  await consume({ routeRefreshMs: 1_050 })
  cluster.addTopic('orders', 6)
  put(1, 'orders', 5)
  await eventually(() => expect(received).toMatchObject([{ queue: { queueId: 5 } }]))
})

test('the queue goes on where the broker moved its offset', async () => {
  put(5)
  cluster.brokers[0]!.offsets.set('G@orders@0', 100)
  cluster.brokers[0]!.intercept = ({ code, extFields }) =>
    code === RequestCode.PULL_MESSAGE && extFields.queueOffset === '100'
      ? {
          code: ResponseCode.PULL_OFFSET_MOVED,
          extFields: pullMessageResponse.encode({
            suggestWhichBrokerId: 0,
            nextBeginOffset: 4,
            minOffset: 0,
            maxOffset: 5,
          }),
        }
      : undefined
  await consume()
  await eventually(() => expect(bodies()).toEqual(['m4']))
})

test('compressed bodies arrive as they were sent', async () => {
  const sysFlag = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB
  cluster.brokers[0]!.put('orders', 0, deflateSync('large'), '', sysFlag)
  cluster.brokers[0]!.put('orders', 0, deflateSync('old'), '', MessageSysFlag.COMPRESSED)
  await consume()
  await eventually(() => expect(bodies()).toEqual(['large', 'old']))
})

test('a body that cannot be read is sent back, and the next is consumed', async () => {
  const sysFlag = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_LZ4
  cluster.brokers[0]!.put('orders', 0, Buffer.from('lz4'), '', sysFlag)
  put(1)
  await consume()
  await eventually(() => expect(bodies()).toEqual(['m0']))
  await eventually(() => expect(cluster.brokers[0]!.sentBack).toHaveLength(1))
})

test('all members of a broadcast get all messages', async () => {
  put(2)
  await consume({ messageModel: 'BROADCASTING' })
  await consume({ messageModel: 'BROADCASTING' })
  await eventually(() => expect(bodies().sort()).toEqual(['m0', 'm0', 'm1', 'm1']))
  expect(cluster.brokers[0]!.offsets.size).toBe(0)
})

test('receiveMany returns when all are there', async () => {
  put(10)
  put(10, 'orders', 1)
  const options = { consumerGroup: 'G', subscriptions: { orders: '*' }, consumeFrom: 'first' as const }
  const cluster1 = { namesrvAddr: cluster.namesrvAddr, ...options }
  const tally = await receiveMany(cluster1, { count: 20, timeoutMs: 5_000 }, testDoors)
  expect(tally.rows().map(({ count }) => count)).toEqual([10, 10])
  expect(offset()).toBe(10)
})

test('receiveMany says how many came in time', async () => {
  put(1)
  const options = { consumerGroup: 'G', subscriptions: { orders: '*' }, consumeFrom: 'first' as const }
  const receiving = receiveMany(
    { namesrvAddr: cluster.namesrvAddr, ...options },
    { count: 2, timeoutMs: 200 },
    testDoors,
  )
  await expect(receiving).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', facts: { received: 1, count: 2 } })
})
