import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Doors } from '../../src/base/doors.ts'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { eventually } from '../../src/base/testing/eventually.ts'
import {
  Admin,
  isOperatingError,
  LitePullConsumer,
  type LitePullConsumerOptions,
  Producer,
  type ProducerOptions,
  PushConsumer,
  type PushConsumerOptions,
  queueByKey,
  type ReceivedMessage,
} from '../../src/client/index.ts'
import { apachePeer, type Cluster, type Peer, patientBroker, startCluster } from '../peers/cluster.ts'

const queueCount = 4
const deliveryTimeoutMs = 30_000
/** All delay levels are a second, so that sixteen retries end while somebody waits. */
const brokerConf = {
  autoCreateTopicEnable: 'false',
  messageDelayLevel: Array(18).fill('1s').join(' '),
  ...patientBroker,
}
const levelMs = 1_000

/** What a case is given: a topic of its own, and clients that are closed after it. */
interface Stage {
  readonly cluster: Cluster
  readonly topic: string
  readonly group: string
  readonly admin: Admin
  producer(options?: Partial<ProducerOptions>): Producer
  push(
    options: Omit<PushConsumerOptions, 'namesrvAddr' | 'consumerGroup' | 'subscriptions'> &
      Partial<PushConsumerOptions>,
  ): Promise<PushConsumer>
  lite(options?: Partial<LitePullConsumerOptions>): LitePullConsumer
}

const text = ({ body }: ReceivedMessage) => body.toString()
const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))
const sorted = (texts: Iterable<string>) => [...texts].sort((a, b) => Number(a) - Number(b))

