import { expect, test } from '@jest/globals'
import type { CopiedLog, RawLog } from '../store/index.ts'
import { compareFrom, farBytes, judge } from './comparison.ts'

const kib = 1024
const log = (minOffset: number, maxOffset: number) => ({ minOffset, maxOffset }) as RawLog
const copy = (lastRecordOffset?: number) => ({ lastRecordOffset }) as CopiedLog

test.each([
  ['the newest record, and some before it', log(0, 100 * kib), copy(99 * kib), 'near', 96 * kib],
  ['all of a long record', log(0, 100 * kib), copy(10 * kib), 'near', 10 * kib],
  ['a good piece where the newest record is unknown', log(0, 3000 * kib), copy(), 'near', (3000 - 1024) * kib],
  ['never from 0, which would mean the last segment', log(0, 2 * kib), copy(), 'near', 1],
  ['no bytes that are not there', log(64 * kib, 65 * kib), copy(), 'near', 64 * kib],
  ['as much as may be cut', log(0, 200 * 1024 * kib), copy(199 * 1024 * kib), 'far', 200 * 1024 * kib - farBytes],
] as const)('compared is %s', (_what, raw, copied, reach, from) => {
  expect(compareFrom(raw, copied, reach, 0)).toBe(from)
})

test('nothing is asked for that the master has no more', () => {
  expect(compareFrom(log(0, 100 * kib), copy(), 'near', 99 * kib)).toBe(99 * kib)
})

const compared = {
  from: 10_000,
  reach: 'near' as const,
  maxOffset: 20_000,
  recordEnd: (offset: number) => offset - 100,
}

test('equal logs go on', () => {
  expect(judge({ is: 'same' }, compared)).toEqual({ do: 'follow' })
})

test.each(['different', 'ahead'] as const)('an end that is %s is cut at the end of the last common record', (is) => {
  expect(judge({ is, offset: 15_000 }, compared)).toEqual({ do: 'cut', phyOffset: 14_900 })
})

test('without a common past nothing is cut: it is looked for further back, then a person is called', () => {
  const finding = { is: 'different' as const, offset: 10_300 } // 200 bytes in common could be chance
  expect(judge(finding, compared)).toEqual({ do: 'compare', reach: 'far', masterMinOffset: 0 })
  expect(judge(finding, { ...compared, reach: 'far' })).toMatchObject({ do: 'refuse' })
})

test('a master whose log begins within the slave’s is compared from there; behind it there is a gap', () => {
  expect(judge({ is: 'gone', minOffset: 12_000 }, compared)).toEqual({
    do: 'compare',
    reach: 'near',
    masterMinOffset: 12_000,
  })
  expect(judge({ is: 'gone', minOffset: 20_000 }, compared)).toMatchObject({ do: 'refuse' })
})
