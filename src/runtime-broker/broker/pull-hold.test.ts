import { expect, test } from '@jest/globals'
import type { Clock } from '../../base/clock.ts'
import { type HeldPull, PullHold } from './pull-hold.ts'

test('a message wakes the pulls of its queue, and only those', () => {
  const world = holds()
  world.hold('orders', 0, 5)
  world.hold('orders', 1, 5)

  world.hold_.arrived('orders', 0, 6, 0)
  world.endTurn()

  expect(world.resumed).toEqual(['orders/0@5'])
  expect(world.hold_.count).toBe(1)
})

test('a message that the consumer does not want leaves it held until the scan', () => {
  const world = holds()
  world.hold('orders', 0, 5, { matches: (tagsCode) => tagsCode === 7 })

  world.maxOffset = 6
  world.hold_.arrived('orders', 0, 6, 8)
  world.endTurn()
  expect(world.resumed).toEqual([])

  world.scan()
  expect(world.resumed).toEqual(['orders/0@5'])
})

test('a message that came before the hold began wakes it at once', () => {
  const world = holds()
  world.maxOffset = 9

  world.hold('orders', 0, 5)
  world.endTurn()

  expect(world.resumed).toEqual(['orders/0@5'])
})

test('a hold ends at its deadline, and is forgotten when its client is gone', () => {
  const world = holds()
  world.hold('orders', 0, 5, { deadlineMs: 3_000 })
  world.hold('orders', 0, 6, { deadlineMs: 90_000, isAlive: () => false })
  world.hold('orders', 0, 7, { deadlineMs: 90_000 })

  world.nowMs = 5_000
  world.scan()

  expect(world.resumed).toEqual(['orders/0@5'])
  expect(world.hold_.count).toBe(1)
})

function holds() {
  const tasks: (() => void)[] = []
  const world = {
    resumed: [] as string[],
    nowMs: 0,
    maxOffset: 0,
    endTurn: () => {
      for (const task of tasks.splice(0)) task()
    },
    scan: () => {
      periodic()
      world.endTurn()
    },
    hold: (topic: string, queueId: number, queueOffset: number, held: Partial<HeldPull> = {}) =>
      world.hold_.hold(topic, queueId, {
        queueOffset,
        matches: undefined,
        deadlineMs: 10_000,
        isAlive: () => true,
        resume: () => world.resumed.push(`${topic}/${queueId}@${queueOffset}`),
        ...held,
      }),
    hold_: undefined as unknown as PullHold,
  }
  let periodic = () => {}
  const clock = {
    monotonicMs: () => world.nowMs,
    every: (_: number, task: () => void) => {
      periodic = task
      return { cancel() {}, unref() {} }
    },
    endOfTurn: (task: () => void) => tasks.push(task),
  } as unknown as Clock
  world.hold_ = new PullHold(clock, () => world.maxOffset)
  return world
}
