import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../../../base/testing/eventually.ts'
import { writeHeartbeatData } from '../../../remoting/body/heartbeat.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { checkTransactionStateRequest } from '../../../remoting/headers/transaction.ts'
import {
  decodeMessage,
  encodeHost,
  MessageSysFlag,
  offsetMsgIdOf,
  parseOffsetMsgId,
  type StoredMessage,
} from '../../../remoting/message/index.ts'
import { startTestBroker, type TestBroker, type TestClient } from '../testing/test-broker.ts'

const { TRANSACTION_COMMIT: commit, TRANSACTION_ROLLBACK: rollback, TRANSACTION_PREPARED: prepared } = MessageSysFlag
const half = 'RMQ_SYS_TRANS_HALF_TOPIC'
const ops = 'RMQ_SYS_TRANS_OP_HALF_TOPIC'

let broker: TestBroker
let client: TestClient
/** Questions that the client was asked. */
let asked: { header: ReturnType<typeof checkTransactionStateRequest.decode>; message: StoredMessage }[]

async function start(settings: Record<string, unknown> = {}): Promise<void> {
  broker = await startTestBroker({
    transactionTimeOut: 1,
    transactionCheckInterval: 50,
    transactionOpBatchInterval: 10,
    ...settings,
  })
  client = broker.client
  client.answer = ({ code, extFields, body }) => {
    if (code === RequestCode.CHECK_TRANSACTION_STATE) {
      const message = decodeMessage(Buffer.from(body), 0)
      asked.push({ header: checkTransactionStateRequest.decode(extFields), message })
    }
    return { code: 0 }
  }
  await client.createTopic('orders', 2)
}

beforeEach(() => {
  asked = []
})

afterEach(() => broker.stop())

interface Half {
  commitLogOffset: number
  tranStateTableOffset: number
}

async function sendHalf(properties: Record<string, string> = {}, body = 'paid'): Promise<Half> {
  const sent = await client.send('orders', {
    queueId: 1,
    body,
    sysFlag: prepared,
    bornTimestamp: Date.now(),
    properties: { TRAN_MSG: 'true', PGROUP: 'P', UNIQ_KEY: 'K1', TAGS: 'a', ...properties },
  })
  expect(sent).toMatchObject({ code: 0, extFields: { queueId: '1', transactionId: properties.UNIQ_KEY ?? 'K1' } })
  const { phyOffset } = parseOffsetMsgId(sent.extFields.msgId!)
  return { commitLogOffset: phyOffset, tranStateTableOffset: Number(sent.extFields.queueOffset) }
}

function end(of: Half, commitOrRollback: number, more: Record<string, unknown> = {}) {
  const extFields = { producerGroup: 'P', msgId: 'K1', commitOrRollback, ...of, ...more }
  return client.call(RequestCode.END_TRANSACTION, extFields)
}

function beat(by: TestClient = client) {
  const body = writeHeartbeatData({
    clientID: 'producer-1',
    producerDataSet: [{ groupName: 'P' }],
    consumerDataSet: [],
    heartbeatFingerprint: 0,
    withoutSub: false,
  })
  return by.call(RequestCode.HEART_BEAT, {}, body)
}

/** What the group of transactions has not passed yet. */
async function unpassed(): Promise<Record<string, number>> {
  const answer = await client.call(RequestCode.GET_CONSUME_STATS, { consumerGroup: 'CID_RMQ_SYS_TRANS' })
  const text = answer.body.toString()
  const pattern = /"topic":"(\w+)"[^{}]*\}:\{"brokerOffset":(\d+),"consumerOffset":(\d+)/g
  return Object.fromEntries([...text.matchAll(pattern)].map(([, topic, max, at]) => [topic, Number(max) - Number(at)]))
}

