import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { allocateAveragely } from './allocation.ts'

function queues(count: number) {
  return Array.from({ length: count }, (_, queueId) => ({ topic: 'T', brokerName: 'b', queueId }))
}

test('the first members have one more', () => {
  const shares = ['a', 'b', 'c'].map((id) => allocateAveragely(queues(8), ['a', 'b', 'c'], id))
  expect(shares.map((share) => share.map(({ queueId }) => queueId))).toEqual([
    [0, 1, 2],
    [3, 4, 5],
    [6, 7],
  ])
})

test('who is no member gets nothing', () => {
  expect(allocateAveragely(queues(8), ['a'], 'z')).toEqual([])
})

test('every queue has exactly one member, and shares differ by one at most', () => {
  fc.assert(
    fc.property(fc.nat(64), fc.integer({ min: 1, max: 20 }), (queueCount, memberCount) => {
      const members = Array.from({ length: memberCount }, (_, index) => `m${index}`)
      const shares = members.map((id) => allocateAveragely(queues(queueCount), members, id))
      expect(shares.flat()).toEqual(queues(queueCount))
      const lengths = shares.map(({ length }) => length)
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1)
    }),
  )
})
