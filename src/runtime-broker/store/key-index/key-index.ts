import type { Clock, Timer } from '../../../base/clock.ts'
import { isOperatingError, OperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import type { Log } from '../../../base/log.ts'
import { layoutOf, readInt64 } from '../../../remoting/message/index.ts'
import type { CommitLog } from '../commit-log.ts'
import { isSyncFailure } from '../flusher.ts'
import { IndexFile, type IndexShape } from './index-file.ts'
import { hashKeys, keyHash, type MessageKeys } from './keys.ts'
import { nextIndexName } from './names.ts'
import { NotedKeys } from './noted-keys.ts'
import { selectEntries } from './query.ts'
import { KeyReader } from './records.ts'

/** Messages are indexed this long after they came, many at once: who queries sooner waits until theirs are. */
const delayMs = 50
/** Other work gets its turn after so long; while there is more to index, after a pause. */
const sliceMs = 1
const pauseMs = 4
const retryMs = 1000
const slotPagesPerTurn = 256 // 1 MiB
const catchUpMsMax = 3000
const queryMsMax = 5000

/** How far the index is safe; part of the checkpoint. */
export interface SavedIndex {
  /** Every key of the records below it has its entry. */
  indexedTo: number
  /** The newest file, and its header's count; '' when there is none. */
  fileName: string
  count: number
}

export interface KeyQuery {
  topic: string
  key: string
  indexType?: string | undefined // tagIndexType: key is a tag
  countMax: number
  beginTimestamp: number
  endTimestamp: number
}

export interface KeyQueryResult {
  /** Where messages begin that may have the key, ascending: another key can have the same hash. */
  phyOffsets: number[]
  lastUpdateTimestamp: number
  lastUpdatePhyOffset: number
}

/**
 * Finds messages by key: files of hashes, made from the commit log behind the back of who sends. The backlog is the log
 * itself, so it takes no memory however far the index is behind. Source: Apache RocketMQ 5.5, IndexService.
 */
export class KeyIndex {
  readonly #directory: string
  readonly #shape: IndexShape
  readonly #commitLog: CommitLog
  readonly #reader: KeyReader
  readonly #files: Files
  readonly #clock: Clock
  readonly #log: Log
  readonly #noted = new NotedKeys()
  readonly #hashes: number[] = []
  #all: IndexFile[] = [] // oldest first; the last one grows
  #indexedTo = 0
  #target = 0
  #timer: Timer | undefined
  #working: Promise<void> | undefined
  #finishing: Promise<void> | undefined
  #failure: unknown
  #putFailure: unknown
  #syncFailure: unknown // between two checkpoints; each of them fails with it
  #isStopped = false
  #isClosed = false

  constructor(
    options: { directory: string; shape: IndexShape },
    commitLog: CommitLog,
    { files, clock, log }: { files: Files; clock: Clock; log: Log },
  ) {
    this.#directory = options.directory
    this.#shape = options.shape
    this.#commitLog = commitLog
    this.#reader = new KeyReader(commitLog)
    this.#files = files
    this.#clock = clock
    this.#log = log
  }

  get indexedTo(): number {
    return this.#indexedTo
  }

  get openFileCount(): number {
    return this.#all.length
  }

  /** storeTimestamp of the newest message in a file that is finished: Apache keeps only such files after a crash. */
  get finishedTimestamp(): number {
    return this.#all.findLast((file) => file.isFull && !file.isGrowing)?.header.endTimestamp ?? 0
  }

  /**
   * Reads which files there are and decides from where on the log must be read again. Files that contradict themselves
   * or the log go: the log will say it all again.
   * @param endOffset where the recovered log ends
   */
  async load(
    state: { wasClean: boolean; saved: SavedIndex | undefined; indexMsgTimestamp: number },
    endOffset: number,
  ): Promise<void> {
    const { minOffset } = this.#commitLog
    this.#files.makeDirectory(this.#directory)
    this.#openAll()
    let from = state.wasClean ? this.#fromStop(state.saved) : await this.#fromCrash(state)
    const last = this.#all.at(-1)
    const isBelievable =
      from !== undefined &&
      from <= endOffset &&
      (last === undefined ||
        last.header.count === 1 ||
        (last.header.endPhyOffset < endOffset && (await this.#agrees(last)))) &&
      this.#isComplete(endOffset)
    if (!isBelievable) {
      if (this.#all.length > 0) this.#log.warn({ phyOffset: from }, 'the index contradicts the log: building it anew')
      this.#removeFrom(0)
      from = minOffset
    }
    this.#indexedTo = Math.max(from ?? minOffset, minOffset)
    this.#target = this.#indexedTo
    const behindBytes = endOffset - this.#indexedTo
    if (behindBytes > 0) this.#log.info({ phyOffset: this.#indexedTo, behindBytes }, 'messages are to be indexed')
  }

  /** The keys of the message at phyOffset, for which the log need not be read then. It comes before it is advanced beyond it. */
  note(topic: string, keys: MessageKeys, phyOffset: number, size: number, storeTimestamp: number): void {
    const count = hashKeys(topic, keys, this.#hashes)
    this.#noted.note(phyOffset, size, storeTimestamp, this.#hashes, count)
  }

  /** Messages below phyOffset are readable now. */
  advance(phyOffset: number): void {
    this.#target = phyOffset
    if (this.#timer === undefined && this.#working === undefined) this.#arm(delayMs)
  }

  /** The log ends at phyOffset now: what lies behind comes anew. Entries for it stay, and point to what is not theirs. */
  cut(phyOffset: number): void {
    this.#indexedTo = Math.min(this.#indexedTo, phyOffset)
    this.#target = Math.min(this.#target, phyOffset)
    this.#noted.forgetFrom(phyOffset)
    this.#reader.forget()
  }

  /** Where messages with the key may lie; the newest countMax of them. */
  async query(query: KeyQuery): Promise<KeyQueryResult> {
    const untilMs = this.#clock.monotonicMs() + catchUpMsMax
    await this.#catchUp(this.#target, () => this.#clock.monotonicMs() > untilMs)
    const last = this.#all.at(-1)?.header
    const queryUntilMs = this.#clock.monotonicMs() + queryMsMax
    const hash = keyHash(query.topic, query.key, query.indexType)
    const phyOffsets = await selectEntries([...this.#all], hash, query, () => this.#clock.monotonicMs() > queryUntilMs)
    return {
      phyOffsets,
      lastUpdateTimestamp: last?.endTimestamp ?? 0,
      lastUpdatePhyOffset: last?.endPhyOffset ?? 0,
    }
  }

  /** Makes what is indexed now survive a power cut. @throws OperatingError FILE_FAILED */
  async checkpoint(): Promise<SavedIndex> {
    const last = this.#all.at(-1)
    const fileName = last === undefined ? '' : last.path.slice(this.#directory.length + 1)
    const saved = { indexedTo: this.#indexedTo, fileName, count: last?.header.count ?? 0 }
    if (last !== undefined && !last.isClosed) {
      last.writeEntries()
      last.writeHeader()
      await last.sync()
    }
    await this.#finishFull()
    if (this.#syncFailure !== undefined) throw this.#syncFailure
    return saved
  }

  /**
   * For a clean stop: takes no more messages, indexes those there are, and completes the file as others expect it.
   * @returns false when isTimeUp said so first, or a write failed
   */
  async stop(isTimeUp: () => boolean): Promise<boolean> {
    this.#isStopped = true
    this.#timer?.cancel()
    if (!(await this.#catchUp(this.#target, isTimeUp))) return false
    const last = this.#all.at(-1)
    if (last?.isGrowing) {
      last.writeEntries()
      while (!last.writeSlots(slotPagesPerTurn)) {
        if (isTimeUp()) return false
        await this.#turn()
      }
    }
    return true
  }

  close(): void {
    this.#isStopped = this.#isClosed = true
    this.#timer?.cancel()
    for (const file of this.#all) file.close()
  }

  /** Removes the files whose messages all lie below the log's beginning; the newest one stays. @returns how many */
  removeExpired(minOffset: number): number {
    let count = 0
    while (count < this.#all.length - 1 && this.#all[count]!.header.endPhyOffset < minOffset) count++
    // A file that is not finished yet is in use; it goes the next time.
    if (this.#all.slice(0, count).some((file) => file.isGrowing)) return 0
    for (const file of this.#all.splice(0, count)) this.#remove(file)
    return count
  }

  #arm(afterMs: number): void {
    if (this.#isStopped) return
    this.#timer = this.#clock.after(afterMs, () => {
      this.#timer = undefined
      void this.#work().then(() => {
        if (this.#indexedTo < this.#target && this.#timer === undefined) {
          this.#arm(this.#failure === undefined ? pauseMs : retryMs)
        }
      })
    })
    this.#timer.unref()
  }

  /** One slice; whoever calls while it runs waits for the same. */
  #work(): Promise<void> {
    this.#working ??= this.#slice().finally(() => {
      this.#working = undefined
    })
    return this.#working
  }

  async #slice(): Promise<void> {
    if (this.#indexedTo < this.#commitLog.minOffset) this.#indexedTo = this.#commitLog.minOffset // retention was quicker
    if (this.#isClosed || this.#indexedTo >= this.#target) return
    try {
      if (!this.#commitLog.isHot(this.#indexedTo)) {
        await this.#reader.readAhead(this.#indexedTo, this.#target)
        if (this.#isClosed || this.#indexedTo >= this.#target) return
        this.#indexedTo = Math.max(this.#indexedTo, this.#commitLog.minOffset)
      }
      const untilMs = this.#clock.monotonicMs() + sliceMs
      do {
        this.#readOne()
      } while (this.#indexedTo < this.#target && this.#clock.monotonicMs() < untilMs)
      if (this.#failure !== undefined) this.#log.info({}, 'the index can be written again')
      this.#failure = undefined
    } catch (error) {
      if (!isOperatingError(error)) throw error
      if (this.#failure === undefined) this.#log.error({ err: error }, 'the index cannot be written: trying again')
      this.#failure = error
    }
  }

  #readOne(): void {
    const from = this.#indexedTo
    this.#noted.forgetBefore(from)
    const { first } = this.#noted
    const { next, wasTaken, isLost } =
      first === from
        ? this.#noted.tell(this.#target, this.#take)
        : this.#reader.read(from, Math.min(this.#target, first), this.#take, this.#target)
    this.#indexedTo = next
    if (!wasTaken) throw this.#putFailure
    if (!isLost) return
    const { segments } = this.#commitLog
    this.#indexedTo = Math.min(this.#target, segments.startOf(next) + segments.segmentBytes)
    this.#log.error({ phyOffset: next, next: this.#indexedTo }, 'no record where one was to be indexed: skipped')
  }

  readonly #take = (hashes: readonly number[], count: number, phyOffset: number, storeTimestamp: number): boolean => {
    try {
      for (let index = 0; index < count; index++) {
        this.#growing().put(hashes[index]!, phyOffset, storeTimestamp)
      }
      return true
    } catch (error) {
      this.#putFailure = error // a record of which a part was put comes again: its entries then are there twice
      return false
    }
  }

  #growing(): IndexFile {
    const last = this.#all.at(-1)
    if (last !== undefined && !last.isFull) {
      if (!last.isGrowing) last.growOn()
      return last
    }
    const lastName = last?.path.slice(this.#directory.length + 1)
    const path = `${this.#directory}/${nextIndexName(this.#clock.now(), lastName)}`
    const made = IndexFile.create(this.#files, path, this.#shape, last?.header)
    this.#files.syncDirectory(this.#directory)
    this.#all.push(made)
    if (last?.isGrowing) {
      void this.#finishFull().catch((error) => {
        this.#log.error({ err: error }, 'an index file is not finished yet')
        if (isSyncFailure(error)) this.#syncFailure = error
      })
    }
    return made
  }

  /** Completes the files that are full. @throws OperatingError FILE_FAILED; the next checkpoint tries again */
  #finishFull(): Promise<void> {
    this.#finishing ??= this.#finishEach().finally(() => {
      this.#finishing = undefined
    })
    return this.#finishing
  }

  async #finishEach(): Promise<void> {
    for (const file of [...this.#all]) {
      if (!file.isFull || !file.isGrowing || file.isClosed) continue
      file.writeEntries()
      file.writeHeader()
      while (!file.writeSlots(slotPagesPerTurn)) {
        await this.#turn()
        if (file.isClosed) return
      }
      await file.sync()
      file.endGrowth()
    }
  }

  /** @returns whether everything below target is indexed */
  async #catchUp(target: number, isTimeUp: () => boolean): Promise<boolean> {
    while (this.#indexedTo < target) {
      if (isTimeUp()) return false
      await this.#work()
      if (this.#failure !== undefined) return false
      if (this.#indexedTo < target) await this.#turn()
    }
    return true
  }

  #openAll(): void {
    const names = this.#files.list(this.#directory).flatMap(({ name, isDirectory }) => (isDirectory ? [] : [name]))
    for (const name of names) {
      const path = `${this.#directory}/${name}`
      try {
        if (!/^\d{17}$/.test(name)) throw new OperatingError('STORE_CORRUPT', { path })
        this.#all.push(IndexFile.open(this.#files, path, this.#shape))
      } catch (error) {
        if (!isOperatingError(error, 'STORE_CORRUPT')) throw error
        this.#log.warn({ ...error.facts }, 'an index file is not what it must be: it and later ones are made again')
        for (const later of names.slice(names.indexOf(name))) this.#files.remove(`${this.#directory}/${later}`)
        return
      }
    }
  }

  /** Where to go on after a clean stop; undefined: the index cannot be believed. */
  #fromStop(saved: SavedIndex | undefined): number | undefined {
    const last = this.#all.at(-1)
    if (saved === undefined) return this.#after(last)
    const isSame =
      last === undefined
        ? saved.fileName === ''
        : last.path === `${this.#directory}/${saved.fileName}` && last.header.count === saved.count
    return isSame ? saved.indexedTo : undefined
  }

  async #fromCrash(state: { saved: SavedIndex | undefined; indexMsgTimestamp: number }): Promise<number | undefined> {
    const { saved, indexMsgTimestamp } = state
    if (saved !== undefined) {
      if (saved.fileName === '') {
        this.#removeFrom(0)
        return saved.indexedTo
      }
      const at = this.#all.findIndex(({ path }) => path === `${this.#directory}/${saved.fileName}`)
      if (at < 0) return undefined
      this.#removeFrom(at + 1)
      try {
        await this.#all[at]!.growFrom(saved.count)
        return saved.indexedTo
      } catch (error) {
        if (!isOperatingError(error, 'STORE_CORRUPT')) throw error
        this.#log.warn({ ...error.facts }, 'an index file lost entries: it is made again')
        this.#removeFrom(at)
        return this.#after(this.#all.at(-1))
      }
    }
    // Nobody of ours was here last: only files that were finished are whole, as Apache's broker has it.
    const partial = this.#all.findIndex((file) => !file.isFull || file.header.endTimestamp > indexMsgTimestamp)
    if (partial >= 0) this.#removeFrom(partial)
    return this.#after(this.#all.at(-1))
  }

  /** The end of the last record that a file knows; undefined when there is no such record. */
  #after(file: IndexFile | undefined): number | undefined {
    const { minOffset } = this.#commitLog
    if (file === undefined || file.header.endPhyOffset < minOffset) return minOffset
    const record = this.#commitLog.recordAt(file.header.endPhyOffset)
    return record === undefined ? undefined : file.header.endPhyOffset + record.length
  }

  /** Whether the newest entry of a file names a record that has its key. */
  async #agrees(file: IndexFile): Promise<boolean> {
    const entry = Buffer.alloc(20)
    await file.readEntries(entry, file.header.count - 1)
    const phyOffset = readInt64(entry, 4)
    if (phyOffset !== file.header.endPhyOffset) return false
    if (phyOffset < this.#commitLog.minOffset) return true
    const record = this.#commitLog.recordAt(phyOffset)
    if (record === undefined || layoutOf(record, 0) === undefined) return false
    let isThere = false
    this.#reader.read(phyOffset, phyOffset + record.length, (hashes, count) => {
      isThere = hashes.slice(0, count).includes(entry.readInt32BE(0))
      return false
    })
    return isThere
  }

  /** Whether the first key of the log is in the first file, so that no file is missing before it. */
  #isComplete(endOffset: number): boolean {
    const { minOffset } = this.#commitLog
    const first = this.#all[0]?.header
    if (first === undefined || first.count === 1 || first.beginPhyOffset <= minOffset) return true
    let firstKeyAt = -1
    const note = (_hashes: readonly number[], _count: number, phyOffset: number) => {
      firstKeyAt = phyOffset
      return false
    }
    for (let at = minOffset, chunks = 0; at < Math.min(endOffset, first.beginPhyOffset) && chunks < 64; chunks++) {
      const { next, wasTaken, isLost } = this.#reader.read(at, endOffset, note)
      if (!wasTaken || isLost) break
      at = next
    }
    return firstKeyAt < 0 || firstKeyAt >= first.beginPhyOffset
  }

  #removeFrom(at: number): void {
    for (const file of this.#all.splice(at)) this.#remove(file)
  }

  #remove(file: IndexFile): void {
    file.close()
    this.#files.remove(file.path)
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.endOfTurn(resolve))
  }
}