/** By name; those that disturb the cluster run after the others, which run beside each other. */
const cases: Record<string, (stage: Stage) => Promise<void>> = {
  async 'send: one by one, many at a time, oneway, batches, large bodies'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    const large = 'abc'.repeat(20_000)
    const sent = await producer.send({ topic, body: 'one', tags: 'A', keys: ['k1', 'k2'], properties: { shop: 'b' } })
    assert.equal(sent.status, 'SEND_OK')
    await Promise.all(numbers(500).map((body) => producer.send({ topic, body })))
    await producer.sendOneway({ topic, body: 'oneway' })
    const { msgIds } = await producer.sendBatch([
      { topic, body: 'first' },
      { topic, body: 'second' },
    ])
    assert.equal(msgIds.length, 2)
    await producer.send({ topic, body: large })
    const received: ReceivedMessage[] = []
    await stage.push({ onMessage: (message) => void received.push(message) })
    const expected = ['one', ...numbers(500), 'oneway', 'first', 'second', large].sort()
    await delivered(() => assert.deepEqual(received.map(text).sort(), expected))
    const one = received.find((message) => message.msgId === sent.msgId)
    assert.deepEqual(
      [one?.tags, one?.keys, one?.properties.get('shop'), one?.offsetMsgId],
      ['A', ['k1', 'k2'], 'b', sent.offsetMsgId],
    )
  },

  async 'push: tags'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    for (const body of numbers(40)) await producer.send({ topic, body, tags: 'ABCD'[Number(body) % 4]! })
    const received: string[] = []
    await stage.push({
      subscriptions: { [topic]: 'A || C' },
      onMessage: (message) => void received.push(text(message)),
    })
    await delivered(() => assert.equal(received.length, 20))
    assert.ok(received.every((body) => Number(body) % 2 === 0))
  },

  async 'push: members share the queues, and divide anew'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    const received = new Set<string>()
    const onMessage = (message: ReceivedMessage) => void received.add(text(message))
    const first = await stage.push({ onMessage })
    const own = ({ queues }: PushConsumer) => queues.filter((queue) => queue.topic === topic).length
    await delivered(() => assert.equal(own(first), queueCount))
    const second = await stage.push({ onMessage })
    await delivered(() => assert.deepEqual([own(first), own(second)], [2, 2]))
    await Promise.all(numbers(200).map((body) => producer.send({ topic, body })))
    await delivered(() => assert.equal(received.size, 200))
    await first.close()
    await delivered(() => assert.equal(own(second), queueCount))
    await producer.send({ topic, body: 'after' })
    await delivered(() => assert.ok(received.has('after')))
  },

  async 'push: broadcasting'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    const received: [string[], string[]] = [[], []]
    for (const mine of received) {
      await stage.push({ messageModel: 'BROADCASTING', onMessage: (message) => void mine.push(text(message)) })
    }
    await Promise.all(numbers(50).map((body) => producer.send({ topic, body })))
    await delivered(() => assert.deepEqual(received.map(sorted), [numbers(50), numbers(50)]))
  },

  async 'push: a failed message comes 16 times again, then it is a dead letter'(stage) {
    const { topic, group } = stage
    const tries: number[] = []
    await stage.push({
      onMessage({ reconsumeTimes }) {
        tries.push(reconsumeTimes)
        throw new Error('never')
      },
    })
    await stage.producer().send({ topic, body: 'poison', keys: ['k'] })
    await delivered(() => assert.equal(tries.length, 17), 60_000)
    const dead = stage.lite({ consumerGroup: `${group}-dead` })
    const queue = { topic: `%DLQ%${group}`, brokerName: 'broker-a', queueId: 0 }
    dead.assign([queue])
    await dead.start()
    const [letter] = await pollSome(dead, 1)
    assert.deepEqual([text(letter!), letter!.topic, letter!.keys], ['poison', topic, ['k']])
    assert.deepEqual(
      tries,
      Array.from({ length: 17 }, (_, index) => index),
    )
    await sleep(2 * levelMs) // for a try too many
    assert.equal(tries.length, 17)
  },

  async 'push: in order, with failures, between two members'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    const keys = ['a', 'b', 'c', 'd', 'e', 'f']
    const consumed = new Map<string, number>() // by key: the next index
    const running = new Set<string>()
    const problems: string[] = []
    const onMessage = async ({ queue, body, reconsumeTimes }: ReceivedMessage) => {
      const queueName = `${queue.topic}@${queue.queueId}`
      if (running.has(queueName)) problems.push(`two of ${queueName} at a time`)
      running.add(queueName)
      await sleep(2)
      running.delete(queueName)
      const [key, index] = body.toString().split(' ') as [string, string]
      if (Number(index) % 10 === 3 && reconsumeTimes < 2) throw new Error('not yet')
      const next = consumed.get(key) ?? 0
      if (Number(index) > next) problems.push(`${key} ${index} before ${next}`) // once more is allowed, a gap is not
      consumed.set(key, Math.max(next, Number(index) + 1))
    }
    const options = { orderly: true, suspendCurrentQueueMs: 10, onMessage }
    const first = await stage.push(options)
    for (let index = 0; index < 40; index++) {
      await Promise.all(keys.map((key) => producer.send({ topic, body: `${key} ${index}` }, queueByKey(key))))
      if (index === 15) await stage.push(options)
      if (index === 30) await first.close()
    }
    await delivered(() => assert.deepEqual([...consumed.values()], Array(keys.length).fill(40)))
    assert.deepEqual(problems, [])
  },

  async 'push: in order, a message that fails too often is a dead letter'(stage) {
    const { topic, group } = stage
    const producer = stage.producer()
    const tries: string[] = []
    await stage.push({
      orderly: true,
      suspendCurrentQueueMs: 10,
      maxReconsumeTimes: 3,
      onMessage({ body, reconsumeTimes }) {
        tries.push(`${body} ${reconsumeTimes}`)
        if (body.toString() === 'poison') throw new Error('never')
      },
    })
    for (const body of ['before', 'poison', 'after']) await producer.send({ topic, body }, queueByKey('k'))
    await delivered(() =>
      assert.deepEqual(tries, ['before 0', 'poison 0', 'poison 1', 'poison 2', 'poison 3', 'after 0']),
    )
    const dead = stage.lite({ consumerGroup: `${group}-dead` })
    dead.assign([{ topic: `%DLQ%${group}`, brokerName: 'broker-a', queueId: 0 }])
    await dead.start()
    assert.deepEqual((await pollSome(dead, 1)).map(text), ['poison'])
  },

  async 'send: a delayed message comes late, and not too late'(stage) {
    const { topic } = stage
    let arrivedMs = 0
    await stage.push({ onMessage: () => void (arrivedMs = performance.now()) })
    const sentMs = performance.now()
    await stage.producer().send({ topic, body: 'later', delayLevel: 3 })
    await delivered(() => assert.notEqual(arrivedMs, 0))
    const lateMs = arrivedMs - sentMs
    assert.ok(lateMs > levelMs - 100 && lateMs < levelMs + 10_000, `${lateMs} ms`)
  },

  async 'lite pull: shared queues, commits, where the group goes on'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    await Promise.all(numbers(100).map((body) => producer.send({ topic, body })))
    const subscriptions = { [topic]: '*' }
    const first = stage.lite({ subscriptions, autoCommit: false })
    await first.start()
    const before = await pollSome(first, 60)
    await first.commit()
    await first.close()
    const second = stage.lite({ subscriptions })
    await second.start()
    const after = await pollSome(second, 100 - before.length)
    assert.deepEqual(sorted([...before, ...after].map(text)), numbers(100))
    assert.deepEqual(await second.poll(200), [])
    await second.close()
    const third = stage.lite({ subscriptions })
    await third.start()
    assert.deepEqual(await third.poll(500), [])
  },

  async 'lite pull: assigned queues, seek, pause, offsets by time'(stage) {
    const { topic } = stage
    const producer = stage.producer()
    const consumer = stage.lite({ autoCommit: false })
    const [queue, other] = await consumer.topicQueues(topic)
    assert.ok(queue && other)
    for (const body of numbers(20)) await producer.send({ topic, body }, queue)
    await sleep(20)
    const betweenMs = Date.now()
    await sleep(20)
    for (const body of numbers(20)) await producer.send({ topic, body: `${20 + Number(body)}` }, queue)
    consumer.assign([queue, other])
    await consumer.start()
    assert.deepEqual((await pollSome(consumer, 40)).map(text), numbers(40))
    assert.deepEqual([await consumer.minOffset(queue), await consumer.maxOffset(queue)], [0, 40])
    await consumer.seek(queue, 35)
    assert.deepEqual((await pollSome(consumer, 5)).map(text), ['35', '36', '37', '38', '39'])
    assert.equal(await consumer.offsetForTimestamp(queue, betweenMs), 20)
    await consumer.seekToBegin(queue)
    consumer.pause([queue])
    assert.deepEqual(await consumer.poll(300), [])
    consumer.resume([queue])
    assert.equal((await pollSome(consumer, 40)).length, 40)
    await consumer.seekToEnd(queue)
    await consumer.commit()
    assert.equal(await consumer.committed(queue), 40)
    await producer.send({ topic, body: 'new' }, queue)
    for await (const message of consumer) {
      assert.equal(text(message), 'new')
      break
    }
  },

  async 'admin: a cluster’s topics and groups, an exact offset, messages by key and id'(stage) {
    const { admin, topic, group, cluster } = stage
    const all = admin.cluster('DefaultCluster')
    assert.deepEqual(
      (await all.masters()).map(({ brokerAddr }) => brokerAddr),
      [cluster.brokerAddr],
    )
    const own = `${topic}-own`
    await all.createTopic({ topicName: own, readQueueNums: 1, writeQueueNums: 1 })
    await all.createSubscriptionGroup({ groupName: group, retryMaxTimes: 3 })
    assert.equal((await admin.subscriptionGroups(cluster.brokerAddr)).get(group)?.retryMaxTimes, 3)
    const [route] = await eventually(async () => (await admin.topicRoute(own)).queueDatas, deliveryTimeoutMs)
    const queue = { topic: own, brokerName: route!.brokerName, queueId: 0 }
    const producer = stage.producer()
    const sent = []
    for (const body of numbers(3)) sent.push(await producer.send({ topic: own, body, keys: [`key-${body}`] }, queue))
    const consumer = stage.lite({ subscriptions: { [own]: '*' }, autoCommit: false })
    await consumer.start()
    assert.equal((await pollSome(consumer, 3)).length, 3)
    await consumer.commit()
    await consumer.close()

    await admin.resetOffset(cluster.brokerAddr, { consumerGroup: group, topic: own, queueId: 0, queueOffset: 1 })
    assert.deepEqual(
      (await admin.consumerLag(group, own)).map(({ lag }) => lag),
      [2],
    )
    assert.deepEqual([...(await all.resetOffset({ consumerGroup: group, topic: own, timestampMs: 0 })).values()], [0])

    const [found] = await eventually(async () => {
      const messages = await admin.messagesByKey(own, 'key-1')
      assert.equal(messages.length, 1)
      return messages
    }, deliveryTimeoutMs)
    assert.deepEqual([text(found!), found!.queue, found!.queueOffset], ['1', queue, 1])
    assert.deepEqual(await admin.messagesByKey(own, 'no-such-key'), [])
    assert.deepEqual(await admin.messageByMsgId(own, sent[1]!.msgId), found)
    assert.deepEqual(await admin.messageAt(sent[1]!.offsetMsgId), found)

    await all.deleteSubscriptionGroup(group, true)
    await all.deleteTopic(own)
    await assert.rejects(admin.topicRoute(own), /TOPIC_NOT_EXIST|responseCode=17/)
  },
}

