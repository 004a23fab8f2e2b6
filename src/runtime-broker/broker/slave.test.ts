import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { nodeClock, nodeFiles, nodeRandom } from '../../base/node/index.ts'
import { eventually } from '../../base/testing/eventually.ts'
import { MemoryNetwork } from '../../base/testing/network.ts'
import { readConsumerOffsetTable } from '../../remoting/body/consumer-offset-table.ts'
import { RequestCode, ResponseCode } from '../../remoting/codes.ts'
import { readJson } from '../../remoting/json.ts'
import { decodeMessage, MessageSysFlag, parseOffsetMsgId } from '../../remoting/message/index.ts'
import { namesrvSettingsOf } from '../../tunables/index.ts'
import { propertiesOf, testMachine } from '../../tunables/testing/settings.ts'
import { type NameServer, startNameServer } from '../namesrv/server.ts'
import { batchEntry } from './testing/batch-entry.ts'
import { startTestBroker, type TestBroker } from './testing/test-broker.ts'

const namesrvAddr = '127.0.0.1:9876'
let network: MemoryNetwork
let namesrvDir: string
let namesrv: NameServer
let running: TestBroker[] = []

beforeEach(async () => {
  network = new MemoryNetwork()
  namesrvDir = mkdtempSync(join(tmpdir(), 'slave-test-'))
  const values = { bindAddress: '127.0.0.1', listenPort: '9876', kvConfigPath: `${namesrvDir}/kv.json` }
  const doors = { clock: nodeClock, files: nodeFiles, random: nodeRandom, network, log: silentLog }
  namesrv = await startNameServer(
    namesrvSettingsOf(propertiesOf(values), testMachine, `${namesrvDir}/namesrv.properties`),
    doors,
  )
})

afterEach(async () => {
  for (const broker of running.splice(0)) await broker.stop()
  await namesrv.stop()
  rmSync(namesrvDir, { recursive: true, force: true })
})

async function start(settings: Record<string, unknown>): Promise<TestBroker> {
  const broker = await startTestBroker({ namesrvAddr, registerNameServerPeriod: 1000, ...settings }, network)
  running.push(broker)
  return broker
}

const startMaster = (settings: Record<string, unknown> = {}) => start(settings)
const startSlave = (settings: Record<string, unknown> = {}) =>
  start({ brokerRole: 'SLAVE', brokerId: 1, listenPort: 10_921, ...settings })

const inSync = (slave: TestBroker) => eventually(() => expect(slave.running.notReady()).toBeUndefined())

test('a slave finds its master through the NameServer, has its messages and tables, and answers pulls when it may', async () => {
  const master = await startMaster()
  await master.client.createTopic('orders')
  await master.client.subscribe('orders', { group: 'billing' })
  const slave = await startSlave({ slaveReadEnable: true })
  expect(slave.running.notReady()).toBeDefined()
  await inSync(slave)

  await master.client.send('orders', { body: 'paid' })
  await master.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, {
    topic: 'orders',
    consumerGroup: 'billing',
    queueId: 0,
    commitOffset: 1,
  })

  await eventually(async () => {
    expect(await slave.client.pull('orders')).toMatchObject({ code: ResponseCode.SUCCESS, bodies: ['paid'] })
  })
  const groups = await slave.client.call(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
  expect(groups.body.toString()).toContain('"billing"')
})

test('a slave that was there before its master does not wait for its next registration', async () => {
  const slave = await startSlave({ registerNameServerPeriod: 60_000 })
  await nodeClock.sleep(100) // it has registered, and heard of no master
  await startMaster({ registerNameServerPeriod: 60_000 })
  await inSync(slave)
})

test('consumer offsets reach the slave, also lower ones', async () => {
  const master = await startMaster()
  await master.client.createTopic('orders')
  await master.client.subscribe('orders', { group: 'billing' })
  for (let count = 0; count < 3; count++) await master.client.send('orders')
  const commit = (commitOffset: number) =>
    master.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, {
      topic: 'orders',
      consumerGroup: 'billing',
      queueId: 0,
      commitOffset,
    })
  await commit(3)
  await commit(2)

  const slave = await startSlave()

  await eventually(async () => {
    const { body } = await slave.client.call(RequestCode.GET_ALL_CONSUMER_OFFSET)
    expect(readConsumerOffsetTable(readJson(body)).offsetTable.get('orders@billing')?.get(0)).toBe(2)
  })
})

