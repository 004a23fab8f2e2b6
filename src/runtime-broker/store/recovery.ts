import { isOperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import {
  ipv4HostBytes,
  ipv6HostBytes,
  MessageSysFlag,
  PropertyName,
  RecordMagic,
  readInt64,
  readProperty,
  recordAt,
  recordBytesMin,
  tagsCodeOf,
} from '../../remoting/message/index.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { CommitLog } from './commit-log.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { unitBytes } from './consume-queue.ts'
import { type ConsumeQueues, isQueueName } from './consume-queues.ts'
import type { DeletedTopics } from './deleted-topics.ts'
import { isDiskFull } from './disk-guard.ts'
import { isSyncFailure } from './flusher.ts'
import { type ScannedRecord, scanRecords } from './scan.ts'
import { offsetName } from './segments.ts'

export const scheduleTopic = 'SCHEDULE_TOPIC_XXXX'
/** Apache reads again from a segment that began this much before the last checkpoint. */
const checkpointSlackMs = 3000
/** How much of a torn tail is kept aside. */
const tornBytesMax = 64 * 1024 * 1024
const tornChunkBytes = 1024 * 1024
const rewriteChunkBytes = 1024 * 1024

export interface Recovered {
  endOffset: number
  /** Of the newest record; 0 when the log has none. */
  storeTimestamp: number
}

export interface RecoveryParts {
  commitLog: CommitLog
  queues: ConsumeQueues
  deleted: DeletedTopics
  checkpoint: Checkpoint
  wasClean: boolean // the last process left no abort file
  unflushedFrom: number | undefined // AbortMark has the meaning
  /** Tells the next start; this one must not go on. */
  noteUnflushed: (phyOffset: number) => void
  checkCrc: boolean
  delayLevelsMs: readonly number[]
  tornDirectory: string
  files: Files
  log: Log
}

/** What turning records into units takes. */
export type DispatchParts = Pick<RecoveryParts, 'queues' | 'deleted' | 'delayLevelsMs' | 'log'>

/**
 * Finds the end of the valid records, makes every queue hold exactly the records below it, and cuts what lies behind.
 * After a clean stop the queues are believed, and only what they do not know is read. After a crash everything from the
 * last checkpoint on is read again, and the queues forget what they say about it. When log and queues contradict each
 * other, the queues are rebuilt from the log's first byte.
 */
export async function recover(parts: RecoveryParts): Promise<Recovered> {
  const { commitLog, queues, log } = parts
  const { segments } = commitLog
  if (segments.count === 0) {
    queues.removeAll()
    commitLog.startAt(segments.minOffset)
    return { endOffset: segments.minOffset, storeTimestamp: 0 }
  }
  const from = (parts.wasClean ? startAfterStop(parts) : startAfterCrash(parts)) ?? segments.minOffset
  let dispatch = new RecoveryDispatch(parts, from === segments.minOffset)
  let endOffset = await scanRecords(commitLog, from, parts.checkCrc, (record) => dispatch.take(record))
  if (dispatch.foundGap) {
    log.warn({ phyOffset: from }, 'consume queues lack messages of the log: rebuilding all of them')
    queues.removeAll()
    dispatch = new RecoveryDispatch(parts, true)
    endOffset = await scanRecords(commitLog, segments.minOffset, parts.checkCrc, (record) => dispatch.take(record))
  }
  cutTail(parts, endOffset)
  const { unflushedFrom } = parts
  if (unflushedFrom !== undefined) rewrite(commitLog, Math.max(unflushedFrom, segments.minOffset), endOffset)
  // After a crash the end may be in the system's memory only; whoever reads it now must find it after a power cut too.
  if (!parts.wasClean) await syncFrom(parts, Math.min(from, unflushedFrom ?? from))
  commitLog.startAt(endOffset)
  log.info(
    { phyOffset: from, endOffset, wasClean: parts.wasClean, records: dispatch.count, queues: queues.count },
    'commit log recovered',
  )
  return { endOffset, storeTimestamp: dispatch.storeTimestamp || parts.checkpoint.physicMsgTimestamp }
}

/** Where to read on after a clean stop: the end of the last queued message. undefined: the queues cannot be believed. */
function startAfterStop(parts: RecoveryParts): number | undefined {
  const { commitLog, queues, log } = parts
  const { segments } = commitLog
  if (!loadQueues(parts, segments.endOffset)) return undefined
  let from: number = segments.minOffset
  for (const queue of queues.all()) {
    if (queue.maxOffset === queue.minOffset) continue
    if (!lastUnitAgrees(commitLog, queue)) {
      log.warn({ topic: queue.topic, queueId: queue.queueId }, 'a consume queue contradicts the log: rebuilding all')
      queues.removeAll()
      return undefined
    }
    from = Math.max(from, queue.lastEnd())
  }
  return haveAllUnits(parts) ? from : undefined
}

/**
 * Where to read again after a crash: the last checkpoint, ours if it is one, else Apache's. The queues are cut there.
 * undefined: the queues cannot be believed.
 */
function startAfterCrash(parts: RecoveryParts): number | undefined {
  const { commitLog, queues, deleted, checkpoint } = parts
  const { segments } = commitLog
  const syncedTo = checkpoint.queuesSyncedTo
  if (syncedTo !== undefined && syncedTo >= segments.minOffset && syncedTo <= segments.endOffset) {
    if (!loadQueues(parts, syncedTo)) return undefined
    // The units of a topic that was deleted since are missing rightly.
    if (!deleted.hasAnyFrom(syncedTo) && !haveAllUnits(parts)) return undefined
    let lastEnd: number = segments.minOffset
    for (const queue of queues.all()) {
      if (queue.maxOffset > queue.minOffset && lastUnitAgrees(commitLog, queue)) {
        lastEnd = Math.max(lastEnd, queue.lastEnd())
      }
    }
    if (lastEnd === syncedTo || storeTimestampAt(commitLog, syncedTo) > 0) return syncedTo
  }
  const from = segmentBefore(commitLog, Math.min(checkpoint.physicMsgTimestamp, checkpoint.logicsMsgTimestamp))
  if (from === 0) {
    queues.removeAll() // no unit could be believed; quicker than to cut every file
    return from
  }
  return loadQueues(parts, from) ? from : undefined
}

/** Loads the queues, cut at logEndOffset. @returns false when their files cannot be used: the queues are empty then */
function loadQueues({ commitLog, queues, log }: RecoveryParts, logEndOffset: number): boolean {
  try {
    queues.load(commitLog.segments.minOffset, logEndOffset)
    return true
  } catch (error) {
    if (!isOperatingError(error, 'STORE_CORRUPT')) throw error
    log.warn({ ...error.facts }, 'a consume queue file is not what it must be: rebuilding all queues')
    queues.removeAll()
    return false
  }
}

/** Compares with the checkpoint. @returns false when units are missing: the queues are empty then */
function haveAllUnits({ queues, checkpoint, log }: RecoveryParts): boolean {
  const { unitCount } = queues
  if (checkpoint.unitCount === undefined || checkpoint.unitCount === unitCount) return true
  log.warn({ unitCount, expected: checkpoint.unitCount }, 'consume queues lost messages: rebuilding all')
  queues.removeAll()
  return false
}

/** Start of the newest segment that began before the checkpoint's time; the log's first byte when none did. */
function segmentBefore(commitLog: CommitLog, checkpointTimestamp: number): number {
  const { segments } = commitLog
  for (
    let start = segments.endOffset - segments.segmentBytes;
    start > segments.minOffset;
    start -= segments.segmentBytes
  ) {
    const storeTimestamp = storeTimestampAt(commitLog, start)
    if (storeTimestamp > 0 && storeTimestamp <= checkpointTimestamp - checkpointSlackMs) return start
  }
  return segments.minOffset
}

/** storeTimestamp of the record that begins at phyOffset; -1 when none does. */
export function storeTimestampAt(commitLog: CommitLog, phyOffset: number): number {
  const { segments } = commitLog
  if (phyOffset < segments.minOffset || phyOffset + recordBytesMin > segments.endOffset) return -1
  const head = Buffer.alloc(recordBytesMin)
  commitLog.read(head, phyOffset)
  const magic = head.readInt32BE(recordAt.magic)
  if (magic !== RecordMagic.V1 && magic !== RecordMagic.V2) return -1
  if (readInt64(head, recordAt.phyOffset) !== phyOffset) return -1
  const isIpv6 = (head.readInt32BE(recordAt.sysFlag) & MessageSysFlag.BORN_HOST_IPV6) !== 0
  return readInt64(head, recordAt.bornHost + (isIpv6 ? ipv6HostBytes : ipv4HostBytes))
}

function lastUnitAgrees(commitLog: CommitLog, queue: ConsumeQueue): boolean {
  const unit = Buffer.allocUnsafe(unitBytes)
  queue.readUnits(unit, queue.maxOffset - 1, 1)
  const phyOffset = readInt64(unit, 0)
  const size = unit.readInt32BE(8)
  const { segments } = commitLog
  if (size < recordBytesMin || phyOffset < segments.minOffset || phyOffset + size > segments.endOffset) return false
  const head = Buffer.alloc(recordAt.sysFlag)
  commitLog.read(head, phyOffset)
  return (
    head.readInt32BE(recordAt.totalSize) === size &&
    head.readInt32BE(recordAt.queueId) === queue.queueId &&
    readInt64(head, recordAt.queueOffset) === queue.maxOffset - 1 &&
    readInt64(head, recordAt.phyOffset) === phyOffset
  )
}

/** Tells the queues about the records of a scan. */
export class RecoveryDispatch {
  readonly #parts: DispatchParts
  readonly #onUnit: ((queue: ConsumeQueue, tagsCode: number) => void) | undefined
  readonly #isWhole: boolean // the scan began at the log's first byte, so no queue can know better
  /** Queue offsets far above those before: no checksum covers them, so one alone is not believed. */
  readonly #doubted = new Map<ConsumeQueue, number>()
  count = 0
  storeTimestamp = 0
  /** A record's predecessor in its queue is neither in the queue nor in this scan. */
  foundGap = false

  /** @param onUnit is told each unit that a queue got */
  constructor(parts: DispatchParts, isWhole: boolean, onUnit?: (queue: ConsumeQueue, tagsCode: number) => void) {
    this.#parts = parts
    this.#isWhole = isWhole
    this.#onUnit = onUnit
  }

  take({ buffer, position, layout, phyOffset }: ScannedRecord): void {
    this.count++
    this.storeTimestamp = readInt64(buffer, layout.storeTimestampAt)
    const transaction = buffer.readInt32BE(position + recordAt.sysFlag) & MessageSysFlag.TRANSACTION_MASK
    if (transaction !== 0 && transaction !== MessageSysFlag.TRANSACTION_COMMIT) return
    const { queues, deleted, log } = this.#parts
    const topic = buffer.toString('utf8', layout.topicAt, layout.topicAt + layout.topicLength)
    if (deleted.has(topic, phyOffset)) return
    const queueOffset = readInt64(buffer, position + recordAt.queueOffset)
    const queueId = buffer.readInt32BE(position + recordAt.queueId)
    if (!isQueueName(topic, queueId) || queueOffset < 0) {
      log.error({ topic, queueId, queueOffset, phyOffset }, 'a record names no queue: it stays in the log, unread')
      return
    }
    const queue = queues.findOrMake(topic, queueId)
    if (queueOffset !== queue.maxOffset && !this.#makePlace(queue, queueOffset, phyOffset)) return
    const properties = buffer.toString('utf8', layout.propertiesAt, layout.propertiesAt + layout.propertiesLength)
    const tagsCode = this.#tagsCode(topic, properties)
    queue.push(phyOffset, layout.size, tagsCode)
    queue.nextOffset = queue.maxOffset
    this.#onUnit?.(queue, tagsCode)
  }

  /** Makes queueOffset the queue's next one, although it is not. @returns false: the record gets no unit */
  #makePlace(queue: ConsumeQueue, queueOffset: number, phyOffset: number): boolean {
    const { log } = this.#parts
    const { topic, queueId, maxOffset, minOffset } = queue
    const facts = { topic, queueId, queueOffset, maxOffset, phyOffset }
    if (queueOffset > maxOffset && !this.#isWhole) {
      this.foundGap = true
      return false
    }
    if (queueOffset < maxOffset && queueOffset > 0) {
      log.warn(facts, 'a queue offset was given twice: the later message cannot be read') // Apache can do this
      return false
    }
    const isEmpty = maxOffset === minOffset
    if (queueOffset > maxOffset && !isEmpty) {
      // The scan saw all that was before it: either this record's offset is not so, or that of a few before it was not.
      if (queueOffset - maxOffset <= filledUnitsMax) {
        log.error(facts, 'a queue offset does not follow the one before: what lies between cannot be read')
        while (queue.maxOffset < queueOffset) queue.push(phyOffset, noRecordSize, 0)
        return true
      }
      if (this.#doubted.get(queue) !== queueOffset - 1) {
        this.#doubted.set(queue, queueOffset)
        log.error(facts, 'a queue offset does not follow the one before: the message cannot be read')
        return false
      }
    }
    if (!isEmpty) log.warn(facts, 'a queue begins anew') // its topic was deleted and made again
    queue.restart(queueOffset)
    return true
  }

  /** What the append gave the unit; see NewMessage.tagsCode. Source: Apache RocketMQ 5, CommitLog#checkMessageAndReturnSize. */
  #tagsCode(topic: string, properties: string): number {
    if (topic === scheduleTopic) {
      const { delayLevelsMs } = this.#parts
      const level = Math.min(Number(readProperty(properties, PropertyName.DELAY) ?? 0), delayLevelsMs.length)
      if (level > 0) return this.storeTimestamp + (delayLevelsMs[level - 1] ?? unknownLevelMs)
    }
    return tagsCodeOf(readProperty(properties, PropertyName.TAGS))
  }
}

