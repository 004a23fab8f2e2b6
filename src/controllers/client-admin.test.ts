import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../base/node/index.ts'
import { RequestCode } from '../remoting/codes.ts'
import { MessageSysFlag } from '../remoting/message/index.ts'
import { startTestBroker, type TestBroker } from '../runtime-broker/broker/testing/test-broker.ts'
import type { MqAdmin } from './admin.ts'
import { clientAdmin } from './client-admin.ts'

const brokerAddr = '127.0.0.1:10911'
const { signal } = new AbortController()
let broker: TestBroker
let admin: MqAdmin
beforeAll(async () => {
  const files = { ...nodeFiles, diskSpace: () => ({ totalBytes: 100, freeBytes: 36 }) }
  broker = await startTestBroker({ autoCreateSubscriptionGroup: false }, undefined, files)
  admin = clientAdmin({
    clock: nodeClock,
    files: nodeFiles,
    random: nodeRandom,
    log: silentLog,
    network: broker.network,
  })
})
afterAll(async () => {
  await admin.close()
  await broker.stop()
})

test('topics that are made at the same time go together, and are seen', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `together-${index}`)
  const attributes = { 'message.type': 'FIFO' }
  const topic = (topicName: string) => ({
    topicName,
    readQueueNums: 2,
    writeQueueNums: 2,
    perm: 6,
    order: true,
    attributes,
  })
  await Promise.all(names.map((name) => admin.createTopic(brokerAddr, topic(name))))

  expect(await admin.topic(brokerAddr, 'together-7')).toMatchObject(topic('together-7'))
  expect(await admin.topic(brokerAddr, 'together-20')).toBeUndefined()
  expect([...(await admin.topics(brokerAddr)).keys()]).toEqual(expect.arrayContaining(names))
})

test('a group is made, changed in part and deleted', async () => {
  await admin.createGroup(brokerAddr, { groupName: 'billing', retryMaxTimes: 3 })
  expect((await admin.groups(brokerAddr)).get('billing')).toMatchObject({ retryMaxTimes: 3, consumeEnable: true })

  await admin.deleteGroup(brokerAddr, 'billing', true)
  expect((await admin.groups(brokerAddr)).has('billing')).toBe(false)
  const answer = await broker.client.call(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group: 'billing' })
  expect(answer.code).not.toBe(0)
})

test('a group that consumed is seen in its topics, and goes where it is sent', async () => {
  await broker.client.createTopic('orders', 2)
  await admin.createGroup(brokerAddr, { groupName: 'shipping' })
  for (let sent = 0; sent < 4; sent++) await broker.client.send('orders', { queueId: 1 })
  expect(await admin.groupUse(brokerAddr, 'shipping')).toEqual({ clients: 0, topics: [] })
  const commit = { topic: 'orders', consumerGroup: 'shipping', queueId: 1, commitOffset: 3 }
  await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)
  expect(await admin.groupUse(brokerAddr, 'shipping')).toEqual({ clients: 0, topics: ['orders'] })

  const offsetAfter = async (timestampMs: number) => {
    expect(await admin.resetOffset(brokerAddr, 'shipping', 'orders', timestampMs)).toBe(2)
    await broker.client.pull('orders', { consumerGroup: 'shipping', queueId: 1, queueOffset: 3 }) // takes the reset up
    const query = { topic: 'orders', consumerGroup: 'shipping', queueId: 1 }
    return (await broker.client.call(RequestCode.QUERY_CONSUMER_OFFSET, query)).extFields.offset
  }
  expect(await offsetAfter(0)).toBe('0')
  expect(await offsetAfter(-1)).toBe('4')
  expect(await admin.resetOffset(brokerAddr, 'shipping', 'nowhere', 0)).toBe(0)
})

test('a member that is online is counted', async () => {
  await admin.createGroup(brokerAddr, { groupName: 'watched' })
  await broker.client.subscribe('orders', { group: 'watched' })

  expect((await admin.groupUse(brokerAddr, 'watched')).clients).toBe(1)
})

