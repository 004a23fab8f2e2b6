import { expect, test } from '@jest/globals'
import { ManualClock } from '../../base/testing/clock.ts'
import type { SettleStatus } from '../store/index.ts'
import { Waiting } from './waiting.ts'

function waiter() {
  const told: SettleStatus[] = []
  return { told, settle: (status: SettleStatus) => void told.push(status) }
}

test('those whose bytes the slaves have are told, each with what its own disk said, the others wait', () => {
  const waiting = new Waiting(new ManualClock(), () => 3000)
  const all = [waiter(), waiter(), waiter()]
  waiting.add(100, all[0]!, 'ok')
  waiting.add(200, all[1]!, 'flushTimeout')
  waiting.add(201, all[2]!, 'ok')

  waiting.confirm(200)

  expect(all.map(({ told }) => told)).toEqual([['ok'], ['flushTimeout'], []])
  expect(waiting.count).toBe(1)
})

test('who waits too long is told so, at its own time, and never again', async () => {
  const clock = new ManualClock()
  const waiting = new Waiting(clock, () => 3000)
  const [early, late] = [waiter(), waiter()]
  waiting.add(100, early, 'ok')
  await clock.advance(1000)
  waiting.add(200, late, 'flushTimeout')

  await clock.advance(1999)
  expect(early.told).toEqual([])
  await clock.advance(2)
  expect([early.told, late.told]).toEqual([['slaveTimeout'], []])
  await clock.advance(1000)
  waiting.confirm(1000)

  expect([early.told, late.told]).toEqual([['slaveTimeout'], ['slaveTimeout']])
})

test('the timer follows those that are left', async () => {
  const clock = new ManualClock()
  const waiting = new Waiting(clock, () => 3000)
  waiting.add(100, waiter(), 'ok')
  waiting.confirm(100)
  await clock.advance(2900)
  const next = waiter()
  waiting.add(200, next, 'ok')

  await clock.advance(2900) // the first one's time is long up
  expect(next.told).toEqual([])
  await clock.advance(200)

  expect(next.told).toEqual(['slaveTimeout'])
})

test('a timeout that is made shorter holds for the next who waits', async () => {
  const clock = new ManualClock()
  let timeoutMs = 60_000
  const waiting = new Waiting(clock, () => timeoutMs)
  waiting.add(100, waiter(), 'ok')
  waiting.confirm(100)
  timeoutMs = 300
  const next = waiter()
  waiting.add(200, next, 'ok')

  await clock.advance(299)
  expect(next.told).toEqual([])
  await clock.advance(2)

  expect(next.told).toEqual(['slaveTimeout'])
})

test('above its limit the oldest gives way', () => {
  const waiting = new Waiting(new ManualClock(), () => 3000, 2)
  const all = [waiter(), waiter(), waiter()]
  all.forEach((each, index) => {
    waiting.add(100 + index, each, 'ok')
  })

  expect(all.map(({ told }) => told)).toEqual([['slaveTimeout'], [], []])
  expect(waiting.count).toBe(2)
})

test('a long queue that never empties keeps its order', () => {
  const waiting = new Waiting(new ManualClock(), () => 3000)
  const told: number[] = []
  for (let index = 0; index < 200_000; index++) {
    waiting.add(index, { settle: () => void told.push(index) }, 'ok')
    if (index % 7 === 6) waiting.confirm(index - 3)
  }
  waiting.confirm(200_000)

  expect(told.length).toBe(200_000)
  expect(told.every((index, at) => index === at)).toBe(true)
})

test('at the end everybody is told', () => {
  const waiting = new Waiting(new ManualClock(), () => 3000)
  const last = waiter()
  waiting.add(1, last, 'ok')
  waiting.close()
  expect(last.told).toEqual(['slaveTimeout'])
})
