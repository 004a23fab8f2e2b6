import { expect, test } from '@jest/globals'
import { SpareBuffers } from './spare-buffers.ts'

const bufferBytes = 64 * 1024

test('a buffer that was given back is the next one, whole', () => {
  const spare = new SpareBuffers(bufferBytes, 2)
  const first = spare.take(5_000)

  spare.giveBack(first.subarray(7, 5_000))
  const second = spare.take(40_000)

  expect(second.buffer).toBe(first.buffer)
  expect(second).toHaveLength(bufferBytes)
  expect(spare.take(5_000).buffer).not.toBe(first.buffer)
})

test('no more are kept than were asked for', () => {
  const spare = new SpareBuffers(bufferBytes, 2)
  const taken = [1, 2, 3].map(() => spare.take(5_000))
  for (const buffer of taken) spare.giveBack(buffer)

  const again = [1, 2, 3].map(() => spare.take(5_000).buffer)

  expect(again.filter((memory) => taken.some(({ buffer }) => buffer === memory))).toHaveLength(2)
})

test.each([100, bufferBytes + 1])('one of %i bytes is not kept: others may lie in its memory', (bytes) => {
  const spare = new SpareBuffers(bufferBytes, 2)
  const other = spare.take(bytes)

  spare.giveBack(other)
  const foreign = Buffer.alloc(bufferBytes)
  spare.giveBack(foreign)

  expect(other.length).toBeGreaterThanOrEqual(bytes)
  expect([other.buffer, foreign.buffer]).not.toContain(spare.take(5_000).buffer)
})
