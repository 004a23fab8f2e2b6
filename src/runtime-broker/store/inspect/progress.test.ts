import { expect, test } from '@jest/globals'
import { ManualClock } from '../../../base/testing/clock.ts'
import { ProgressText } from './progress.ts'

test('a quick read says nothing; a long one, now and then, how far and how fast it is', async () => {
  const clock = new ManualClock()
  const progress = new ProgressText(clock)
  const mib = 1024 * 1024

  expect(progress.next(mib, 100 * mib)).toBeUndefined()
  await clock.advance(2000)
  expect(progress.next(20 * mib, 100 * mib)).toBe('20 MiB of at most 100 MiB read (20 %), 10 MiB/s')
  await clock.advance(100)
  expect(progress.next(21 * mib, 100 * mib)).toBeUndefined()
})
