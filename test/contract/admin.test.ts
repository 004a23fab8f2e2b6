import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Doors } from '../../src/base/doors.ts'
import { isOperatingError, OperatingError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Network } from '../../src/base/network.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../../src/base/node/index.ts'
import { eventually } from '../../src/base/testing/eventually.ts'
import { MemoryNetwork } from '../../src/base/testing/network.ts'
import { Admin, isRefusal, LitePullConsumer, Perm, Producer, ResponseCode } from '../../src/client/index.ts'
import { formatAddress } from '../../src/remoting/address.ts'
import { RequestCode } from '../../src/remoting/codes.ts'
import { startServer } from '../../src/remoting/server.ts'
import { startBroker } from '../../src/runtime-broker/broker/broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { brokerSettingsOf, namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'

/** Two NameServers, the cluster `shop` of two broker groups, and `other` of one: all in memory's network. */
const namesrvAddrs = ['127.0.0.1:9001', '127.0.0.1:9002'] as const
const namesrvAddr = namesrvAddrs.join(';')
const a = '127.0.0.1:11010'
const b = '127.0.0.1:11020'
const c = '127.0.0.1:11030'
const hostile = '127.0.0.1:11040'

const root = mkdtempSync(join(tmpdir(), 'admin-test-'))
const memory = new MemoryNetwork()
const doors: Doors = { clock: nodeClock, files: nodeFiles, random: nodeRandom, network: memory, log: silentLog }
const running = new Map<string, { stop(): Promise<void> }>()
const admin = new Admin({ namesrvAddr }, doors)
const producer = new Producer({ namesrvAddr, producerGroup: 'p', routeRefreshMs: 100 }, doors)
let count = 0
let topic = ''
let group = ''

async function namesrv(address: string): Promise<void> {
  const [host, port] = address.split(':')
  const kvConfigPath = join(root, `${port}.json`)
  const settings = { bindAddress: host, listenPort: port, kvConfigPath, deleteTopicWithBrokerRegistration: false }
  running.set(address, await startNameServer(namesrvSettingsOf(propertiesOf(settings), testMachine), doors))
}

async function broker(
  address: string,
  brokerName: string,
  brokerClusterName: string,
  given: Record<string, unknown> = {},
): Promise<void> {
  const [host, port] = address.split(':')
  const settings = {
    brokerName,
    brokerClusterName,
    brokerIP1: host,
    bindAddress: host,
    listenPort: port,
    namesrvAddr,
    registerNameServerPeriod: 1_000,
    mappedFileSizeCommitLog: 1 << 20,
    storePathRootDir: join(root, port!),
    ...given,
  }
  running.set(address, await startBroker(brokerSettingsOf(propertiesOf(settings), testMachine), doors))
}

async function stop(address: string): Promise<void> {
  await running.get(address)?.stop()
  running.delete(address)
}

beforeAll(async () => {
  for (const address of namesrvAddrs) await namesrv(address)
  await Promise.all([broker(a, 'broker-a', 'shop'), broker(b, 'broker-b', 'shop'), broker(c, 'broker-c', 'other')])
  await everyoneIsThere()
})

/** Until both NameServers know all three groups. */
async function everyoneIsThere(): Promise<void> {
  await eventually(async () => {
    for (const address of namesrvAddrs) {
      expect([...(await admin.clusterInfo(address)).brokerAddrTable.keys()].sort()).toEqual(groupNames)
    }
  })
}
const groupNames = ['broker-a', 'broker-b', 'broker-c']

beforeEach(() => {
  count++
  topic = `t${count}`
  group = `g${count}`
})

afterAll(async () => {
  await Promise.all([admin.close(), producer.close()])
  await Promise.all([...running.values()].map((each) => each.stop()))
  rmSync(root, { recursive: true, force: true })
})

