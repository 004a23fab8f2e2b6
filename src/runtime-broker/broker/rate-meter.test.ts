import { expect, test } from '@jest/globals'
import { RateMeter } from './rate-meter.ts'

const start = 1_700_000_000_000 // a slot begins here

test('a rate is over the slots that have ended', () => {
  const meter = new RateMeter()
  meter.add(50, start)

  expect(meter.perSecond(start + 9_999, 1)).toBe(0)
  expect(meter.perSecond(start + 10_000, 1)).toBe(5)
  expect(meter.perSecond(start + 10_000, 6)).toBeCloseTo(50 / 60)
  expect(meter.perSecond(start + 20_000, 1)).toBe(0)
  expect(meter.total).toBe(50)
})

test('what is older than the window is forgotten, however long nobody asked', () => {
  const meter = new RateMeter()
  meter.add(60, start)

  expect(meter.perSecond(start + 60_000)).toBe(1)
  expect(meter.perSecond(start + 70_000)).toBe(0)
  meter.add(60, start + 3_600_000)
  expect(meter.perSecond(start + 3_610_000)).toBe(1)
})

test('a clock that is set back adds to the newest slot', () => {
  const meter = new RateMeter()
  meter.add(10, start + 30_000)
  meter.add(10, start)

  expect(meter.perSecond(start + 40_000, 1)).toBe(2)
})
