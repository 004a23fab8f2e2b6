import { expect, test } from '@jest/globals'
import * as z from './values.ts'

test('a whole number is read within its limits, both of them included', () => {
  const value = z.int32().min(-1).max(10)
  expect(['-1', '10', '007'].map((text) => value.read(text))).toEqual([-1, 10, 7])
  for (const text of ['-2', '11', '', '1.0', '1e1', '0x1', ' 1', 'Infinity']) expect(value.read(text)).toBeUndefined()
  expect(value.fits()).toBe('a whole number from -1 to 10')
  expect(z.int32().min(0).max(0).fits()).toBe('0')
})

test('int32 and int end where their kind ends', () => {
  expect(z.int32().read('2147483647')).toBe(2147483647)
  expect(z.int32().read('2147483648')).toBeUndefined()
  expect(z.int32().read('-2147483649')).toBeUndefined()
  expect(z.int().read('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER)
  expect(z.int().read('9007199254740993')).toBeUndefined()
})

test('a text has a length and a pattern', () => {
  const value = z
    .string()
    .min(1)
    .max(3)
    .regex(/^[a-z]*$/)
  expect(value.read('abc')).toBe('abc')
  for (const text of ['', 'abcd', 'A']) expect(value.read(text)).toBeUndefined()
  expect(value.fits()).toBe('a text')
  expect(value.meta({ fits: 'a name' }).default('x').fits()).toBe('a name')
})

test('true, false and words, nothing else', () => {
  expect(['true', 'FALSE', '1', 'toString', '__proto__'].map((text) => z.boolean().read(text))).toEqual([
    true,
    false,
    undefined,
    undefined,
    undefined,
  ])
  const value = z.enum(['A', 'B'])
  expect(['A', 'a', 'toString'].map((text) => value.read(text))).toEqual(['A', undefined, undefined])
  expect(value.fits()).toBe('A or B')
})

test('a step of the chain leaves the value that it started from alone, and facts add up', () => {
  const port = z.int32().min(0).max(65_535)

  const mine = port.max(99).default(9).meta({ fits: 'small' }).meta({ unit: 'ms' })

  expect([port.read('100'), port.preset, port.facts]).toEqual([100, undefined, {}])
  expect([mine.read('100'), mine.preset, mine.facts]).toEqual([undefined, 9, { fits: 'small', unit: 'ms' }])
})
