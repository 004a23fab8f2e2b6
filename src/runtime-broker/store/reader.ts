import type { Log } from '../../base/log.ts'
import { readInt64 } from '../../remoting/message/index.ts'
import type { CommitLog } from './commit-log.ts'
import { type ConsumeQueue, unitBytes } from './consume-queue.ts'
import { storeTimestampAt } from './recovery.ts'
import type { ReadLimits, ReadResult, ReadStatus } from './types.ts'

/** Units that one read looks at when it filters. Apache's maxFilterMessageSize 16000, in units. */
const filterUnitsMax = 800
/** Records of one queue that lie this near to each other are read in one piece, with what is between them. */
const gapBytesMax = 16 * 1024

/** Where records to be read lie: those of one run are read in one piece. */
interface Run {
  start: number
  end: number
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
  if (count === 0) return none(status, nextBeginOffset)
  const result = (bodies: Buffer[]): ReadResult => {
    const found = bodies.reduce((sum, body) => sum + body.length, 0)
    if (found === bytes) return { status: 'found', nextBeginOffset, minOffset, maxOffset, bodies, count, bytes }
    log.error({ topic: queue.topic, queueId: queue.queueId, queueOffset }, 'a consume queue unit points to no record')
    if (found === 0) return none('foundNull', nextBeginOffset)
    const left = countRecords(bodies)
    return { status: 'found', nextBeginOffset, minOffset, maxOffset, bodies, count: left, bytes: found }
  }
  if (commitLog.isHot(runs[0]!.start)) return result(runs.map((run) => readRun(commitLog, run)))
  return Promise.all(runs.map((run) => readRunLater(commitLog, run))).then(result)
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
    if (matches && !matches(readInt64(unitScratch, at + 12))) {
      status = 'noMatch'
      continue
    }
    if (count > 0 && bytes + size > bytesMax) break
    if (run && phyOffset - run.end <= gapBytesMax && segments.startOf(phyOffset) === segments.startOf(run.start)) {
      run.end = phyOffset + size
      run.records.push(phyOffset, size)
    } else runs.push((run = { start: phyOffset, end: phyOffset + size, records: [phyOffset, size] }))
    count++
    bytes += size
  }
  return { runs, count, bytes, status, nextBeginOffset: queueOffset + index }
}

const unitScratch = Buffer.alloc(filterUnitsMax * unitBytes) // for the units of one read, within one turn

function readRun(commitLog: CommitLog, run: Run): Buffer {
  const bytes = Buffer.allocUnsafe(run.end - run.start)
  commitLog.read(bytes, run.start)
  return pack(bytes, run)
}

async function readRunLater(commitLog: CommitLog, run: Run): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(run.end - run.start)
  await commitLog.readLater(bytes, run.start)
  return pack(bytes, run)
}

/** Moves the wanted records of a run next to each other; leaves out what is not the record that its unit promised. */
function pack(bytes: Buffer, { start, records }: Run): Buffer {
  let length = 0
  for (let index = 0; index < records.length; index += 2) {
    const at = records[index]! - start
    const size = records[index + 1]!
    if (bytes.readInt32BE(at) !== size || readInt64(bytes, at + 28) !== records[index]) continue
    if (at !== length) bytes.copyWithin(length, at, at + size)
    length += size
  }
  return bytes.subarray(0, length)
}

function countRecords(bodies: readonly Buffer[]): number {
  let count = 0
  for (const body of bodies) for (let at = 0; at < body.length; at += body.readInt32BE(at)) count++
  return count
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
