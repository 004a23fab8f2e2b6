import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { decodeMessages, parseProperties } from '../../../remoting/message/index.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
  await broker.client.createTopic('orders', 2)
})
afterAll(() => broker.stop())

const produce = (clientID: string) => ({ clientID, producerDataSet: [{ groupName: 'asking' }], consumerDataSet: [] })

test('an answer goes to the producer that asked, and is stored nowhere', async () => {
  const asking = broker.connect()
  await asking.call(RequestCode.HEART_BEAT, {}, produce('asker'))

  const properties = { REPLY_TO_CLIENT: 'asker', CORRELATION_ID: '7' }
  const code = RequestCode.SEND_REPLY_MESSAGE_V2
  const answer = await broker.client.send('DefaultCluster_REPLY_TOPIC', { code, body: 'yes', properties })

  expect(answer).toMatchObject({ code: ResponseCode.SUCCESS, extFields: { queueId: '0', queueOffset: '0' } })
  const [pushed] = asking.received
  expect(pushed).toMatchObject({ code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT })
  expect(pushed!.body.toString()).toBe('yes')
  expect(parseProperties(pushed!.extFields.properties!).get('CORRELATION_ID')).toBe('7')
  expect((await broker.client.pull('DefaultCluster_REPLY_TOPIC')).messages).toEqual([])
})

test('an answer that reaches nobody is refused', async () => {
  const code = RequestCode.SEND_REPLY_MESSAGE
  const send = (properties: Record<string, string>) =>
    broker.client.call(code, {
      producerGroup: 'answering',
      topic: 'DefaultCluster_REPLY_TOPIC',
      defaultTopic: 'TBW102',
      defaultTopicQueueNums: 4,
      queueId: 0,
      sysFlag: 0,
      bornTimestamp: 1,
      flag: 0,
      properties: Object.entries(properties)
        .map(([name, value]) => `${name}\u0001${value}\u0002`)
        .join(''),
    })
  const gone = broker.connect()
  await gone.call(RequestCode.HEART_BEAT, {}, produce('gone'))
  await gone.close()

  expect(await send({ REPLY_TO_CLIENT: 'gone' })).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
    remark: 'push reply message fail, channel of <gone> not found.',
  })
  expect(await send({})).toMatchObject({ remark: 'reply message properties[REPLY_TO_CLIENT] is null' })
})

test('a client consumes a message directly', async () => {
  const sent = await broker.client.send('orders', { body: 'once more' })
  const client = broker.connect()
  client.answer = () => ({ code: 0, body: Buffer.from('{"consumeResult":"CR_SUCCESS"}') })
  await client.subscribe('orders', { group: 'direct', clientId: 'director' })
  const ask = { consumerGroup: 'direct', clientId: 'director', msgId: sent.extFields.msgId }

  const answer = await broker.client.call(RequestCode.CONSUME_MESSAGE_DIRECTLY, ask)

  expect(answer.body.toString()).toBe('{"consumeResult":"CR_SUCCESS"}')
  const passedOn = client.received.find(({ code }) => code === RequestCode.CONSUME_MESSAGE_DIRECTLY)
  expect(passedOn!.extFields).toMatchObject({ ...ask, brokerName: 'broker-a' })
  expect(decodeMessages(passedOn!.body)[0]!.body.toString()).toBe('once more')
  const nowhere = { ...ask, msgId: `${'0'.repeat(24)}FFFFFFF0` }
  expect(await broker.client.call(RequestCode.CONSUME_MESSAGE_DIRECTLY, nowhere)).toMatchObject({
    code: ResponseCode.SYSTEM_ERROR,
  })
})

test('the members of a group tell where they are', async () => {
  const client = broker.connect()
  const table = '{"messageQueueTable":{{"brokerName":"broker-a","queueId":1,"topic":"orders"}:5}}'
  client.answer = () => ({ code: 0, body: Buffer.from(table) })
  await client.subscribe('orders', { group: 'told', clientId: 'teller' })
  const ask = { topic: 'orders', group: 'told' }

  const answer = await broker.client.call(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, ask)

  expect(answer.body.toString()).toBe(
    '{"consumerTable":{"teller":{{"brokerName":"broker-a","queueId":1,"topic":"orders"}:5}},"messageQueueTable":{}}',
  )
  const nobody = await broker.client.call(RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, { ...ask, group: 'x' })
  expect(nobody.remark).toBe('No Any Consumer online in the consumer group: [x]')
})

