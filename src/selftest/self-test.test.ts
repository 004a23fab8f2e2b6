import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { FakeCluster, testDoors } from '../client/testing/fake-cluster.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { selfTest } from './self-test.ts'

let cluster: FakeCluster

beforeEach(async () => {
  cluster = await FakeCluster.start(2)
  cluster.addTopic('%RETRY%G', 1)
})
afterEach(() => cluster.stop())

function run({ brokerCountMin = 2, timeoutMs = 5_000, signal = new AbortController().signal } = {}) {
  const options = { topic: 'T', consumerGroup: 'G', brokerCountMin, messagesPerQueue: 3, timeoutMs }
  return selfTest({ namesrvAddr: cluster.namesrvAddr, ...options }, testDoors, () => {}, signal)
}

test('every queue of every broker gets its messages, and all of them come back', async () => {
  cluster.addTopic('T', 2)
  cluster.brokers[0]?.put('T', 0, Buffer.from("somebody else's"))

  expect(await run()).toEqual({ brokers: ['broker-0', 'broker-1'], queueCount: 4, messageCount: 12 })
  expect(cluster.brokers.map((broker) => broker.count('T'))).toEqual([7, 6])
})

test('a topic that comes later, one broker after the other, is waited for', async () => {
  const running = run()
  await testDoors.clock.sleep(100)
  cluster.addTopic('T', 1, { brokerNames: ['broker-0'] })
  await testDoors.clock.sleep(400)
  cluster.addTopic('T', 1)

  expect(await running).toMatchObject({ queueCount: 2, messageCount: 6 })
})

test('a broker that refuses a message for a moment is asked again', async () => {
  cluster.addTopic('T', 1)
  let refusals = 0
  cluster.brokers[1]!.intercept = ({ code }) =>
    code === RequestCode.SEND_MESSAGE_V2 && refusals++ < 2 ? { code: ResponseCode.SYSTEM_BUSY } : undefined

  expect(await run()).toMatchObject({ messageCount: 6 })
})

test('when time is up it says which step, and why', async () => {
  await expect(run({ timeoutMs: 300 })).rejects.toThrow(/topic T on 2 brokers.*TOPIC_NOT_FOUND/)
  cluster.addTopic('T', 1, { brokerNames: ['broker-0'] })
  await expect(run({ timeoutMs: 300 })).rejects.toThrow(/that take messages for it: broker-0\)/)
  cluster.addTopic('T', 1)
  cluster.brokers[1]!.intercept = ({ code }) =>
    code === RequestCode.PULL_MESSAGE ? { code: ResponseCode.SYSTEM_ERROR } : undefined
  await expect(run({ timeoutMs: 2_000 })).rejects.toThrow(/3 of 6 came, one that did not: \S+ broker-1 0 /)
})

test('an interruption ends it', async () => {
  const over = new AbortController()
  const running = run({ signal: over.signal })
  over.abort(new Error('interrupted'))
  await expect(running).rejects.toThrow('interrupted')
})
