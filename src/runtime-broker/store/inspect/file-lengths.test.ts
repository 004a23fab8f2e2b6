import { expect, test } from '@jest/globals'
import { lengthOf } from './file-lengths.ts'

test.each<[what: string, lengths: number[], given: number | undefined, expected: number]>([
  ['what is given', [7, 7], 5, 5],
  ['what most have', [7, 4, 7], undefined, 7],
  ['the longer of two', [4, 7], undefined, 7],
  ['nothing is told by one', [4], undefined, 9],
  ['nothing is told by one and an empty one', [4, 0], undefined, 9],
  ['nothing is told by none', [], undefined, 9],
])('the length of files: %s', (_what, lengths, given, expected) => {
  expect(lengthOf(lengths, given, 9)).toBe(expected)
})
