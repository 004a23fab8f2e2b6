import { expect, test } from '@jest/globals'
import { MemoryFiles } from '../../base/testing/files.ts'
import { readInt64 } from '../../remoting/message/index.ts'
import { ConsumeQueue, type QueueShelf, unitBytes } from './consume-queue.ts'
import { FilePool } from './file-pool.ts'

const directory = '/store/consumequeue/orders/0'
const unitsOfFile = 8
const fileBytes = unitsOfFile * unitBytes
const inTheMiddle = 11 // of a file: blank units stand before
const count = 30 // the last file is not full, those in between are
const recordBytes = 100
const distance = 150 // other queues' records lie between those of this one

const shelf = (files: MemoryFiles): QueueShelf => ({
  files,
  pool: new FilePool(files, 100),
  fileBytes,
  onDirty: () => {},
  tryWriteTail: () => false,
  onUnsynced: () => {},
  onRemoved: () => {},
})

/** A queue whose units are all in its files. */
function filed(begin = inTheMiddle): MemoryFiles {
  const files = new MemoryFiles()
  const queue = new ConsumeQueue('orders', 0, directory, shelf(files))
  queue.beginAt(begin)
  for (let index = 0; index < count; index++) queue.push(index * distance, recordBytes, 0)
  queue.writeTail()
  return files
}

function loaded(files: MemoryFiles, logMinOffset: number, logEndOffset: number): ConsumeQueue {
  const queue = new ConsumeQueue('orders', 0, directory, shelf(files))
  queue.load(logMinOffset, logEndOffset)
  return queue
}

test.each([
  ['in the middle of a file', inTheMiddle],
  ['with a file', unitsOfFile],
])('a queue that began %s ends with the last record that lies whole before the border, then and later', (_, begin) => {
  for (let whole = 0; whole <= count; whole++) {
    const lastEnd = whole === 0 ? 0 : (whole - 1) * distance + recordBytes
    const nextEnd = whole * distance + recordBytes
    for (const logEndOffset of [lastEnd, whole * distance, nextEnd - 1]) {
      const files = filed(begin)

      const queue = loaded(files, 0, logEndOffset)
      const fileNames = files.list(directory).map(({ name }) => Number(name))
      const later = loaded(files, 0, Number.MAX_SAFE_INTEGER)

      const end = begin + whole
      expect({ logEndOffset, min: queue.minOffset, max: queue.maxOffset }).toEqual({
        logEndOffset,
        min: begin,
        max: end,
      })
      expect([later.minOffset, later.maxOffset]).toEqual([begin, end])
      const filesOfUnits = Math.max(1, Math.ceil(end / unitsOfFile) - 1) // the first of all never was
      expect(fileNames).toEqual(Array.from({ length: filesOfUnits }, (_, index) => (index + 1) * fileBytes))
    }
  }
})

test('a queue begins with the first record that the log still has, and never with a blank unit', () => {
  for (let gone = 0; gone <= count; gone++) {
    const queue = loaded(filed(), gone * distance, count * distance)

    expect([gone, queue.minOffset, queue.maxOffset]).toEqual([gone, inTheMiddle + gone, inTheMiddle + count])
    expect(queue.lastEndBefore(0)).toBe(0)
  }
})

test('a queue that began in the middle of a file goes on where it was', () => {
  const files = filed()
  const queue = loaded(files, 0, 2 * distance)
  queue.push(7_000, recordBytes, 0)
  queue.writeTail()

  const again = loaded(files, 0, 7_000 + recordBytes)

  expect([again.minOffset, again.maxOffset]).toEqual([inTheMiddle, inTheMiddle + 3])
  expect([0, 1, 2].map((index) => again.phyOffsetAt(inTheMiddle + index))).toEqual([0, distance, 7_000])
})

test('a read goes on from the file to what is still in memory', () => {
  for (let filedCount = 0; filedCount <= unitsOfFile; filedCount++) {
    const queue = new ConsumeQueue('orders', 0, directory, shelf(new MemoryFiles()))
    const push = (index: number) => queue.push(index * distance, recordBytes, 0)
    for (let index = 0; index < filedCount; index++) push(index)
    queue.writeTail()
    for (let index = filedCount; index < count; index++) push(index)

    for (let queueOffset = 0; queueOffset < count; queueOffset++) {
      for (const wanted of [1, 4, count]) {
        const into = Buffer.alloc(wanted * unitBytes)
        const units = queue.readUnits(into, queueOffset, wanted)
        const phyOffsets = Array.from({ length: units }, (_, index) => readInt64(into, index * unitBytes))

        const all = Array.from({ length: count }, (_, index) => index * distance)
        expect(phyOffsets).toEqual(all.slice(queueOffset, queueOffset + wanted))
      }
    }
  }
})

test('a read ends with the file where another one follows', () => {
  const queue = loaded(filed(), 0, count * distance)
  const into = Buffer.alloc(count * unitBytes)

  expect(queue.readUnits(into, inTheMiddle, count)).toBe(2 * unitsOfFile - inTheMiddle)
  queue.push(count * distance, recordBytes, 0) // what is in memory does not follow this file
  expect(queue.readUnits(into, 2 * unitsOfFile, count)).toBe(unitsOfFile)
})
