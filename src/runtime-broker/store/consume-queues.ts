import type { Clock } from '../../base/clock.ts'
import { OperatingError } from '../../base/errors.ts'
import type { Files } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'
import { ConsumeQueue, type QueueShelf } from './consume-queue.ts'
import { FilePool } from './file-pool.ts'

/** Queue files open at once; the others are opened again when they are needed. */
const openFilesMax = 1024
/** Tails of all queues together; above it the oldest are written at once. */
const tailBytesMax = 32 * 1024 * 1024
/** Tails are added up, which looks at all of them, once per so many that begin. */
const newlyDirtyToAddUp = 1024
/** Tails are written for so long before other work gets its turn; making files takes longest. */
const sliceMs = 2
const sliceEveryMs = 20
/** A topic is a directory name, and its length a byte or an int16 in the record. */
export const topicBytesMax = 255

interface TopicQueues {
  topicBytes: Buffer
  byId: Map<number, ConsumeQueue>
}

/** All consume queues of a store: finds them, and writes their tails a little at a time, the oldest first. */
export class ConsumeQueues {
  readonly #directory: string
  readonly #files: Files
  readonly #clock: Clock
  readonly #log: Log
  readonly #pool: FilePool
  readonly #shelf: QueueShelf
  readonly #flushIntervalMs: number
  readonly #topics = new Map<string, TopicQueues>()
  #count = 0
  #dirty = new Set<ConsumeQueue>() // in the order they became so
  #newlyDirtyCount = 0 // since the tails were last added up
  #unsynced = new Set<string>()
  #writeFailure: unknown
  #isTimerArmed = false
  #isClosed = false