test('a half message is readable only after its commit, with all that it had', async () => {
  await start()
  const sent = await sendHalf({ KEYS: 'k' })
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual([])

  expect(await end(sent, commit)).toMatchObject({ code: 0 })

  const { messages } = await client.pull('orders', { queueId: 1, subscription: 'a' })
  expect(messages).toHaveLength(1)
  expect(messages[0]).toMatchObject({
    sysFlag: commit,
    preparedTransactionOffset: sent.commitLogOffset,
    queueOffset: 0,
  })
  expect(messages[0]!.body.toString()).toBe('paid')
  expect(Object.fromEntries(messages[0]!.properties)).toMatchObject({
    UNIQ_KEY: 'K1',
    __transactionId__: 'K1',
    KEYS: 'k',
    TRAN_MSG: 'true',
    PGROUP: 'P',
  })
  expect(messages[0]!.properties.has('REAL_TOPIC')).toBe(false)
})

test('half and op messages lie as Apache lays them', async () => {
  await start({ transactionCheckInterval: 60_000 })
  const first = await sendHalf()
  const second = await sendHalf()

  await end(first, rollback)
  await end(second, commit)

  const stored = (await client.pull(half)).messages
  expect(stored.map(({ sysFlag, queueOffset, queueId }) => [sysFlag, queueOffset, queueId])).toEqual([
    [0, 0, 0],
    [0, 1, 0],
  ])
  expect(stored[0]!.properties.get('REAL_TOPIC')).toBe('orders')
  await eventually(async () => {
    const { messages, bodies } = await client.pull(ops)
    expect(bodies.join('')).toBe('0,1,')
    expect(Object.fromEntries(messages[0]!.properties)).toEqual({ TAGS: 'd', WAIT: 'true' })
  })
})

test('a transaction ends once, and only by its own group', async () => {
  await start({ transactionCheckInterval: 60_000 })
  const sent = await sendHalf()
  const otherwise = { code: ResponseCode.SYSTEM_ERROR }

  expect(await end(sent, commit, { producerGroup: 'Q' })).toMatchObject(otherwise)
  expect(await end(sent, commit, { tranStateTableOffset: 7 })).toMatchObject(otherwise)
  expect(await end({ ...sent, commitLogOffset: 3 }, commit)).toMatchObject(otherwise)
  expect(await end(sent, 0)).toMatchObject({ code: 0 })
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual([])
  const ends = await Promise.all([end(sent, commit), end(sent, commit), end(sent, commit)])

  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
  expect(await end(sent, rollback)).toMatchObject({ code: ResponseCode.ILLEGAL_OPERATION })
  const { bodies, messages } = await client.pull('orders', { queueId: 1 })
  expect(bodies).toEqual(['paid'])
  const { phyOffset } = messages[0]!
  expect(await end({ commitLogOffset: phyOffset, tranStateTableOffset: 0 }, commit)).toMatchObject(otherwise)
})

test('a producer of the group is asked, and its answer ends the transaction', async () => {
  await start()
  await beat()
  await sendHalf()

  await eventually(() => expect(asked.length).toBeGreaterThan(0))

  const { header, message } = asked.at(-1)!
  expect(header).toMatchObject({ topic: half, msgId: 'K1', transactionId: 'K1', brokerName: 'broker-a' })
  expect(message).toMatchObject({
    topic: 'orders',
    queueId: 1,
    queueOffset: header.tranStateTableOffset,
    phyOffset: header.commitLogOffset,
  })
  expect(message.body.toString()).toBe('paid')
  expect(message.properties.get('PGROUP')).toBe('P')
  const answer = { commitLogOffset: header.commitLogOffset, tranStateTableOffset: header.tranStateTableOffset }
  expect(await end(answer, commit, { fromTransactionCheck: true })).toMatchObject({ code: 0 })
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual(['paid'])
  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 0, [ops]: 0 }))
  const questions = asked.length
  await new Promise((resolve) => setTimeout(resolve, 150)) // three passes
  expect(asked.length).toBe(questions)
})

test('an end that comes for an earlier copy ends the later ones too', async () => {
  await start()
  await beat()
  const sent = await sendHalf()
  await eventually(() => expect(asked.length).toBeGreaterThan(1))

  await end(sent, commit)

  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 0, [ops]: 0 }))
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual(['paid'])
})

