import { expect, test } from '@jest/globals'
import { ManualClock } from '../base/testing/clock.ts'
import { BrokerFaults } from './broker-faults.ts'

test('a broker that failed is avoided for 3 s, or until it works again', async () => {
  const clock = new ManualClock()
  const faults = new BrokerFaults(clock)
  faults.note('a')
  faults.note('b')
  faults.clear('b')
  expect(['a', 'b', 'c'].map((name) => faults.isAvoided(name))).toEqual([true, false, false])
  await clock.advance(2_999)
  expect(faults.isAvoided('a')).toBe(true)
  await clock.advance(1)
  expect(faults.isAvoided('a')).toBe(false)
})
