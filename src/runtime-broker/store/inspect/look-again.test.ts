import { expect, test } from '@jest/globals'
import { ManualClock } from '../../../base/testing/clock.ts'
import { lookAgain } from './look-again.ts'

test('a place is looked at for a second, and all of them for ten', async () => {
  const clock = new ManualClock()
  const mayGrow = lookAgain(clock)
  const waits: number[] = []

  for (let place = 0; place < 12; place++) {
    const startedMs = clock.monotonicMs()
    let isAsked = true
    while (isAsked) {
      const answer = mayGrow(place)
      await clock.advance(50)
      isAsked = await answer
    }
    waits.push(clock.monotonicMs() - startedMs - 50) // the last answer needs no wait
  }

  expect(waits).toEqual([...Array.from({ length: 10 }, () => 1000), 0, 0])
})