test('a slave takes nothing that only a master takes, and says so as Apache does', async () => {
  await startMaster()
  const slave = await startSlave()
  await inSync(slave)

  const rejected = {
    code: ResponseCode.SYSTEM_BUSY,
    remark: '[REJECTREQUEST]system busy, start flow control for a while',
  }
  expect(await slave.client.send('orders')).toMatchObject(rejected)
  expect(await slave.client.pull('orders')).toMatchObject(rejected) // slaveReadEnable is off
  expect((await slave.client.createTopic('orders')).code).toBe(ResponseCode.SYSTEM_ERROR)
})

test('at its end a slave sends a consumer back to the master while that is there, and holds the pull when it is not', async () => {
  const master = await startMaster()
  await master.client.createTopic('orders')
  await master.client.send('orders', { body: 'paid' })
  const slave = await startSlave({ slaveReadEnable: true })
  await inSync(slave)
  await eventually(async () => expect((await slave.client.pull('orders')).bodies).toEqual(['paid']))

  expect(await slave.client.pull('orders', { queueOffset: 1, holdMs: 5000 })).toMatchObject({
    code: ResponseCode.PULL_RETRY_IMMEDIATELY,
    nextBeginOffset: 1,
  })
  // further than this copy goes: the master may know, and a slave never moves anybody
  expect(await slave.client.pull('orders', { queueOffset: 9 })).toMatchObject({
    code: ResponseCode.PULL_RETRY_IMMEDIATELY,
    nextBeginOffset: 9,
  })
  await master.running.stop()
  await eventually(async () => {
    expect(await slave.client.pull('orders', { queueOffset: 9 })).toMatchObject({
      code: ResponseCode.PULL_NOT_FOUND,
      nextBeginOffset: 9,
    })
  })
  expect((await slave.client.pull('orders')).bodies).toEqual(['paid'])
  expect(slave.running.notReady()).toBeUndefined() // now it is needed
  running = running.filter((broker) => broker !== master)
})

test('a slave delivers no delayed messages of its own', async () => {
  const master = await startMaster({ messageDelayLevel: '1s' })
  await master.client.createTopic('orders')
  const slave = await startSlave({ messageDelayLevel: '1s', slaveReadEnable: true })
  await inSync(slave)
  await master.client.send('orders', { body: 'late', properties: { DELAY: '1' } })

  await eventually(async () => expect((await slave.client.pull('orders')).bodies).toEqual(['late']))

  const { body } = await slave.client.call(RequestCode.GET_BROKER_RUNTIME_INFO)
  expect(body.toString()).toContain('"putMessageTimesTotal":"2"') // scheduled, delivered: by the master
})

test('how far the master is with delayed messages reaches the slave: as master it delivers none of them again', async () => {
  const settings = { messageDelayLevel: '1s 1s', slaveReadEnable: true }
  const master = await startMaster(settings)
  await master.client.createTopic('orders')
  await master.client.send('orders', { body: 'late', properties: { DELAY: '2' } })
  expect((await master.client.pull('orders', { holdMs: 5000 })).bodies).toEqual(['late'])
  const slave = await startSlave(settings)
  await inSync(slave)

  await eventually(async () => {
    const { body } = await slave.client.call(RequestCode.GET_ALL_DELAY_OFFSET)
    expect(readJson(body)).toMatchObject({ offsetTable: { 2: 1 } })
  })
  await running.splice(running.indexOf(master), 1)[0]!.stop()
  await slave.restart({ brokerRole: 'ASYNC_MASTER', brokerId: 0 })
  await slave.client.send('orders', { body: 'after', properties: { DELAY: '2' } })

  const next = await slave.client.pull('orders', { queueOffset: 1, holdMs: 5000 })
  expect(next).toMatchObject({ bodies: ['after'], nextBeginOffset: 2 })
})

