import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import type { Doors } from '../../base/doors.ts'
import { type Log, silentLog } from '../../base/log.ts'
import { nodeFiles, nodeRandom } from '../../base/node/index.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { MemoryNetwork } from '../../base/testing/network.ts'
import { formatAddress } from '../../remoting/address.ts'
import { writeRegisterBrokerBody } from '../../remoting/body/register-broker.ts'
import { topicConfig } from '../../remoting/body/topic-config.ts'
import { RemotingClient } from '../../remoting/client.ts'
import { RequestCode, ResponseCode } from '../../remoting/codes.ts'
import type { Command } from '../../remoting/command.ts'
import { type Request, startServer } from '../../remoting/server.ts'
import { namesrvSettingsOf, readProperties } from '../../tunables/index.ts'
import { testMachine } from '../../tunables/testing/settings.ts'
import { startNameServer } from './server.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A NameServer in memory, with its files in a folder of its own. */
async function nameServer(settings = '', directory = mkdtempSync(join(tmpdir(), 'namesrv-'))) {
  const warnings: string[] = []
  const log: Log = { ...silentLog, warn: (_, message) => void warnings.push(message), with: () => log }
  const doors = {
    clock: new ManualClock(),
    network: new MemoryNetwork(),
    files: nodeFiles,
    random: nodeRandom,
    log,
  } satisfies Doors
  const machine = { ...testMachine, path: (text: string) => text.replace('$HOME', directory) }
  const given = namesrvSettingsOf(readProperties(`listenPort=0\n${settings}`, 'test'), machine)
  const server = await startNameServer(given, doors)
  const client = new RemotingClient({}, doors)
  cleanups.push(
    () => rmSync(directory, { recursive: true, force: true }),
    () => client.close(),
  )
  const call = (
    code: number,
    extFields: Record<string, string> = {},
    body: Buffer = Buffer.alloc(0),
  ): Promise<Command> =>
    settle(doors.clock, client.call(formatAddress(server.address), { code, extFields, body }, 3000))
  return { server, call, directory, doors, warnings, path: (name: string) => join(directory, 'namesrv', name) }
}

/** Runs turns until the promise is settled, with a limit instead of a deadline: time stands still. */
async function settle<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let isSettled = false
  const done = () => void (isSettled = true)
  promise.then(done, done)
  for (let turns = 0; !isSettled && turns < 200; turns++) await clock.turn()
  if (!isSettled) throw new Error('no answer in 200 turns')
  return promise
}

const broker = { brokerName: 'a', brokerAddr: '10.0.0.1:10911', clusterName: 'C', brokerId: '0' }
const dataVersion = { counter: 3, stateVersion: 0, timestamp: 1_700_000_000_000 }

function registration(...topics: string[]): Buffer {
  const config = { readQueueNums: 4, writeQueueNums: 4 }
  return Buffer.from(
    writeRegisterBrokerBody({
      filterServerList: [],
      topicConfigSerializeWrapper: {
        dataVersion,
        topicConfigTable: new Map(topics.map((topic) => [topic, topicConfig(topic, config)])),
      },
    }),
  )
}

async function withBroker(settings = '') {
  const made = await nameServer(settings)
  const extFields = { ...broker, haServerAddr: '10.0.0.1:10912' }
  const registered = await made.call(RequestCode.REGISTER_BROKER, extFields, registration('X', 'Y'))
  expect(registered.code).toBe(ResponseCode.SUCCESS)
  return made
}