test('a master without slaves says that nobody copies its log', async () => {
  expect(await admin.haStatus(brokerAddr)).toMatchObject({ master: true, inSyncSlaveNums: 0, haConnectionInfo: [] })
})

test('who has to read a part of a topic is told, until it is read', async () => {
  await broker.client.createTopic('parts', 3)
  await admin.createGroup(brokerAddr, { groupName: 'parted' })
  await broker.client.send('parts', { queueId: 2 })
  const commit = { topic: 'parts', consumerGroup: 'parted', queueId: 0, commitOffset: 0 }
  await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)

  expect(await admin.topicUnread(brokerAddr, 'parts', 2, [], signal)).toEqual({
    groups: ['parted'],
    delayedMs: 0,
    isFresh: true,
  })
  expect(await admin.topicUnread(brokerAddr, 'parts', 3, [], signal)).toEqual({ groups: [], delayedMs: 0 })

  await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, { ...commit, queueId: 2, commitOffset: 1 })
  expect((await admin.topicUnread(brokerAddr, 'parts', 2, [], signal)).groups).toEqual([])
})

test('what a group has to read keeps a broker, also before its first commit, and also when it came to another broker alone', async () => {
  const settings = { brokerName: 'broker-x', listenPort: 10_921 }
  const leaving = await startTestBroker(settings, broker.network)
  const leavingAddr = '127.0.0.1:10921'
  const unread = () => admin.unread(leavingAddr, [brokerAddr], false, signal)
  try {
    for (const { client } of [leaving, broker]) await client.createTopic('moves', 2)
    await leaving.client.send('moves', { queueId: 1 })
    expect(await unread()).toEqual([])

    const commit = { topic: 'moves', queueId: 1, commitOffset: 1 }
    await admin.createGroup(brokerAddr, { groupName: 'elsewhere' })
    await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, { ...commit, consumerGroup: 'elsewhere' })
    await leaving.client.subscribe('moves', { group: 'begins' })
    await leaving.client.subscribe('moves', { group: 'news', messageModel: 'BROADCASTING' })
    expect(await unread()).toEqual([
      { consumerGroup: 'begins', topic: 'moves', count: 1 },
      { consumerGroup: 'elsewhere', topic: 'moves', count: 1 },
    ])

    await admin.createGroup(leavingAddr, { groupName: 'elsewhere' })
    for (const consumerGroup of ['begins', 'elsewhere']) {
      await leaving.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, { ...commit, consumerGroup })
    }
    expect(await unread()).toEqual([])
  } finally {
    await leaving.stop()
  }
})

test('half messages keep a broker', async () => {
  const half = await startTestBroker({ brokerName: 'broker-h', listenPort: 10_931 }, broker.network)
  try {
    await half.client.createTopic('transfers')
    await half.client.send('transfers', {
      sysFlag: MessageSysFlag.TRANSACTION_PREPARED,
      properties: { TRAN_MSG: 'true', PGROUP: 'banks' },
    })

    const [first] = await admin.unread('127.0.0.1:10931', [], false, signal)
    expect(first).toMatchObject({ consumerGroup: 'CID_RMQ_SYS_TRANS', topic: 'RMQ_SYS_TRANS_HALF_TOPIC', count: 1 })
  } finally {
    await half.stop()
  }
})

test('no further request is sent when the time is over', async () => {
  const over = AbortSignal.abort(new OperatingError('DEADLINE_EXCEEDED', {}))

  await expect(admin.unread(brokerAddr, [], false, over)).rejects.toThrow('DEADLINE_EXCEEDED')
  await expect(admin.topicUnread(brokerAddr, 'parts', 0, [], over)).rejects.toThrow('DEADLINE_EXCEEDED')
})

test('a broker says how full its volume is', async () => {
  expect(await admin.diskUsedRatio(brokerAddr)).toBe(0.64)
})
