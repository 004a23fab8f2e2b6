import type { OperatingError } from '../../base/errors.ts'
import type { RecordFields } from '../../remoting/message/index.ts'
import type { IndexShape } from './key-index/index-file.ts'
import type { KeyQuery } from './key-index/key-index.ts'
import type { MessageKeys } from './key-index/keys.ts'
import type { RetentionSettings } from './retention.ts'

/** A message as it will be stored. The store copies body and texts inside append: the caller may reuse its buffers. */
export interface NewMessage extends RecordFields {
  topic: string
  queueId: number
  flag: number
  sysFlag: number // its IPv6 bits fit the two hosts
  bornTimestamp: number
  bornHost: Buffer // encodeHost: 8 or 20 bytes
  storeHost: Buffer
  reconsumeTimes: number
  preparedTransactionOffset: number
  body: Buffer
  propertiesStart?: Buffer | undefined // the property text's beginning, in UTF-8
  properties: string // its middle, or all of it
  propertiesEnd?: Buffer | undefined // more of it, in UTF-8
  tagsCode: number // for the consume queue unit: tagsCodeOf(TAGS), or the deliver time in SCHEDULE_TOPIC_XXXX
  waitsForFlush: boolean // property WAIT is not false; matters with SYNC_FLUSH only
  keys?: MessageKeys | undefined // all that its properties have; undefined: whoever wants them reads the properties
}

export type SettleStatus = 'ok' | 'flushTimeout' | 'slaveTimeout' | 'failed'

/**
 * Told once how an append ended: after the write (ASYNC_FLUSH) or after the fsync (SYNC_FLUSH), and after the slaves that a
 * gate waits for; never inside append.
 */
export interface AppendWaiter {
  /** flushTimeout, slaveTimeout: the message is in the log and will be readable. failed, with its error: it is not. */
  settle(status: SettleStatus, error?: OperatingError): void
}

export interface Appended {
  queueOffset: number
  phyOffset: number
  storeTimestamp: number
  size: number
}

/** Apache's GetMessageStatus. */
export type ReadStatus =
  | 'found'
  | 'noMatch' // units were there, none that `matches` wanted
  | 'removed' // the units point below the log's beginning
  | 'foundNull' // the offset lies within the queue's range, but its unit is gone
  | 'overflowOne' // exactly at the end: wait for the next message
  | 'overflowBadly'
  | 'tooSmall'
  | 'noQueue'
  | 'noMessage' // the queue is known and empty

/** What a consume queue has of one message. */
export interface QueueUnit {
  phyOffset: number
  size: number // bytes of the record
  tagsCode: number
}

export interface BodyRoom {
  /** A buffer of at least so many bytes. */
  take(bytes: number): Buffer
  giveBack(buffer: Buffer): void
}

export interface ReadLimits {
  countMax: number
  bytesMax: number // at least one message is returned, however long
  matches?: (tagsCode: number) => boolean
  /** Has the buffers for what is found. Without it each read gets one of its own. */
  room?: BodyRoom | undefined
}

export interface ReadResult {
  status: ReadStatus
  nextBeginOffset: number
  minOffset: number
  maxOffset: number
  bodies: readonly Buffer[] // records in order, neighbours in one buffer
  count: number
  bytes: number
}

export interface QueueName {
  topic: string
  queueId: number
}

/** Keeps those who appended, until slaves have what they appended too. */
export interface SettleGate {
  /**
   * Called where settle would have been, in the order of the log; not for messages that do not want to wait (WAIT=false).
   * @param endOffset one past the last byte of what was appended
   * @returns true: the gate settles waiter, later and never inside this call
   */
  hold(endOffset: number, waiter: AppendWaiter, status: 'ok' | 'flushTimeout'): boolean
}

/** The commit log as bytes, for those who copy it. */
export interface RawLog {
  readonly minOffset: number
  /** One past the last byte that the operating system has. */
  readonly maxOffset: number
  /** One past the last byte that survives a power cut. */
  readonly flushedOffset: number
  readonly segmentBytes: number
  /** Reading there does not touch the disk. */
  isHot(phyOffset: number): boolean
  /** Fills into from phyOffset on. What lies behind the segment's end or maxOffset must not be asked for. */
  read(into: Buffer, phyOffset: number): void
  /** As read, without holding up the event loop. */
  readLater(into: Buffer, phyOffset: number): Promise<void>
  /** listener is called at the end of each turn, early or not, in which maxOffset or flushedOffset may have grown. */
  onProgress(listener: () => void): void
  /** From now on gate decides when who appended is told. */
  settleThrough(gate: SettleGate): void
  /** Undefined in a store that is nobody's copy. */
  readonly copy: CopiedLog | undefined
}

