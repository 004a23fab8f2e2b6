import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { parseOffsetMsgId, parseProperties } from '../../../remoting/message/index.ts'
import { sendFields } from '../../../remoting/testing/requests.ts'
import { batchEntry } from '../testing/batch-entry.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

test('a sent message is stored with what the broker adds to it', async () => {
  const sent = await broker.client.send('plain', { body: 'paid', properties: { TAGS: 'a', UNIQ_KEY: 'K1' } })

  expect(sent).toMatchObject({
    code: ResponseCode.SUCCESS,
    extFields: { queueId: '0', queueOffset: '0', transactionId: 'K1', MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' },
  })
  const { messages } = await broker.client.pull('plain')
  expect(messages).toHaveLength(1)
  expect(Object.fromEntries(messages[0]!.properties)).toEqual({
    TAGS: 'a',
    UNIQ_KEY: 'K1',
    MSG_REGION: 'DefaultRegion',
    TRACE_ON: 'true',
    CLUSTER: 'DefaultCluster',
  })
  expect(parseOffsetMsgId(sent.extFields.msgId!)).toEqual({
    storeHost: { host: '127.0.0.1', port: 10_911 },
    phyOffset: messages[0]!.phyOffset,
  })
})

test.each([
  ['', ''],
  ['', '\u0002'],
  ['TAGS\u0001a\u0002', '\u0002KEYS\u0001x  y'],
  ['KEYS\u0001x\u0002', '\u0002WAIT\u0001false\u0002TAGS\u0001b\u0002'],
])(
  'messages of one producer that are alike are stored with what each of them says: name between %j and %j',
  async (before, behind) => {
    const topic = `alike-${before.length}-${behind.length}`
    await broker.client.createTopic(topic, 2)
    const sent = Array.from({ length: 6 }, (_, number) => ({
      name: `7F0000010000659C000000000000000${number}`,
      queueId: number % 2,
      bornTimestamp: 1_700_000_000_000 + number,
      body: `body ${number}`,
    }))
    for (const { name, body, ...header } of sent) {
      const properties = `${before}UNIQ_KEY\u0001${name}${behind}`
      const answer = await broker.client.call(
        RequestCode.SEND_MESSAGE_V2,
        sendFields({ topic, properties, ...header }),
        body,
      )
      expect(answer.extFields).toMatchObject({ transactionId: name, queueId: String(header.queueId) })
    }

    for (const queueId of [0, 1]) {
      const { messages } = await broker.client.pull(topic, { queueId })
      expect(messages).toMatchObject(
        sent
          .filter((each) => each.queueId === queueId)
          .map(({ name, bornTimestamp, body }) => ({
            bornTimestamp,
            body: Buffer.from(body),
            properties: new Map([
              ...parseProperties(`${before}UNIQ_KEY\u0001${name}${behind}`),
              ...([
                ['MSG_REGION', 'DefaultRegion'],
                ['TRACE_ON', 'true'],
                ['CLUSTER', 'DefaultCluster'],
              ] as const),
            ]),
          })),
      )
    }
  },
)

test('a message without UNIQ_KEY gets one, and the one that names POP_CK loses it', async () => {
  const sent = await broker.client.send('keys', { properties: { POP_CK: 'x' } })

  const { messages } = await broker.client.pull('keys')
  expect(sent.extFields.transactionId).toMatch(/^[0-9A-F]{32}$/)
  expect(messages[0]!.properties.get('UNIQ_KEY')).toBe(sent.extFields.transactionId)
  expect(messages[0]!.properties.has('POP_CK')).toBe(false)
})

test('V1 and V2 headers mean the same', async () => {
  const extFields = {
    producerGroup: 'p',
    topic: 'plain-v1',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: '4',
    queueId: '1',
    sysFlag: '0',
    bornTimestamp: '1',
    flag: '7',
  }
  const sent = await broker.client.call(RequestCode.SEND_MESSAGE, extFields, 'one')

  expect(sent).toMatchObject({ code: ResponseCode.SUCCESS, extFields: { queueId: '1' } })
  expect((await broker.client.pull('plain-v1', { queueId: 1 })).messages[0]).toMatchObject({ flag: 7, queueId: 1 })
})

test('a topic that cannot be made is missing', async () => {
  const sent = await broker.client.send('orphan', { defaultTopic: 'nothing' })

  expect(sent.code).toBe(ResponseCode.TOPIC_NOT_EXIST)
})

test.each<[string, string, Parameters<TestBroker['client']['send']>[1], number]>([
  ['an illegal name', 'no!', {}, ResponseCode.INVALID_PARAMETER],
  ['a topic of the broker', 'SCHEDULE_TOPIC_XXXX', {}, ResponseCode.NO_PERMISSION],
  ['a queue that is missing', 'plain', { queueId: 99 }, ResponseCode.INVALID_PARAMETER],
  ['no body', 'plain', { body: '' }, ResponseCode.SYSTEM_ERROR],
  ['a body above maxMessageSize', 'plain', { body: Buffer.alloc(4_194_305) }, ResponseCode.MESSAGE_ILLEGAL],
  ['a half message that does not say so', 'plain', { sysFlag: 4 }, ResponseCode.MESSAGE_ILLEGAL],
  ['a batch as half message', 'plain', { batch: true, properties: { TRAN_MSG: 'true' } }, ResponseCode.MESSAGE_ILLEGAL],
  ['a timer message', 'plain', { properties: { TIMER_DELAY_SEC: '9' } }, ResponseCode.SYSTEM_ERROR],
])('refused: %s', async (_, topic, message, code) => {
  const sent = await broker.client.send(topic, message)

  expect(sent.code).toBe(code)
  expect(sent.remark).toBeTruthy()
  expect(sent.extFields).toMatchObject({ MSG_REGION: 'DefaultRegion', TRACE_ON: 'true' })
})

test('a batch is stored in one queue, each entry with the properties of the batch', async () => {
  const entries = [batchEntry('one', 'TAGS\u0001a'), batchEntry('two', '')]
  const message = { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body: Buffer.concat(entries) }

  const sent = await broker.client.send('batches', { ...message, properties: { WAIT: 'false' } })

  expect(sent.code).toBe(ResponseCode.SUCCESS)
  expect(sent.extFields.msgId!.split(',')).toHaveLength(2)
  expect(sent.extFields.transactionId).toBeUndefined()
  const { messages, bodies } = await broker.client.pull('batches')
  expect(bodies).toEqual(['one', 'two'])
  expect(messages.map(({ queueOffset }) => queueOffset)).toEqual([0, 1])
  expect(messages[0]!.properties.get('TAGS')).toBe('a')
  expect(messages.every(({ properties }) => properties.get('WAIT') === 'false')).toBe(true)
  expect((await broker.client.pull('batches', { subscription: 'a' })).bodies).toEqual(['one'])
})

test('of a batch each message has its own flag, and the tags of the batch where it has some', async () => {
  const body = Buffer.concat([batchEntry('one', 'TAGS\u0001a'), batchEntry('two', '')])
  body.writeInt32BE(7, 12) // the flag of the first
  const message = { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body, flag: 9, properties: { TAGS: 'b' } }

  expect((await broker.client.send('tagged-batches', message)).code).toBe(ResponseCode.SUCCESS)

  expect((await broker.client.pull('tagged-batches')).messages.map(({ flag }) => flag)).toEqual([7, 0])
  expect((await broker.client.pull('tagged-batches', { subscription: 'a' })).bodies).toEqual([])
  expect((await broker.client.pull('tagged-batches', { subscription: 'b' })).bodies).toEqual(['one', 'two'])
})

test('between the properties of a message and those of its batch stands one separator, none where it has none', async () => {
  const body = Buffer.concat(['', 'TAGS\u0001a', 'TAGS\u0001a\u0002'].map((properties) => batchEntry('x', properties)))

  await broker.client.send('joined-batches', { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body })

  const [none, open, closed] = (await broker.client.pull('joined-batches')).messages
  expect([open!.size - none!.size, closed!.size - none!.size]).toEqual([7, 7])
})

test('a batch one of whose messages gets too long properties from it is refused whole', async () => {
  const body = Buffer.concat([batchEntry('short', ''), batchEntry('long', `a\u0001${'x'.repeat(32_700)}`)])
  const message = { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body }

  const sent = await broker.client.send('long-batches', { ...message, properties: { b: 'y'.repeat(100) } })

  expect(sent.code).toBe(ResponseCode.MESSAGE_ILLEGAL)
  expect((await broker.client.pull('long-batches')).bodies).toEqual([])
})

test('the name of a batch is in its answer, and no name of its messages', async () => {
  const body = Buffer.concat([batchEntry('one', 'UNIQ_KEY\u0001M1'), batchEntry('two', 'UNIQ_KEY\u0001M2')])
  const message = { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body }

  const sent = await broker.client.send('named-batches', { ...message, properties: { UNIQ_KEY: 'B1' } })

  expect(sent.extFields.transactionId).toBe('B1')
  const { messages } = await broker.client.pull('named-batches')
  expect(messages.map(({ properties }) => properties.get('UNIQ_KEY'))).toEqual(['M1', 'M2'])
})

test.each([
  ['cut short', batchEntry('one', '').subarray(0, 20)],
  ['a length too long', lengthened(batchEntry('one', ''))],
  ['a length of properties too long', propertiesLengthOf(batchEntry('one', 'a\u0001b'), 4)],
  ['a length of properties too short', propertiesLengthOf(batchEntry('one', 'a\u0001b'), 2)],
  ['a length of properties below zero', propertiesLengthOf(batchEntry('one', 'a\u0001b'), -1)],
  ['delayed', batchEntry('one', 'UNIQ_KEY\u0001K\u0002DELAY\u00013')],
  ['part of a transaction', batchEntry('one', 'UNIQ_KEY\u0001K\u0002TRAN_MSG\u0001true')],
])('a batch is refused whole: %s', async (_, broken) => {
  const body = Buffer.concat([batchEntry('good', ''), broken])

  const sent = await broker.client.send('broken-batches', { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body })

  expect(sent.code).toBe(ResponseCode.MESSAGE_ILLEGAL)
  expect((await broker.client.pull('broken-batches')).bodies).toEqual([])
})

test('a delayed message waits in the schedule topic, then comes to its own', async () => {
  const sent = await broker.client.send('later', { body: 'late', properties: { DELAY: '1' } }) // 1 s
  expect(sent.code).toBe(ResponseCode.SUCCESS)
  expect((await broker.client.pull('later')).bodies).toEqual([])

  const pulled = await broker.client.pull('later', { holdMs: 5_000 })

  expect(pulled.bodies).toEqual(['late'])
  const [message] = pulled.messages
  expect(message!.storeTimestamp - (await scheduledAt())).toBeGreaterThanOrEqual(1_000)
  expect(message!.properties.get('REAL_TOPIC')).toBe('later')
})

async function scheduledAt(): Promise<number> {
  const { messages } = await broker.client.pull('SCHEDULE_TOPIC_XXXX', { queueId: 0 })
  return messages[0]!.storeTimestamp
}

test('a retry that was tried too often goes to the dead letters', async () => {
  const retry = { reconsumeTimes: 4, maxReconsumeTimes: 3, properties: { DELAY: '1' } }

  expect((await broker.client.send('%RETRY%tired', retry)).code).toBe(ResponseCode.SUCCESS)

  expect((await broker.client.pull('%DLQ%tired')).bodies).toEqual(['hello'])
})

test('what a group that consumes in order sends as a retry goes to the dead letters at once', async () => {
  const queue = { topic: 'orders', brokerName: 'broker-a', queueId: 0 }
  const lock = { consumerGroup: 'ordered', clientId: 'a', mqSet: [queue], onlyThisBroker: false }
  await broker.client.call(RequestCode.LOCK_BATCH_MQ, {}, lock)

  const retry = { reconsumeTimes: 2, maxReconsumeTimes: 2 }
  expect((await broker.client.send('%RETRY%ordered', retry)).code).toBe(ResponseCode.SUCCESS)

  expect((await broker.client.pull('%DLQ%ordered')).bodies).toEqual(['hello'])
})

test('a batch that is larger than a message may be is refused', async () => {
  const body = Buffer.alloc(22 * 200_000) // of empty messages, each of them small enough
  for (let at = 0; at < body.length; at += 22) body.writeInt32BE(22, at)

  const sent = await broker.client.send('large-batches', { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body })

  expect(sent).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL, remark: expect.stringContaining('maxMessageSize') })
  expect((await broker.client.pull('large-batches')).bodies).toEqual([])
})

