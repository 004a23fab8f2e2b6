import { expect, test } from '@jest/globals'
import { diskLimitsOf } from './disk-limits.ts'

test.each([
  [1, { expiredGo: 10, oldestGo: 30, sendsRefused: 1 }],
  [40, { expiredGo: 40, oldestGo: 40, sendsRefused: 40 }],
  [85, { expiredGo: 85, oldestGo: 85, sendsRefused: 85 }],
  [100, { expiredGo: 95, oldestGo: 85, sendsRefused: 100 }],
])('what removes messages holds within Apache’s bounds, what refuses them as it is given: %i %%', (percent, limits) => {
  const given = {
    diskMaxUsedSpaceRatio: percent,
    diskSpaceCleanForciblyRatio: percent,
    diskSpaceWarningLevelRatio: percent,
  }

  expect(diskLimitsOf(given)).toEqual(limits)
})