test('a slave ends and asks about no transaction; as master it goes on with all of them', async () => {
  const settings = { transactionTimeOut: 1, transactionCheckInterval: 50, transactionOpBatchInterval: 10 }
  const master = await startMaster({ ...settings, transactionCheckInterval: 60_000 })
  await master.client.createTopic('orders')
  const slave = await startSlave(settings)
  await inSync(slave)
  const asked: string[] = []
  slave.client.answer = ({ code, body }) => {
    if (code === RequestCode.CHECK_TRANSACTION_STATE) asked.push(decodeMessage(Buffer.from(body), 0).body.toString())
    return { code: 0 }
  }
  const beat = () =>
    slave.client.call(
      RequestCode.HEART_BEAT,
      {},
      { clientID: 'c', producerDataSet: [{ groupName: 'P' }], consumerDataSet: [], heartbeatFingerprint: 0 },
    )
  const send = (body: string) =>
    master.client.send('orders', {
      body,
      sysFlag: MessageSysFlag.TRANSACTION_PREPARED,
      properties: { TRAN_MSG: 'true', PGROUP: 'P', UNIQ_KEY: body },
      bornTimestamp: Date.now(),
    })
  const ends = async (sent: Awaited<ReturnType<typeof send>>, at: TestBroker) => {
    const { phyOffset } = parseOffsetMsgId(sent.extFields.msgId!)
    const where = { commitLogOffset: phyOffset, tranStateTableOffset: sent.extFields.queueOffset }
    const how = { producerGroup: 'P', msgId: 'K', commitOrRollback: MessageSysFlag.TRANSACTION_COMMIT }
    return (await at.client.call(RequestCode.END_TRANSACTION, { ...how, ...where })).code
  }
  const ended = await send('ended')
  const open = await send('open')
  await beat()

  expect(await ends(ended, master)).toBe(ResponseCode.SUCCESS)
  await eventually(async () => {
    const { body } = await slave.client.call(RequestCode.GET_TOPIC_STATS_INFO, { topic: 'RMQ_SYS_TRANS_OP_HALF_TOPIC' })
    expect(body.toString()).toContain('"maxOffset":1') // all of it is there
  })
  expect(await ends(open, slave)).toBe(ResponseCode.SLAVE_NOT_AVAILABLE)
  expect(asked).toEqual([])
  await running.splice(running.indexOf(master), 1)[0]!.stop()
  await slave.restart({ brokerRole: 'ASYNC_MASTER', brokerId: 0 })
  await beat()

  await eventually(() => expect(asked.length).toBeGreaterThan(0))
  expect(await ends(open, slave)).toBe(ResponseCode.SUCCESS) // known by the offsets that the old master gave it
  expect(new Set(asked)).toEqual(new Set(['open']))
  expect((await slave.client.pull('orders', { queueOffset: 0 })).bodies[0]).toBe('ended')
  expect((await slave.client.pull('orders', { queueOffset: 1 })).bodies).toEqual(['open'])
})

test('a commit at a SYNC_MASTER waits for its slave, and counts without it', async () => {
  const master = await startMaster({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2, slaveTimeout: 300 })
  await master.client.createTopic('orders')
  const sysFlag = MessageSysFlag.TRANSACTION_PREPARED
  const sent = await master.client.send('orders', { sysFlag, properties: { TRAN_MSG: 'true', PGROUP: 'P' } })
  expect(sent.code).toBe(ResponseCode.FLUSH_SLAVE_TIMEOUT)
  const startedAt = performance.now()

  const ended = await master.client.call(RequestCode.END_TRANSACTION, {
    producerGroup: 'P',
    msgId: 'K',
    commitOrRollback: MessageSysFlag.TRANSACTION_COMMIT,
    commitLogOffset: parseOffsetMsgId(sent.extFields.msgId!).phyOffset,
    tranStateTableOffset: sent.extFields.queueOffset,
  })

  expect(ended.code).toBe(ResponseCode.SUCCESS)
  expect(performance.now() - startedAt).toBeGreaterThan(250)
})

test('a SYNC_MASTER answers FLUSH_SLAVE_TIMEOUT without its slave, SUCCESS with it', async () => {
  const master = await startMaster({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2, slaveTimeout: 300 })
  await master.client.createTopic('orders')
  expect((await master.client.send('orders')).code).toBe(ResponseCode.FLUSH_SLAVE_TIMEOUT)
  expect((await master.client.send('orders', { properties: { WAIT: 'false' } })).code).toBe(ResponseCode.SUCCESS)

  const slave = await startSlave()
  await inSync(slave)
  // Its first message makes its first segment, and a busy disk may take longer than that to sync it.
  await master.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, 'slaveTimeout=7000')

  expect((await master.client.send('orders')).code).toBe(ResponseCode.SUCCESS)
  const { body } = await master.client.call(RequestCode.GET_BROKER_HA_STATUS)
  expect(readJson(body)).toMatchObject({
    master: true,
    inSyncSlaveNums: 1,
    haConnectionInfo: [{ diff: 0, inSync: true }],
  })
})