const hasTopic = (brokerAddr: string) =>
  admin.topicConfig(brokerAddr, topic).then(
    ({ readQueueNums }) => readQueueNums,
    (error) => isRefusal(error, ResponseCode.TOPIC_NOT_EXIST) && 'none',
  )

async function routeHas(brokerNames: string[]): Promise<void> {
  await eventually(async () => {
    for (const address of namesrvAddrs) {
      const { brokerDatas } = await admin.topicRoute(topic, address)
      expect(brokerDatas.map(({ brokerName }) => brokerName).sort()).toEqual(brokerNames)
    }
  })
}

/** The topic with one queue of each group of the cluster, and this many messages in each. */
async function topicWith(messages: number, clusterName = 'shop'): Promise<void> {
  await admin.cluster(clusterName).createTopic({ topicName: topic, readQueueNums: 1, writeQueueNums: 1 })
  const brokerNames = clusterName === 'shop' ? ['broker-a', 'broker-b'] : ['broker-c']
  await routeHas(brokerNames)
  for (const brokerName of brokerNames) {
    for (let index = 0; index < messages; index++) {
      const message = { topic, body: `${brokerName} ${index}`, keys: [`order-${index}`, 'all'] }
      await producer.send(message, { topic, brokerName, queueId: 0 })
    }
  }
}

async function failureOf(work: Promise<unknown>): Promise<Error & { facts?: Record<string, unknown> }> {
  return work.then(
    () => expect(undefined).toBe('a failure'),
    (error) => error,
  ) as Promise<Error & { facts?: Record<string, unknown> }>
}

test('a topic is created and changed at all masters of its cluster, and at no other', async () => {
  await topicWith(0)
  expect(await Promise.all([a, b, c].map(hasTopic))).toEqual([1, 1, 'none'])

  await admin.cluster('shop').createTopic({ topicName: topic, readQueueNums: 3, writeQueueNums: 3 })
  expect(await Promise.all([a, b, c].map(hasTopic))).toEqual([3, 3, 'none'])
  await eventually(async () => expect(await admin.topicList()).toContain(topic))
})

test('a topic is deleted at all masters and from the routes of all NameServers', async () => {
  await topicWith(1)

  await admin.cluster('shop').deleteTopic(topic)
  expect(await Promise.all([a, b, c].map(hasTopic))).toEqual(['none', 'none', 'none'])
  for (const address of namesrvAddrs) {
    expect(isRefusal(await failureOf(admin.topicRoute(topic, address)), ResponseCode.TOPIC_NOT_EXIST)).toBe(true)
  }
  await admin.cluster('shop').deleteTopic(topic) // again: nothing is there to fail
})

test('without a name all clusters are meant', async () => {
  await admin.cluster().createTopic({ topicName: topic, readQueueNums: 2, writeQueueNums: 2 })
  expect(await Promise.all([a, b, c].map(hasTopic))).toEqual([2, 2, 2])
  expect((await admin.cluster().masters()).map(({ brokerName }) => brokerName)).toEqual(groupNames)
})

test('a cluster that nobody knows is an error that says which there are', async () => {
  const error = await failureOf(admin.cluster('shoop').createTopic({ topicName: topic }))
  expect(error.message).toMatch(/^SETTING_INVALID: .*key=clusterName, value=shoop, fits=.*(shop, other|other, shop)/)
})

test('a reset in a cluster that does not have the topic is an error that says which do', async () => {
  await topicWith(0)
  const error = await failureOf(admin.cluster('other').resetOffset({ consumerGroup: group, topic, timestampMs: 0 }))
  expect(error.message).toMatch(/^SETTING_INVALID: .*key=clusterName, value=other, fits=shop\)$/)
})

