import { expect, test } from '@jest/globals'
import { NotedKeys } from './noted-keys.ts'

const everything = Number.MAX_SAFE_INTEGER

/** All that is told from phyOffset on, without what nobody noted. */
function toldFrom(noted: NotedKeys, from: number, end = everything): [phyOffset: number, hashes: number[]][] {
  const told: [number, number[]][] = []
  noted.forgetBefore(from)
  while (noted.first < end) {
    noted.tell(end, (hashes, count, phyOffset) => {
      told.push([phyOffset, hashes.slice(0, count)])
      return true
    })
  }
  return told
}

test('what is noted is told once, in order, up to where the log may be read', () => {
  const noted = new NotedKeys()
  noted.note(100, 10, 1, [7], 1)
  noted.note(110, 20, 2, [8, 9, 1234], 2)
  noted.note(200, 10, 3, [5], 1)

  expect(noted.first).toBe(100)
  expect(toldFrom(noted, 0, 130)).toEqual([
    [100, [7]],
    [110, [8, 9]],
  ])
  expect(toldFrom(noted, 130)).toEqual([[200, [5]]])
  expect(noted.first).toBe(Number.POSITIVE_INFINITY)
})

test('a record that could not be taken is told again', () => {
  const noted = new NotedKeys()
  noted.note(100, 10, 1, [7, 8], 2)
  noted.note(110, 10, 1, [9], 1)

  expect(noted.tell(everything, (_, __, phyOffset) => phyOffset < 110)).toEqual({
    next: 110,
    wasTaken: false,
    isLost: false,
  })
  expect(toldFrom(noted, 110)).toEqual([[110, [9]]])
})

test('where the log was cut, nothing is left of what came behind', () => {
  const noted = new NotedKeys()
  noted.note(100, 10, 1, [1, 2], 2)
  noted.note(110, 10, 1, [3, 4], 2)
  noted.forgetFrom(110)
  noted.note(110, 30, 1, [5], 1)

  expect(toldFrom(noted, 0)).toEqual([
    [100, [1, 2]],
    [110, [5]],
  ])
})

test('what finds no room is left to the log, whole records each; there is room again for later ones', () => {
  const noted = new NotedKeys()
  const note = (record: number, keys: number) => noted.note(10 * record, 10, 1, [record, -record], keys)
  for (let record = 0; record < 16_383; record++) note(record, 1)
  note(16_383, 2) // there is room for one
  note(16_384, 1)
  note(16_385, 1)

  const first = toldFrom(noted, 0, 100_000)
  expect(first).toEqual(Array.from({ length: 10_000 }, (_, record) => [10 * record, [record]]))
  note(16_386, 2)
  const [last, ...others] = toldFrom(noted, 100_000).reverse()
  expect(last).toEqual([163_860, [16_386, -16_386]])
  expect(others.reverse().slice(-2)).toEqual([
    [163_820, [16_382]],
    [163_840, [16_384]],
  ])
})