  constructor(
    options: { directory: string; fileBytes: number; flushIntervalMs: number },
    doors: { files: Files; clock: Clock; log: Log },
  ) {
    this.#directory = options.directory
    this.#flushIntervalMs = options.flushIntervalMs
    this.#files = doors.files
    this.#clock = doors.clock
    this.#log = doors.log
    this.#pool = new FilePool(doors.files, openFilesMax)
    this.#shelf = {
      files: doors.files,
      pool: this.#pool,
      fileBytes: options.fileBytes,
      onDirty: (queue) => this.#onDirty(queue),
      tryWriteTail: (queue) => this.#tryWriteTail(queue),
      onUnsynced: (path) => this.#unsynced.add(path),
      onRemoved: (path) => this.#unsynced.delete(path),
    }
  }

  get count(): number {
    return this.#count
  }

  /** Sum of all queues' maxOffset. */
  get unitCount(): number {
    let count = 0
    for (const queue of this.all()) count += queue.maxOffset
    return count
  }

  get openFileCount(): number {
    return this.#pool.openCount
  }

  /** The error of the last write when it failed: tails grow then, so the store takes no new messages. */
  get writeFailure(): unknown {
    return this.#writeFailure
  }

  find(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#topics.get(topic)?.byId.get(queueId)
  }

  /** @throws OperatingError MESSAGE_ILLEGAL when topic or queueId could not name a directory */
  findOrMake(topic: string, queueId: number): ConsumeQueue {
    let queue = this.#topics.get(topic)?.byId.get(queueId)
    if (queue === undefined) {
      const queues = this.#topicQueues(topic)
      if (!isQueueName(topic, queueId)) throw new OperatingError('MESSAGE_ILLEGAL', { topic, queueId })
      queue = new ConsumeQueue(topic, queueId, `${this.#directory}/${topic}/${queueId}`, this.#shelf)
      queues.byId.set(queueId, queue)
      this.#count++
    }
    return queue
  }

  /** The UTF-8 bytes of a topic's name. */
  topicBytes(topic: string): Buffer {
    return this.#topicQueues(topic).topicBytes
  }

  *all(): Generator<ConsumeQueue> {
    for (const { byId } of this.#topics.values()) yield* byId.values()
  }

  /** Reads which queues there are and how long; see ConsumeQueue.load. @throws OperatingError STORE_CORRUPT */
  load(logMinOffset: number, logEndOffset: number): void {
    for (const topic of this.#files.list(this.#directory)) {
      if (!topic.isDirectory) continue
      for (const { name, isDirectory } of this.#files.list(`${this.#directory}/${topic.name}`)) {
        if (isDirectory && /^\d+$/.test(name)) {
          this.findOrMake(topic.name, Number(name)).load(logMinOffset, logEndOffset)
        }
      }
    }
  }

  /** Forgets every unit of every queue, files included: the log will say them again. */
  removeAll(): void {
    this.#pool.close()
    for (const queue of this.all()) queue.forget()
    this.#topics.clear()
    this.#count = 0
    this.#dirty.clear()
    this.#unsynced.clear()
    this.#files.remove(this.#directory)
  }

  removeTopic(topic: string): void {
    const queues = this.#topics.get(topic)
    if (queues === undefined) return
    for (const queue of queues.byId.values()) this.#forget(queue)
    this.#count -= queues.byId.size
    this.#topics.delete(topic)
    this.#files.remove(`${this.#directory}/${topic}`)
  }

  /** Lets every queue forget what the log no longer has; in slices with turns for others between them. */
  async trim(logMinOffset: number): Promise<void> {
    let sliceEndsMs = this.#clock.monotonicMs() + sliceMs
    for (const queue of [...this.all()]) {
      if (this.#isClosed) return
      if (!queue.isRemoved) queue.trim(logMinOffset)
      if (this.#clock.monotonicMs() < sliceEndsMs) continue
      await this.#turn()
      sliceEndsMs = this.#clock.monotonicMs() + sliceMs
    }
  }

  /**
   * Removes queues whose messages are all gone from the log; what is sent to them later begins at 0.
   * @param isKept topics whose queues stay
   * @returns how many went
   */
  removeExpired(logMinOffset: number, isKept: (topic: string) => boolean): number {
    let removed = 0
    for (const [topic, { byId }] of this.#topics) {
      if (isKept(topic)) continue
      for (const queue of byId.values()) {
        const isEmpty = queue.maxOffset === 0 || queue.nextOffset > queue.maxOffset // just begun
        if (isEmpty || queue.lastEnd() > logMinOffset) continue
        this.#forget(queue)
        byId.delete(queue.queueId)
        this.#files.remove(queue.directory)
        removed++
      }
      if (byId.size > 0) continue
      this.#topics.delete(topic)
      this.#files.remove(`${this.#directory}/${topic}`)
    }
    this.#count -= removed
    return removed
  }

  /** Writes the tail of one queue now. A write that fails is told by writeFailure, and done again later. */
  writeNow(queue: ConsumeQueue): void {
    this.#tryWriteTail(queue)
  }

  /**
   * Writes all tails, in slices with turns for others between them.
   * @returns false when isTimeUp said so before all were written
   * @throws OperatingError FILE_FAILED
   */
  async writeAll(isTimeUp: () => boolean): Promise<boolean> {
    while (this.#dirty.size > 0) {
      if (isTimeUp()) return false
      this.#writeSlice(0)
      if (this.#writeFailure !== undefined) throw this.#writeFailure
      if (this.#dirty.size > 0) await this.#turn()
    }
    return true
  }

  /**
   * Makes what was written before the call survive a power cut.
   * @returns false when isTimeUp said so before all was safe
   * @throws OperatingError FILE_FAILED
   */
  async syncAll(isTimeUp: () => boolean): Promise<boolean> {
    const paths = [...this.#unsynced]
    for (const path of paths) {
      if (isTimeUp()) return false
      if (!this.#unsynced.delete(path)) continue // its topic was deleted
      try {
        await this.#pool.sync(path)
      } catch (error) {
        if (!this.#files.exists(path)) continue
        this.#unsynced.add(path)
        throw error
      }
    }
    return true
  }

  close(): void {
    this.#isClosed = true
    this.#pool.close()
  }

  #topicQueues(topic: string): TopicQueues {
    let queues = this.#topics.get(topic)
    if (queues === undefined) {
      const topicBytes = Buffer.from(topic)
      if (!isTopicName(topic)) {
        throw new OperatingError('MESSAGE_ILLEGAL', { topic, topicBytes: topicBytes.length, topicBytesMax })
      }
      queues = { topicBytes, byId: new Map() }
      this.#topics.set(topic, queues)
    }
    return queues
  }

  #forget(queue: ConsumeQueue): void {
    this.#dirty.delete(queue)
    for (const path of this.#unsynced) if (path.startsWith(`${queue.directory}/`)) this.#unsynced.delete(path)
    queue.isRemoved = true
    queue.forget()
  }

  #onDirty(queue: ConsumeQueue): void {
    queue.isDirty = true
    queue.dirtySinceMs = this.#clock.monotonicMs()
    this.#dirty.add(queue)
    this.#armTimer(this.#flushIntervalMs)
    if (++this.#newlyDirtyCount >= newlyDirtyToAddUp) this.#addUpTails()
  }

  /** Called once per many newly dirty queues, because adding up is long: writes the oldest while there is too much. */
  #addUpTails(): void {
    this.#newlyDirtyCount = 0
    let bytes = 0
    for (const queue of this.#dirty) bytes += queue.tailBytes
    for (const queue of this.#dirty) {
      if (bytes <= tailBytesMax || this.#writeFailure !== undefined) return
      bytes -= queue.tailBytes
      this.#tryWriteTail(queue)
    }
  }

  #armTimer(delayMs: number): void {
    if (this.#isTimerArmed || this.#isClosed) return
    this.#isTimerArmed = true
    this.#clock
      .after(delayMs, () => {
        this.#isTimerArmed = false
        if (this.#isClosed) return
        this.#writeSlice(this.#flushIntervalMs)
        const [oldest] = this.#dirty
        if (oldest === undefined) return
        const isDue = this.#clock.monotonicMs() - oldest.dirtySinceMs >= this.#flushIntervalMs
        this.#armTimer(isDue && this.#writeFailure === undefined ? sliceEveryMs : this.#flushIntervalMs)
      })
      .unref()
  }

  #writeSlice(ageMsMin: number): void {
    const startedMs = this.#clock.monotonicMs()
    for (const queue of this.#dirty) {
      if (queue.dirtySinceMs > startedMs - ageMsMin || !this.#tryWriteTail(queue)) return
      if (this.#clock.monotonicMs() - startedMs >= sliceMs) return
    }
  }

  #tryWriteTail(queue: ConsumeQueue): boolean {
    try {
      queue.writeTail()
    } catch (error) {
      if (this.#writeFailure === undefined) this.#log.error({ err: error }, 'a consume queue cannot be written')
      this.#writeFailure = error
      return false
    }
    if (this.#writeFailure !== undefined) this.#log.info({}, 'consume queues can be written again')
    this.#writeFailure = undefined
    queue.isDirty = false
    this.#dirty.delete(queue)
    return true
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.endOfTurn(resolve))
  }
}

function isTopicName(topic: string): boolean {
  return /^[^/\0]+$/.test(topic) && !/^\.\.?$/.test(topic) && Buffer.byteLength(topic) <= topicBytesMax
}

/** Whether both could name a directory. */
export function isQueueName(topic: string, queueId: number): boolean {
  return isTopicName(topic) && Number.isInteger(queueId) && queueId >= 0
}