test('what fails at one master is done at the others, and told by name', async () => {
  const network: Network = {
    listen: (address, accept) => memory.listen(address, accept),
    tlsContext: () => memory.tlsContext(),
    tlsClientContext: () => memory.tlsClientContext(),
    resolve: (host) => memory.resolve(host),
    localAddresses: () => memory.localAddresses(),
    connect: (address, timeoutMs) =>
      formatAddress(address) === b || address.port === 9001
        ? Promise.reject(new OperatingError('CONNECT_FAILED', { ...address, timeoutMs }))
        : memory.connect(address, timeoutMs),
  }
  const farAway = new Admin({ namesrvAddr }, { ...doors, network }) // reaches neither broker-b nor one of the NameServers
  try {
    const shop = farAway.cluster('shop')
    const topicName = topic
    const error = await failureOf(shop.createTopic({ topicName, readQueueNums: 1, writeQueueNums: 1 }))
    expect(error.message).toMatch(/^PARTLY_DONE: .*done=\["broker-a"\].*broker-b.*CONNECT_FAILED.*11020/)
    expect(error.facts).toMatchObject({ done: ['broker-a'], failed: { 'broker-b': expect.any(String) } })
    expect(await Promise.all([a, b].map(hasTopic))).toEqual([1, 'none'])

    const told = await failureOf(shop.wipeWritePerm('broker-b'))
    expect(told.facts).toMatchObject({ done: [namesrvAddrs[1]], failed: { [namesrvAddrs[0]]: expect.any(String) } })
    await admin.cluster('shop').addWritePerm('broker-b')

    const nowhere = await failureOf(shop.updateBrokerConfig({ brokerPermission: 'x' }))
    expect(isOperatingError(nowhere, 'REQUEST_REFUSED')).toBe(true) // by broker-a, the first of those that failed
  } finally {
    await farAway.close()
  }
})

test('a group without a master is named, and its slave tells of lag', async () => {
  await topicWith(2)
  await admin.cluster('shop').createSubscriptionGroup({ groupName: group })
  await consume(4)
  await admin.resetOffset(a, { consumerGroup: group, topic, queueId: 0, queueOffset: 0 })
  const d = '127.0.0.1:11050'
  await broker(d, 'broker-a', 'shop', { brokerRole: 'SLAVE', brokerId: 1, haMasterAddress: '127.0.0.1:11011' })
  try {
    await eventually(async () => {
      expect((await admin.consumeStats(d, group)).offsetTable.size).toBe(1)
      for (const address of namesrvAddrs) {
        expect((await admin.clusterInfo(address)).brokerAddrTable.get('broker-a')?.brokerAddrs.get(1)).toBe(d)
      }
    }, 20_000)
    await stop(a)
    const error = await failureOf(admin.cluster('shop').createTopic({ topicName: `${topic}-other` }))
    expect(error.message).toMatch(/^PARTLY_DONE: .*done=\["broker-b"\].*broker-a.*no NameServer knows its master/)
    expect((await admin.consumerLag(group)).map(({ queue, lag }) => [queue.brokerName, lag])).toEqual([
      ['broker-a', 2],
      ['broker-b', 0],
    ])
  } finally {
    await stop(d)
    await broker(a, 'broker-a', 'shop')
    await everyoneIsThere()
  }
}, 40_000)

test('groups are created and deleted at all masters, with their topics of retries and dead letters', async () => {
  const groups = async (address: string) => [...(await admin.subscriptionGroups(address)).keys()]
  await admin.cluster('shop').createSubscriptionGroup({ groupName: group, retryMaxTimes: 3 })
  for (const address of [a, b]) expect((await admin.subscriptionGroups(address)).get(group)?.retryMaxTimes).toBe(3)
  expect(await groups(c)).not.toContain(group)
  const kept = topic
  for (topic of [`%RETRY%${group}`, `%DLQ%${group}`]) await admin.cluster('shop').createTopic({ topicName: topic })

  await admin.cluster('shop').deleteSubscriptionGroup(group, true)
  for (const address of [a, b]) expect(await groups(address)).not.toContain(group)
  for (topic of [`%RETRY%${group}`, `%DLQ%${group}`]) {
    expect(await Promise.all([a, b].map(hasTopic))).toEqual(['none', 'none'])
  }
  topic = kept
})

