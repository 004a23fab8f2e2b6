import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../base/testing/eventually.ts'
import { RequestCode } from '../remoting/codes.ts'
import { formatProperties, MessageSysFlag } from '../remoting/message/index.ts'
import { LitePullConsumer, type LitePullConsumerOptions } from './lite-pull-consumer.ts'
import type { ReceivedMessage } from './message.ts'
import { type FakeBroker, FakeCluster, testDoors } from './testing/fake-cluster.ts'

let cluster: FakeCluster
let broker: FakeBroker
let closing: LitePullConsumer[]

beforeEach(async () => {
  cluster = await FakeCluster.start(1)
  broker = cluster.brokers[0]!
  cluster.addTopic('orders', 2)
  closing = []
})

afterEach(async () => {
  await Promise.all(closing.map((consumer) => consumer.close()))
  await cluster.stop()
})

const queue = (queueId: number) => ({ topic: 'orders', brokerName: 'broker-0', queueId })

function create(options: Partial<LitePullConsumerOptions> = {}): LitePullConsumer {
  const { namesrvAddr } = cluster
  const consumer = new LitePullConsumer(
    { namesrvAddr, consumerGroup: 'G', consumeFrom: 'first', ...options },
    testDoors,
  )
  closing.push(consumer)
  return consumer
}

/** A consumer of queue 0 alone. */
async function assigned(options: Partial<LitePullConsumerOptions> = {}): Promise<LitePullConsumer> {
  const consumer = create(options)
  consumer.assign([queue(0)])
  await consumer.start()
  return consumer
}

async function subscribed(options: Partial<LitePullConsumerOptions> = {}): Promise<LitePullConsumer> {
  const consumer = create({ subscriptions: { orders: '*' }, ...options })
  await consumer.start()
  return consumer
}

function put(count: number, queueId = 0): void {
  for (let index = 0; index < count; index++) broker.put('orders', queueId, Buffer.from(`m${index}`))
}

const names = (messages: readonly ReceivedMessage[]) => messages.map(({ body }) => body.toString())
const offset = (queueId = 0) => broker.offsets.get(`G@orders@${queueId}`)

/** Polls until so many came. */
async function pollAll(consumer: LitePullConsumer, count: number): Promise<ReceivedMessage[]> {
  const all: ReceivedMessage[] = []
  while (all.length < count) {
    const some = await consumer.poll(3_000)
    if (some.length === 0) break
    all.push(...some)
  }
  return all
}

test('polls return the messages of assigned queues in order, and wait for those to come', async () => {
  put(3)
  put(1, 1)
  const consumer = await assigned()
  expect(names(await consumer.poll())).toEqual(['m0', 'm1', 'm2'])
  const waiting = consumer.poll()
  put(1)
  expect(await waiting).toMatchObject([{ queueOffset: 3, queue: queue(0) }])
  expect(await consumer.poll(20)).toEqual([])
})

test('a poll returns no more than it was asked for, and queues take turns', async () => {
  put(4)
  put(4, 1)
  const consumer = await subscribed()
  await eventually(() => expect(broker.requestCodes.filter((code) => code === 361).length).toBeGreaterThan(3))
  const turns: string[] = []
  for (let poll = 0; poll < 4; poll++) {
    const some = await consumer.poll(1_000, 2)
    turns.push(`${some[0]?.queue.queueId}:${some.length}`)
  }
  expect(turns.sort()).toEqual(['0:2', '0:2', '1:2', '1:2'])
})

test('members of a group share the queues, and each goes on where the group stopped', async () => {
  put(2)
  put(2, 1)
  broker.offsets.set('G@orders@0', 1)
  broker.offsets.set('G@orders@1', 1)
  const [first, second] = [await subscribed(), await subscribed()]
  await eventually(() => expect([first.queues.length, second.queues.length]).toEqual([1, 1]))
  const all = [...(await pollAll(first, 1)), ...(await pollAll(second, 1))]
  expect(all.map(({ queue, queueOffset }) => `${queue.queueId}/${queueOffset}`).sort()).toContain('1/1')
  expect(names(all)).not.toContain('m0')
})

test('only wanted tags are polled, of assigned queues too', async () => {
  for (const tag of ['A', 'B']) broker.put('orders', 0, Buffer.from(tag), formatProperties([['TAGS', tag]]))
  const consumer = create()
  consumer.assign([queue(0)], { orders: 'B' })
  await consumer.start()
  expect(names(await consumer.poll())).toEqual(['B'])
})

test('what a poll returned is committed by the polls that follow, not before', async () => {
  put(4)
  const consumer = await assigned({ autoCommitIntervalMs: 0 })
  await consumer.poll(1_000, 2)
  await testDoors.clock.sleep(30)
  expect(offset() ?? 0).toBe(0)
  await consumer.poll(1_000, 1)
  await eventually(() => expect(offset()).toBe(2))
  await consumer.close()
  expect(offset()).toBe(3)
})

test('autoCommit waits for its interval', async () => {
  put(2)
  const consumer = await assigned()
  await consumer.poll(1_000, 1)
  await consumer.poll(1_000, 1)
  await testDoors.clock.sleep(30)
  expect(offset()).toBeUndefined()
})

