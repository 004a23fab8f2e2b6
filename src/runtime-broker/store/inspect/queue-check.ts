import { isOperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import {
  MessageSysFlag,
  PropertyName,
  type RecordLayout,
  readInt64,
  readProperty,
  recordAt,
  tagsCodeOf,
} from '../../../remoting/message/index.ts'
import type { ConsumeQueue } from '../consume-queue.ts'
import { unitBytes } from '../consume-queue.ts'
import type { ConsumeQueues } from '../consume-queues.ts'
import type { DeletedTopics } from '../deleted-topics.ts'
import { scheduleTopic } from '../recovery.ts'
import type { ScannedRecord } from '../scan.ts'
import type { Findings } from './findings.ts'
import { type Placed, QueueSequence, type Seen } from './queue-sequence.ts'

/** Units of one queue that are read at once: one page. */
const windowUnits = 204
const queueIdMax = 0x7fff_ffff
/** Queues whose units are at hand; the others are read again when they are needed. */
const windowsMax = 2048
/** A tagsCode at or below it is the address of a unit in consumequeue_ext. Source: Apache RocketMQ 5, ConsumeQueueExt. */
const extAddressMax = -2_147_483_649

interface QueueState {
  queue: ConsumeQueue
  sequence: QueueSequence
  /** Messages that the log says are in the queue. */
  count: number
  /** Messages whose unit is another one, and the first of them. */
  wrongCount: number
  firstWrong: Seen | undefined
  /** Messages behind the queue's end. */
  missingCount: number
  firstMissing: Seen | undefined
}

/**
 * Holds each record against its unit. Two things make units rightly absent: a topic that was deleted, and a broker that is
 * at work, whose newest units are in its memory.
 */
export class QueueCheck {
  readonly #queues: ConsumeQueues
  readonly #deleted: DeletedTopics
  readonly #hasTopic: (topic: string) => boolean
  readonly #onWrongRecord: (phyOffset: number, what: string) => void
  readonly #states = new Map<ConsumeQueue, QueueState>()
  readonly #unusable = new Set<ConsumeQueue>()
  readonly #windows = new Map<ConsumeQueue, { first: number; count: number; units: Buffer }>()
  #holeAt = -1
  agreeCount = 0
  /** Messages that are in the log alone: of deleted topics, prepared, rolled back, inner batches. */
  unqueuedCount = 0
  /** Messages behind the ends of their queues. */
  behindCount = 0

  /** @param onWrongRecord is told of whole records that name a place which is not theirs */
  constructor(
    queues: ConsumeQueues,
    { deleted, hasTopic }: { deleted: DeletedTopics; hasTopic: (topic: string) => boolean },
    onWrongRecord: (phyOffset: number, what: string) => void,
  ) {
    this.#queues = queues
    this.#deleted = deleted
    this.#hasTopic = hasTopic
    this.#onWrongRecord = onWrongRecord
  }

  /**
   * Reads which queues there are; a queue file that no start would take becomes a finding.
   * @param logEndOffset units of messages behind it do not count
   */
  load(files: Files, directory: string, logMinOffset: number, logEndOffset: number, findings: Findings): void {
    for (const topic of files.list(directory)) {
      if (!topic.isDirectory) continue
      for (const { name, isDirectory } of files.list(`${directory}/${topic.name}`)) {
        if (!isDirectory) continue
        const path = `${directory}/${topic.name}/${name}`
        if (!/^(0|[1-9]\d{0,9})$/.test(name) || Number(name) > queueIdMax) {
          findings.add({ kind: 'stray', path, what: 'its name is not that of a queue' })
          continue
        }
        this.#loadQueue(topic.name, Number(name), path, { logMinOffset, logEndOffset, findings })
      }
    }
  }

  #loadQueue(
    topic: string,
    queueId: number,
    path: string,
    { logMinOffset, logEndOffset, findings }: { logMinOffset: number; logEndOffset: number; findings: Findings },
  ): void {
    let queue: ConsumeQueue | undefined
    try {
      queue = this.#queues.findOrMake(topic, queueId)
      queue.load(logMinOffset, logEndOffset)
    } catch (error) {
      if (isOperatingError(error, 'MESSAGE_ILLEGAL')) {
        findings.add({ kind: 'layout', path, what: 'its topic is longer than one can be', mend: 'move it away' })
        return
      }
      if (!isOperatingError(error, 'STORE_CORRUPT')) throw error
      const { path: file, sizeBytes, expectedBytes, missing } = error.facts
      const what =
        missing !== undefined
          ? `the file before it is missing: ${missing}`
          : sizeBytes !== undefined
            ? `is ${sizeBytes} bytes long, not ${expectedBytes}`
            : 'its name is not that of a queue file'
      findings.add({ kind: 'queue', path: String(file), what })
      this.#unusable.add(queue!)
    }
  }

  /** Queues of which the log has no message, so that it cannot say where they go on; and those of which it never says. */
  beyondLog(): number {
    let count = 0
    for (const { topic, minOffset, maxOffset } of this.#queues.all()) {
      if (maxOffset > 0 && (minOffset === maxOffset || isMultiDispatch(topic))) count++
    }
    return count
  }

  /** End in the log of the last message that any queue has. */
  lastEnd(): number {
    let end = 0
    for (const queue of this.#queues.all()) if (!this.#unusable.has(queue)) end = Math.max(end, queue.lastEnd())
    return end
  }

  take({ buffer, position, layout, phyOffset }: ScannedRecord): void {
    const sysFlag = buffer.readInt32BE(position + recordAt.sysFlag)
    const transaction = sysFlag & MessageSysFlag.TRANSACTION_MASK
    const topic = buffer.toString('utf8', layout.topicAt, layout.topicAt + layout.topicLength)
    const isInLogAlone =
      (transaction !== 0 && transaction !== MessageSysFlag.TRANSACTION_COMMIT) ||
      (sysFlag & MessageSysFlag.INNER_BATCH) !== 0 || // batchconsumequeue/ has these
      this.#deleted.has(topic, phyOffset)
    const queueId = buffer.readInt32BE(position + recordAt.queueId)
    if (isInLogAlone) {
      this.unqueuedCount++
      return
    }
    const queue = this.#queueOf(topic, queueId)
    if (queue === undefined) this.#onWrongRecord(phyOffset, `queueId ${queueId} of topic ${topic} names no queue`)
    if (queue === undefined) return
    const state = this.#stateOf(queue)
    const seen = { queueOffset: readInt64(buffer, position + recordAt.queueOffset), phyOffset }
    const isOwn = (unit: Buffer) => isUnitOf(unit, topic, buffer, layout, phyOffset)
    if (state.sequence.takeDue(seen)) {
      this.#account(state, seen, isOwn)
      return
    }
    const names = (queueOffset: number) => {
      const unit = this.#unit(queue, queueOffset)
      return unit !== undefined && isPlaceOf(unit, phyOffset, layout.size)
    }
    for (const placed of state.sequence.take(seen, names, this.#holeAt)) {
      this.#takePlaced(state, placed, placed.seen === seen ? isOwn : isNone)
    }
  }

  /** From here on records may be missing before those that come. */
  noteHole(phyOffset: number): void {
    this.#holeAt = phyOffset
  }

  /**
   * @param safeEndOffset units of messages behind it may be missing: they are in the memory of a broker, or of one that died
   * @param logEndOffset where the whole records end
   */
  finish(safeEndOffset: number, logEndOffset: number, findings: Findings): void {
    for (const queue of this.#queues.all()) {
      const state = this.#states.get(queue)
      for (const placed of state?.sequence.settle() ?? []) this.#takePlaced(state!, placed, isNone)
      const add = (what: string, phyOffset?: number, kind: 'queue' | 'short' | 'message' = 'queue') =>
        findings.add({
          kind,
          path: queue.directory,
          what,
          ...(phyOffset !== undefined && { phyOffset }),
        })
      if (state === undefined) {
        const surplus = queue.maxOffset - queue.minOffset
        if (surplus > 0 && !isMultiDispatch(queue.topic) && !this.#unusable.has(queue)) {
          add(`has ${surplus} units for messages that the log does not have`, undefined, 'message')
        }
        continue
      }
      const { lost, twice, next = queue.minOffset } = state.sequence
      const { wrongCount, firstWrong, missingCount } = state
      if (wrongCount > 0) {
        add(
          `${wrongCount} units are not those of their messages, the first one at queueOffset ${firstWrong!.queueOffset}`,
          firstWrong!.phyOffset,
        )
      }
      if (missingCount > 0) this.#finishMissing(state, safeEndOffset, (what, at) => add(what, at, 'short'))
      if (lost.count > 0) {
        const unit = this.#unit(queue, lost.first)
        const where = unit === undefined ? '' : ` (its unit names phyOffset ${readInt64(unit, 0)})`
        add(
          `the log lacks ${lost.count} messages, the first one at queueOffset ${lost.first}${where}`,
          undefined,
          'message',
        )
      }
      if (twice.count > 0) {
        add(
          `${twice.count} messages have a queueOffset that was given before, from ${twice.first} on`,
          undefined,
          'message',
        )
      }
      const surplus = queue.maxOffset - next
      const unit = this.#unit(queue, next)
      if (unit !== undefined && readInt64(unit, 0) >= logEndOffset) {
        const where = `from phyOffset ${readInt64(unit, 0)} on`
        add(`its last ${surplus} units name messages behind the end of the log, ${where}`, undefined, 'message')
      } else if (surplus > 0) {
        add(`has ${surplus} units behind its last message, from queueOffset ${next} on`, undefined, 'message')
      }
    }
  }

  #finishMissing(state: QueueState, safeEndOffset: number, add: (what: string, phyOffset: number) => void): void {
    const { queue, missingCount: count, firstMissing: first } = state
    const isDeleted = queue.maxOffset === 0 && !this.#hasTopic(queue.topic)
    if (isDeleted) {
      this.unqueuedCount += count
      state.count = 0
    } else if (this.#unusable.has(queue)) return
    else if (first!.phyOffset >= safeEndOffset) this.behindCount += count
    else
      add(`lacks the units of ${count} messages, the first one at queueOffset ${first!.queueOffset}`, first!.phyOffset)
  }

  /**
   * Messages that the log says are in queues, and that would not be in them.
   * @param unitCounts what each queue would have, by `topic/queueId`
   */
  shortBy(unitCounts: ReadonlyMap<string, number>): { messages: number; queues: number } {
    const short = { messages: 0, queues: 0 }
    for (const { queue, count } of this.#states.values()) {
      const messages = count - (unitCounts.get(`${queue.topic}/${queue.queueId}`) ?? 0)
      if (messages <= 0) continue
      short.messages += messages
      short.queues++
    }
    return short
  }

  /** undefined where a record names a queue that none can be: no checksum covers its topic and queueId. */
  #queueOf(topic: string, queueId: number): ConsumeQueue | undefined {
    try {
      return this.#queues.findOrMake(topic, queueId)
    } catch (error) {
      if (!isOperatingError(error, 'MESSAGE_ILLEGAL')) throw error
      return undefined
    }
  }

  #stateOf(queue: ConsumeQueue): QueueState {
    let state = this.#states.get(queue)
    if (state === undefined) {
      this.#states.set(queue, (state = { queue, sequence: new QueueSequence(queue), ...nothing }))
    }
    return state
  }

  #takePlaced(state: QueueState, { seen, place, isWrong, beginsAnew }: Placed, isOwn: (unit: Buffer) => boolean): void {
    const { queue } = state
    if (beginsAnew) {
      this.unqueuedCount += state.wrongCount + state.missingCount
      Object.assign(state, nothing)
    }
    if (isWrong) {
      const due = place === undefined ? '' : `: its place in ${queue.topic}/${queue.queueId} is ${place}`
      this.#onWrongRecord(seen.phyOffset, `the record says queueOffset ${seen.queueOffset}, which is wrong${due}`)
    }
    if (place === undefined) return
    const unit = this.#unit(queue, place)
    const isNamed = unit !== undefined && readInt64(unit, 0) === seen.phyOffset
    if (isWrong && isNamed) state.count++
    else this.#account(state, { queueOffset: place, phyOffset: seen.phyOffset }, isOwn)
  }

  /** Holds a message against the unit at its place. */
  #account(state: QueueState, seen: Seen, isOwn: (unit: Buffer) => boolean): void {
    state.count++
    if (seen.queueOffset >= state.queue.maxOffset) {
      state.missingCount++
      state.firstMissing ??= seen
      return
    }
    const unit = this.#unit(state.queue, seen.queueOffset)
    if (unit !== undefined && isOwn(unit)) this.agreeCount++
    else {
      state.wrongCount++
      state.firstWrong ??= seen
    }
  }

  /** undefined where the queue has none. */
  #unit(queue: ConsumeQueue, queueOffset: number): Buffer | undefined {
    if (queueOffset < queue.minOffset || queueOffset >= queue.maxOffset) return undefined
    let window = this.#windows.get(queue)
    if (window === undefined || queueOffset < window.first || queueOffset >= window.first + window.count) {
      this.#windows.delete(queue)
      if (window === undefined && this.#windows.size >= windowsMax) {
        this.#windows.delete(this.#windows.keys().next().value!)
      }
      const units = window?.units ?? Buffer.allocUnsafeSlow(windowUnits * unitBytes)
      window = { first: queueOffset, count: queue.readUnits(units, queueOffset, windowUnits), units }
      this.#windows.set(queue, window)
    }
    const at = (queueOffset - window.first) * unitBytes
    return window.count === 0 ? undefined : window.units.subarray(at, at + unitBytes)
  }
}

const nothing = { count: 0, wrongCount: 0, firstWrong: undefined, missingCount: 0, firstMissing: undefined }

const isNone = () => false // of a record that was in doubt: no unit at either of its places is its own

/** Its units are those of other topics' messages. */
function isMultiDispatch(topic: string): boolean {
  return topic.startsWith('%LMQ%')
}

function isPlaceOf(unit: Buffer, phyOffset: number, size: number): boolean {
  return readInt64(unit, 0) === phyOffset && unit.readInt32BE(8) === size
}

function isUnitOf(unit: Buffer, topic: string, buffer: Buffer, layout: RecordLayout, phyOffset: number): boolean {
  if (!isPlaceOf(unit, phyOffset, layout.size)) return false
  const tagsCode = readInt64(unit, 12)
  if (tagsCode <= extAddressMax) return true
  // A deliver time: which one depends on settings of the broker of that day.
  if (topic === scheduleTopic) return tagsCode >= readInt64(buffer, layout.storeTimestampAt)
  const { propertiesAt, propertiesLength } = layout
  const properties = buffer.toString('utf8', propertiesAt, propertiesAt + propertiesLength)
  return tagsCode === tagsCodeOf(readProperty(properties, PropertyName.TAGS))
}