/** What only a slave's store can: its log grows by the bytes of its master's, and by nothing else. */
export interface CopiedLog {
  /** One past the last whole record: all before it is readable. */
  readonly dispatchedOffset: number
  /** Where a record should be and none is: nothing behind it will be readable. Only cut mends it. */
  readonly faultOffset: number | undefined
  /**
   * Adds a copy of bytes at maxOffset; it is written when the turn ends, at the latest.
   * @throws OperatingError STORE_FULL, STORE_CLOSED: the bytes were not taken, nor perhaps those before in this turn
   */
  append(phyOffset: number, bytes: Buffer): void
  /** Lets an empty log begin at phyOffset, which is the first byte of a segment. */
  beginAt(phyOffset: number): void
  /**
   * Takes away everything from phyOffset on, where a record begins, and keeps it in `torn/`. Queues forget it too.
   * @throws OperatingError FILE_FAILED
   */
  cut(phyOffset: number): Promise<void>
  /** Where the newest record that was made readable since the start begins. */
  readonly lastRecordOffset: number | undefined
  /** The last byte at or before phyOffset where a record ends, as far as the queues know; minOffset where none does. */
  recordEndBefore(phyOffset: number): number
}

export type ArrivalListener = (topic: string, queueId: number, maxOffset: number, tagsCode: number) => void

/** What a query by key found; see KeyQuery. */
export interface FoundMessages {
  bodies: Buffer[] // records, oldest first: those that have the key, and now and then one with another key of the same hash
  lastUpdateTimestamp: number // of the newest message in the index
  lastUpdatePhyOffset: number
}

/** Counts since start, sizes now. */
export interface StoreStats {
  putCount: number
  putBytes: number
  putFailedCount: number
  getFoundCount: number // messages handed out
  getMissCount: number // reads that found none
  getBytes: number
  commitLogBytes: number
  queueCount: number
  openFileCount: number
  diskUsedRatio: number // of the commit log's volume
  dispatchBehindBytes: number
}

/** One broker's messages. Offsets are explained in docs/store-format.md; all of them are 0 for a queue nobody wrote. */
export interface MessageStore {
  /**
   * Gives the message its offsets and encodes it into the write batch of this turn. Synchronous.
   * @throws OperatingError MESSAGE_ILLEGAL, STORE_FULL, STORE_CLOSED; then waiter is never told
   */
  append(message: NewMessage, waiter: AppendWaiter): Appended
  /** All messages of one queue, next to each other in one segment, or none of them. waiter is told once. */
  appendBatch(messages: readonly NewMessage[], waiter: AppendWaiter): Appended[]
  /** Synchronous when the bytes are surely in memory. @throws OperatingError FILE_FAILED */
  read(topic: string, queueId: number, queueOffset: number, limits: ReadLimits): ReadResult | Promise<ReadResult>
  /** One past the last readable message. */
  maxOffset(topic: string, queueId: number): number
  minOffset(topic: string, queueId: number): number
  /** lower: the first message stored at or after timestamp; upper: the last one at or before. Clamped to the queue. */
  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: 'lower' | 'upper'): number
  /** -1 when there is no such message. */
  storeTimestampAt(topic: string, queueId: number, queueOffset: number): number
  /**
   * Units of the consume queue as they are, from queueOffset on: at most 800, fewer at the end of a file.
   * @returns undefined: there is no such queue
   */
  units(topic: string, queueId: number, queueOffset: number, countMax: number): QueueUnit[] | undefined
  /** The record that begins at phyOffset; undefined when none does. */
  recordAt(phyOffset: number): Buffer | undefined
  /** The newest countMax messages with a key, of that time; nothing without an index. @throws OperatingError FILE_FAILED */
  query(query: KeyQuery): Promise<FoundMessages>
  /** Forgets the topic's queues; the bytes in the log go with retention. */
  deleteTopic(topic: string): void
  /** Removes expired segments now, whatever the hour, in the background. */
  removeExpiredSegments(): void
  /** Removes queues whose messages are all gone, but those of topics that are kept. @returns how many */
  removeExpiredQueues(isKept: (topic: string) => boolean): number
  queues(): Iterable<QueueName>
  /** listener is called once per message when it has become readable. */
  onArrival(listener: ArrivalListener): void
  readonly commitLog: { minOffset: number; maxOffset: number; flushedOffset: number }
  readonly stats: StoreStats
  readonly raw: RawLog
  /** Why no message is taken until a restart; undefined: messages are taken, or will be again. */
  readonly failure: OperatingError | undefined
  /** Resolves when everything appended before survives a power cut. */
  flush(): Promise<void>
  /** Refuses new messages, flushes, leaves the mark of a clean stop. */
  close(): Promise<void>
}

/** In Apache's meanings; the broker derives them from its settings. */
export interface StoreSettings {
  isCopy: boolean // a slave's: takes no messages, only the bytes of its master's log
  rootDir: string // storePathRootDir
  commitLogDir: string // storePathCommitLog
  segmentBytes: number // mappedFileSizeCommitLog
  consumeQueueFileBytes: number // mappedFileSizeConsumeQueue, rounded up to whole units
  flush: 'SYNC' | 'ASYNC' // flushDiskType
  maxMessageBytes: number // maxMessageSize: of a body
  flushIntervalCommitLogMs: number
  flushIntervalConsumeQueueMs: number
  syncFlushTimeoutMs: number
  diskSpaceWarningLevelRatio: number // 0..1: above it, writes are refused
  checkCrcOnRecover: boolean
  index: IndexShape | undefined // maxHashSlotNum, maxIndexNum; undefined: messageIndexEnable is false
  retention: () => RetentionSettings
  delayLevelsMs: readonly number[] // messageDelayLevel: [0] is level 1
}