test('without autoCommit only commit stores, and it says when it cannot', async () => {
  put(2)
  const consumer = await assigned({ autoCommit: false })
  await consumer.poll()
  await consumer.commit()
  expect([offset(), await consumer.committed(queue(0))]).toEqual([2, 2])
  await consumer.commit([[queue(0), 1]])
  expect(offset()).toBe(1)

  put(1)
  await consumer.poll()
  broker.intercept = ({ code }) => (code === RequestCode.UPDATE_CONSUMER_OFFSET ? { code: 1, remark: 'no' } : undefined)
  await expect(consumer.commit()).rejects.toMatchObject({ code: 'REQUEST_REFUSED' })
  broker.intercept = () => undefined
  await consumer.close()
  expect(offset()).toBe(1)
})

test('seek goes back and forth, and forgets what was pulled', async () => {
  put(5)
  const consumer = await assigned()
  expect(await consumer.poll(1_000, 2)).toHaveLength(2)
  await consumer.seek(queue(0), 4)
  expect(names(await consumer.poll())).toEqual(['m4'])
  await consumer.seekToBegin(queue(0))
  expect(names(await consumer.poll(1_000, 1))).toEqual(['m0'])
  await consumer.seekToEnd(queue(0))
  await consumer.commit()
  expect(offset()).toBe(5)
  await consumer.seek(queue(0), await consumer.offsetForTimestamp(queue(0), 3))
  expect(names(await consumer.poll())).toEqual(['m3', 'm4'])
})

test.each([
  ['an offset that is not there', 0, 6],
  ['no offset', 0, 1.5],
  ['a queue of others', 1, 0],
])('seek refuses %s', async (_, queueId, queueOffset) => {
  put(5)
  put(5, 1)
  const consumer = await assigned()
  await expect(consumer.seek(queue(queueId), queueOffset)).rejects.toMatchObject({ code: 'SETTING_INVALID' })
})

test('a paused queue is neither pulled nor polled until it is resumed', async () => {
  put(2)
  const consumer = await assigned()
  await consumer.poll(1_000, 1)
  consumer.pause([queue(0)])
  expect(await consumer.poll(50)).toEqual([])
  const waiting = consumer.poll()
  consumer.resume([queue(0)])
  expect(names(await waiting)).toEqual(['m1'])
})

test('no more is pulled than the limits say', async () => {
  put(100)
  put(100, 1)
  const consumer = await subscribed({ heldCountAllMax: 20, heldCountMax: 15, pullCountMax: 5 })
  await testDoors.clock.sleep(150)
  const pulls = broker.requestCodes.filter((code) => code === RequestCode.LITE_PULL_MESSAGE).length
  expect(pulls).toBeLessThanOrEqual(6)
  expect(await pollAll(consumer, 200)).toHaveLength(200)
})

test('queues that are assigned no more are consumed no more; those that stay go on', async () => {
  put(1)
  put(1, 1)
  const consumer = create({ autoCommitIntervalMs: 0 })
  await consumer.start()
  consumer.assign(await consumer.topicQueues('orders'))
  expect(await pollAll(consumer, 2)).toHaveLength(2)
  consumer.assign([queue(1)])
  put(1)
  put(1, 1)
  expect(await consumer.poll()).toMatchObject([{ queue: queue(1), queueOffset: 1 }])
  expect(consumer.queues).toEqual([queue(1)])
})

test('assign is refused where the queues come from the group', async () => {
  const consumer = await subscribed()
  expect(() => consumer.assign([queue(0)])).toThrow(/SETTING_INVALID/)
})

test('a loop over the consumer consumes one message after the other; one that was not finished comes again', async () => {
  put(3)
  const consumer = await assigned({ autoCommit: false })
  for await (const { queueOffset } of consumer) if (queueOffset === 1) break
  await consumer.commit()
  expect(offset()).toBe(1)
  const again: string[] = []
  for await (const message of consumer) {
    again.push(message.body.toString())
    if (again.length === 2) void consumer.close()
  }
  expect(again).toEqual(['m1', 'm2'])
})

test('members of a broadcast have all queues, and leave no progress at the broker', async () => {
  put(1)
  const both = [await subscribed({ messageModel: 'BROADCASTING' }), await subscribed({ messageModel: 'BROADCASTING' })]
  for (const consumer of both) expect(names(await consumer.poll())).toEqual(['m0'])
  await both[0]!.close()
  expect(broker.offsets.size).toBe(0)
})

test('a body that cannot be read is passed over', async () => {
  broker.put('orders', 0, Buffer.from('?'), '', MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB)
  put(1)
  const consumer = await assigned()
  expect(names(await consumer.poll())).toEqual(['m0'])
})

test('consumption goes on after the broker restarted', async () => {
  const consumer = await assigned()
  put(1)
  expect(await consumer.poll()).toHaveLength(1)
  await broker.stop()
  await testDoors.clock.sleep(50)
  await broker.start()
  put(1)
  expect(await consumer.poll()).toHaveLength(1)
})

test('an assigned queue whose broker is not there yet is begun when it is', async () => {
  await broker.stop()
  const consumer = await assigned()
  await testDoors.clock.sleep(50)
  put(1)
  await broker.start()
  expect(names(await consumer.poll())).toEqual(['m0'])
})

test('close ends a poll that waits', async () => {
  const consumer = await assigned()
  const waiting = consumer.poll(60_000)
  await consumer.close()
  expect(await waiting).toEqual([])
})