test('bodies are those that Apache writes', async () => {
  const { call } = await withBroker()
  const text = async (code: number, extFields?: Record<string, string>) => String((await call(code, extFields)).body)

  expect(await text(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).toBe(
    '{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:10911"},"brokerName":"a","cluster":"C","enableActingMaster":false}],' +
      '"filterServerTable":{},' +
      '"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}',
  )
  expect(await text(RequestCode.GET_BROKER_CLUSTER_INFO)).toBe(
    '{"brokerAddrTable":{"a":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"a","cluster":"C","enableActingMaster":false}},' +
      '"clusterAddrTable":{"C":["a"]}}',
  )
  expect(await text(RequestCode.GET_BROKER_MEMBER_GROUP, { clusterName: 'C', brokerName: 'a' })).toBe(
    '{"brokerMemberGroup":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"a","cluster":"C"}}',
  )
  expect(await text(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS)).toBe(
    '{"brokerAddr":"10.0.0.1:10911","topicList":["C","a"]}',
  )
  expect(await text(RequestCode.GET_TOPICS_BY_CLUSTER, { cluster: 'C' })).toBe('{"topicList":["X","Y"]}')
})

test('no route and no such request, in the words of Apache', async () => {
  const { call } = await nameServer()

  expect(await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).toMatchObject({
    code: ResponseCode.TOPIC_NOT_EXIST,
    remark:
      'No topic route info in name server for the topic: X\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.',
  })
  expect(await call(9999)).toMatchObject({
    code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    remark: ' request type 9999 not supported',
  })
  expect((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC)).code).toBe(ResponseCode.SYSTEM_ERROR)
})

test('a registration without a body makes a broker without topics', async () => {
  const { call } = await nameServer()

  const extFields = { ...broker, haServerAddr: 'h:1' }
  expect((await call(RequestCode.REGISTER_BROKER, extFields)).code).toBe(ResponseCode.SUCCESS)
  expect(String((await call(RequestCode.GET_BROKER_CLUSTER_INFO)).body)).toContain('"clusterAddrTable":{"C":["a"]}')
})

test('clients that ask for their zone get its brokers, and those of groups without a master', async () => {
  const { call } = await nameServer()
  const members = [
    ['near', '0', 'east'],
    ['far', '0', 'west'],
    ['orphan', '1', 'west'],
    ['anywhere', '0', ''],
  ]
  for (const [brokerName, brokerId, zone] of members) {
    const at = { clusterName: 'C', brokerName: brokerName!, brokerId: brokerId!, brokerAddr: `${brokerName}:1` }
    const extFields = { ...at, haServerAddr: 'h:1', enableActingMaster: 'true', ...(zone && { __ZONE_NAME: zone }) }
    expect((await call(RequestCode.REGISTER_BROKER, extFields, registration('X', 'Y'))).code).toBe(ResponseCode.SUCCESS)
  }
  const route = async (wants: Record<string, string>) => {
    const { body } = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X', ...wants })
    const { brokerDatas, queueDatas } = JSON.parse(String(body))
    const names = brokerDatas.map(({ brokerName }: { brokerName: string }) => brokerName)
    expect(queueDatas.map(({ brokerName }: { brokerName: string }) => brokerName)).toEqual(names)
    return names
  }

  expect(await route({ __ZONE_MODE: 'true', __ZONE_NAME: 'EAST' })).toEqual(['near', 'orphan'])
  const all = ['near', 'far', 'orphan', 'anywhere']
  expect(await route({})).toEqual(all)
  expect(await route({ __ZONE_NAME: 'east' })).toEqual(all)
  expect(await route({ __ZONE_MODE: 'true', __ZONE_NAME: ' ' })).toEqual(all)
  const { body } = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })
  expect(String(body)).toContain('"brokerName":"near","cluster":"C","enableActingMaster":true,"zoneName":"east"}')
})

test('brokers of a group are told who has its smallest id, where that is wanted', async () => {
  const { call, doors } = await nameServer()
  const heard: Record<string, string>[] = []
  const listen = { host: '127.0.0.1', port: 0 }
  const handle = (request: Request) => {
    expect([request.code, request.isOneway]).toEqual([RequestCode.NOTIFY_MIN_BROKER_ID_CHANGE, true])
    heard.push(request.extFields)
    return { code: ResponseCode.SUCCESS }
  }
  const slave = await startServer({ listen, handle }, doors)
  cleanups.push(() => slave.close(0))
  const register = (brokerId: string, brokerAddr: string) => {
    const extFields = { ...broker, brokerId, brokerAddr, haServerAddr: `ha-${brokerId}:1`, enableActingMaster: 'true' }
    return call(RequestCode.REGISTER_BROKER, extFields, registration('X', 'Y'))
  }
  const slaveAddr = formatAddress(slave.address)
  await register('1', slaveAddr)
  await register('0', 'master:1')
  expect(heard).toEqual([]) // as nobody asked for it

  await call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, Buffer.from('notifyMinBrokerIdChanged=true\n'))
  await call(RequestCode.UNREGISTER_BROKER, { ...broker, brokerAddr: 'master:1' })
  await register('0', 'master:1')
  for (let turns = 0; turns < 20; turns++) await doors.clock.turn()

  expect(heard).toEqual([
    { minBrokerId: '1', minBrokerAddr: slaveAddr, offlineBrokerAddr: 'master:1' },
    { minBrokerId: '0', minBrokerAddr: 'master:1', haBrokerAddr: 'ha-0:1' },
  ])
})

