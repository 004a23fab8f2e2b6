import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker({ autoCreateSubscriptionGroup: false })
})
afterAll(() => broker.stop())

const call = async (code: number, extFields = {}, body?: unknown) => {
  const answer = await broker.client.call(code, extFields, body)
  return { ...answer, text: answer.body.toString() }
}

test('an unknown request is refused in the words of Apache', async () => {
  expect(await call(200_050)).toMatchObject({
    code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
    remark: ' request type 200050 not supported',
  })
})

test('topics, groups and offsets outlive the broker', async () => {
  await broker.client.createTopic('kept', 3)
  await call(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { groupName: 'kept-group', retryMaxTimes: 5 })
  await broker.client.send('kept', { body: 'still here' })
  const commit = { topic: 'kept', consumerGroup: 'kept-group', queueId: 0, commitOffset: 1 }
  expect((await call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)).code).toBe(ResponseCode.SUCCESS)

  await broker.restart()

  const topic = JSON.parse((await call(RequestCode.GET_TOPIC_CONFIG, { topic: 'kept' })).text)
  expect(topic).toMatchObject({ topicName: 'kept', writeQueueNums: 3, readQueueNums: 3, perm: 6 })
  const group = JSON.parse((await call(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group: 'kept-group' })).text)
  expect(group).toMatchObject({ groupName: 'kept-group', retryMaxTimes: 5, consumeEnable: true })
  const query = { topic: 'kept', consumerGroup: 'kept-group', queueId: 0 }
  expect((await call(RequestCode.QUERY_CONSUMER_OFFSET, query)).extFields.offset).toBe('1')
  expect((await call(RequestCode.GET_ALL_CONSUMER_OFFSET)).text).toContain('"kept@kept-group":{0:1}')
})

test('a new group starts at the beginning of a young queue, unless it must not', async () => {
  await broker.client.createTopic('young')
  const query = { topic: 'young', consumerGroup: 'newcomer', queueId: 0 }
  expect(await call(RequestCode.QUERY_CONSUMER_OFFSET, query)).toMatchObject({
    code: ResponseCode.QUERY_NOT_FOUND,
    remark: 'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first',
  })

  await broker.client.send('young')

  expect(await call(RequestCode.QUERY_CONSUMER_OFFSET, query)).toMatchObject({ code: 0, extFields: { offset: '0' } })
  const strict = { ...query, setZeroIfNotFound: false }
  expect((await call(RequestCode.QUERY_CONSUMER_OFFSET, strict)).code).toBe(ResponseCode.QUERY_NOT_FOUND)
})

test('lag is what was stored and not consumed', async () => {
  await broker.client.createTopic('lagging', 2)
  await call(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, {}, { groupName: 'slow' })
  for (let sent = 0; sent < 5; sent++) await broker.client.send('lagging', { queueId: 1 })
  const commit = { topic: 'lagging', consumerGroup: 'slow', queueId: 1, commitOffset: 2 }
  await call(RequestCode.UPDATE_CONSUMER_OFFSET, commit)

  const { text } = await call(RequestCode.GET_CONSUME_STATS, { consumerGroup: 'slow' })

  expect(text).toMatch(
    /\{"brokerName":"broker-a","queueId":1,"topic":"lagging"\}:\{"brokerOffset":5,"consumerOffset":2,"lastTimestamp":\d+,"pullOffset":2\}/,
  )
  expect(await broker.running.metrics()).toMatch(
    /rocketmq_consumer_lag_messages\{consumer_group="slow",topic="lagging",[^}]*\} 3\n/,
  )
})

test('system topics and bad names cannot be made or deleted', async () => {
  for (const topic of ['TBW102', 'DefaultCluster', 'rmq_sys_own', 'no!', ' ']) {
    expect((await broker.client.createTopic(topic)).code).toBe(ResponseCode.INVALID_PARAMETER)
  }
  expect((await call(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: 'SCHEDULE_TOPIC_XXXX' })).code).toBe(
    ResponseCode.INVALID_PARAMETER,
  )
})

test('attributes change one by one, and only as far as this release honours them', async () => {
  const topic = {
    topic: 'typed',
    defaultTopic: 'TBW102',
    readQueueNums: 1,
    writeQueueNums: 1,
    perm: 6,
    topicFilterType: 'SINGLE_TAG',
  }
  const set = (attributes: string) => call(RequestCode.UPDATE_AND_CREATE_TOPIC, { ...topic, attributes })

  expect((await set('+message.type=FIFO,+reserve.time=5')).code).toBe(ResponseCode.SUCCESS)
  expect((await set('-reserve.time')).code).toBe(ResponseCode.SUCCESS)
  expect(await set('+queue.type=BatchCQ')).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
  expect(await set('+colour=red')).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: 'unsupported key: colour' })

  const config = JSON.parse((await call(RequestCode.GET_TOPIC_CONFIG, { topic: 'typed' })).text)
  expect(config.attributes).toEqual({ 'message.type': 'FIFO' })
})