const unknownLevelMs = 1000
/** Units that a queue gets in the place of messages whose records say something else. */
const filledUnitsMax = 64
/** No record is so short: readers pass over a unit that says so. */
const noRecordSize = 1

/**
 * Cuts the log at its end: what lies behind in that segment becomes zero, later segments go. Bytes that are no zeroes
 * are kept aside first.
 */
export function cutTail(
  parts: Pick<RecoveryParts, 'commitLog' | 'tornDirectory' | 'wasClean' | 'files' | 'log'>,
  endOffset: number,
): void {
  const { commitLog, tornDirectory, wasClean, log } = parts
  const { segments } = commitLog
  const torn = readTorn(commitLog, endOffset)
  if (torn.length > 0) {
    const keptAt = `${tornDirectory}/${offsetName(endOffset)}`
    const facts = { phyOffset: endOffset, bytes: torn.length }
    try {
      keep(parts.files, tornDirectory, keptAt, torn)
      log.warn({ ...facts, keptAt }, 'the log had a torn tail: cut, its bytes kept aside')
    } catch (error) {
      // What a full disk let through of one message, which nobody was told is stored, must not keep all others from being read.
      if (!isDiskFull(error) || !isPartOfOneRecord(torn)) throw error
      parts.files.remove(keptAt)
      log.warn(facts, 'the log had a part of one record at its end: cut; the disk has no room to keep it aside')
    }
  }
  segments.dropAfter(endOffset, tornDirectory, log)
  if (torn.length > 0 || !wasClean) segments.zeroFrom(endOffset)
}

