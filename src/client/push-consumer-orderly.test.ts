import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { Clock } from '../base/clock.ts'
import { eventually } from '../base/testing/eventually.ts'
import { RequestCode } from '../remoting/codes.ts'
import type { ReceivedMessage } from './message.ts'
import { PushConsumer, type PushConsumerOptions } from './push-consumer.ts'
import { type FakeBroker, FakeCluster, testDoors } from './testing/fake-cluster.ts'

let cluster: FakeCluster
let broker: FakeBroker
let closing: PushConsumer[]
let received: string[] // queueId/queueOffset

beforeEach(async () => {
  cluster = await FakeCluster.start(1)
  broker = cluster.brokers[0]!
  cluster.addTopic('orders', 4)
  cluster.addTopic('%RETRY%G', 1)
  closing = []
  received = []
})

afterEach(async () => {
  await Promise.all(closing.map((consumer) => consumer.close()))
  await cluster.stop()
})

const note = ({ queue, queueOffset }: ReceivedMessage) => void received.push(`${queue.queueId}/${queueOffset}`)

async function consume(options: Partial<PushConsumerOptions> = {}, clock: Partial<Clock> = {}): Promise<PushConsumer> {
  const consumer = new PushConsumer(
    {
      namesrvAddr: cluster.namesrvAddr,
      consumerGroup: 'G',
      subscriptions: { orders: '*' },
      consumeFrom: 'first',
      orderly: true,
      suspendCurrentQueueMs: 10,
      onMessage: note,
      closeGraceMs: 1_000, // a test that failed leaves messages unconsumed
      ...options,
    },
    { ...testDoors, clock: { ...testDoors.clock, ...clock } },
  )
  closing.push(consumer)
  await consumer.start()
  return consumer
}

function put(count: number, queueId = 0): void {
  for (let index = 0; index < count; index++) broker.put('orders', queueId, Buffer.from(`m${index}`))
}

/** Whoever else of the group has the queue. */
function lockAsAnother(queueId: number): void {
  broker.locks.set(`G@orders@${queueId}`, 'another')
}

test('of a queue one message is consumed at a time, queues beside each other', async () => {
  put(5)
  put(5, 1)
  const running = new Map<number, number>()
  let sum = 0
  let sumMax = 0
  await consume({
    async onMessage(message) {
      const { queueId } = message.queue
      running.set(queueId, (running.get(queueId) ?? 0) + 1)
      expect(running.get(queueId)).toBe(1)
      sumMax = Math.max(sumMax, ++sum)
      await testDoors.clock.sleep(5)
      sum--
      running.set(queueId, 0)
      note(message)
    },
  })
  await eventually(() => expect(received).toHaveLength(10))
  for (const queueId of [0, 1]) {
    const inOrder = [0, 1, 2, 3, 4].map((offset) => `${queueId}/${offset}`)
    expect(received.filter((one) => one.startsWith(`${queueId}/`))).toEqual(inOrder)
  }
  expect(sumMax).toBe(2)
})

test('a message that fails is tried again before the next, and its tries are counted', async () => {
  put(3)
  const tries: string[] = []
  await consume({
    onMessage(message) {
      tries.push(`${message.queueOffset}:${message.reconsumeTimes}`)
      if (message.queueOffset === 1 && message.reconsumeTimes < 2) throw new Error('not yet')
    },
  })
  await eventually(() => expect(tries).toEqual(['0:0', '1:0', '1:1', '1:2', '2:0']))
  expect(broker.sentBack).toEqual([])
})

