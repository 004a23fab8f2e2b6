import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { ourVersion } from '../../../remoting/version.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  expect(ourVersion).toBeGreaterThan(121) // so that maxReconsumeTimes is heard
  broker = await startTestBroker({ messageDelayLevel: '1s 1s 1s 1s 1s' })
})
afterAll(() => broker.stop())

test('a message sent back comes again after its delay, with what it was', async () => {
  await broker.client.send('failing', { body: 'try me', properties: { TAGS: 'a' } })
  const [first] = (await broker.client.pull('failing')).messages
  const back = { offset: first!.phyOffset, group: 'again', delayLevel: 0, maxReconsumeTimes: 16 }

  expect((await broker.client.call(RequestCode.CONSUMER_SEND_MSG_BACK, back)).code).toBe(ResponseCode.SUCCESS)

  const retried = await broker.client.pull('%RETRY%again', { consumerGroup: 'again', holdMs: 6_000 })
  expect(retried.bodies).toEqual(['try me'])
  expect(retried.messages[0]).toMatchObject({ reconsumeTimes: 1, topic: '%RETRY%again' })
  expect(Object.fromEntries(retried.messages[0]!.properties)).toMatchObject({
    TAGS: 'a',
    RETRY_TOPIC: 'failing',
    DELAY: '3',
    WAIT: 'false',
    ORIGIN_MESSAGE_ID: expect.stringMatching(/^[0-9A-F]{32}$/),
  })
})

test.each([
  ['it was tried often enough', { delayLevel: 0, maxReconsumeTimes: 0 }],
  ['the consumer says so', { delayLevel: -1, maxReconsumeTimes: 16 }],
])('a message goes to the dead letters when %s', async (_, asked) => {
  const group = `dead-${asked.delayLevel + 1}`
  await broker.client.send('hopeless', { body: 'bye' })
  const [message] = (await broker.client.pull('hopeless')).messages

  await broker.client.call(RequestCode.CONSUMER_SEND_MSG_BACK, { offset: message!.phyOffset, group, ...asked })

  const dead = await broker.client.pull(`%DLQ%${group}`)
  expect(dead.bodies).toEqual(['bye'])
  expect(dead.messages[0]!.properties.has('DELAY')).toBe(false)
})

test('a message that is not there cannot be sent back', async () => {
  const back = { offset: 999_999_999, group: 'again', delayLevel: 0 }

  const answer = await broker.client.call(RequestCode.CONSUMER_SEND_MSG_BACK, back)

  expect(answer).toMatchObject({ code: ResponseCode.SYSTEM_ERROR, remark: 'look message by offset failed, 999999999' })
})