const disturbances: Record<string, (stage: Stage) => Promise<void>> = {
  async 'restarts of NameServer and broker: what was acknowledged is consumed'(stage) {
    const { cluster, topic } = stage
    const producer = stage.producer()
    const received = new Set<string>()
    const inOrder: number[] = []
    await stage.push({ onMessage: (message) => void received.add(text(message)) })
    await stage.push({
      consumerGroup: `${stage.group}-orderly`,
      orderly: true,
      onMessage: ({ queue, queueOffset }) => {
        if (queue.queueId === 0) inOrder.push(queueOffset)
      },
    })
    const pulled = new Set<string>()
    const lite = stage.lite({ consumerGroup: `${stage.group}-lite`, subscriptions: { [topic]: '*' } })
    await lite.start()
    void (async () => {
      for await (const message of lite) pulled.add(text(message))
    })()

    const acknowledged = new Set<string>()
    let isSending = true
    const sending = (async () => {
      for (let index = 0; isSending; index++) {
        const sent = await producer.send({ topic, body: String(index) }).catch(ignoreOperating)
        if (sent?.status === 'SEND_OK') acknowledged.add(String(index))
        await sleep(5)
      }
    })()
    const goOn = async () => {
      const before = acknowledged.size
      await delivered(() => assert.ok(acknowledged.size > before + 20))
    }
    try {
      await goOn()
      await cluster.killNamesrv()
      await goOn() // without any NameServer
      await cluster.killBroker()
      await cluster.startNamesrv()
      await cluster.startBroker()
      await goOn()
    } finally {
      isSending = false
      await sending
    }
    const missing = (there: ReadonlySet<string>) => [...acknowledged].filter((body) => !there.has(body))
    await delivered(() => assert.deepEqual([missing(received), missing(pulled)], [[], []]))
    assert.ok(
      inOrder.every((offset, index) => index === 0 || offset <= inOrder[index - 1]! + 1),
      'a gap in the order',
    )
  },
}

