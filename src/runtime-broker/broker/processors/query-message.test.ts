import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { decodeMessages } from '../../../remoting/message/index.ts'
import { batchEntry } from '../testing/batch-entry.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

const whenever = '9223372036854775807'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ defaultQueryMaxNum: 1, maxMsgsNumBatch: 3 })
  await broker.client.createTopic('orders')
  for (const body of ['a', 'b', 'c', 'd']) {
    await broker.client.send('orders', { body, properties: { KEYS: 'k', TAGS: 'red', UNIQ_KEY: `U${body}` } })
  }
})
afterAll(() => broker.stop())

const query = async (fields: Record<string, unknown>) => {
  const whole = { topic: 'orders', maxNum: 32, beginTimestamp: 0, endTimestamp: whenever, ...fields }
  const answer = await broker.client.call(RequestCode.QUERY_MESSAGE, whole)
  return { ...answer, texts: decodeMessages(answer.body).map(({ body }) => body.toString()) }
}

test('messages are found by key, by unique key and by tag, right after they were sent', async () => {
  expect(await query({ key: 'k', maxNum: 2 })).toMatchObject({ code: ResponseCode.SUCCESS, texts: ['c', 'd'] })
  expect((await query({ key: 'k' })).texts).toEqual(['b', 'c', 'd']) // no more than maxMsgsNumBatch
  expect((await query({ key: 'Ub', _UNIQUE_KEY_QUERY: 'true' })).texts).toEqual(['b'])
  expect((await query({ key: 'k', _UNIQUE_KEY_QUERY: 'true' })).texts).toEqual(['d']) // defaultQueryMaxNum of them
  expect((await query({ key: 'red', indexType: 'T', maxNum: 1 })).texts).toEqual(['d'])
})

test('the answer says how far the index goes', async () => {
  const { extFields, body } = await query({ key: 'k', maxNum: 1 })
  const [last] = decodeMessages(body)

  expect(extFields).toEqual({
    indexLastUpdateTimestamp: String(last?.storeTimestamp),
    indexLastUpdatePhyoffset: String(last?.phyOffset),
  })
})

test('a message that is like none before is found by all that it was sent with', async () => {
  const properties = { UNIQ_KEY: 'Ulone', KEYS: 'größe  lone', TAGS: 'grün' }
  await broker.client.send('orders', { body: 'lone', properties })

  for (const key of ['Ulone', 'größe', 'lone']) expect([key, (await query({ key })).texts]).toEqual([key, ['lone']])
  expect((await query({ key: 'grün', indexType: 'T' })).texts).toEqual(['lone'])
  expect((await query({ key: '' })).code).toBe(ResponseCode.QUERY_NOT_FOUND) // between the two spaces is no key
})

test.each([
  ['its own keys', {}, { own: ['1', '2'], shared: [], U2: ['2'], T2: ['2'], T: [] }],
  ['KEYS of the batch', { KEYS: 'shared' }, { own: [], shared: ['1', '2'], U2: ['2'], T2: ['2'] }],
  ['TAGS of the batch', { TAGS: 'T' }, { own: ['1', '2'], T2: [], T: ['1', '2'] }],
])('a message of a batch is found by what it was stored with: %s', async (_, properties, expected) => {
  const topic = `batches-${Object.keys(properties)}`
  await broker.client.createTopic(topic)
  const entries = ['1', '2'].map((text) =>
    batchEntry(text, `UNIQ_KEY\u0001U${text}\u0002KEYS\u0001own\u0002TAGS\u0001T${text}`),
  )
  const body = Buffer.concat(entries)
  await broker.client.send(topic, { code: RequestCode.SEND_BATCH_MESSAGE, batch: true, body, properties })

  for (const [key, texts] of Object.entries(expected)) {
    const indexType = key.startsWith('T') ? 'T' : undefined
    expect([key, (await query({ topic, key, indexType })).texts]).toEqual([key, texts])
  }
})

test('nothing found is said in the words of Apache', async () => {
  expect(await query({ key: 'never' })).toMatchObject({
    code: ResponseCode.QUERY_NOT_FOUND,
    remark: 'can not find message, maybe time range not correct',
    extFields: { indexLastUpdateTimestamp: '0', indexLastUpdatePhyoffset: '0' },
  })
})

test('without an index nothing is found, and messages are taken', async () => {
  const plain = await startTestBroker({ messageIndexEnable: false })
  await plain.client.createTopic('orders')
  await plain.client.send('orders', { properties: { KEYS: 'k' } })
  const asked = { topic: 'orders', key: 'k', maxNum: 1, beginTimestamp: 0, endTimestamp: whenever }

  expect((await plain.client.call(RequestCode.QUERY_MESSAGE, asked)).code).toBe(ResponseCode.QUERY_NOT_FOUND)
  await plain.stop()
})
