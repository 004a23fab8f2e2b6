import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { StoredMessage } from '../remoting/message/index.ts'
import { ProcessQueue } from './process-queue.ts'

function stored(queueOffset: number): StoredMessage {
  return { queueOffset, size: 100 } as StoredMessage
}

test('whatever the order, progress is the first message that is not done', () => {
  const order = fc.shuffledSubarray(
    Array.from({ length: 60 }, (_, index) => index),
    { minLength: 60 },
  )
  fc.assert(
    fc.property(order, fc.nat(60), (order, doneCount) => {
      const queue = new ProcessQueue({ topic: 'T', brokerName: 'b', queueId: 0 }, 1_000)
      const held = order.map((_, index) => queue.hold(stored(1_000 + index)))
      queue.nextOffset = 1_060
      const done = order.slice(0, doneCount)
      for (const index of done) queue.done(held[index]!)
      const left = order.slice(doneCount)
      expect(queue.consumerOffset).toBe(left.length === 0 ? 1_060 : 1_000 + Math.min(...left))
      expect([queue.count, queue.bytes]).toEqual([left.length, 100 * left.length])
    }),
  )
})

test('a message is done once', () => {
  const queue = new ProcessQueue({ topic: 'T', brokerName: 'b', queueId: 0 }, 0)
  const held = queue.hold(stored(0))
  queue.hold(stored(1))
  queue.done(held)
  queue.done(held)
  expect([queue.count, queue.bytes]).toEqual([1, 100])
})

test('offsets that were filtered out count as done', () => {
  const queue = new ProcessQueue({ topic: 'T', brokerName: 'b', queueId: 0 }, 0)
  queue.done(queue.hold(stored(3)))
  queue.nextOffset = 32
  expect(queue.consumerOffset).toBe(32)
})

test('a long queue is let go of from its front', () => {
  const queue = new ProcessQueue({ topic: 'T', brokerName: 'b', queueId: 0 }, 0)
  const held = Array.from({ length: 5_000 }, (_, index) => queue.hold(stored(index)))
  queue.nextOffset = 5_000
  for (const one of held.slice(0, 3_000)) queue.done(one)
  expect([queue.consumerOffset, queue.count, queue.span]).toEqual([3_000, 2_000, 2_000])
})
