import { isOperatingError } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import { MessageSysFlag, PropertyName, readProperty, recordAt } from '../../../remoting/message/index.ts'
import { entryBytes, type IndexShape, indexFileBytes } from '../key-index/index-file.ts'
import { collectKeyHashes, keyHash, tagIndexType } from '../key-index/keys.ts'
import type { ScannedRecord } from '../scan.ts'
import { defaults, lengthOf, usualLength } from './file-lengths.ts'
import type { Findings } from './findings.ts'
import { IndexEntries, type IndexEntry } from './index-entries.ts'

/** Messages with a tag that are looked at to tell whether tags are indexed: brokers before 5.5 do not. */
const tagProbeCount = 1000

/**
 * The sizes of a directory's index files, which their length alone does not tell.
 * @param sizes maxHashSlotNum, maxIndexNum; undefined: as brokers have it, as most files are
 * @returns undefined when the length fits no such file
 */
export function indexShapeOf(
  files: Files,
  directory: string,
  sizes: { slotCount: number | undefined; indexEntries: number | undefined },
): IndexShape | undefined {
  const { slotCount = defaults.slotCount, indexEntries } = sizes
  const lengths = files.list(directory).flatMap(({ isDirectory, sizeBytes }) => (isDirectory ? [] : [sizeBytes]))
  if (lengths.length === 0) return undefined
  if (indexEntries !== undefined) return { slotCount, entryCountMax: indexEntries }
  const byDefault = indexFileBytes({ slotCount, entryCountMax: defaults.entryCountMax })
  const length = sizes.slotCount === undefined ? lengthOf(lengths, undefined, byDefault) : usualLength(lengths)
  const entryCountMax = (length - indexFileBytes({ slotCount, entryCountMax: 0 })) / entryBytes
  return Number.isInteger(entryCountMax) && entryCountMax >= 2 ? { slotCount, entryCountMax } : undefined
}

export interface IndexCheckOptions {
  directory: string
  shape: IndexShape
  /** Entries below it are of messages that retention removed. */
  logMinOffset: number
  /** A broker may be at work, or one died: then slots and the newest entries may be in its memory only. */
  isInUse: boolean
  findings: Findings
}

/** Messages without an entry, and where the first one lies. */
interface Tally {
  count: number
  firstPhyOffset: number
}

/**
 * Holds the keys of each record against the entries of the index, which are in the order of the log too: both are gone
 * through once.
 */
export class IndexCheck {
  readonly #files: Files
  readonly #directory: string
  readonly #shape: IndexShape
  readonly #logMinOffset: number
  readonly #isInUse: boolean
  readonly #findings: Findings
  readonly #paths: string[] // not yet read
  readonly #hashes: number[] = []
  #reading: IndexEntries | undefined
  #entry: IndexEntry | undefined
  #lastPhyOffset = -1 // of the entries so far
  #tagProbes = 0
  #hasTags = false
  readonly #missing: Tally = { count: 0, firstPhyOffset: -1 }
  readonly #untagged: Tally = { count: 0, firstPhyOffset: -1 }
  readonly #behind: Tally = { count: 0, firstPhyOffset: -1 }
  readonly #stray: Tally = { count: 0, firstPhyOffset: -1 }
  fileCount = 0
  agreeCount = 0

  constructor(files: Files, options: IndexCheckOptions) {
    const { directory } = options
    this.#files = files
    this.#directory = directory
    this.#shape = options.shape
    this.#logMinOffset = options.logMinOffset
    this.#isInUse = options.isInUse
    this.#findings = options.findings
    this.#paths = files.list(directory).flatMap(({ name, isDirectory }) => (isDirectory ? [] : `${directory}/${name}`))
    this.#next()
  }

  /** Keys of the newest messages that have no entry yet, in a directory that is in use. */
  get behindCount(): number {
    return this.#behind.count
  }