test('with supportActingMaster a slave without a master is routed to in its place', async () => {
  const { call } = await nameServer('supportActingMaster=true')
  const extFields = { ...broker, brokerId: '1', haServerAddr: 'h:1', enableActingMaster: 'true' }
  await call(RequestCode.REGISTER_BROKER, extFields, registration('X', 'Y'))

  const route = JSON.parse(String((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).body))

  expect(route.brokerDatas[0].brokerAddrs).toEqual({ '0': '10.0.0.1:10911' })
  expect(route.queueDatas[0].perm).toBe(4)
})

test('a broker that leaves right behind a long registration is gone', async () => {
  const { call } = await nameServer()
  const topics = Array.from({ length: 3000 }, (_, index) => `T${index}`)

  const [registered, left] = await Promise.all([
    call(RequestCode.REGISTER_BROKER, { ...broker, haServerAddr: 'h:1' }, registration(...topics)),
    call(RequestCode.UNREGISTER_BROKER, broker),
  ])

  expect([registered.code, left.code]).toEqual([ResponseCode.SUCCESS, ResponseCode.SUCCESS])
  expect(String((await call(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).body)).toBe('{"topicList":[]}')
})

test('what an admin asks for right behind a long registration holds for all of it', async () => {
  const { call } = await nameServer()
  const topics = Array.from({ length: 3000 }, (_, index) => `T${index}`)

  const answers = await Promise.all([
    call(RequestCode.REGISTER_BROKER, { ...broker, haServerAddr: 'h:1' }, registration(...topics)),
    call(RequestCode.DELETE_TOPIC_IN_NAMESRV, { topic: 'T2999' }),
    call(RequestCode.WIPE_WRITE_PERM_OF_BROKER, { brokerName: 'a' }),
    call(RequestCode.ADD_WRITE_PERM_OF_BROKER, { brokerName: 'a' }),
  ])

  expect(answers.map(({ code }) => code)).toEqual([0, 0, 0, 0])
  expect(answers[2].extFields).toEqual({ wipeTopicCount: '2999' })
  expect(answers[3].extFields).toEqual({ addTopicCount: '2999' })
  const { code } = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'T2999' })
  expect(code).toBe(ResponseCode.TOPIC_NOT_EXIST)
})

test('a broker whose connection ends within a long registration is not registered', async () => {
  const { call, doors, server } = await nameServer()
  const topics = Array.from({ length: 3000 }, (_, index) => `T${index}`)
  const other = new RemotingClient({}, doors)
  const command = { code: RequestCode.REGISTER_BROKER, extFields: { ...broker, haServerAddr: 'h:1' } }
  const lost = other.call(formatAddress(server.address), { ...command, body: registration(...topics) }, 3000)
  lost.catch(() => {})
  for (let turns = 0; turns < 4; turns++) await doors.clock.turn()

  await other.close()
  for (let turns = 0; turns < 50; turns++) await doors.clock.turn()

  await expect(lost).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
  expect(String((await call(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).body)).toBe('{"topicList":[]}')
})

test('a damaged registration is refused', async () => {
  const { call } = await nameServer()
  const extFields = { ...broker, haServerAddr: 'h:1', bodyCrc32: '12345' }
  expect(await call(RequestCode.REGISTER_BROKER, extFields, registration('X', 'Y'))).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: 'crc32 not match',
  })
})