/**
 * Writes the same bytes again. After an fsync that failed the system has them, takes them for written and syncs them no more,
 * although the disk may never have got them.
 */
function rewrite(commitLog: CommitLog, from: number, endOffset: number): void {
  const { segments } = commitLog
  for (let at = from; at < endOffset; ) {
    const start = segments.startOf(at)
    const bytes = Buffer.alloc(Math.min(rewriteChunkBytes, endOffset - at, start + segments.segmentBytes - at))
    commitLog.read(bytes, at)
    segments.file(at).write(bytes, at - start)
    at += bytes.length
  }
}

/** What an fsync failed for is in the system's memory alone: the next start must know, since it would take it for safe. */
async function syncFrom({ commitLog, noteUnflushed, log }: RecoveryParts, phyOffset: number): Promise<void> {
  const from = Math.max(phyOffset, commitLog.segments.minOffset)
  try {
    await commitLog.segments.sync(from)
  } catch (error) {
    if (isSyncFailure(error)) {
      try {
        noteUnflushed(from)
      } catch (cause) {
        log.error({ err: cause }, 'the next start cannot be told what was not flushed: start on a new machine')
      }
    }
    throw error
  }
}

function isPartOfOneRecord(torn: Buffer): boolean {
  if (torn.length < recordAt.bodyCrc) return true
  const magic = torn.readInt32BE(recordAt.magic)
  const isMessage = magic === RecordMagic.V1 || magic === RecordMagic.V2
  return isMessage && torn.readInt32BE(recordAt.totalSize) > torn.length
}

/** The bytes from endOffset on to the first chunk of zeroes, without zeroes at the end; empty when the tail is clean. */
function readTorn(commitLog: CommitLog, endOffset: number): Buffer {
  const { segments } = commitLog
  const chunks: Buffer[] = []
  if (endOffset >= segments.endOffset) return Buffer.alloc(0)
  const limit = Math.min(segments.startOf(endOffset) + segments.segmentBytes, endOffset + tornBytesMax)
  for (let at = endOffset; at < limit; at += tornChunkBytes) {
    const chunk = Buffer.alloc(Math.min(tornChunkBytes, limit - at))
    commitLog.read(chunk, at)
    if (chunk.every((byte) => byte === 0)) break
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  let length = bytes.length
  while (length > 0 && bytes[length - 1] === 0) length--
  return bytes.subarray(0, length)
}

function keep(files: Files, directory: string, path: string, bytes: Buffer): void {
  files.makeDirectory(directory)
  files.remove(path)
  const file = files.open(path, 'create')
  file.write(bytes, 0)
  file.syncNow()
  file.close()
}
