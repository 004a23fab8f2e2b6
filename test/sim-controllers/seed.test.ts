import { expect, test } from '@jest/globals'
import { runSeed } from './seed.ts'

// as many as a test run can afford; npm run sim:controllers -- --seeds N runs more
test.each([1, 2, 42])(
  'under seed %i controllers keep their rules, and all becomes as asked',
  async (seed) => {
    const { violations, trace } = await runSeed(seed)

    expect({ violations, trace: violations.length > 0 ? trace : [] }).toEqual({ violations: [], trace: [] })
  },
  60_000,
)

test('the same seed is the same story', async () => {
  expect(await runSeed(3)).toEqual(await runSeed(3))
}, 60_000)