test('a topic of mixed messages is taken where the broker lets them be, and stays one', async () => {
  const set = (topicName: string, readQueueNums: number) => {
    const attributes = { '+message.type': 'MIXED' }
    const topicConfigList = [{ topicName, readQueueNums, writeQueueNums: 1, attributes }]
    return call(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, JSON.stringify({ topicConfigList }))
  }
  const may = (isMixed: boolean) => call(RequestCode.UPDATE_BROKER_CONFIG, {}, `enableMixedMessageType=${isMixed}\n`)

  const refused = await set('mixed', 1)
  expect(refused).toMatchObject({ code: ResponseCode.SYSTEM_ERROR })
  expect(refused.remark).toContain('enableMixedMessageType is false')
  await may(true)
  expect((await set('mixed', 1)).code).toBe(ResponseCode.SUCCESS)
  await may(false)
  expect((await set('mixed', 2)).code).toBe(ResponseCode.SUCCESS)
  const config = JSON.parse((await call(RequestCode.GET_TOPIC_CONFIG, { topic: 'mixed' })).text)
  expect(config).toMatchObject({ readQueueNums: 2, attributes: { 'message.type': 'MIXED' } })
  expect((await set('mixed-too', 1)).code).toBe(ResponseCode.SYSTEM_ERROR)
})

test('many topics are created and changed at once, or none of them', async () => {
  const set = (...topicConfigList: object[]) =>
    call(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, JSON.stringify({ topicConfigList }))
  const configOf = async (topic: string) => JSON.parse((await call(RequestCode.GET_TOPIC_CONFIG, { topic })).text)
  const queues = { readQueueNums: 3, writeQueueNums: 3 }

  const many = [
    { topicName: 'bulk-0', ...queues, attributes: { '+message.type': 'FIFO', '+reserve.time': '5' } },
    { topicName: 'bulk-1', ...queues },
  ]
  expect((await set(...many)).code).toBe(ResponseCode.SUCCESS)
  expect(await configOf('bulk-0')).toMatchObject({
    ...queues,
    attributes: { 'message.type': 'FIFO', 'reserve.time': '5' },
  })
  expect(await configOf('bulk-1')).toMatchObject(queues)

  const other = { topicName: 'bulk-1', readQueueNums: 5, writeQueueNums: 5 }
  expect(await set(other, { topicName: 'TBW102' })).toMatchObject({ code: ResponseCode.INVALID_PARAMETER })
  expect(await set(other, { topicName: 'no spaces' })).toMatchObject({ code: ResponseCode.INVALID_PARAMETER })
  expect(await configOf('bulk-1')).toMatchObject(queues)

  expect((await set(other, { ...many[0], attributes: { '-reserve.time': '' } })).code).toBe(ResponseCode.SUCCESS)
  expect(await configOf('bulk-1')).toMatchObject({ readQueueNums: 5 })
  expect((await configOf('bulk-0')).attributes).toEqual({ 'message.type': 'FIFO' })
})

test('a deleted topic is gone with its messages and offsets', async () => {
  await broker.client.createTopic('doomed')
  await broker.client.send('doomed')

  expect((await call(RequestCode.DELETE_TOPIC_IN_BROKER, { topic: 'doomed' })).code).toBe(ResponseCode.SUCCESS)

  expect((await call(RequestCode.GET_TOPIC_CONFIG, { topic: 'doomed' })).code).toBe(ResponseCode.TOPIC_NOT_EXIST)
  await broker.client.createTopic('doomed')
  expect((await call(RequestCode.GET_MAX_OFFSET, { topic: 'doomed', queueId: 0 })).extFields.offset).toBe('0')
})

test('live settings change at once, all others are refused with the reason', async () => {
  const update = (text: string) => call(RequestCode.UPDATE_BROKER_CONFIG, {}, text)

  expect((await update('autoCreateSubscriptionGroup=true\n')).code).toBe(ResponseCode.SUCCESS)
  expect((await call(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group: 'made-by-asking' })).code).toBe(0)
  expect((await call(RequestCode.GET_BROKER_CONFIG)).text).toContain('autoCreateSubscriptionGroup=true\n')
  expect(await update('listenPort=1\nbrokerPermission=4\n')).toMatchObject({
    code: ResponseCode.INVALID_PARAMETER,
    remark: 'the setting listenPort cannot change while the broker runs',
  })
  expect((await update('brokerPermission=many')).code).toBe(ResponseCode.INVALID_PARAMETER)
  expect((await update('rocketmqHome=/')).code).toBe(ResponseCode.NO_PERMISSION)

  expect((await update('brokerPermission=2')).code).toBe(ResponseCode.SUCCESS)
  expect((await broker.client.pull('kept')).code).toBe(ResponseCode.NO_PERMISSION)
  await update('brokerPermission=6')
})

test('brokerStatus has what clusterList prints', async () => {
  const { table } = JSON.parse((await call(RequestCode.GET_BROKER_RUNTIME_INFO)).text)

  expect(table).toMatchObject({ brokerVersionDesc: 'V5_5_0', brokerActive: 'true', sendThreadPoolQueueSize: '0' })
  expect(table.putTps).toMatch(/^[\d.]+ [\d.]+ [\d.]+$/)
  expect(Number(table.msgPutTotalTodayNow)).toBeGreaterThan(0)
  expect(Number(table.earliestMessageTimeStamp)).toBeGreaterThan(1_600_000_000_000)
})