test('after maxReconsumeTimes a message goes to the dead letters, and the queue goes on', async () => {
  put(2)
  let refusals = 1
  broker.intercept = ({ code }) =>
    code === RequestCode.CONSUMER_SEND_MSG_BACK && refusals-- > 0 ? { code: 1, remark: 'busy' } : undefined
  const consumer = await consume({
    maxReconsumeTimes: 2,
    onMessage(message) {
      note(message)
      if (message.queueOffset === 0) throw new Error('never')
    },
  })
  await eventually(() => expect(received).toEqual(['0/0', '0/0', '0/0', '0/0', '0/1']))
  expect(broker.sentBack).toMatchObject([{ group: 'G', delayLevel: -1 }])
  await consumer.close()
  expect(broker.offsets.get('G@orders@0')).toBe(2)
})

test('a queue that another member holds is taken when it is free', async () => {
  put(1)
  put(1, 1)
  lockAsAnother(0)
  const consumer = await consume()
  await eventually(() => expect(received).toEqual(['1/0']))
  expect(consumer.queues).toHaveLength(4)
  broker.locks.delete('G@orders@0')
  await eventually(() => expect(received).toEqual(['1/0', '0/0']))
  await consumer.close()
  expect([...broker.locks.values()]).toEqual([])
})

test('a queue that goes to a new member is let go of only when its last message is consumed', async () => {
  put(2, 0)
  put(2, 3)
  let finish = () => {}
  const finished = new Promise<void>((resolve) => (finish = resolve))
  const has = ({ queues }: PushConsumer, id: number) =>
    queues.some(({ topic, queueId }) => topic === 'orders' && queueId === id)
  const first = await consume({
    onMessage(message) {
      note(message)
      return finished
    },
  })
  await eventually(() => expect(received.sort()).toEqual(['0/0', '3/0']))
  const bySecond: string[] = []
  const second = await consume({ onMessage: ({ queue }) => void bySecond.push(`${queue.queueId}`) })
  await eventually(() => expect([has(first, 0), has(first, 3)]).toContain(false))
  const moved = has(first, 0) ? 3 : 0
  await testDoors.clock.sleep(300)
  expect(bySecond).toEqual([])
  finish()
  await eventually(() => expect(bySecond).toEqual([`${moved}`]))
  expect(has(second, moved)).toBe(true)
})

test('a queue whose lock is not renewed is given up, and gained anew with its lock', async () => {
  const consumer = await consume({}, { every: (ms, task) => testDoors.clock.every(ms / 100, task) })
  lockAsAnother(0)
  await eventually(() => expect(consumer.queues).toHaveLength(4))
  put(1)
  await testDoors.clock.sleep(50)
  expect(received).toEqual([])
  broker.locks.delete('G@orders@0')
  await eventually(() => expect(received).toEqual(['0/0']))
})

test('a queue whose lock may have ended meanwhile is consumed no further', async () => {
  let skippedMs = 0
  const consumer = await consume({}, { monotonicMs: () => testDoors.clock.monotonicMs() + skippedMs })
  for (let queueId = 0; queueId < 4; queueId++) lockAsAnother(queueId)
  skippedMs = 31_000 // as long as a lock is relied on, and a bit
  put(1)
  await eventually(() => expect(consumer.queues).toHaveLength(4))
  expect(received).toEqual([])
})

test('members of a broadcast consume in order without locks', async () => {
  put(3)
  await consume({ messageModel: 'BROADCASTING' })
  await eventually(() => expect(received).toEqual(['0/0', '0/1', '0/2']))
  expect(broker.requestCodes).not.toContain(RequestCode.LOCK_BATCH_MQ)
})

test('a consumer that closes while it takes its queues leaves no lock behind', async () => {
  const consumer = new PushConsumer(
    {
      namesrvAddr: cluster.namesrvAddr,
      consumerGroup: 'G',
      subscriptions: { orders: '*' },
      orderly: true,
      onMessage: note,
    },
    testDoors,
  )
  let closed: Promise<void> | undefined
  broker.locks.set = function (key, clientId) {
    closed ??= consumer.close()
    return Map.prototype.set.call(this, key, clientId)
  }

  await consumer.start()
  expect(closed).toBeDefined()
  await closed

  expect([...broker.locks]).toEqual([])
})
