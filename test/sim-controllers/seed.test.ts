import { expect, test } from '@jest/globals'
import { runSeed } from './seed.ts'
import { caseOf, runCase, storyNames } from './stories.ts'

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

// of all stories and all writes npm run sim:controllers runs the rest
test.each([0, 1, 2, 3])(
  'a reset of offsets survives an operator that dies after write %i',
  async (write) => {
    const story = storyNames.indexOf('a consumer group is reset')

    const { violations, trace } = await runCase(caseOf(story, write))

    expect({ violations, trace: violations.length > 0 ? trace : [] }).toEqual({ violations: [], trace: [] })
  },
  60_000,
)
