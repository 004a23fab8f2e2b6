import { beforeEach, expect, test } from '@jest/globals'
import type { OpenFile } from '../../base/files.ts'
import { MemoryFiles } from '../../base/testing/files.ts'
import { aheadChunkBytes, ReadAhead } from './read-ahead.ts'
import { Segments } from './segments.ts'

const chunk = aheadChunkBytes
const segmentBytes = 3 * chunk + 1000 // the last chunk of a segment is a short one

let reads: { position: number; bytes: number }[]
let readFails: boolean
let ahead: ReadAhead

/** A log of three segments in which each byte is told by its place. */
const log = Buffer.alloc(3 * segmentBytes)
for (let at = 0; at < log.length; at += 4) log.writeInt32BE(at, at)

beforeEach(() => {
  reads = []
  readFails = false
  const files = new MemoryFiles()
  const open = files.open.bind(files)
  files.open = (path, mode) => watched(open(path, mode))
  const segments = new Segments(files, '/log', segmentBytes)
  for (const start of [0, segmentBytes, 2 * segmentBytes]) {
    segments.fileForWriting(start).write(log.subarray(start, start + segmentBytes), 0)
  }
  ahead = new ReadAhead(segments)
})

function watched(file: OpenFile): OpenFile {
  const readLater = file.readLater.bind(file)
  file.readLater = async (into, position) => {
    reads.push({ position, bytes: into.length })
    if (readFails) throw new Error('EIO')
    return readLater(into, position)
  }
  return file
}

function expectCopied(phyOffset: number, size: number): void {
  const into = Buffer.alloc(size + 2)
  expect(ahead.copy(into, 1, phyOffset, size)).toBe(true)
  expect(into.subarray(1, size + 1).equals(log.subarray(phyOffset, phyOffset + size))).toBe(true)
}

test('who reads where somebody read lately goes on', () => {
  expect(ahead.isGoingOn(100, 200)).toBe(false)
  expect(ahead.isGoingOn(5000, 6000)).toBe(true)
  expect(ahead.isGoingOn(chunk + 5, chunk + 10)).toBe(true) // the one before was touched
  expect(ahead.isGoingOn(segmentBytes + chunk, segmentBytes + chunk + 10)).toBe(false)
})

test('a range over two chunks, and over a short one at the end of a segment, is copied as it is', async () => {
  await ahead.load(chunk - 100, chunk + 100)
  await ahead.load(3 * chunk - 50, segmentBytes)
  await ahead.load(segmentBytes, segmentBytes + 10)

  expectCopied(chunk - 100, 200)
  expectCopied(3 * chunk - 50, 1050)
  expectCopied(segmentBytes, 500)
  expect(reads.map(({ bytes }) => bytes)).toEqual([chunk, chunk, chunk, 1000, chunk])
})

test('what is under way is read once, and not there before it has come', async () => {
  const both = Promise.all([ahead.load(0, 10), ahead.load(20, 30)])
  expect(ahead.copy(Buffer.alloc(10), 0, 0, 10)).toBe(false)

  await both
  expectCopied(20, 10)
  expect(reads).toHaveLength(1)
})

test('a read that failed is tried again', async () => {
  readFails = true
  await expect(ahead.load(0, 10)).rejects.toThrow('EIO')
  readFails = false

  await ahead.load(0, 10)
  expectCopied(0, 10)
})

test('after the log changed its end nothing of it is in memory', async () => {
  await ahead.load(0, 10)
  const loading = ahead.load(chunk, chunk + 10)

  ahead.forget()
  await loading

  expect(ahead.copy(Buffer.alloc(10), 0, 0, 10)).toBe(false)
  expect(ahead.copy(Buffer.alloc(10), 0, chunk, 10)).toBe(false)
  expect(ahead.isGoingOn(0, 10)).toBe(false)
})

test('while half of its room is being read, a range that nobody is waiting for is left to its reader', async () => {
  const starts = [0, 1, 2].flatMap((index) => [0, 1, 2, 3].map((at) => index * segmentBytes + at * chunk))
  const loads = starts.slice(0, 8).map((start) => ahead.load(start, start + 10))
  expect(ahead.isCrowdedFor(starts[8]!, starts[8]! + 10)).toBe(false)

  loads.push(ahead.load(starts[8]!, starts[8]! + 10))
  expect(ahead.isCrowdedFor(starts[9]!, starts[9]! + 10)).toBe(true)
  expect(ahead.isCrowdedFor(starts[3]!, starts[3]! + 10)).toBe(false)

  await Promise.all(loads)
  expect(ahead.isCrowdedFor(starts[9]!, starts[9]! + 10)).toBe(false)
})