  take({ buffer, position, layout, phyOffset }: ScannedRecord): void {
    const sysFlag = buffer.readInt32BE(position + recordAt.sysFlag)
    if ((sysFlag & MessageSysFlag.TRANSACTION_MASK) === MessageSysFlag.TRANSACTION_ROLLBACK) return
    const count = collectKeyHashes(buffer, layout, this.#hashes)
    if (count === 0) return
    while (this.#entry !== undefined && this.#entry.phyOffset < phyOffset) this.#pass()
    const isBehind = this.#entry === undefined && this.#lastPhyOffset < phyOffset
    const wanted = new Set<number>()
    for (let index = 0; index < count; index++) wanted.add(this.#hashes[index]!)
    const all = new Set(wanted)
    for (; this.#entry?.phyOffset === phyOffset; this.#next()) {
      if (wanted.delete(this.#entry.hash)) this.agreeCount++
      else if (!all.has(this.#entry.hash)) note(this.#stray, 1, phyOffset)
    }
    if (isBehind) {
      note(this.#behind, wanted.size, phyOffset)
      return
    }
    if (this.#tagProbes < tagProbeCount || wanted.size > 0) this.#takeTag({ buffer, layout }, all, wanted, phyOffset)
    if (wanted.size > 0) note(this.#missing, wanted.size, phyOffset)
  }

  /**
   * Reads on to the end and says what is wrong.
   * @param leftOutFrom messages from here on came while the log was read
   */
  finish(leftOutFrom: number): void {
    while (this.#entry !== undefined && this.#entry.phyOffset < leftOutFrom) this.#pass()
    const { count, firstPhyOffset } = this.#missing
    if (count > 0) this.#add(this.#directory, `${count} keys of messages have no entry`, firstPhyOffset)
    if (this.#hasTags && this.#untagged.count > 0) {
      this.#add(this.#directory, `${this.#untagged.count} tags have no entry`, this.#untagged.firstPhyOffset)
    }
    if (this.#behind.count > 0 && !this.#isInUse) {
      this.#add(this.#directory, `the last ${this.#behind.count} keys have no entry`, this.#behind.firstPhyOffset)
    }
    if (this.#stray.count > 0) {
      const what = `${this.#stray.count} entries name no message with their key`
      this.#add(this.#directory, what, this.#stray.firstPhyOffset)
    }
  }

  close(): void {
    this.#reading?.close()
    this.#reading = undefined
  }

  #takeTag(
    { buffer, layout }: Pick<ScannedRecord, 'buffer' | 'layout'>,
    all: Set<number>,
    wanted: Set<number>,
    phyOffset: number,
  ): void {
    const { topicAt, topicLength, propertiesAt, propertiesLength } = layout
    const tag = readProperty(buffer.toString('utf8', propertiesAt, propertiesAt + propertiesLength), PropertyName.TAGS)
    if (!tag) return
    const hash = keyHash(buffer.toString('utf8', topicAt, topicAt + topicLength), tag, tagIndexType)
    this.#tagProbes++
    if (wanted.delete(hash)) note(this.#untagged, 1, phyOffset)
    else if (all.has(hash)) this.#hasTags = true
  }

  /** Goes on to the next entry: this one names no record with keys, a record before the log, or one that was seen. */
  #pass(): void {
    const { phyOffset } = this.#entry!
    // Behind a crash a broker may index again what was indexed before.
    if (phyOffset > this.#lastPhyOffset && phyOffset >= this.#logMinOffset) note(this.#stray, 1, phyOffset)
    this.#next()
  }

  #next(): void {
    this.#lastPhyOffset = Math.max(this.#lastPhyOffset, this.#entry?.phyOffset ?? -1)
    this.#entry = this.#reading?.next()
    while (this.#entry === undefined) {
      this.#endFile()
      const path = this.#paths.shift()
      if (path === undefined) return
      this.#reading = this.#openFile(path)
      this.#entry = this.#reading?.next()
    }
  }

  #openFile(path: string): IndexEntries | undefined {
    if (!/^\d{17}$/.test(path.slice(this.#directory.length + 1))) {
      this.#add(path, 'its name is not that of an index file')
      return undefined
    }
    try {
      const entries = new IndexEntries(this.#files, path, this.#shape)
      this.fileCount++
      return entries
    } catch (error) {
      if (!isOperatingError(error, 'STORE_CORRUPT')) throw error
      const { sizeBytes, expectedBytes } = error.facts
      const isLength = sizeBytes !== undefined
      this.#add(path, isLength ? `is ${sizeBytes} bytes long, not ${expectedBytes}` : 'its header cannot be')
      return undefined
    }
  }

  #endFile(): void {
    const reading = this.#reading
    if (reading === undefined) return
    const { path, brokenCount } = reading
    if (brokenCount > 0) this.#add(path, `${brokenCount} entries do not go on with the chain of their slot`)
    // The newest file's slots are in the broker's memory until it stops.
    else if (this.#paths.length > 0 || !this.#isInUse) {
      const wrong = reading.wrongSlots()
      if (wrong > 0) this.#add(path, `${wrong} slots do not name the newest entry of their chain`)
    }
    reading.close()
    this.#reading = undefined
  }

  #add(path: string, what: string, phyOffset?: number): void {
    this.#findings.add({ kind: 'index', path, what, ...(phyOffset !== undefined && { phyOffset }) })
  }
}

function note(tally: Tally, count: number, phyOffset: number): void {
  if (tally.count === 0) tally.firstPhyOffset = phyOffset
  tally.count += count
}