test('the time span of a group: what is there, what it has, how old the next one is', async () => {
  await broker.client.createTopic('spans', 2)
  await broker.client.send('spans', { queueId: 1 })
  await broker.client.send('spans', { queueId: 1 })
  await broker.client.subscribe('spans', { group: 'late' })
  const commit = { consumerGroup: 'late', topic: 'spans', queueId: 1, commitOffset: 1 }
  await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)

  const answer = await broker.client.call(RequestCode.QUERY_CONSUME_TIME_SPAN, { topic: 'spans', group: 'late' })

  const [empty, used] = JSON.parse(answer.body.toString()).consumeTimeSpanSet
  expect(empty).toMatchObject({ minTimeStamp: -1, maxTimeStamp: -1, consumeTimeStamp: -1 })
  expect(used.consumeTimeStamp).toBe(used.minTimeStamp)
  expect(used.maxTimeStamp).toBeGreaterThanOrEqual(used.minTimeStamp)
  expect(used.delayTime).toBeGreaterThanOrEqual(0)
  expect(used.delayTime).toBeLessThan(60_000)
})

test('a group goes on where another one is', async () => {
  await broker.client.subscribe('spans', { group: 'first' })
  const commit = { consumerGroup: 'first', topic: 'spans', queueId: 1, commitOffset: 2 }
  await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)
  await broker.client.subscribe('spans', { group: 'second' })

  await broker.client.call(RequestCode.CLONE_GROUP_OFFSET, { srcGroup: 'first', destGroup: 'second' })

  const ask = { consumerGroup: 'second', topic: 'spans', queueId: 1 }
  expect((await broker.client.call(RequestCode.QUERY_CONSUMER_OFFSET, ask)).extFields.offset).toBe('2')
})

test('subscriptions and producers are told', async () => {
  const client = broker.connect()
  await client.subscribe('orders', { group: 'asked', tags: ['a'] })
  await client.call(RequestCode.HEART_BEAT, {}, produce('maker'))

  const ask = { group: 'asked', topic: 'orders' }
  const subscription = await broker.client.call(RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, ask)
  const producers = await broker.client.call(RequestCode.GET_ALL_PRODUCER_INFO)

  expect(JSON.parse(subscription.body.toString())).toMatchObject({ ...ask, subscriptionData: { subString: 'a' } })
  const all = JSON.parse(producers.body.toString()).data.asking
  expect(all).toContainEqual(
    expect.objectContaining({ clientId: 'maker', remoteIP: expect.stringMatching(/^\/127\.0\.0\.1:\d+$/) }),
  )
})

test('the offset that a group is corrected to: the least of all, or that it is behind none', async () => {
  await broker.client.createTopic('corrected', 2)
  for (const [consumerGroup, queueId, commitOffset] of [
    ['slow', 0, 1],
    ['fast', 0, 3],
    ['fast', 1, 5],
  ] as const) {
    await broker.client.subscribe('corrected', { group: consumerGroup, clientId: consumerGroup })
    const where = { consumerGroup, topic: 'corrected', queueId, commitOffset }
    await broker.client.call(RequestCode.UPDATE_CONSUMER_OFFSET, where)
  }
  const ask = async (compareGroup: string, filterGroups = '') => {
    const asked = { topic: 'corrected', compareGroup, filterGroups }
    return (await broker.client.call(RequestCode.QUERY_CORRECTION_OFFSET, asked)).body.toString()
  }

  expect(await ask('fast')).toBe('{"correctionOffsets":{0:1,1:5}}')
  expect(await ask('slow', 'slow')).toBe('{"correctionOffsets":{0:9223372036854775807,1:5}}')
})
