import { expect, test } from '@jest/globals'
import { ManualClock } from '../../base/testing/clock.ts'
import { Stats } from './stats.ts'

test('the longest time from arrival to answer is that of the slowest, also of those that came together', async () => {
  const clock = new ManualClock()
  const stats = new Stats(clock)
  const cameAtMs = clock.monotonicMs()
  await clock.advance(5)
  const cameLaterMs = clock.monotonicMs()
  await clock.advance(2)
  for (const receivedAtMs of [cameLaterMs, cameAtMs, cameLaterMs]) stats.notePut(1, clock.now(), receivedAtMs)
  await clock.turn()
  expect(stats.putMsMax).toBe(7)

  await clock.advance(13) // one of them had to wait for a slave
  stats.notePut(1, clock.now(), cameAtMs)
  await clock.turn()
  expect(stats.putMsMax).toBe(20)
  stats.notePut(1, clock.now(), clock.monotonicMs())
  await clock.turn()
  expect(stats.putMsMax).toBe(20)
})
