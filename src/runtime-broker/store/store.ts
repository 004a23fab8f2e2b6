import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import {
  blankBytes,
  ipv4HostBytes,
  ipv6HostBytes,
  MessageSysFlag,
  recordBytesLimit,
} from '../../remoting/message/index.ts'
import type { AbortMark } from './abort-mark.ts'
import { BatchWriter, refusalOf } from './batch-writer.ts'
import { Checkpointer } from './checkpointer.ts'
import { type CommitLog, mustWriteFirst } from './commit-log.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import { type ConsumeQueues, topicBytesMax } from './consume-queues.ts'
import type { CopiedRecords } from './copied-records.ts'
import type { DeletedTopics } from './deleted-topics.ts'
import { DiskGuard } from './disk-guard.ts'
import { Dispatcher } from './dispatcher.ts'
import { Flusher } from './flusher.ts'
import type { KeyIndex, KeyQuery } from './key-index/key-index.ts'
import { PendingAppends } from './pending.ts'
import { CopyView, RawLogView } from './raw-log.ts'
import { offsetByTime, readQueue, readRecords, readUnits } from './reader.ts'
import { type Recovered, storeTimestampAt } from './recovery.ts'
import { Retention } from './retention.ts'
import type {
  Appended,
  AppendWaiter,
  ArrivalListener,
  FoundMessages,
  MessageStore,
  NewMessage,
  QueueName,
  QueueUnit,
  ReadLimits,
  ReadResult,
  StoreSettings,
  StoreStats,
} from './types.ts'

/** How long a clean stop may make queue files safe; what is left then is read again from the log at the next start. */
const closeSyncMs = 5000
/** Appends that wait for an fsync; a disk that takes longer gets no more of them. */
const pendingCountMax = 500_000
/**
 * A turn that has so much to write ends with the read that brought it: who sent that sends on while the next read is
 * handled. At most an eighth of a segment, so that small stores have such turns too.
 */
const earlyEndBytesMax = 96 * 1024

export interface StoreParts {
  settings: StoreSettings
  commitLog: CommitLog
  queues: ConsumeQueues
  index: KeyIndex | undefined
  deleted: DeletedTopics
  recovered: Recovered
  paths: { checkpoint: string; torn: string }
  abort: AbortMark
  files: Files
  clock: Clock
  log: Log
  unlock: () => void
}

/**
 * The store in operation. An append is encoded at once; when its turn of the event loop ends, one write hands all appends
 * of the turn to the operating system. With ASYNC_FLUSH they are then readable and settled, and a turn that has much to
 * write ends early; with SYNC_FLUSH the next fsync, which all share that were written before it began, comes first.
 */
export class Store implements MessageStore {
  readonly #settings: StoreSettings
  readonly #log: CommitLog
  readonly #queues: ConsumeQueues
  readonly #index: KeyIndex | undefined
  readonly #deleted: DeletedTopics
  readonly #abort: AbortMark
  readonly #clock: Clock
  readonly #logger: Log
  readonly #unlock: () => void
  readonly #diskGuard: DiskGuard
  readonly #retention: Retention
  readonly #pending = new PendingAppends()
  readonly #isSyncFlush: boolean
  readonly #failedWaiters: AppendWaiter[] = []
  readonly raw: RawLogView
  readonly #dispatcher: Dispatcher
  readonly #earlyEndBytes: number
  #isTurnScheduled = false
  #isEndingEarly = false
  #state: 'open' | 'closing' | 'closed' = 'open'
  readonly #writer: BatchWriter
  readonly #flusher: Flusher
  readonly #checkpointer: Checkpointer
  #putFailedCount = 0
  #getFoundCount = 0
  #getMissCount = 0
  #getBytes = 0