test('settings are changed at all masters of the cluster', async () => {
  const before = await Promise.all([a, b, c].map(async (at) => (await admin.brokerConfig(at)).get('fileReservedTime')))
  expect(new Set(before).size).toBe(1)

  await admin.cluster('shop').updateBrokerConfig({ fileReservedTime: '31' })
  const after = await Promise.all([a, b, c].map(async (at) => (await admin.brokerConfig(at)).get('fileReservedTime')))
  expect(after).toEqual(['31', '31', before[2]])
})

test('write permission is taken and given back at all NameServers', async () => {
  await topicWith(0)
  const perms = () =>
    Promise.all(
      namesrvAddrs.map(async (address) => {
        const { queueDatas } = await admin.topicRoute(topic, address)
        return queueDatas.find(({ brokerName }) => brokerName === 'broker-b')?.perm
      }),
    )

  await admin.cluster('shop').wipeWritePerm('broker-b')
  expect(await perms()).toEqual([Perm.READ, Perm.READ])
  await admin.cluster('shop').addWritePerm('broker-b')
  expect(await perms()).toEqual([Perm.READ | Perm.WRITE, Perm.READ | Perm.WRITE])

  for (const work of ['wipeWritePerm', 'addWritePerm'] as const) {
    const mistyped = await failureOf(admin.cluster('shop')[work]('broker-d'))
    expect(mistyped.facts).toEqual({ key: 'brokerName', value: 'broker-d', fits: 'broker-a, broker-b' })
    const elsewhere = await failureOf(admin.cluster('other')[work]('broker-b'))
    expect(elsewhere.facts).toEqual({ key: 'brokerName', value: 'broker-b', fits: 'broker-c' })
    expect(await perms()).toEqual([Perm.READ | Perm.WRITE, Perm.READ | Perm.WRITE])
  }
})

test('write permission is taken though a NameServer that has just started does not know the broker yet', async () => {
  const young = '127.0.0.1:9003'
  await namesrv(young)
  const all = new Admin({ namesrvAddr: `${namesrvAddr};${young}` }, doors)
  try {
    await all.cluster('shop').wipeWritePerm('broker-b')
    await all.cluster('shop').addWritePerm('broker-b')
  } finally {
    await all.close()
    await stop(young)
  }
})

/** Consumes all of the topic as the group. */
async function consume(messages: number): Promise<void> {
  const options = { namesrvAddr, consumerGroup: group, subscriptions: { [topic]: '*' }, consumeFrom: 'first' as const }
  const consumer = new LitePullConsumer({ ...options, autoCommit: false }, doors)
  await consumer.start()
  try {
    let got = 0
    await eventually(async () => {
      got += (await consumer.poll(100)).length
      expect(got).toBe(messages)
    })
    await consumer.commit()
  } finally {
    await consumer.close()
  }
}

test('a group is sent elsewhere at all masters, or exactly there in one queue; its lag is that of all masters', async () => {
  await topicWith(3)
  await admin.cluster('shop').createSubscriptionGroup({ groupName: group })
  await consume(6)
  const lags = async (only?: string) => (await admin.consumerLag(group, only)).map(({ lag }) => lag)
  expect(await lags(topic)).toEqual([0, 0])

  const places = await admin.cluster('shop').resetOffset({ consumerGroup: group, topic, timestampMs: 0 })
  expect([...places].map(([{ brokerName }, offset]) => [brokerName, offset]).sort()).toEqual([
    ['broker-a', 0],
    ['broker-b', 0],
  ])
  expect(await lags(topic)).toEqual([3, 3])
  expect(await lags()).toEqual([3, 3]) // of all that it consumes

  await admin.resetOffset(b, { consumerGroup: group, topic, queueId: 0, queueOffset: 1 })
  expect(await lags(topic)).toEqual([3, 2])
  const beyond = await failureOf(admin.resetOffset(b, { consumerGroup: group, topic, queueId: 0, queueOffset: 99 }))
  expect(beyond.message).toMatch(/INVOKE_BROKER_TO_RESET_OFFSET, address=127.0.0.1:11020.*99/)

  for (const to of [{ timestampMs: 0, queueId: 0 }, { queueId: 0 }, { timestampMs: undefined }]) {
    const vague = await failureOf(admin.resetOffset(b, { consumerGroup: group, topic, ...to } as never))
    expect(vague.message).toMatch(/^SETTING_INVALID: .*fits=timestampMs, or queueId and queueOffset/)
  }
  expect(await lags(topic)).toEqual([3, 2])
})