test('a restart forgets no transaction, neither an open nor an ended one', async () => {
  await start({ transactionCheckInterval: 300 })
  const ended = await sendHalf()
  await sendHalf({ UNIQ_KEY: 'K1', KEYS: 'open' })
  await end(ended, rollback)
  await broker.restart()
  await beat(client)

  await eventually(() => expect(asked.length).toBeGreaterThan(0))

  expect(asked.every(({ message }) => message.properties.get('KEYS') === 'open')).toBe(true)
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual([])
})

test('a transaction that a restart left open ends as the question after it is answered, for good', async () => {
  await start({ transactionCheckInterval: 60_000 })
  await sendHalf()
  await broker.restart({ transactionCheckInterval: 300 })
  await beat()
  await eventually(() => expect(asked.length).toBeGreaterThan(0))
  const { commitLogOffset, tranStateTableOffset } = asked[0]!.header

  expect(await end({ commitLogOffset, tranStateTableOffset }, commit)).toMatchObject({ code: 0 })
  await broker.restart({ transactionCheckInterval: 50 })
  asked = []
  await beat()
  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 0, [ops]: 0 }))

  expect(asked).toEqual([])
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual(['paid'])
})

test('an end that waits to be noted is noted when the broker stops', async () => {
  await start({ transactionCheckInterval: 60_000, transactionOpBatchInterval: 60_000 })
  await end(await sendHalf(), commit)

  await broker.restart({ transactionCheckInterval: 50 })
  await beat()
  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 0, [ops]: 0 }))

  expect(asked).toEqual([])
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual(['paid'])
})

test('an end that comes for what an immune copy was made of ends the copy, though a restart lies between', async () => {
  await start({ transactionCheckInterval: 200 })
  const sent = await sendHalf({ CHECK_IMMUNITY_TIME_IN_SECONDS: '600' })
  await eventually(async () => expect((await client.pull(half)).bodies.length).toBeGreaterThan(1))
  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 1, [ops]: 0 })) // the original is passed
  await broker.restart({ transactionCheckInterval: 60_000 })

  expect(await end(sent, commit)).toMatchObject({ code: 0 })
  await broker.restart({ transactionCheckInterval: 50 })
  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 0, [ops]: 0 }))

  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual(['paid'])
})

test('copies that a broker left when it died are asked about as one', async () => {
  await start({ transactionCheckInterval: 60_000 })
  await sendHalf({ KEYS: 'open' })
  await sendHalf({ KEYS: 'ended', UNIQ_KEY: 'K2' })
  await broker.restart({ transactionCheckInterval: 50 })
  await beat()
  await eventually(() => expect(asked.length).toBeGreaterThan(5))
  const { header, message } = asked.findLast(({ message }) => message.properties.get('KEYS') === 'ended')!
  expect(message.properties.get('PGROUP')).toBe('P')
  const { commitLogOffset, tranStateTableOffset } = header
  expect(await end({ commitLogOffset, tranStateTableOffset }, commit)).toMatchObject({ code: 0 })
  // As a broker that died leaves it: the offsets are those from before the copies.
  await broker.restart({ transactionCheckInterval: 60_000 })
  await client.call(RequestCode.UPDATE_CONSUMER_OFFSET, {
    consumerGroup: 'CID_RMQ_SYS_TRANS',
    topic: half,
    queueId: 0,
    commitOffset: 0,
  })
  await broker.restart({ transactionCheckInterval: 50, transactionCheckMax: 1_000 })
  asked = []
  await beat()

  await eventually(() => expect(asked.length).toBeGreaterThan(3))

  expect(asked.every(({ message }) => message.properties.get('KEYS') === 'open')).toBe(true)
  const times = asked.map(({ message }) => Number(message.properties.get('TRANSACTION_CHECK_TIMES')))
  expect(times).toEqual(times.map((_, index) => times[0]! + index)) // one line of copies
})

