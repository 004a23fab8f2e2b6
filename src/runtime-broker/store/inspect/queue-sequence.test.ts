import { expect, test } from '@jest/globals'
import { type Placed, QueueSequence } from './queue-sequence.ts'

interface Told {
  places: (number | undefined)[]
  wrong: number[]
  lost: number
  twice: number
}

/**
 * @param said the queueOffset of each record
 * @param units which record, counted from 0, the unit at each queueOffset names
 * @param holeBefore a record before which the log lacks some
 */
function tell(said: number[], units: number[], holeBefore = -1): Told {
  const sequence = new QueueSequence({ minOffset: 0, maxOffset: units.length })
  const all: Placed[] = []
  let holeAt = -1
  for (const [index, queueOffset] of said.entries()) {
    const seen = { queueOffset, phyOffset: index * 100 }
    if (index === holeBefore) holeAt = seen.phyOffset - 50
    if (sequence.takeDue(seen)) all.push({ seen, place: queueOffset, isWrong: false, beginsAnew: false })
    else all.push(...sequence.take(seen, (at) => units[at] === index, holeAt))
  }
  all.push(...sequence.settle())
  const byRecord = all.toSorted((a, b) => a.seen.phyOffset - b.seen.phyOffset)
  return {
    places: byRecord.map(({ place }) => place),
    wrong: byRecord.filter(({ isWrong }) => isWrong).map(({ seen }) => seen.phyOffset / 100),
    lost: sequence.lost.count,
    twice: sequence.twice.count,
  }
}

const none = { wrong: [], lost: 0, twice: 0 }

test.each<[what: string, said: number[], units: number[], told: Told]>([
  ['all as it must be', [0, 1, 2, 3], [0, 1, 2, 3], { ...none, places: [0, 1, 2, 3] }],
  ['units that are not written yet', [0, 1, 2, 3], [0, 1], { ...none, places: [0, 1, 2, 3] }],
  ['one is wrong, by its unit', [0, 1, 9, 3], [0, 1, 2, 3], { ...none, places: [0, 1, 2, 3], wrong: [2] }],
  ['the first is wrong, by its unit', [2, 1, 2, 3], [0, 1, 2, 3], { ...none, places: [0, 1, 2, 3], wrong: [0] }],
  ['one is wrong, by the next record', [0, 1, 9, 3, 4], [], { ...none, places: [0, 1, 2, 3, 4], wrong: [2] }],
  ['one is too small, by the next record', [0, 1, 2, 1, 4], [], { ...none, places: [0, 1, 2, 3, 4], wrong: [3] }],
  ['the last is wrong', [0, 1, 9], [], { ...none, places: [0, 1, 2], wrong: [2] }],
  ['two are wrong', [0, 9, 7, 3], [], { ...none, places: [0, 1, 2, 3], wrong: [1, 2] }],
  ['negative', [0, -5, 2], [], { ...none, places: [0, 1, 2], wrong: [1] }],
  ['more than there are numbers', [0, 2 ** 60, 2], [], { ...none, places: [0, 1, 2], wrong: [1] }],
  ['lost ones, by the units', [0, 1, 4, 5], [0, 1, 7, 7, 2, 3], { ...none, places: [0, 1, 4, 5], lost: 2 }],
  ['lost ones, by the next record', [0, 1, 4, 5], [], { ...none, places: [0, 1, 4, 5], lost: 2 }],
  ['given twice', [0, 1, 1, 2], [0, 1, 3], { ...none, places: [0, 1, undefined, 2], twice: 1 }],
  ['made anew', [0, 1, 2, 0, 1], [3, 4], { ...none, places: [0, 1, 2, 0, 1] }],
  ['made anew, before units are written', [5, 6, 0, 1], [], { ...none, places: [5, 6, 0, 1] }],
])('the places of records: %s', (_what, said, units, told) => {
  expect(tell(said, units)).toEqual(told)
})

test('behind a hole in the log the last record may be right', () => {
  expect(tell([0, 1, 4], [], 2)).toEqual({ ...none, places: [0, 1, 4], lost: 2 })
})
