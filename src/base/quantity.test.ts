import { expect, test } from '@jest/globals'
import { bytesOf } from './quantity.ts'

test.each<[string | number, number]>([
  ['20Gi', 20 * 2 ** 30],
  ['1.5Gi', 1.5 * 2 ** 30],
  ['2G', 2e9],
  ['1e3', 1000],
  ['5000m', 5],
  [4096, 4096],
])('the quantity %j is %d bytes', (quantity, bytes) => {
  expect(bytesOf(quantity)).toBe(bytes)
})

test.each(['lots', '', '5 Gi', '1Zi', '-1'])('%j is none', (text) => {
  expect(bytesOf(text)).toBeNaN()
})
