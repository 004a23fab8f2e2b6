import { expect, test } from '@jest/globals'
import { type LogFields, silentLog } from './log.ts'
import { ManualClock } from './testing/clock.ts'
import { Warnings } from './warnings.ts'

test('ten of a message are logged in a minute, and then how many were left out', async () => {
  const clock = new ManualClock()
  const lines: [string, LogFields][] = []
  const log = { ...silentLog, warn: (fields: LogFields, message: string) => void lines.push([message, fields]) }
  const warnings = new Warnings(clock)

  for (let count = 0; count < 25; count++) warnings.warn(log, { count }, 'odd')
  warnings.warn(log, {}, 'other')
  expect(lines.map(([message]) => message)).toEqual([...Array(10).fill('odd'), 'other'])

  await clock.advance(60_000)
  warnings.warn(log, { count: 26 }, 'odd')
  warnings.warn(log, { count: 27 }, 'odd')
  expect(lines.slice(-2)).toEqual([
    ['odd', { count: 26, leftOut: 15 }],
    ['odd', { count: 27 }],
  ])
})