const anotherHolder = { ...broker, brokerAddr: '10.0.0.2:10911', haServerAddr: 'h:1' }
const olderState = String(registration('X', 'Y')).replace('"stateVersion":0', '"stateVersion":-1')
test.each<[string, number, Record<string, string>, Buffer]>([
  [
    'a registration arrived damaged',
    RequestCode.REGISTER_BROKER,
    { ...anotherHolder, bodyCrc32: '12345' },
    registration('X', 'Y'),
  ],
  [
    'a registration was refused',
    RequestCode.REGISTER_BROKER,
    { ...anotherHolder, brokerName: 'b' },
    registration('a single one'),
  ],
  [
    'a registration came from an outdated holder of its broker id',
    RequestCode.REGISTER_BROKER,
    anotherHolder,
    Buffer.from(olderState),
  ],
  [
    'a topic was not registered: a broker is unknown, or there are too many topics',
    RequestCode.REGISTER_TOPIC_IN_NAMESRV,
    { topic: 'Z' },
    Buffer.from(
      '{"queueDatas":[{"brokerName":"unknown","readQueueNums":1,"writeQueueNums":1,"perm":6,"topicSysFlag":0}]}',
    ),
  ],
])('who repeats it does not fill the log with: %s', async (message, code, extFields, body) => {
  const { call, warnings } = await withBroker()

  for (let count = 0; count < 15; count++) await call(code, extFields, body)

  expect(warnings).toEqual(Array(10).fill(message))
})

test('a broker whose connection closes is gone at once', async () => {
  const { call, doors } = await withBroker()

  doors.network.sockets[0]!.destroy()
  await doors.clock.turn()

  expect((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
})

test('a silent broker goes after two minutes, one that gives signs of life stays', async () => {
  const { call, doors } = await withBroker('serverChannelMaxIdleTimeSeconds=3600')

  await doors.clock.advance(115_000)
  const same = Buffer.from(JSON.stringify(dataVersion))
  expect((await call(RequestCode.QUERY_DATA_VERSION, broker, same)).extFields).toMatchObject({ changed: 'false' })
  await doors.clock.advance(119_000)
  expect((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).code).toBe(ResponseCode.SUCCESS)
  await doors.clock.advance(10_000)
  expect((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
})

test('a broker is told which topics are ordered, and so is a client', async () => {
  const { call } = await withBroker('orderMessageEnable=true')
  const order = { namespace: 'ORDER_TOPIC_CONFIG', key: 'X' }

  await call(RequestCode.PUT_KV_CONFIG, { ...order, value: 'a:4' })

  const again = await call(RequestCode.REGISTER_BROKER, { ...broker, haServerAddr: 'h:1' }, registration('X', 'Y'))
  expect(String(again.body)).toBe('{"table":{"X":"a:4"}}')
  const route = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })
  expect(String(route.body)).toContain('"orderTopicConf":"a:4","queueDatas"')
})

test('an admin may register a topic at brokers that are known, and at those alone', async () => {
  const { call } = await withBroker()
  const register = (topic: string, ...brokerNames: string[]) => {
    const queues = brokerNames.map((brokerName) => ({
      brokerName,
      readQueueNums: 2,
      writeQueueNums: 1,
      perm: 6,
      topicSysFlag: 2,
    }))
    const body = Buffer.from(JSON.stringify({ queueDatas: queues, brokerDatas: [], filterServerTable: {} }))
    return call(RequestCode.REGISTER_TOPIC_IN_NAMESRV, { topic }, body)
  }

  expect((await register('Z', 'a')).code).toBe(ResponseCode.SUCCESS)
  expect((await register('Half', 'a', 'unknown')).code).toBe(ResponseCode.SUCCESS) // as Apache: the log tells
  await register('Nowhere')

  const route = await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'Z' })
  expect(String(route.body)).toContain(
    '{"brokerName":"a","perm":6,"readQueueNums":2,"topicSysFlag":2,"writeQueueNums":1}',
  )
  expect(String((await call(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).body)).toBe('{"topicList":["X","Y","Z"]}')
})

test('topics are listed by the bits of their topicSysFlag, where lists may be asked for', async () => {
  const { call } = await withBroker()
  for (const topicSysFlag of [0, 1, 2, 3]) {
    const queueDatas = [{ brokerName: 'a', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag }]
    const body = Buffer.from(JSON.stringify({ queueDatas, brokerDatas: [], filterServerTable: {} }))
    await call(RequestCode.REGISTER_TOPIC_IN_NAMESRV, { topic: `F${topicSysFlag}` }, body)
  }
  const listed = async (code: number) => JSON.parse(String((await call(code)).body)).topicList

  expect(await listed(RequestCode.GET_UNIT_TOPIC_LIST)).toEqual(['F1', 'F3'])
  expect(await listed(RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST)).toEqual(['F2', 'F3'])
  expect(await listed(RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST)).toEqual(['F2'])

  await call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, Buffer.from('enableTopicList=false\n'))
  expect(await call(RequestCode.GET_UNIT_TOPIC_LIST)).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: 'disable',
  })
})