test('a batch with a message for a time of its own is refused as such a message is', async () => {
  const timed = batchEntry('one', `UNIQ_KEY\u0001K\u0002TIMER_DELAY_SEC\u00013`)
  const body = Buffer.concat([batchEntry('good', 'UNIQ_KEY\u0001K\u0002TIMER_DELAY_SE0\u00013'), timed])

  const sent = await broker.client.send('timed-batches', { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body })

  expect(sent).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: expect.stringContaining('timerWheelEnable') })
})

test.each<[string, string, Record<string, string>]>([
  ['that is delayed as a whole', 'broken-batches', { DELAY: '3' }],
  ['to a retry topic', '%RETRY%billing', {}],
])('a batch %s is refused', async (_, topic, properties) => {
  const message = { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body: batchEntry('one', '') }

  const sent = await broker.client.send(topic, { ...message, properties })

  expect(sent.code).toBe(ResponseCode.MESSAGE_ILLEGAL)
  expect((await broker.client.pull(topic)).bodies).toEqual([])
})

function propertiesLengthOf(entry: Buffer, length: number): Buffer {
  entry.writeInt16BE(length, 20 + entry.readInt32BE(16))
  return entry
}

function lengthened(entry: Buffer): Buffer {
  entry.writeInt32BE(entry.length + 5, 0)
  return entry
}
