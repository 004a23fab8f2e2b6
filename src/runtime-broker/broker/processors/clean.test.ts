import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = await startTestBroker()
})
afterAll(() => broker.stop())

test.each([
  ['cleanExpiredCQ', RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE],
  ['cleanUnusedTopic', RequestCode.CLEAN_UNUSED_TOPIC],
  ['deleteExpiredCommitLog', RequestCode.DELETE_EXPIRED_COMMITLOG],
])('%s takes nothing that is still wanted', async (_, code) => {
  await broker.client.createTopic('wanted')
  const offset = Number((await broker.client.send('wanted', { body: 'here' })).extFields.queueOffset)

  expect((await broker.client.call(code)).code).toBe(ResponseCode.SUCCESS)

  const { bodies } = await broker.client.pull('wanted', { queueOffset: offset })
  expect(bodies).toEqual(['here'])
})
