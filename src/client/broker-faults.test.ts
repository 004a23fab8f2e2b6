import { expect, test } from '@jest/globals'
import { ManualClock } from '../base/testing/clock.ts'
import { BrokerFaults } from './broker-faults.ts'

test('a broker that failed is avoided for 3 s, or until it works again', async () => {
  const clock = new ManualClock()
  const faults = new BrokerFaults(clock)
  faults.note('a', 1, 'failed')
  faults.note('b', 1, 'failed')
  faults.note('b', 1, 'stored')
  expect(['a', 'b', 'c'].map((name) => faults.isAvoided(name))).toEqual([true, false, false])
  await clock.advance(2_999)
  expect(faults.isAvoided('a')).toBe(true)
  await clock.advance(1)
  expect(faults.isAvoided('a')).toBe(false)
})

test('a slow broker is no fault without sendLatencyFaultEnable', () => {
  const faults = new BrokerFaults(new ManualClock())
  faults.note('a', 20_000, 'stored')
  expect(faults.isAvoided('a')).toBe(false)
})

test.each([
  [549, 0],
  [550, 2_000],
  [1_799, 2_000],
  [1_800, 5_000],
  [3_000, 6_000],
  [5_000, 10_000],
  [15_000, 30_000],
])('a send of %d ms keeps others away for %d ms', async (latencyMs, pauseMs) => {
  const clock = new ManualClock()
  const faults = new BrokerFaults(clock, { sendLatencyFaultEnable: true })
  faults.note('a', latencyMs, 'stored')
  expect(faults.isAvoided('a')).toBe(pauseMs > 0)
  if (pauseMs === 0) return
  await clock.advance(pauseMs - 1)
  expect(faults.isAvoided('a')).toBe(true)
  await clock.advance(1)
  expect(faults.isAvoided('a')).toBe(false)
})

test('a failed send counts as one of 10 s, and a quick one does not shorten that', async () => {
  const clock = new ManualClock()
  const faults = new BrokerFaults(clock, { sendLatencyFaultEnable: true })
  faults.note('a', 1, 'failed')
  faults.note('a', 1, 'stored')
  await clock.advance(9_999)
  expect(faults.isAvoided('a')).toBe(true)
  await clock.advance(1)
  expect(faults.isAvoided('a')).toBe(false)
})

test('an unreachable broker is avoided until it was reached, however long', async () => {
  const clock = new ManualClock()
  const faults = new BrokerFaults(clock, { sendLatencyFaultEnable: true })
  faults.note('a', 1, 'unreachable')
  faults.note('b', 1, 'failed')
  await clock.advance(3_600_000)
  expect([faults.isAvoided('a'), faults.isReachable('a'), faults.unreachable()]).toEqual([true, false, ['a']])
  faults.reached('a')
  expect([faults.isAvoided('a'), faults.isReachable('a'), faults.unreachable()]).toEqual([false, true, []])
})
