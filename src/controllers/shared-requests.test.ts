import { expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { SharedRequests } from './shared-requests.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A broker whose answers are given by hand. */
function slowBroker() {
  const sent: { items: readonly string[]; answer: (error?: unknown) => void }[] = []
  const requests = new SharedRequests<string>(
    (_, items) =>
      new Promise((resolve, reject) => {
        sent.push({ items, answer: (error) => (error === undefined ? resolve() : reject(error)) })
      }),
  )
  return { sent, requests }
}

test('what comes while a broker is busy goes together', async () => {
  const { sent, requests } = slowBroker()
  const asked = ['a', 'b', 'c', 'd'].map((item) => requests.add('broker', item))
  expect(sent.map(({ items }) => items)).toEqual([['a'], ['b']])

  sent[0]!.answer()
  await asked[0]
  await settled()
  expect(sent.map(({ items }) => items)).toEqual([['a'], ['b'], ['c', 'd']])

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
  const tried: (readonly string[])[] = []
  const requests = new SharedRequests<string>(async (_, items) => {
    tried.push(items)
    await settled()
    if (items.includes('wrong')) throw new OperatingError('REQUEST_REFUSED', { responseCode: 3 })
  })
  const outcomes = await Promise.allSettled(['a', 'b', 'c', 'wrong', 'd'].map((item) => requests.add('broker', item)))

  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect(tried).toContainEqual(['c', 'wrong', 'd'])
})

test('a request without an answer fails for all, at once', async () => {
  let count = 0
  const requests = new SharedRequests<string>(async () => {
    count++
    await settled()
    throw new OperatingError('REQUEST_TIMEOUT', {})
  })
  const outcomes = await Promise.allSettled(['a', 'b', 'c', 'd'].map((item) => requests.add('broker', item)))

  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected'])
  expect(count).toBe(3)
})
