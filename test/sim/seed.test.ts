import { expect, test } from '@jest/globals'
import { runSeed } from './seed.ts'

test.each([1, 2, 3])('seed %i keeps every rule, and runs twice the same way', async (seed) => {
  const first = await runSeed(seed)
  const again = await runSeed(seed)

  expect(first.problems).toEqual([])
  expect(first.acked).toBeGreaterThan(0)
  expect(again).toMatchObject({ digest: first.digest, events: first.events })
})