test('what nobody ends is given up after transactionCheckMax questions', async () => {
  await start({ transactionCheckMax: 2 })
  await beat()
  await sendHalf()

  await eventually(async () => expect(await unpassed()).toEqual({ [half]: 0, [ops]: 0 }))

  expect(asked.map(({ message }) => message.properties.get('TRANSACTION_CHECK_TIMES'))).toEqual(['1', '2'])
  const { messages } = await client.pull('TRANS_CHECK_MAX_TIME_TOPIC')
  expect(messages.map(({ body }) => body.toString())).toEqual(['paid'])
  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual([])

  const msgId = offsetMsgIdOf(encodeHost(messages[0]!.storeHost), messages[0]!.phyOffset)
  expect(await client.call(RequestCode.RESUME_CHECK_HALF_MESSAGE, { msgId })).toMatchObject({ code: 0 })
  await eventually(() => expect(asked.length).toBe(4))
  expect(asked.at(-2)!.message.properties.get('TRANSACTION_CHECK_TIMES')).toBe('1')
})

test.each([
  ['asked about', {}],
  ['immune', { CHECK_IMMUNITY_TIME_IN_SECONDS: '3600' }],
])('one without room for what a copy adds is given up, and holds up no other: %s', async (_, more) => {
  await start()
  await beat()
  const fits = async (length: number) => {
    const properties = { TRAN_MSG: 'true', PGROUP: 'P', UNIQ_KEY: 'K0', KEYS: 'k'.repeat(length), ...more }
    const fields = { queueId: 1, body: 'full', sysFlag: prepared, bornTimestamp: Date.now(), properties }
    return (await client.send('orders', fields)).code === 0
  }
  for (let length = 32_760; !(await fits(length)); length -= 10) expect(length).toBeGreaterThan(32_000)
  await sendHalf({ KEYS: 'plain' })

  await eventually(() => expect(asked.map(({ message }) => message.properties.get('KEYS'))).toContain('plain'))

  await eventually(async () => expect(await unpassed()).toMatchObject({ [half]: 1 }))
  expect((await client.pull('TRANS_CHECK_MAX_TIME_TOPIC')).bodies).toEqual(['full'])
})

test('an immune message is asked about later and holds up no other', async () => {
  await start()
  await beat()
  const immune = await sendHalf({ CHECK_IMMUNITY_TIME_IN_SECONDS: '1', KEYS: 'immune' })
  const second = await sendHalf({ CHECK_IMMUNITY_TIME_IN_SECONDS: '3600', KEYS: 'never' })
  await sendHalf({ KEYS: 'plain' })
  const keysAsked = () => new Set(asked.map(({ message }) => message.properties.get('KEYS')))

  await eventually(() => expect(keysAsked()).toEqual(new Set(['plain'])))
  expect(await end(second, commit)).toMatchObject({ code: 0 }) // known by the offset of its first copy
  await eventually(() => expect(keysAsked()).toEqual(new Set(['plain', 'immune'])), 5_000)

  expect(await end(immune, commit)).toMatchObject({ code: ResponseCode.ILLEGAL_OPERATION })
  const { messages } = await client.pull('orders', { queueId: 1 })
  expect(messages.map(({ properties }) => properties.get('KEYS'))).toEqual(['never'])
})

test('a commit of a delayed message begins its delay', async () => {
  await start({ messageDelayLevel: '1s' })
  const sent = await sendHalf({ DELAY: '1' })

  await end(sent, commit)

  expect((await client.pull('orders', { queueId: 1 })).bodies).toEqual([])
  expect((await client.pull('orders', { queueId: 1, holdMs: 5_000 })).bodies).toEqual(['paid'])
})

test('what is no half message does not wait as one', async () => {
  await start({ rejectTransactionMessage: true })

  const rejected = await client.send('orders', { sysFlag: prepared, properties: { TRAN_MSG: 'true', PGROUP: 'P' } })
  const flagOnly = await client.send('orders', { sysFlag: prepared })
  const retry = await client.send('orders', { reconsumeTimes: 1, properties: { TRAN_MSG: 'true', DELAY: '1' } })

  expect(rejected).toMatchObject({ code: ResponseCode.NO_PERMISSION })
  expect(flagOnly).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL })
  expect(retry).toMatchObject({ code: 0 })
})