/** @returns outcomes by name of the case, as those of the other cases */
export async function clientCases(
  peer: Peer,
  dir: string,
  only: (name: string) => boolean,
): Promise<Map<string, { passed: boolean; ms: number; error?: string }>> {
  const wanted = (all: typeof cases) => Object.entries(all).filter(([name]) => only(name))
  const outcomes = new Map<string, { passed: boolean; ms: number; error?: string }>()
  if (wanted({ ...cases, ...disturbances }).length === 0) return outcomes
  const cluster = await startCluster({
    peer,
    dir,
    brokerConf,
    env: { BROKER_XMS: '512m', BROKER_XMX: '512m', BROKER_DIRECT: '512m' },
  })
  const doors = nodeDoors(createLog('fatal', { component: 'conformance' }))
  const run = async ([name, work]: [string, (stage: Stage) => Promise<void>], index: number, suffix = '') => {
    const started = performance.now()
    const topic = `client-${index}-${name.replaceAll(/\W+/g, '-').slice(0, 40)}${suffix}`
    const outcome = await withStage(cluster, topic, doors, work).then(
      () => ({ passed: true }),
      (error: Error) => ({ passed: false, error: error.stack ?? error.message }),
    )
    outcomes.set(name, { ...outcome, ms: Math.round(performance.now() - started) })
    // as with Apache's client: on Apache only the machine or the case can be at fault
    if (!outcome.passed && peer === apachePeer && suffix === '') await run([name, work], index, '-again')
  }
  try {
    await Promise.all(wanted(cases).map((one, index) => run(one, index)))
    for (const one of wanted(disturbances)) await run(one, Object.keys(cases).length)
    return outcomes
  } finally {
    await cluster.stop()
  }
}

async function withStage(
  cluster: Cluster,
  name: string,
  doors: Doors,
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const namesrvAddr = cluster.namesrv
  const closing: { close(): Promise<void> }[] = []
  const closed = <T extends { close(): Promise<void> }>(client: T): T => {
    closing.push(client)
    return client
  }
  const [topic, group] = [name, `${name}-group`]
  const admin = closed(new Admin({ namesrvAddr, requestTimeoutMs: 20_000 }, doors))
  try {
    await admin.createTopic(cluster.brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    await eventually(() => admin.topicRoute(topic), deliveryTimeoutMs) // Apache's broker answers before it has told
    await work({
      cluster,
      topic,
      group,
      admin,
      producer: (options) =>
        closed(new Producer({ namesrvAddr, producerGroup: 'producers', sendTimeoutMs: 10_000, ...options }, doors)),
      async push(options) {
        const common = { namesrvAddr, consumerGroup: group, subscriptions: { [topic]: '*' } }
        const consumer = closed(new PushConsumer({ ...common, consumeFrom: 'first', ...options }, doors))
        await consumer.start()
        return consumer
      },
      lite: (options) =>
        closed(new LitePullConsumer({ namesrvAddr, consumerGroup: group, consumeFrom: 'first', ...options }, doors)),
    })
  } finally {
    await Promise.all(closing.map((client) => client.close()))
  }
}

/** The broker is away for longer than a send may take. */
function ignoreOperating(error: unknown): undefined {
  if (!isOperatingError(error)) throw error
}

function delivered(check: () => void, timeoutMs = deliveryTimeoutMs): Promise<void> {
  return eventually(check, timeoutMs)
}

async function pollSome(consumer: LitePullConsumer, count: number): Promise<ReceivedMessage[]> {
  const all: ReceivedMessage[] = []
  const untilMs = performance.now() + deliveryTimeoutMs
  while (all.length < count && performance.now() < untilMs) all.push(...(await consumer.poll(1_000)))
  return all
}
