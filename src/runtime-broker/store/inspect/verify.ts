import type { Clock } from '../../../base/clock.ts'
import { isOperatingError, OperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import { silentLog } from '../../../base/log.ts'
import { readInt64 } from '../../../remoting/message/index.ts'
import { unitBytes } from '../consume-queue.ts'
import { DeletedTopics } from '../deleted-topics.ts'
import type { ScannedRecord } from '../scan.ts'
import { CheckpointCheck } from './checkpoint-check.ts'
import { DryFiles } from './dry-files.ts'
import { defaults, lengthOf } from './file-lengths.ts'
import { Findings } from './findings.ts'
import { IndexCheck, indexShapeOf } from './index-check.ts'
import { LogFiles } from './log-files.ts'
import { lookAgain } from './look-again.ts'
import { foreseeStart, type NextStart, queuesOf, type StorePlan } from './next-start.ts'
import { QueueCheck } from './queue-check.ts'
import { TimeCheck } from './time-check.ts'
import { readTopics } from './topic-table.ts'
import { type Damage, walkLog } from './walk.ts'

const damagesMax = 10_000

export interface StoreLocation {
  rootDir: string
  commitLogDir: string
}

export interface VerifyOptions extends StoreLocation {
  /**
   * mappedFileSizeCommitLog, mappedFileSizeConsumeQueue, maxHashSlotNum, maxIndexNum. undefined: as most files are; as
   * brokers have it, where that does not tell.
   */
  segmentBytes: number | undefined
  consumeQueueFileBytes: number | undefined
  slotCount: number | undefined
  indexEntries: number | undefined
  onProgress: (doneBytes: number, totalBytes: number) => void
}

export interface VerifyReport {
  segmentCount: number
  segmentBytes: number
  minOffset: number
  endOffset: number
  /** There is an abort file: a broker is at work, or one died. */
  isInUse: boolean
  recordCount: number
  /** Whole records behind the damage that ends the log: no queue names them. */
  behindCount: number
  /** Whole records that would be behind the end at which the next start cuts the log. */
  leavingCount: number
  /** Messages that the log has, and that consumers could not read after the next start. */
  unreadable: { messages: number; queues: number }
  /** Messages that came while the log was read are left out from here on. */
  stoppedAt: number | undefined
  queueCount: number
  /** Queues that the log cannot make again as they are. */
  queuesBeyondLog: number
  unitsAgreed: number
  unitsBehind: number
  /** Messages that need no unit. */
  unqueued: number
  /** undefined: there is none, or its sizes are not known. */
  index: { fileCount: number; agreed: number; behind: number } | undefined
  isIndexUnknown: boolean
  checkpoint: { isThere: boolean; queuesSyncedTo: number | undefined }
  findings: Findings
  nextStart: NextStart
}

/**
 * Reads a store directory, ours or Apache's, and holds its parts against each other. Writes nothing. A broker may be at work
 * in it: then messages that come meanwhile are left out.
 * @throws OperatingError SETTING_INVALID (no store there), FILE_FAILED
 */
export async function verifyStore(
  options: VerifyOptions,
  doors: { files: Files; clock: Clock },
): Promise<VerifyReport> {
  const { files, clock } = doors
  const { rootDir, commitLogDir } = options
  assertStore(files, options)
  const dry = new DryFiles(files)
  const findings = new Findings()
  const isInUse = files.exists(`${rootDir}/abort`)
  // In the order in which a broker writes last: what is read later knows more, never less.
  const checkpoint = new CheckpointCheck(dry, rootDir, findings)
  const plan = planOf(dry, options, 0)
  const shape = plan.index
  const pathsOfQueues = `${rootDir}/consumequeue`
  const log = new LogFiles(dry, commitLogDir, options.segmentBytes, findings)
  plan.segmentBytes = log.expectedBytes
  const queues = queuesOf(plan, { files: dry, clock, log: silentLog })
  const queueCheck = new QueueCheck(
    queues,
    { deleted: deletedTopics(dry, rootDir, log.minOffset, findings), hasTopic: readTopics(dry, rootDir, findings) },
    (phyOffset, what) => findings.add({ kind: 'field', path: log.pathOf(phyOffset), phyOffset, what }),
  )
  // A broker at work may have made a segment since; one that stopped left no unit of a message that it did not write.
  const unitsEnd = isInUse ? log.endOffset : Number.MAX_SAFE_INTEGER
  queueCheck.load(dry, pathsOfQueues, log.minOffset, unitsEnd, findings)
  const index =
    shape &&
    new IndexCheck(dry, { directory: `${rootDir}/index`, shape, logMinOffset: log.minOffset, isInUse, findings })
  const queuesBeyondLog = queueCheck.beyondLog()
  const isIndexUnknown = shape === undefined && files.list(`${rootDir}/index`).length > 0
  if (isIndexUnknown) {
    const what = 'is not checked: most of its files have a length that does not fit --index-slots (maxHashSlotNum)'
    findings.add({ kind: 'unread', path: `${rootDir}/index`, what })
  }
  const syncedTo = checkpoint.checkpoint.queuesSyncedTo
  // What the queues or the checkpoint know was whole once: no damage before it is the log's end.
  const queuesEnd = Math.max(queueCheck.lastEnd(), syncedTo ?? 0)
  const leftOutAfter = clock.now() // what queues and checkpoint know was stored before
  const timeCheck = new TimeCheck(clock)
  const cameMeanwhile = (phyOffset: number, storeTimestamp: number): boolean =>
    isInUse && phyOffset >= queuesEnd && storeTimestamp > leftOutAfter && storeTimestamp <= clock.now()
  let recordCount = 0
  /** How many records come before each damage; the log is cut at one of the first, if at any. */
  const before = new Map<number, number>()
  const mayGrow = lookAgain(clock)
  try {
    const take = (record: ScannedRecord): boolean => {
      const { buffer, layout, phyOffset } = record
      const storeTimestamp = readInt64(buffer, layout.storeTimestampAt)
      if (cameMeanwhile(phyOffset, storeTimestamp)) return false
      recordCount++
      queueCheck.take(record)
      index?.take(record)
      const isTime = timeCheck.take(phyOffset, storeTimestamp)
      checkpoint.take(phyOffset, phyOffset + layout.size, isTime ? storeTimestamp : 0)
      return true
    }
    const walked = await walkLog(log, log.minOffset, true, {
      onRecord: take,
      onHole: (phyOffset) => queueCheck.noteHole(phyOffset),
      onDamage: (damage) => {
        queueCheck.noteHole(damage.phyOffset)
        if (before.size < damagesMax) before.set(damage.phyOffset, recordCount)
        findings.add({
          kind: 'record',
          path: log.pathOf(damage.phyOffset),
          phyOffset: damage.phyOffset,
          what: sayDamage(damage),
        })
        return damage.phyOffset >= queuesEnd && queuesEnd > 0
      },
      onProgress: (phyOffset) => options.onProgress(phyOffset - log.minOffset, log.endOffset - log.minOffset),
      mayGrow: async (phyOffset) => isInUse && phyOffset >= queuesEnd && (await mayGrow(phyOffset)),
    })
    timeCheck.finish(log, findings)
    queueCheck.finish(isInUse ? (syncedTo ?? 0) : Number.POSITIVE_INFINITY, walked.endOffset, findings)
    index?.finish(walked.isStopped ? walked.endOffset : Number.POSITIVE_INFINITY)
    checkpoint.finish(log.minOffset, walked.endOffset, !walked.isStopped)
    const nextStart = await foreseeStart(plan, doors)
    const staying = before.get(nextStart.endOffset)
    return {
      segmentCount: log.segments.length,
      segmentBytes: log.segmentBytes,
      minOffset: log.minOffset,
      endOffset: walked.endOffset,
      isInUse,
      recordCount,
      behindCount: walked.behindCount,
      leavingCount: staying === undefined ? 0 : recordCount + walked.behindCount - staying,
      unreadable:
        nextStart.refusal === undefined ? queueCheck.shortBy(nextStart.unitCounts) : { messages: 0, queues: 0 },
      stoppedAt: walked.isStopped ? walked.endOffset : undefined,
      queueCount: queues.count,
      queuesBeyondLog,
      unitsAgreed: queueCheck.agreeCount,
      unitsBehind: queueCheck.behindCount,
      unqueued: queueCheck.unqueuedCount,
      index: index && { fileCount: index.fileCount, agreed: index.agreeCount, behind: index.behindCount },
      isIndexUnknown,
      checkpoint: { isThere: checkpoint.isThere, queuesSyncedTo: checkpoint.checkpoint.queuesSyncedTo },
      findings,
      nextStart,
    }
  } finally {
    index?.close()
    queues.close()
    log.close()
  }
}

/** @throws OperatingError SETTING_INVALID */
export function assertStore(files: Files, { rootDir, commitLogDir }: StoreLocation): void {
  if (files.exists(commitLogDir)) return
  throw new OperatingError('SETTING_INVALID', {
    DIR: rootDir,
    why: `there is no ${commitLogDir}`,
    fits: 'the storePathRootDir of a broker, with --commitlog where storePathCommitLog lies elsewhere',
  })
}

function planOf(files: Files, options: VerifyOptions, segmentBytes: number): StorePlan {
  const { rootDir, commitLogDir } = options
  return {
    rootDir,
    commitLogDir,
    segmentBytes,
    consumeQueueFileBytes: lengthOf(
      queueFileLengths(files, `${rootDir}/consumequeue`),
      options.consumeQueueFileBytes,
      defaults.queueFileBytes,
    ),
    index: indexShapeOf(files, `${rootDir}/index`, options),
  }
}

function queueFileLengths(files: Files, directory: string): number[] {
  const lengths: number[] = []
  for (const topic of files.list(directory)) {
    if (!topic.isDirectory) continue
    for (const { name, isDirectory } of files.list(`${directory}/${topic.name}`)) {
      if (!isDirectory) continue
      for (const file of files.list(`${directory}/${topic.name}/${name}`)) {
        if (!file.isDirectory && file.sizeBytes % unitBytes === 0) lengths.push(file.sizeBytes)
      }
    }
  }
  return lengths
}

function deletedTopics(files: Files, rootDir: string, minOffset: number, findings: Findings): DeletedTopics {
  const path = `${rootDir}/deleted-topics.json`
  try {
    return new DeletedTopics(files, path, minOffset)
  } catch (error) {
    if (!isOperatingError(error, 'STORE_CORRUPT')) throw error
    findings.add({
      kind: 'layout',
      path,
      what: 'is no JSON object',
      mend: 'put it right; without it deleted topics come back',
    })
    return new DeletedTopics(files, `${rootDir}/deleted-topics.json.none`, minOffset)
  }
}

function sayDamage({ phyOffset, endOffset, why }: Damage): string {
  return `${why}; the next whole record begins ${endOffset - phyOffset} bytes later, at most`
}
