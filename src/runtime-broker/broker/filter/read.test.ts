import { afterEach, expect, test } from '@jest/globals'
import { eventually } from '../../../base/testing/eventually.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { startTestBroker, type TestBroker } from '../testing/test-broker.ts'

let broker: TestBroker

afterEach(() => broker.stop())

const sql = (subscription: string) => ({ expressionType: 'SQL92', subscription })

async function start(enablePropertyFilter = true): Promise<void> {
  broker = await startTestBroker({ enablePropertyFilter })
  await broker.client.createTopic('orders')
}

test('a pull brings what its expression wants, and passes the rest', async () => {
  await start()
  for (let n = 0; n < 100; n++) {
    await broker.client.send('orders', { body: String(n), properties: { n: String(n), TAGS: n % 2 ? 'odd' : 'even' } })
  }

  const some = await broker.client.pull('orders', sql("n BETWEEN 10 AND 60 AND TAGS = 'odd'"))
  const next = await broker.client.pull('orders', { ...sql('n > 70'), queueOffset: 60, maxMsgNums: 5 })
  const none = await broker.client.pull('orders', { ...sql('n > 1000'), queueOffset: 40 })
  const end = await broker.client.pull('orders', { ...sql('n > 1000'), queueOffset: 100 })

  expect(some.bodies).toEqual(Array.from({ length: 25 }, (_, index) => String(11 + 2 * index)))
  expect(some.nextBeginOffset).toBe(100)
  expect(next).toMatchObject({ bodies: ['71', '72', '73', '74', '75'], nextBeginOffset: 76 })
  expect(none).toMatchObject({ code: ResponseCode.PULL_RETRY_IMMEDIATELY, nextBeginOffset: 100 })
  expect(end).toMatchObject({ code: ResponseCode.PULL_NOT_FOUND, nextBeginOffset: 100 })
})

test('one pull looks at no more messages than Apache’s broker does', async () => {
  await start()
  const sends = Array.from({ length: 1_000 }, (_, n) => broker.client.send('orders', { properties: { n: String(n) } }))
  await Promise.all(sends)

  const pulled = await broker.client.pull('orders', sql('n = -1'))

  expect(pulled).toMatchObject({ code: ResponseCode.PULL_RETRY_IMMEDIATELY, nextBeginOffset: 800 })
})

test('a held pull waits for a message that is wanted', async () => {
  await start()
  const held = broker.client.pull('orders', { ...sql("kind = 'a'"), holdMs: 5_000 })
  await eventually(async () => expect(await broker.running.metrics()).toMatch(/^rocketmq_broker_held_pulls\S* 1$/m))

  await broker.client.send('orders', { body: 'wanted', properties: { kind: 'a' } })

  expect((await held).bodies).toEqual(['wanted'])
})

test('subscriptions by heartbeat are filtered, and wrong ones refused', async () => {
  await start()
  await broker.client.send('orders', { body: 'a', properties: { kind: 'a' } })
  await broker.client.send('orders', { body: 'b', properties: { kind: 'b' } })
  const pull = () => broker.client.pull('orders', { isLite: false })

  await broker.client.subscribe('orders', { expressionType: 'SQL92', expression: "kind = 'b'" })
  expect((await pull()).bodies).toEqual(['b'])
  await broker.client.subscribe('orders', { expressionType: 'SQL92', expression: 'kind =', subVersion: 2n })

  expect(await pull()).toMatchObject({ code: ResponseCode.FILTER_DATA_NOT_EXIST })
  expect(await broker.client.pull('orders', sql('kind = '))).toMatchObject({
    code: ResponseCode.SUBSCRIPTION_PARSE_FAILED,
  })
})

test.each([
  [true, 'SQL92', 'a = 1', ResponseCode.SUCCESS, undefined],
  [true, 'SQL92', 'a >', ResponseCode.SUBSCRIPTION_PARSE_FAILED, /the end at position 3/],
  [true, 'XPATH', 'a', ResponseCode.SUBSCRIPTION_PARSE_FAILED, /XPATH/],
  [false, 'SQL92', 'a = 1', ResponseCode.SYSTEM_ERROR, /does not support consumer to filter message by SQL92/],
  [false, 'TAG', 'a', ResponseCode.SUCCESS, undefined],
])(
  'enablePropertyFilter %s: a consumer that asks about %s %s',
  async (isEnabled, expressionType, subString, code, remark) => {
    await start(isEnabled)
    const subscriptionData = { topic: 'orders', subString, expressionType, tagsSet: [], codeSet: [], subVersion: 1 }

    const answer = await broker.client.call(
      RequestCode.CHECK_CLIENT_CONFIG,
      {},
      { clientId: 'c', group: 'g', namespace: '', subscriptionData },
    )

    expect(answer.code).toBe(code)
    if (remark !== undefined) expect(answer.remark).toMatch(remark)
  },
)

test('without enablePropertyFilter a pull is refused as Apache refuses it', async () => {
  await start(false)
  await broker.client.subscribe('orders', { expressionType: 'SQL92', expression: 'a = 1' })
  const refused = { code: ResponseCode.SYSTEM_ERROR, remark: expect.stringMatching(/filter message by SQL92/) }

  expect(await broker.client.pull('orders', sql('a = 1'))).toMatchObject(refused)
  expect(await broker.client.pull('orders', { isLite: false })).toMatchObject(refused)
})