test('messages are found by key, by msgId and by the name that the broker gave them', async () => {
  await topicWith(2)
  const bodies = (messages: readonly { body: Buffer }[]) => messages.map(({ body }) => body.toString()).sort()

  await eventually(async () => expect((await admin.messagesByKey(topic, 'all')).length).toBe(4))
  const found = await admin.messagesByKey(topic, 'order-1')
  expect(bodies(found)).toEqual(['broker-a 1', 'broker-b 1'])
  expect(found.map(({ queue }) => queue.brokerName).sort()).toEqual(['broker-a', 'broker-b'])
  expect(await admin.messagesByKey(topic, 'no-such')).toEqual([])
  expect(await admin.messagesByKey(topic, 'all', { toMs: 1_000 })).toEqual([])
  expect((await admin.messagesByKey(topic, 'all', { countMax: 1 })).length).toBe(2) // of each broker

  await producer.send({ topic, body: 'twin', keys: ['Aa'] }) // of the same hash as BB
  await eventually(async () => expect(bodies(await admin.messagesByKey(topic, 'Aa'))).toEqual(['twin']))
  expect(await admin.messagesByKey(topic, 'BB')).toEqual([])

  const [one] = found
  expect(await admin.messageByMsgId(topic, one!.msgId)).toEqual(one)
  expect(await admin.messageByMsgId(topic, `${one!.msgId.slice(0, -1)}Z`)).toBeUndefined()
  expect(await admin.messageAt(one!.offsetMsgId)).toEqual(one)
  const illegal = await failureOf(admin.messageAt('orders'))
  expect(illegal.message).toMatch(/HEADER_INVALID: .*offsetMsgId.*orders/)
})

test('a message is found by its address while no NameServer answers, or knows the broker, only not whose it is', async () => {
  await topicWith(1)
  await eventually(async () => expect((await admin.messagesByKey(topic, 'all')).length).toBe(2))
  const [sent] = await admin.messagesByKey(topic, 'all')
  const nobody = '127.0.0.1:1'
  const young = '127.0.0.1:9003'
  await namesrv(young)
  for (const namesrvAddr of [nobody, young]) {
    const alone = new Admin({ namesrvAddr }, doors)
    const found = await alone.messageAt(sent!.offsetMsgId)
    expect(found).toEqual({ ...sent, queue: { ...sent!.queue, brokerName: '' } })
    const gone = await failureOf(alone.messageAt(`${sent!.offsetMsgId.slice(0, 16)}${'0'.repeat(15)}1`))
    expect(isRefusal(gone, ResponseCode.SYSTEM_ERROR)).toBe(true)
    await alone.close()
  }
  await stop(young)
})