test.each([
  ['waits, though a message of it would not', {}, 'true', 'false', ResponseCode.FLUSH_SLAVE_TIMEOUT],
  ['waits, whichever message would not', {}, 'false', 'true', ResponseCode.FLUSH_SLAVE_TIMEOUT],
  ['does not wait where it says so itself', { WAIT: 'false' }, 'true', 'true', ResponseCode.SUCCESS],
])('a batch %s', async (_, properties, first, last, code) => {
  const master = await startMaster({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 2, slaveTimeout: 300 })
  await master.client.createTopic('orders')
  const body = Buffer.concat([first, last].map((wait) => batchEntry(wait, `UNIQ_KEY\u0001K\u0002WAIT\u0001${wait}`)))

  const sent = await master.client.send('orders', {
    code: RequestCode.SEND_BATCH_MESSAGE,
    batch: true,
    body,
    properties,
  })

  expect(sent.code).toBe(code)
})

test('two slaves copy one master; where both must have a message, one of them is not enough', async () => {
  const master = await startMaster({ brokerRole: 'SYNC_MASTER', inSyncReplicas: 3, slaveTimeout: 7000 })
  await master.client.createTopic('orders')
  const first = await startSlave({ slaveReadEnable: true })
  const second = await startSlave({ slaveReadEnable: true, brokerId: 2, listenPort: 10_931 })
  for (const slave of [first, second]) await inSync(slave)

  expect((await master.client.send('orders', { body: 'on three' })).code).toBe(ResponseCode.SUCCESS)
  const { body } = await master.client.call(RequestCode.GET_BROKER_HA_STATUS)
  expect(readJson(body)).toMatchObject({ inSyncSlaveNums: 2, haConnectionInfo: [{ diff: 0 }, { diff: 0 }] })
  for (const { client } of [first, second]) {
    await eventually(async () => expect((await client.pull('orders')).bodies).toEqual(['on three']))
  }
  await running.splice(running.indexOf(first), 1)[0]!.stop()
  await master.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, 'slaveTimeout=300')
  expect((await master.client.send('orders', { body: 'on two' })).code).toBe(ResponseCode.FLUSH_SLAVE_TIMEOUT)

  await eventually(async () => {
    expect((await second.client.pull('orders', { queueOffset: 1 })).bodies).toEqual(['on two'])
  })
})

test('both ends tell how the copy is doing', async () => {
  const master = await startMaster()
  await master.client.createTopic('orders')
  const slave = await startSlave()
  await inSync(slave)
  await master.client.send('orders')

  await eventually(async () => {
    const text = await master.running.metrics()
    expect(text).toMatch(/^rocketmq_ha_in_sync_slaves\{[^}]*\} 1$/m)
    expect(text).toMatch(/^rocketmq_ha_slave_lag_bytes\{slave="127[^}]*\} 0$/m)
    expect(text).toMatch(/^rocketmq_ha_transferred_bytes_total\{[^}]*\} [1-9]/m)
  })
  const text = await slave.running.metrics()
  expect(text).toMatch(/^rocketmq_ha_following\{[^}]*\} 1$/m)
  expect(text).toMatch(/^rocketmq_ha_lag_bytes\{[^}]*\} \d+$/m)
})

test('a consumer that is too far behind for the memory is sent to the slave, others to the master', async () => {
  const settings = { slaveReadEnable: true, accessMessageInMemoryMaxRatio: 0 }
  const master = await startMaster(settings)
  await master.client.createTopic('orders')
  await master.client.send('orders')
  const suggestion = async () => {
    const pulled = await master.client.call(RequestCode.PULL_MESSAGE, {
      consumerGroup: 'consumers',
      topic: 'orders',
      queueId: 0,
      queueOffset: 0,
      maxMsgNums: 32,
      sysFlag: 4,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subVersion: 0,
      subscription: '*',
    })
    return pulled.extFields.suggestWhichBrokerId
  }

  expect(await suggestion()).toBe('1') // nothing fits into 0 % of the memory
  await master.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, 'accessMessageInMemoryMaxRatio=40')
  expect(await suggestion()).toBe('0')
  await master.client.call(
    RequestCode.UPDATE_BROKER_CONFIG,
    {},
    'accessMessageInMemoryMaxRatio=0\nslaveReadEnable=false',
  )
  expect(await suggestion()).toBe('0')
})
