import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { tagsCodeOf } from '../../../remoting/message/index.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => void (broker = await startTestBroker()))
afterAll(() => broker.stop())

test('several topics are made at once, or none', async () => {
  const topicConfigList = [
    { topicName: 'one', readQueueNums: 2, writeQueueNums: 2, perm: 6 },
    { topicName: 'two', readQueueNums: 3, writeQueueNums: 3, perm: 4, attributes: { '+message.type': 'FIFO' } },
  ]

  const answer = await broker.client.call(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, { topicConfigList })

  expect(answer).toMatchObject({ code: ResponseCode.SUCCESS })
  expect(await topicConfig('two')).toMatchObject({ readQueueNums: 3, perm: 4, attributes: { 'message.type': 'FIFO' } })
  const bad = { topicConfigList: [{ topicName: 'three' }, { topicName: 'no good' }] }
  const refused = await broker.client.call(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, {}, bad)
  expect(refused).toMatchObject({ code: ResponseCode.INVALID_PARAMETER })
  expect(await broker.client.call(RequestCode.GET_TOPIC_CONFIG, { topic: 'three' })).toMatchObject({
    code: ResponseCode.TOPIC_NOT_EXIST,
  })
})

test('several groups are made at once, or none', async () => {
  const groupConfigList = [{ groupName: 'listed', retryMaxTimes: 3 }, { groupName: 'other' }]
  const code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST

  expect(await broker.client.call(code, {}, { groupConfigList })).toMatchObject({ code: ResponseCode.SUCCESS })

  const answer = await broker.client.call(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, { group: 'listed' })
  expect(JSON.parse(answer.body.toString())).toMatchObject({ groupName: 'listed', retryMaxTimes: 3 })
  const bad = { groupConfigList: [{ groupName: 'fine' }, { groupName: 'no good' }] }
  expect(await broker.client.call(code, {}, bad)).toMatchObject({ code: ResponseCode.INVALID_PARAMETER })
  const all = await broker.client.call(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
  expect(all.body.toString()).not.toContain('"fine"')
})

test('the units of a consume queue', async () => {
  await broker.client.createTopic('units', 1)
  for (const tag of ['a', 'b']) await broker.client.send('units', { properties: { TAGS: tag } })
  await broker.client.subscribe('units', { group: 'looking' })
  const ask = { topic: 'units', queueId: 0, index: 1, count: 5, consumerGroup: 'looking' }

  const answer = await broker.client.call(RequestCode.QUERY_CONSUME_QUEUE, ask)

  const body = JSON.parse(answer.body.toString())
  expect(body).toMatchObject({ minQueueIndex: 0, maxQueueIndex: 2, subscriptionData: { topic: 'units' } })
  expect(body.queueData).toEqual([
    { eval: false, physicOffset: expect.any(Number), physicSize: expect.any(Number), tagsCode: tagsCodeOf('b') },
  ])
  const missing = await broker.client.call(RequestCode.QUERY_CONSUME_QUEUE, { ...ask, queueId: 9 })
  expect(missing).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: '9@units is not exist!' })
})

async function topicConfig(topic: string): Promise<unknown> {
  return JSON.parse((await broker.client.call(RequestCode.GET_TOPIC_CONFIG, { topic })).body.toString())
}