  constructor(parts: StoreParts) {
    this.#settings = parts.settings
    this.#log = parts.commitLog
    this.#queues = parts.queues
    this.#index = parts.index
    this.#deleted = parts.deleted
    this.#abort = parts.abort
    this.#clock = parts.clock
    this.#logger = parts.log
    this.#unlock = parts.unlock
    this.#isSyncFlush = parts.settings.flush === 'SYNC'
    this.#earlyEndBytes = Math.min(earlyEndBytesMax, parts.settings.segmentBytes / 8)
    this.#diskGuard = new DiskGuard(
      {
        directories: [parts.settings.commitLogDir, parts.settings.rootDir],
        usedRatioMax: parts.settings.diskSpaceWarningLevelRatio,
        checkFiles: () => this.#log.checkFiles(),
      },
      parts.files,
      parts.clock,
      parts.log,
    )
    this.#writer = new BatchWriter(parts)
    this.#flusher = new Flusher({
      commitLog: parts.commitLog,
      isSyncFlush: this.#isSyncFlush,
      flushIntervalMs: parts.settings.flushIntervalCommitLogMs,
      syncFlushTimeoutMs: parts.settings.syncFlushTimeoutMs,
      clock: parts.clock,
      log: parts.log,
      state: () => this.#state,
      onFlushed: () => this.#flushed(),
      onTimeout: (phyOffset) => this.#pending.settleTimedOut(phyOffset, this.raw.gate),
      onFailed: (error) => this.#flushFailed(error),
    })
    this.#checkpointer = new Checkpointer({
      ...parts,
      flusher: this.#flusher,
      path: parts.paths.checkpoint,
      isOpen: () => this.#state === 'open',
      dispatched: () => ({
        phyOffset: this.#dispatcher.dispatchedTo,
        storeTimestamp: this.#dispatcher.storeTimestamp,
      }),
    })
    this.#dispatcher = new Dispatcher({
      ...parts,
      pending: this.#pending,
      isOpen: () => this.#state === 'open',
      readableTo: () => (this.#isSyncFlush ? this.#log.flushedOffset : this.#log.writtenOffset),
      gate: () => this.raw.gate,
      onDispatched: () => this.#checkpointer.arm(),
    })
    const { copied } = this.#dispatcher
    this.raw = new RawLogView(parts.commitLog, copied && this.#copyView(parts, copied))
    this.#retention = new Retention({
      ...parts,
      diskGuard: this.#diskGuard,
      settings: parts.settings.retention,
      safeTo: () => Math.min(this.#log.flushedOffset, this.#dispatcher.dispatchedTo, this.#checkpointer.safeTo),
    })
    this.#checkpointer.arm() // recovery may have filled queues
  }

  append(message: NewMessage, waiter: AppendWaiter): Appended {
    this.#admit(message)
    const queue = this.#queues.findOrMake(message.topic, message.queueId)
    const now = this.#clock.now()
    for (;;) {
      const appended = this.#tryPlace(message, queue, now, waiter)
      if (appended !== undefined) return appended
      this.#writeOut()
    }
  }

  appendBatch(messages: readonly NewMessage[], waiter: AppendWaiter): Appended[] {
    const first = messages[0]
    assert(first !== undefined, 'a batch has a message')
    let bytesLimit = 0
    for (const message of messages) {
      this.#admit(message)
      assert(message.topic === first.topic && message.queueId === first.queueId, 'a batch has one queue')
      bytesLimit += recordBytesLimit(message, topicBytesMax)
    }
    const batchBytesMax = this.#settings.segmentBytes - blankBytes
    if (bytesLimit > batchBytesMax) throw new OperatingError('MESSAGE_ILLEGAL', { bytesLimit, batchBytesMax })
    const queue = this.#queues.findOrMake(first.topic, first.queueId)
    for (;;) {
      if (this.#log.reserve(bytesLimit)) {
        const all = this.#tryPlaceAll(messages, queue, waiter)
        if (all !== undefined) return all
        this.#log.endSegment() // the next one has room for all of them
      }
      this.#writeOut()
    }
  }

  read(topic: string, queueId: number, queueOffset: number, limits: ReadLimits): ReadResult | Promise<ReadResult> {
    const queue = this.#queues.find(topic, queueId)
    if (queue === undefined) return { ...noQueue }
    const result = readQueue(this.#log, queue, queueOffset, limits, this.#logger)
    if (result instanceof Promise) return result.then((later) => this.#count(later))
    return this.#count(result)
  }

  maxOffset(topic: string, queueId: number): number {
    return this.#queues.find(topic, queueId)?.maxOffset ?? 0
  }

  minOffset(topic: string, queueId: number): number {
    return this.#queues.find(topic, queueId)?.minOffset ?? 0
  }

  offsetByTime(topic: string, queueId: number, timestamp: number, boundary: 'lower' | 'upper'): number {
    const queue = this.#queues.find(topic, queueId)
    return queue === undefined ? 0 : offsetByTime(this.#log, queue, timestamp, boundary)
  }

  storeTimestampAt(topic: string, queueId: number, queueOffset: number): number {
    const queue = this.#queues.find(topic, queueId)
    if (queue === undefined || queueOffset < queue.minOffset || queueOffset >= queue.maxOffset) return -1
    return storeTimestampAt(this.#log, queue.phyOffsetAt(queueOffset))
  }

  units(topic: string, queueId: number, queueOffset: number, countMax: number): QueueUnit[] | undefined {
    const queue = this.#queues.find(topic, queueId)
    return queue && readUnits(queue, queueOffset, countMax)
  }

  recordAt(phyOffset: number): Buffer | undefined {
    return this.#log.recordAt(phyOffset)
  }

  async query(query: KeyQuery): Promise<FoundMessages> {
    if (this.#index === undefined) return { bodies: [], lastUpdateTimestamp: 0, lastUpdatePhyOffset: 0 }
    const { phyOffsets, ...lastUpdate } = await this.#index.query(query)
    return { bodies: await readRecords(this.#log, phyOffsets), ...lastUpdate }
  }

  deleteTopic(topic: string): void {
    this.#writeOut()
    this.#deleted.add(topic, this.#log.writtenOffset)
    this.#queues.removeTopic(topic)
  }

  removeExpiredSegments(): void {
    this.#retention.startManually()
  }

  removeExpiredQueues(isKept: (topic: string) => boolean): number {
    const removed = this.#queues.removeExpired(this.#log.minOffset, isKept)
    if (removed > 0) this.#checkpointer.forget()
    this.#checkpointer.arm()
    return removed
  }

  *queues(): Generator<QueueName> {
    for (const { topic, queueId } of this.#queues.all()) yield { topic, queueId }
  }

  onArrival(listener: ArrivalListener): void {
    this.#dispatcher.onArrival(listener)
  }

  get commitLog(): { minOffset: number; maxOffset: number; flushedOffset: number } {
    const { minOffset, writtenOffset, flushedOffset } = this.#log
    return { minOffset, maxOffset: writtenOffset, flushedOffset }
  }

  get stats(): StoreStats {
    return {
      putCount: this.#dispatcher.count,
      putBytes: this.#dispatcher.bytes,
      putFailedCount: this.#putFailedCount,
      getFoundCount: this.#getFoundCount,
      getMissCount: this.#getMissCount,
      getBytes: this.#getBytes,
      commitLogBytes: this.#log.writtenOffset - this.#log.minOffset,
      queueCount: this.#queues.count,
      openFileCount: this.#queues.openFileCount + this.#log.segments.openCount + (this.#index?.openFileCount ?? 0),
      diskUsedRatio: this.#diskGuard.usedRatio,
      dispatchBehindBytes: this.#log.writtenOffset - this.#dispatcher.dispatchedTo,
    }
  }

  get failure(): OperatingError | undefined {
    return this.#flusher.error ?? (this.#diskGuard.isBeyondHelp ? this.#diskGuard.failure : undefined)
  }

  async flush(): Promise<void> {
    this.#endTurn()
    await this.#flusher.syncTo(this.#log.writtenOffset)
    if (this.#flusher.error !== undefined) throw this.#flusher.error
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#checkpointer.cancel()
    this.#diskGuard.close()
    await this.#retention.close()
    let isSafe = false
    try {
      await this.flush()
      if (this.#writer.isRetryDue) this.#log.eraseUnwritten()
      this.#dispatcher.cutPartRecord()
      const untilMs = this.#clock.monotonicMs() + closeSyncMs
      await this.#checkpointer.end(untilMs)
      const isIndexed = (await this.#index?.stop(() => this.#clock.monotonicMs() > untilMs)) ?? true
      isSafe = (await this.#checkpointer.run()) && isIndexed
    } catch (error) {
      this.#logger.error({ err: error }, 'the store could not be flushed: the next start reads the log again')
    }
    this.#flusher.close()
    this.#state = 'closed'
    this.#queues.close()
    this.#index?.close()
    this.#log.close(isSafe)
    if (isSafe) this.#abort.remove()
    this.#unlock()
    this.#logger.info({ phyOffset: this.#log.writtenOffset, isSafe }, 'store closed')
  }

  /** Checks what holds for any message. @throws OperatingError STORE_FULL, STORE_CLOSED, MESSAGE_ILLEGAL */
  #admit(message: NewMessage): void {
    if (this.#dispatcher.copied !== undefined) throw new OperatingError('STORE_CLOSED', { brokerRole: 'SLAVE' })
    this.#admitBytes()
    const { body, sysFlag } = message
    if (body.length > this.#settings.maxMessageBytes) {
      const maxMessageBytes = this.#settings.maxMessageBytes
      throw new OperatingError('MESSAGE_ILLEGAL', { bodyBytes: body.length, maxMessageBytes })
    }
    assert(
      message.bornHost.length === hostBytes(sysFlag, MessageSysFlag.BORN_HOST_IPV6) &&
        message.storeHost.length === hostBytes(sysFlag, MessageSysFlag.STORE_HOST_IPV6),
      'sysFlag says how long the hosts are',
    )
  }

  /** @throws OperatingError STORE_FULL, STORE_CLOSED */
  #admitBytes(): void {
    if (this.#state !== 'open') throw new OperatingError('STORE_CLOSED', {})
    if (this.#flusher.error !== undefined) throw this.#flusher.error
    if (this.#pending.count >= pendingCountMax) throw new OperatingError('STORE_CLOSED', { pendingCountMax })
    if (this.#diskGuard.failure !== undefined) throw this.#diskGuard.failure
    if (this.#diskGuard.isFull) throw new OperatingError('STORE_FULL', { usedRatio: this.#diskGuard.usedRatio })
    if (this.#writer.isRetryDue) this.#writer.prepareRetry()
    const { writeFailure } = this.#queues
    if (writeFailure !== undefined) throw refusalOf(writeFailure)
  }

  /** Gives the message its place in the batch; undefined: the batch must be written first. */
  #tryPlace(
    message: NewMessage,
    queue: ConsumeQueue,
    storeTimestamp: number,
    waiter: AppendWaiter | undefined,
  ): Appended | undefined {
    const isQueued = isQueuedOne(message.sysFlag)
    const queueOffset = isQueued ? queue.nextOffset : 0
    const size = this.#log.append(message, this.#queues.topicBytes(message.topic), queueOffset, storeTimestamp)
    if (size === mustWriteFirst) return undefined
    const phyOffset = this.#log.endOffset - size
    this.#pending.add(isQueued ? queue : undefined, queueOffset, phyOffset, size, message, storeTimestamp, waiter)
    if (isQueued) queue.nextOffset++
    this.#scheduleTurnEnd()
    return { queueOffset, phyOffset, storeTimestamp, size }
  }

  /** Appends all messages into this segment, or none of them: undefined when they do not fit. */
  #tryPlaceAll(messages: readonly NewMessage[], queue: ConsumeQueue, waiter: AppendWaiter): Appended[] | undefined {
    const { endOffset } = this.#log
    const { end } = this.#pending
    const now = this.#clock.now()
    const all: Appended[] = []
    try {
      for (const message of messages) {
        const isLast = all.length === messages.length - 1
        const appended = this.#tryPlace(message, queue, now, isLast ? waiter : undefined)
        if (appended === undefined) break
        all.push(appended)
      }
    } finally {
      if (all.length < messages.length) {
        this.#pending.takeBack(end)
        this.#log.rewind(endOffset)
      }
    }
    return all.length === messages.length ? all : undefined
  }

  #scheduleTurnEnd(): void {
    if (!this.#isTurnScheduled) {
      this.#isTurnScheduled = true
      this.#clock.endOfTurn(this.#onTurnEnd)
    }
    if (this.#isSyncFlush) return // an fsync that began early would leave the rest for another one
    if (this.#isEndingEarly) return
    if (this.#log.endOffset - this.#log.writtenOffset < this.#earlyEndBytes) return
    this.#isEndingEarly = true
    this.#clock.microtask(this.#onEarlyEnd)
  }

  readonly #onEarlyEnd = (): void => {
    this.#isEndingEarly = false
    if (this.#state !== 'closed') this.#endTurn()
  }

  readonly #onTurnEnd = (): void => {
    this.#isTurnScheduled = false
    if (this.#state !== 'closed') this.#endTurn()
  }

  /** Writes what the turn appended, then tells those who wait for no more than that. */
  #endTurn(): void {
    this.#tryWriteOut()
    for (const waiter of this.#failedWaiters.splice(0)) waiter.settle('failed', this.#writer.error)
    if (!this.#isSyncFlush) {
      this.#dispatcher.dispatch(this.#pending.written)
      this.#flusher.arm()
    } else {
      this.#pending.settleUnwaiting()
      this.#flusher.syncInTime()
    }
    this.raw.progressed()
  }

  /** @throws OperatingError STORE_FULL, STORE_CLOSED when it fails; the waiters are told when the turn ends */
  #writeOut(): void {
    const error = this.#tryWriteOut()
    if (error !== undefined) throw error
  }

  #tryWriteOut(): OperatingError | undefined {
    const error = this.#writer.tryWrite()
    if (error === undefined) this.#pending.written = this.#pending.end
    else {
      const waiters = this.#pending.takeBack(this.#pending.written)
      this.#putFailedCount += waiters.length
      this.#failedWaiters.push(...waiters)
      this.#scheduleTurnEnd()
    }
    return error
  }

  #copyView({ commitLog, queues, paths, files, log }: StoreParts, records: CopiedRecords): CopyView {
    return new CopyView(
      { log: commitLog, queues, records, tornDirectory: paths.torn, files, logger: log },
      {
        admit: () => this.#admitBytes(),
        writeOut: () => this.#writeOut(),
        scheduleTurnEnd: () => this.#scheduleTurnEnd(),
        settled: async () => {
          await this.flush()
          while (this.#flusher.syncing !== undefined || this.#checkpointer.running !== undefined) {
            await Promise.allSettled([this.#flusher.syncing, this.#checkpointer.running])
          }
        },
        restarted: async (phyOffset) => {
          this.#dispatcher.restartAt(phyOffset)
          this.#flusher.forgetDeadlines()
          await this.#checkpointer.run()
        },
      },
    )
  }

  /** With SYNC_FLUSH: what the fsync made safe becomes readable, and who waited for it is told. */
  #flushed(): void {
    const { flushedOffset } = this.#log
    const pending = this.#pending
    let upTo = pending.head
    while (upTo < pending.written && pending.phyOffsets[upTo]! < flushedOffset) upTo++
    this.#dispatcher.dispatch(upTo)
    this.raw.progressed()
  }

  #flushFailed(error: OperatingError): void {
    try {
      this.#abort.noteUnflushed(this.#log.flushedOffset)
    } catch (cause) {
      this.#logger.error({ err: cause }, 'the next start cannot be told what was not flushed: start on a new machine')
    }
    this.#pending.settleFailed(error)
  }

  #count(result: ReadResult): ReadResult {
    if (result.count === 0) this.#getMissCount++
    this.#getFoundCount += result.count
    this.#getBytes += result.bytes
    return result
  }
}

const noQueue: ReadResult = {
  status: 'noQueue',
  nextBeginOffset: 0,
  minOffset: 0,
  maxOffset: 0,
  bodies: [],
  count: 0,
  bytes: 0,
}

/** Prepared and rolled back messages are in the log only. */
function isQueuedOne(sysFlag: number): boolean {
  const transaction = sysFlag & MessageSysFlag.TRANSACTION_MASK
  return transaction === 0 || transaction === MessageSysFlag.TRANSACTION_COMMIT
}

function hostBytes(sysFlag: number, ipv6Bit: number): number {
  return (sysFlag & ipv6Bit) === 0 ? ipv4HostBytes : ipv6HostBytes
}
