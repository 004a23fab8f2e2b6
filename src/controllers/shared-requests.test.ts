import { expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { SharedRequests } from './shared-requests.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A broker whose answers are given by hand. */
function slowBroker() {
  const clock = new ManualClock()
  const sent: { items: readonly string[]; answer: (error?: unknown) => void }[] = []
  const requests = new SharedRequests<string>(
    clock,
    (_, items) =>
      new Promise((resolve, reject) => {
        sent.push({ items, answer: (error) => (error === undefined ? resolve() : reject(error)) })
      }),
  )
  return { clock, sent, requests, items: () => sent.map((one) => one.items) }
}

test('what comes soon after a request goes together, also when that is answered', async () => {
  const { clock, sent, requests, items } = slowBroker()
  const asked = ['a', 'b', 'c'].map((item) => requests.add('broker', item))
  sent[0]!.answer()
  await asked[0]
  await clock.advance(49)
  asked.push(requests.add('broker', 'd'))
  expect(items()).toEqual([['a']])

  await clock.advance(1)
  expect(items()).toEqual([['a'], ['b', 'c', 'd']])

  for (const one of sent) one.answer()
  await Promise.all(asked)
})

test('a request has so many items at most, and one timer waits for all that come', async () => {
  const { clock, sent, requests, items } = slowBroker()
  const asked = Array.from({ length: 300 }, (_, at) => requests.add('broker', String(at)))
  expect(clock.timers).toBe(1)
  await clock.advance(50)
  sent[0]!.answer()
  await clock.advance(50)
  expect(items().map(({ length }) => length)).toEqual([1, 256, 43])

  for (const one of sent) one.answer()
  await Promise.all(asked)
  await clock.advance(50)
  expect(clock.timers).toBe(0)
})

test('what comes when a broker was left alone for a while does not wait', async () => {
  const { clock, sent, requests, items } = slowBroker()
  for (const item of ['a', 'b']) {
    const asked = requests.add('broker', item)
    sent.at(-1)!.answer()
    await asked
    await clock.advance(50)
  }
  expect(items()).toEqual([['a'], ['b']])
})

test('what comes while a broker has two requests to answer goes together', async () => {
  const { clock, sent, requests, items } = slowBroker()
  const asked: Promise<void>[] = []
  for (const item of ['a', 'b', 'c', 'd']) {
    asked.push(requests.add('broker', item))
    await clock.advance(50)
  }
  expect(items()).toEqual([['a'], ['b']])

  sent[0]!.answer()
  await settled()
  expect(items()).toEqual([['a'], ['b'], ['c', 'd']])

  for (const one of sent) one.answer()
  await Promise.all(asked)
})

test('brokers do not wait for each other', async () => {
  const { sent, requests } = slowBroker()
  for (const item of ['a', 'b', 'c']) void requests.add('one', item)
  const other = requests.add('other', 'd')

  sent.find(({ items }) => items.includes('d'))?.answer()
  await other
})

test('of a request that is refused each item is tried alone', async () => {
  const clock = new ManualClock()
  const tried: (readonly string[])[] = []
  const requests = new SharedRequests<string>(clock, async (_, items) => {
    tried.push(items)
    await settled()
    if (items.includes('wrong')) throw new OperatingError('REQUEST_REFUSED', { responseCode: 3 })
  })
  const asked = Promise.allSettled(['a', 'b', 'wrong', 'c'].map((item) => requests.add('broker', item)))
  await clock.advance(50)

  expect((await asked).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect(tried).toEqual([['a'], ['b', 'wrong', 'c'], ['b'], ['wrong'], ['c']])
})

test.each([
  ['without an answer', new OperatingError('REQUEST_TIMEOUT', {})],
  ['that the broker is too busy for', new OperatingError('REQUEST_REFUSED', { responseCode: 2 })],
  ['to a broker that stops', new OperatingError('REQUEST_REFUSED', { responseCode: 14 })],
])('a request %s fails for all, at once', async (_, error) => {
  const clock = new ManualClock()
  let count = 0
  const requests = new SharedRequests<string>(clock, async () => {
    count++
    await settled()
    throw error
  })
  const asked = Promise.allSettled(['a', 'b', 'c'].map((item) => requests.add('broker', item)))
  await clock.advance(50)

  expect((await asked).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(count).toBe(2)
})