test('key-value settings survive a restart, in the file that Apache has', async () => {
  const first = await nameServer()
  await first.call(RequestCode.PUT_KV_CONFIG, { namespace: 'n', key: 'k', value: 'v' })
  await first.call(RequestCode.PUT_KV_CONFIG, { namespace: 'n', key: 'gone', value: 'v' })
  await first.call(RequestCode.DELETE_KV_CONFIG, { namespace: 'n', key: 'gone' })
  expect(readFileSync(first.path('kvConfig.json'), 'utf8')).toBe('{"configTable":{"n":{"k":"v"}}}')

  const second = await nameServer('', first.directory)
  expect((await second.call(RequestCode.GET_KV_CONFIG, { namespace: 'n', key: 'k' })).extFields.value).toBe('v')
  expect(await second.call(RequestCode.GET_KV_CONFIG, { namespace: 'n', key: 'gone' })).toMatchObject({
    code: ResponseCode.QUERY_NOT_FOUND,
    remark: 'No config item, Namespace: n Key: gone',
  })
})

test('a damaged kvConfig.json stops the start: order topics would be lost in silence', async () => {
  const { directory, path } = await nameServer()
  nodeFiles.makeDirectory(join(directory, 'namesrv'))
  writeFileSync(path('kvConfig.json'), '{"configTable":')
  await expect(nameServer('', directory)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
})

test('settings change while it runs, all or none', async () => {
  const { call, path } = await nameServer()
  const update = (text: string) => call(RequestCode.UPDATE_NAMESRV_CONFIG, {}, Buffer.from(text))

  expect(await update('enableTopicList=false\n')).toMatchObject({ code: ResponseCode.SUCCESS })
  expect((await call(RequestCode.GET_TOPICS_BY_CLUSTER, { cluster: 'C' })).remark).toBe('disable')
  expect(readFileSync(path('namesrv.properties'), 'utf8')).toBe('enableTopicList=false\n')
  expect(String((await call(RequestCode.GET_NAMESRV_CONFIG)).body)).toContain('enableTopicList=false\n')

  expect((await update('enableTopicList=true\nlistenPort=1\n')).code).toBe(ResponseCode.INVALID_PARAMETER)
  expect((await update('enableTopicList=maybe\n')).remark).toContain('true or false')
  expect((await update('enableTopicLists=true\n')).remark).toContain('a key of this NameServer')
  expect((await update('serverWorkerThreads=8\n')).remark).toContain('it has no effect in this NameServer')
  expect((await update('rocketmqHome=x\n')).code).toBe(ResponseCode.NO_PERMISSION)
  expect(await update('kvConfigPath=x\n')).toMatchObject({
    code: ResponseCode.NO_PERMISSION,
    remark: 'Can not update config in black list.',
  })
  expect((await call(RequestCode.GET_TOPICS_BY_CLUSTER, { cluster: 'C' })).remark).toBe('disable')
})

test('with needWaitForService it is not ready before brokers had time to register', async () => {
  const { server, call, doors } = await withBroker('needWaitForService=true\nwaitSecondsForService=5')

  expect(server.notReady()).toBe('waiting for brokers to register')
  expect((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).remark).toBe('name server not ready')
  await doors.clock.advance(5000)
  expect(server.notReady()).toBeUndefined()
  expect((await call(RequestCode.GET_ROUTEINFO_BY_TOPIC, { topic: 'X' })).code).toBe(ResponseCode.SUCCESS)
})

test('metrics count what is there', async () => {
  const { server } = await withBroker()
  const text = await server.metrics()
  expect(text).toContain('rocketmq_namesrv_brokers 1\n')
  expect(text).toContain('rocketmq_namesrv_topics 2\n')
  expect(text).toContain('rocketmq_namesrv_requests_total{request="REGISTER_BROKER"} 1\n')
})
