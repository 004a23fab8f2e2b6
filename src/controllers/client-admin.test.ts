import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../base/node/index.ts'
import { RequestCode } from '../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../runtime-broker/broker/testing/test-broker.ts'
import type { MqAdmin } from './admin.ts'
import { clientAdmin } from './client-admin.ts'

const brokerAddr = '127.0.0.1:10911'
let broker: TestBroker
let admin: MqAdmin
beforeAll(async () => {
  broker = await startTestBroker({ autoCreateSubscriptionGroup: false })
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

  expect(await admin.topicUnread(brokerAddr, 'parts', 2, [])).toEqual({ groups: ['parted'], delayedMs: 0 })
  expect(await admin.topicUnread(brokerAddr, 'parts', 3, [])).toEqual({ groups: [], delayedMs: 0 })

  await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, { ...commit, queueId: 2, commitOffset: 1 })
  expect((await admin.topicUnread(brokerAddr, 'parts', 2, [])).groups).toEqual([])
})
