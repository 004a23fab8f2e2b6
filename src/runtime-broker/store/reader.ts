import { isOperatingError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { readInt64, recordAt } from '../../remoting/message/index.ts'
import type { CommitLog } from './commit-log.ts'
import { type ConsumeQueue, unitBytes } from './consume-queue.ts'
import { aheadChunkBytes, type ReadAhead } from './read-ahead.ts'
import { storeTimestampAt } from './recovery.ts'
import type { BodyRoom, QueueUnit, ReadLimits, ReadResult, ReadStatus } from './types.ts'

/** Units that one read looks at when it filters. Apache's maxFilterMessageSize 16000, in units. */
const filterUnitsMax = 800
/** Records of one queue that lie this near to each other are read in one piece, with what is between them. */
const gapBytesMax = 16 * 1024 // copying so much costs no more than another system call or thread does
/** A run with gaps is not longer than this, so that it fits into the buffer that all reads share. */
const gappyBytesMax = 512 * 1024

/** Where records to be read lie: those of one run are read in one piece. */
interface Run {
  start: number
  end: number
  /** Of its records, without the gaps. */
  bytes: number
  /** Pairs of phyOffset and size. */
  records: number[]
}

interface Selection {
  runs: Run[]
  count: number
  bytes: number
  status: ReadStatus
  nextBeginOffset: number
}

const ownRoom: BodyRoom = { take: (bytes) => Buffer.allocUnsafe(bytes), giveBack() {} }

/** Reads messages of one queue; synchronous when the records were written a moment ago. */
export function readQueue(
  commitLog: CommitLog,
  queue: ConsumeQueue,
  queueOffset: number,
  limits: ReadLimits,
  log: Log,
): ReadResult | Promise<ReadResult> {
  const { minOffset, maxOffset } = queue
  const none = (status: ReadStatus, nextBeginOffset: number): ReadResult => ({
    status,
    nextBeginOffset,
    minOffset,
    maxOffset,
    bodies: [],
    count: 0,
    bytes: 0,
  })
  if (maxOffset === 0) return none('noMessage', 0)
  if (queueOffset < minOffset) return none('tooSmall', minOffset)
  if (queueOffset === maxOffset) return none('overflowOne', queueOffset)
  if (queueOffset > maxOffset) return none('overflowBadly', maxOffset)

  const { runs, count, bytes, status, nextBeginOffset } = select(commitLog, queue, queueOffset, limits)
  const pointsNowhere = () =>
    log.error({ topic: queue.topic, queueId: queue.queueId, queueOffset }, 'a consume queue unit points to no record')
  if (count === 0) {
    if (status === 'foundNull') pointsNowhere()
    return none(status, nextBeginOffset)
  }
  const result = (body: Buffer): ReadResult => {
    const found = { status: 'found' as const, nextBeginOffset, minOffset, maxOffset, bodies: [body] }
    if (body.length === bytes) return { ...found, count, bytes }
    if (runs[0]!.start >= commitLog.minOffset) pointsNowhere()
    if (body.length === 0) return none('foundNull', nextBeginOffset)
    return { ...found, count: countRecords(body), bytes: body.length }
  }
  /** Where a sector is damaged, what lies before it can be read: half as many, and at last the one that cannot. */
  const fewer = (error: unknown) => {
    if (count === 1 || !isOperatingError(error, 'FILE_FAILED')) throw error
    return readQueue(commitLog, queue, queueOffset, { ...limits, countMax: count >> 1 }, log)
  }
  const room = limits.room ?? ownRoom
  if (!commitLog.isHot(runs[0]!.start)) {
    const body = readCold(commitLog, runs, bytes, room)
    return body instanceof Promise ? body.then(result, fewer) : result(body)
  }
  try {
    return result(readRuns(commitLog, runs, bytes, room))
  } catch (error) {
    return fewer(error)
  }
}

function select(commitLog: CommitLog, queue: ConsumeQueue, queueOffset: number, limits: ReadLimits): Selection {
  const { countMax, bytesMax, matches } = limits
  const units = queue.readUnits(unitScratch, queueOffset, matches ? filterUnitsMax : Math.min(countMax, filterUnitsMax))
  const { segments } = commitLog
  const runs: Run[] = []
  let run: Run | undefined
  let count = 0
  let bytes = 0
  let status: ReadStatus = 'removed'
  let index = 0
  for (; index < units && count < countMax; index++) {
    const at = index * unitBytes
    const phyOffset = readInt64(unitScratch, at)
    const size = unitScratch.readInt32BE(at + 8)
    if (phyOffset < segments.minOffset) continue
    if (!commitLog.mayHold(phyOffset, size)) {
      status = 'foundNull'
      continue
    }
    if (matches && !matches(readInt64(unitScratch, at + 12))) {
      status = 'noMatch'
      continue
    }
    if (count > 0 && bytes + size > bytesMax) break
    if (run === undefined || !mayJoin(run, phyOffset, size, segments.segmentBytes)) {
      runs.push((run = { start: phyOffset, end: phyOffset, bytes: 0, records: [] }))
    }
    run.end = phyOffset + size
    run.bytes += size
    run.records.push(phyOffset, size)
    count++
    bytes += size
  }
  return { runs, count, bytes, status, nextBeginOffset: queueOffset + index }
}

const unitScratch = Buffer.alloc(filterUnitsMax * unitBytes) // for the units of one read, within one turn

/** Units of a queue from queueOffset on, fewer than asked where it or its file ends; none outside of it. */
export function readUnits(queue: ConsumeQueue, queueOffset: number, countMax: number): QueueUnit[] {
  if (queueOffset < queue.minOffset || queueOffset >= queue.maxOffset) return []
  const count = queue.readUnits(unitScratch, queueOffset, Math.min(countMax, filterUnitsMax))
  return Array.from({ length: count }, (_, index) => {
    const at = index * unitBytes
    return {
      phyOffset: readInt64(unitScratch, at),
      size: unitScratch.readInt32BE(at + 8),
      tagsCode: readInt64(unitScratch, at + 12),
    }
  })
}

function mayJoin(run: Run, phyOffset: number, size: number, segmentBytes: number): boolean {
  const gap = phyOffset - run.end
  if (gap < 0 || Math.floor(phyOffset / segmentBytes) !== Math.floor(run.start / segmentBytes)) return false
  if (gap === 0 && run.end - run.start === run.bytes) return true
  return gap <= gapBytesMax && phyOffset + size - run.start <= gappyBytesMax
}

function isDense(run: Run): boolean {
  return run.end - run.start === run.bytes
}

/** Reads the records of all runs into one buffer, next to each other. */
function readRuns(commitLog: CommitLog, runs: readonly Run[], bytes: number, room: BodyRoom): Buffer {
  const into = room.take(bytes)
  let length = 0
  for (const run of runs) {
    const span = run.end - run.start
    const from = isDense(run) ? into.subarray(length, length + span) : gappyScratch.subarray(0, span)
    commitLog.readWhole(from, run.start)
    length += pack(from, run, into, length)
  }
  return into.subarray(0, length)
}

/** As readRuns, from the disk if need be; at once where somebody reads on in a backlog whose next part is in memory. */
function readCold(commitLog: CommitLog, runs: readonly Run[], bytes: number, room: BodyRoom): Buffer | Promise<Buffer> {
  const { ahead } = commitLog
  const { start } = runs[0]!
  const { end } = runs.at(-1)!
  // Of a queue that has little of what is written, most of what was read ahead would be for nobody.
  const isDenseEnough = end - start <= sparseRatioMax * bytes && !commitLog.isHot(end + aheadChunkBytes)
  let isGoingOn = isDenseEnough
  for (const run of runs) isGoingOn = ahead.isGoingOn(run.start, run.end) && isGoingOn
  if (!isGoingOn) return readRunsLater(commitLog, runs, bytes, room)
  const read = copyRuns(ahead, runs, bytes, room)
  if (read !== undefined) return read
  const readAlone = () => readRunsLater(commitLog, runs, bytes, room)
  if (runs.some((run) => ahead.isCrowdedFor(run.start, run.end))) return readAlone()
  return Promise.all(runs.map((run) => ahead.load(run.start, run.end))).then(
    () => copyRuns(ahead, runs, bytes, room) ?? readAlone(), // undefined: others needed the room
    readAlone, // what cannot be read may be a neighbour's
  )
}

const sparseRatioMax = 16

/** @returns undefined when not all of it is in memory */
function copyRuns(ahead: ReadAhead, runs: readonly Run[], bytes: number, room: BodyRoom): Buffer | undefined {
  const into = room.take(bytes)
  let length = 0
  for (const { records } of runs) {
    for (let index = 0; index < records.length; index += 2) {
      const phyOffset = records[index]!
      const size = records[index + 1]!
      if (!ahead.copy(into, length, phyOffset, size)) {
        room.giveBack(into)
        return undefined
      }
      if (into.readInt32BE(length) !== size || readInt64(into, length + recordAt.phyOffset) !== phyOffset) continue
      length += size
    }
  }
  return into.subarray(0, length)
}

/** As readRuns, from the disk if need be; the runs come one after the other, so that one slow reader is one request. */
async function readRunsLater(
  commitLog: CommitLog,
  runs: readonly Run[],
  bytes: number,
  room: BodyRoom,
): Promise<Buffer> {
  const into = room.take(bytes)
  const scratch = runs.every(isDense) ? undefined : (spareScratches.pop() ?? Buffer.allocUnsafeSlow(gappyBytesMax))
  try {
    let length = 0
    for (const run of runs) {
      if (run.start < commitLog.minOffset) continue // retention was quicker
      const span = run.end - run.start
      const from = isDense(run) ? into.subarray(length, length + span) : scratch!.subarray(0, span)
      await commitLog.readWholeLater(from, run.start)
      length += pack(from, run, into, length)
    }
    return into.subarray(0, length)
  } finally {
    if (scratch !== undefined && spareScratches.length < spareScratchesMax) spareScratches.push(scratch)
  }
}

/** Buffers of reads that are done: a fresh one this large costs more than the read itself. */
const spareScratches: Buffer[] = []
const spareScratchesMax = 8
const gappyScratch = Buffer.alloc(gappyBytesMax) // within one turn

/**
 * Copies the wanted records of a run next to each other; leaves out what is not the record that its unit promised.
 * @returns the bytes copied to position
 */
function pack(from: Buffer, { start, records }: Run, into: Buffer, position: number): number {
  let length = 0
  for (let index = 0; index < records.length; index += 2) {
    const at = records[index]! - start
    const size = records[index + 1]!
    if (from.readInt32BE(at) !== size || readInt64(from, at + recordAt.phyOffset) !== records[index]) continue
    from.copy(into, position + length, at, at + size)
    length += size
  }
  return length
}

function countRecords(body: Buffer): number {
  let count = 0
  for (let at = 0; at < body.length; at += body.readInt32BE(at)) count++
  return count
}

/** Records of one answer, together. */
const recordsBytesMax = 8 * 1024 * 1024

/** The records that begin at phyOffsets, where one does; the first one always, the others while they fit into one answer. */
export async function readRecords(commitLog: CommitLog, phyOffsets: readonly number[]): Promise<Buffer[]> {
  const records: Buffer[] = []
  let bytes = 0
  for (const phyOffset of phyOffsets) {
    const record = await commitLog.recordLater(phyOffset)
    if (record === undefined) continue // trimmed meanwhile
    bytes += record.length
    if (records.length > 0 && bytes > recordsBytesMax) break
    records.push(record)
  }
  return records
}

/** lower: the first message stored at or after timestamp; upper: the last one at or before. Clamped to the queue. */
export function offsetByTime(
  commitLog: CommitLog,
  queue: ConsumeQueue,
  timestamp: number,
  boundary: 'lower' | 'upper',
): number {
  const wantsLater = boundary === 'lower' ? timestamp : timestamp + 1
  const first = queue.search((unit) => storeTimestampAt(commitLog, readInt64(unit, 0)) >= wantsLater)
  return boundary === 'lower' ? first : Math.max(queue.minOffset, first - 1)
}