test('calls at one broker: topics, groups, progress and the broker itself', async () => {
  await topicWith(2, 'other')
  await admin.createSubscriptionGroup(c, { groupName: group })
  await consume(2)

  await admin.createTopics(c, [{ topicName: `${topic}-1` }, { topicName: `${topic}-2`, perm: Perm.READ }])
  const { topicConfigTable } = await admin.allTopicConfig(c)
  expect(topicConfigTable.get(`${topic}-2`)?.perm).toBe(Perm.READ)
  expect([...(await admin.topicStats(c, topic)).offsetTable.values()]).toMatchObject([{ minOffset: 0, maxOffset: 2 }])
  expect(await admin.topicConsumers(c, topic)).toEqual([group])
  expect([...(await admin.consumeStats(c, group)).offsetTable.values()]).toMatchObject([
    { brokerOffset: 2, consumerOffset: 2 },
  ])
  expect((await admin.brokerConsumeStats(c)).get(group)?.length).toBe(1)
  const offline = await failureOf(admin.consumerConnection(c, group))
  expect(isRefusal(offline, ResponseCode.CONSUMER_NOT_ONLINE)).toBe(true)
  expect((await admin.brokerRuntimeInfo(c)).get('brokerActive')).toBe('true')
  expect(await admin.haStatus(c)).toMatchObject({ master: true })
  await admin.updateBrokerConfig(c, { fileReservedTime: '17' })
  expect((await admin.brokerConfig(c)).get('fileReservedTime')).toBe('17')
  await admin.deleteSubscriptionGroup(c, group)
  expect((await admin.subscriptionGroups(c)).has(group)).toBe(false)
})

test('attributes are changes of what a topic has', async () => {
  await admin.createTopic(c, { topicName: topic, attributes: { '+message.type': 'FIFO' } })
  expect((await admin.topicConfig(c, topic)).attributes).toEqual({ 'message.type': 'FIFO' })
  await admin.createTopic(c, { topicName: topic, attributes: { '-message.type': '' } })
  expect((await admin.topicConfig(c, topic)).attributes).toEqual({})
})

test('what does not answer is named, within requestTimeoutMs; what answers nonsense, too', async () => {
  const [host, port] = hostile.split(':')
  const listen = { host: host!, port: Number(port) }
  const isMute = (code: number) => code === RequestCode.GET_BROKER_CONFIG
  const server = await startServer(
    { listen, handle: ({ code }) => (isMute(code) ? undefined : { code: 0, body: Buffer.from('nonsense') }) },
    doors,
  )
  const hasty = new Admin({ namesrvAddr: hostile, requestTimeoutMs: 100 }, doors)
  try {
    const late = await failureOf(hasty.brokerConfig(hostile))
    expect(late.message).toMatch(/REQUEST_TIMEOUT: .*127.0.0.1:11040/)
    const named = (request: string) => new RegExp(`^BODY_INVALID: .*request=${request}, address=127.0.0.1:11040`)
    expect((await failureOf(hasty.haStatus(hostile))).message).toMatch(named('GET_BROKER_HA_STATUS'))
    expect((await failureOf(hasty.clusterInfo())).message).toMatch(named('GET_BROKER_CLUSTER_INFO'))
    const nobody = await failureOf(hasty.topicStats('127.0.0.1:1', topic))
    expect(nobody.message).toMatch(/CONNECT_FAILED: .*host=127.0.0.1, port=1\b/)
    expect((await failureOf(hasty.topicStats('orders', topic))).message).toMatch(/CONNECT_FAILED: .*orders.*host:port/)
  } finally {
    await hasty.close()
    await server.close(0)
  }
})

test('a NameServer or broker that restarted is asked again without more ado', async () => {
  await topicWith(0)
  for (const address of namesrvAddrs) {
    await stop(address)
    expect((await admin.topicRoute(topic)).queueDatas.length).toBeGreaterThan(0) // the other one's
    const error = await failureOf(admin.cluster('shop').wipeWritePerm('broker-a'))
    expect(error.message).toMatch(new RegExp(`^PARTLY_DONE: .*failed=.*${address}`))
    await admin.cluster('shop').createTopic({ topicName: topic, readQueueNums: 2, writeQueueNums: 2 })
    await namesrv(address)
    await everyoneIsThere()
    await admin.cluster('shop').addWritePerm('broker-a')
  }
  await stop(a)
  await broker(a, 'broker-a', 'shop')
  expect(await hasTopic(a)).toBe(2)
  await everyoneIsThere()
}, 30_000)
