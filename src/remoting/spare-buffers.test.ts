import { expect, test } from '@jest/globals'
import { SpareBuffers } from './spare-buffers.ts'

const kib = 1024

test('a buffer that was given back is the next one of its length, whole', () => {
  const spare = new SpareBuffers(64 * kib, 1024 * kib)
  const first = spare.take(20_000)

  spare.giveBack(first.subarray(7, 5_000))
  const shorter = spare.take(10_000)
  const second = spare.take(30_000)

  expect(second.buffer).toBe(first.buffer)
  expect([first, shorter, second].map(({ length }) => length)).toEqual([32 * kib, 16 * kib, 32 * kib])
  expect(spare.take(20_000).buffer).not.toBe(first.buffer)
})

test('no more is kept than was asked for', () => {
  const spare = new SpareBuffers(64 * kib, 100 * kib)
  const taken = [40_000, 40_000, 30_000].map((bytes) => spare.take(bytes)) // 64, 64 and 32 KiB
  for (const buffer of taken) spare.giveBack(buffer)

  const again = [40_000, 40_000, 30_000].map((bytes) => spare.take(bytes).buffer)

  expect(again.map((memory) => taken.some(({ buffer }) => buffer === memory))).toEqual([true, false, true])
})

test('lengths that nobody takes any more make room for those that are taken, for as many as are given back', () => {
  const spare = new SpareBuffers(64 * kib, 128 * kib)
  for (const buffer of [spare.take(60_000), spare.take(60_000)]) spare.giveBack(buffer)
  const first = Array.from({ length: 6 }, () => spare.take(16 * kib))

  for (const buffer of first) spare.giveBack(buffer)

  const again = Array.from({ length: 6 }, () => spare.take(16 * kib))
  const memories = new Set(first.map(({ buffer }) => buffer))
  expect(again.every(({ buffer }) => memories.has(buffer))).toBe(true)
})

test('a length that is taken keeps its room from one that is given back late', () => {
  const spare = new SpareBuffers(64 * kib, 64 * kib)
  const late = spare.take(60_000)
  const four = Array.from({ length: 4 }, () => spare.take(16 * kib))
  for (const buffer of four) spare.giveBack(buffer)

  spare.giveBack(late)

  expect(spare.take(16 * kib).buffer).toBe(four.at(-1)!.buffer)
})

test.each([100, 64 * kib + 1])('one of %i bytes is not kept: others may lie in its memory', (bytes) => {
  const spare = new SpareBuffers(64 * kib, 1024 * kib)
  const other = spare.take(bytes)

  spare.giveBack(other)
  const foreign = Buffer.alloc(64 * kib)
  spare.giveBack(foreign)

  expect(other.length).toBeGreaterThanOrEqual(bytes)
  expect([other.buffer, foreign.buffer]).not.toContain(spare.take(60_000).buffer)
})
