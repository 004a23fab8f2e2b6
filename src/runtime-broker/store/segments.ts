import { assert } from '../../base/assert.ts'
import { OperatingError } from '../../base/errors.ts'
import type { FileInfo, Files, OpenFile } from '../../base/files.ts'
import type { Log } from '../../base/log.ts'

/** Segment and queue files are named by the offset of their first byte: 20 digits, so that names sort as numbers do. */
export function offsetName(start: number): string {
  return String(start).padStart(20, '0')
}

/**
 * Reads a directory of files that together are one long file: each of fileBytes, named by its first byte, none missing.
 * A last file of no length is what a crash between creating and sizing leaves: it goes.
 * @returns the first bytes' offsets, ascending
 * @throws OperatingError STORE_CORRUPT: a stray name, another length (was the size setting changed?), a gap
 */
export function loadStarts(files: Files, directory: string, fileBytes: number): number[] {
  const infos = files.list(directory).filter((info) => !info.isDirectory)
  const last = infos.at(-1)
  if (last?.sizeBytes === 0) {
    files.remove(`${directory}/${last.name}`)
    infos.pop()
  }
  return infos.map(({ name, sizeBytes }, index) => {
    const path = `${directory}/${name}`
    const start = Number(name)
    if (!/^\d{20}$/.test(name) || start % fileBytes !== 0)
      throw new OperatingError('STORE_CORRUPT', { path, fileBytes })
    if (sizeBytes !== fileBytes)
      throw new OperatingError('STORE_CORRUPT', { path, sizeBytes, expectedBytes: fileBytes })
    const expectedStart = Number(infos[0]!.name) + index * fileBytes
    if (start !== expectedStart) throw new OperatingError('STORE_CORRUPT', { path, missing: offsetName(expectedStart) })
    return start
  })
}

/**
 * After a crash the last segment with something in it may be short: zeroFrom cuts a file before it makes it whole again. What it
 * still has ends where the log does. Where another segment is of another length too, or the short one ends with nothing, it is
 * the size setting that was changed: then nothing is touched.
 */
export function mendCutSegment(files: Files, directory: string, segmentBytes: number, log: Log): void {
  const infos = files.list(directory).filter((info) => !info.isDirectory)
  if (infos.at(-1)?.sizeBytes === 0) infos.pop() // loadStarts removes it
  const index = infos.findIndex(({ sizeBytes }) => sizeBytes < segmentBytes)
  if (index < 0) return
  const [cut, ...behind] = infos.slice(index)
  const isWhole = ({ name, sizeBytes }: FileInfo) => sizeBytes === segmentBytes && Number(name) % segmentBytes === 0
  const isEmpty = ({ name }: FileInfo) => isZero(files, `${directory}/${name}`, 0)
  const path = `${directory}/${cut!.name}`
  const { sizeBytes } = cut!
  const isItAlone = Number(cut!.name) % segmentBytes === 0 && infos.every((info) => info === cut || isWhole(info))
  if (!isItAlone || !behind.every(isEmpty) || isZero(files, path, Math.max(0, sizeBytes - probeBytes))) return
  log.warn({ path, sizeBytes, segmentBytes }, 'a segment was cut when the last process died: lengthened')
  const file = files.open(path, 'existing')
  try {
    file.truncate(segmentBytes)
    file.syncNow()
  } finally {
    file.close()
  }
}

/** Whether the page of the file that begins at position holds nothing. */
function isZero(files: Files, path: string, position: number): boolean {
  const file = files.open(path, 'reading')
  try {
    const bytes = Buffer.alloc(probeBytes)
    file.read(bytes, position)
    return bytes.every((byte) => byte === 0)
  } finally {
    file.close()
  }
}

const probeBytes = 4096

/** The files of the commit log: equally long, created sparse at full length, opened when first needed. */
export class Segments {
  readonly directory: string
  readonly segmentBytes: number
  readonly #files: Files
  readonly #open = new Map<number, OpenFile>() // as many as the volume has segments
  /** Reads under way by file, and files that go when theirs are done. */
  readonly #readsUnderWay = new Map<OpenFile, number>()
  readonly #dropped = new Set<OpenFile>()
  /** Removed from the log, and still in the directory. */
  #condemned: string[] = []
  #first = 0
  #count = 0
  #removedStart = -1 // of the last segment whose file was removed: who still makes it ahead of time has a file without a name
  #preparedStart = -1 // of the segment that was last made ahead of time, or tried to
  #isClosed = false

  constructor(files: Files, directory: string, segmentBytes: number) {
    this.#files = files
    this.directory = directory
    this.segmentBytes = segmentBytes
    files.makeDirectory(directory)
    const starts = loadStarts(files, directory, segmentBytes)
    this.#first = starts[0] ?? 0
    this.#count = starts.length
  }

  /** First byte that the log still has. */
  get minOffset(): number {
    return this.#first
  }

  /** One past the last byte there is room for. */
  get endOffset(): number {
    return this.#first + this.#count * this.segmentBytes
  }

  get count(): number {
    return this.#count
  }

  get openCount(): number {
    return this.#open.size
  }

  startOf(phyOffset: number): number {
    return phyOffset - (phyOffset % this.segmentBytes)
  }

  /** The segment that holds phyOffset, which must exist. */
  file(phyOffset: number): OpenFile {
    const start = this.startOf(phyOffset)
    assert(start >= this.#first && start < this.endOffset, 'a segment is opened only where the log has one')
    let file = this.#open.get(start)
    if (file === undefined) {
      file = this.#files.open(this.#path(start), 'existing')
      this.#open.set(start, file)
    }
    return file
  }

  /** Fills into with the bytes from phyOffset on; the segment may be removed from the log meanwhile. */
  async readLater(into: Buffer, phyOffset: number): Promise<number> {
    const file = this.file(phyOffset)
    this.#readsUnderWay.set(file, (this.#readsUnderWay.get(file) ?? 0) + 1)
    try {
      return await file.readLater(into, phyOffset - this.startOf(phyOffset))
    } finally {
      const left = this.#readsUnderWay.get(file)! - 1
      if (left > 0) this.#readsUnderWay.set(file, left)
      else {
        this.#readsUnderWay.delete(file)
        if (this.#dropped.delete(file)) file.close()
      }
    }
  }

  /** @throws OperatingError STORE_CORRUPT when the segment that holds phyOffset was removed, or changed its length */
  check(phyOffset: number): void {
    const path = this.#path(this.startOf(phyOffset))
    if (!this.#files.exists(path)) throw new OperatingError('STORE_CORRUPT', { path, why: 'removed while in use' })
    const sizeBytes = this.file(phyOffset).sizeBytes()
    if (sizeBytes !== this.segmentBytes) {
      throw new OperatingError('STORE_CORRUPT', { path, sizeBytes, expectedBytes: this.segmentBytes })
    }
  }

  /** The segment that holds phyOffset, made if it is the next one. @throws OperatingError FILE_FAILED */
  fileForWriting(phyOffset: number): OpenFile {
    if (phyOffset < this.endOffset) return this.file(phyOffset)
    assert(phyOffset === this.endOffset, 'segments are made one after the other')
    const file = this.#files.open(this.#path(phyOffset), 'either') // a process that died half-way may have left it
    try {
      file.truncate(this.segmentBytes)
      file.syncNow() // a segment of another length would stop the next start
      this.#files.syncDirectory(this.directory)
    } catch (error) {
      file.close()
      this.#removeFailed(phyOffset)
      throw error
    }
    this.#open.set(phyOffset, file)
    this.#count++
    return file
  }

  /** Lets the log, which has no segments, begin elsewhere: it becomes the copy of one whose beginning is gone. */
  beginAt(start: number): void {
    assert(this.#count === 0 && start % this.segmentBytes === 0, 'only a log without segments begins elsewhere')
    this.#first = start
  }

  /**
   * Makes the next segment ahead of time, so that the write which needs it does not wait for the disk; tried once.
   * @throws OperatingError FILE_FAILED; then that write makes it
   */
  async prepareNext(): Promise<void> {
    const start = this.endOffset
    if (this.#preparedStart === start) return
    this.#preparedStart = start
    this.#removedStart = -1
    const path = this.#path(start)
    const file = this.#files.open(path, 'either')
    try {
      file.truncate(this.segmentBytes)
      await file.sync()
      const isRemoved = this.#removedStart === start
      if (this.endOffset === start && !this.#isClosed && !isRemoved) {
        this.#files.syncDirectory(this.directory)
        this.#open.set(start, file)
        this.#count++
        return
      }
      // Meanwhile a write made it, or failed to and removed the file, or the log was cut before it: a segment that belongs to
      // no log must not stay.
      if (this.endOffset < start || this.#isClosed) this.#files.remove(path)
      file.close()
    } catch (error) {
      file.close()
      if (this.endOffset <= start) this.#removeFailed(start)
      throw error
    }
  }

  /** Another try gets another file: after an fsync that failed the next one of the same file says nothing. */
  #removeFailed(start: number): void {
    this.#removedStart = start
    try {
      this.#files.remove(this.#path(start))
    } catch {
      // that the segment could not be made is what is said
    }
  }

  /** Removes the segments that nothing was written to. */
  removeSpare(writtenOffset: number): void {
    while (this.#count > 0 && this.endOffset - this.segmentBytes >= writtenOffset) {
      const start = this.endOffset - this.segmentBytes
      this.#open.get(start)?.close()
      this.#open.delete(start)
      this.#count--
      this.#removedStart = start
      this.#files.remove(this.#path(start))
    }
  }

  /** The segments, oldest first, and when each was last written. */
  ages(): { start: number; modifiedAt: number }[] {
    return this.#files
      .list(this.directory)
      .filter(({ isDirectory }) => !isDirectory)
      .map(({ name, modifiedAt }) => ({ start: Number(name), modifiedAt }))
      .filter(({ start }) => start >= this.#first && start < this.endOffset)
  }

  /**
   * Takes the oldest segment from the log at once, and its file from the disk: durably before the next one goes, since a
   * log with a hole is none. Reads under way end well.
   * @throws OperatingError FILE_FAILED; the next call tries the file again first
   */
  async removeFirst(): Promise<void> {
    assert(this.#count > 1, 'a log keeps its last segment')
    const start = this.#first
    this.#condemned.push(this.#path(start))
    const file = this.#open.get(start)
    this.#open.delete(start)
    this.#first += this.segmentBytes
    this.#count--
    if (file !== undefined && this.#readsUnderWay.has(file)) this.#dropped.add(file)
    else file?.close()
    await this.removeCondemned()
  }

  /** @throws OperatingError FILE_FAILED */
  async removeCondemned(): Promise<void> {
    for (let path = this.#condemned[0]; path !== undefined; path = this.#condemned[0]) {
      await this.#files.removeLater(path)
      this.#files.syncDirectory(this.directory)
      this.#condemned.shift()
    }
  }

  /** Makes everything from phyOffset on survive a power cut. @throws OperatingError FILE_FAILED */
  async sync(phyOffset: number): Promise<void> {
    for (let start = this.startOf(phyOffset); start < this.endOffset; start += this.segmentBytes) {
      await this.file(start).sync()
    }
  }

  /** Makes everything from phyOffset on zero, to the end of its segment. Who dies half-way leaves that to mendCutSegment. */
  zeroFrom(phyOffset: number): void {
    if (phyOffset >= this.endOffset) return
    const file = this.file(phyOffset)
    file.truncate(phyOffset - this.startOf(phyOffset))
    file.truncate(this.segmentBytes)
  }

  /**
   * Takes away the segments behind the one that holds phyOffset. Those with something in them are kept in keepDirectory:
   * bytes behind a damaged record are no longer part of the log, yet a person may want them.
   */
  dropAfter(phyOffset: number, keepDirectory: string, log: Log): void {
    while (this.#count > 0 && this.endOffset - this.segmentBytes > phyOffset) {
      const start = this.endOffset - this.segmentBytes
      const head = Buffer.alloc(probeBytes)
      this.file(start).read(head, 0)
      this.#open.get(start)?.close()
      this.#open.delete(start)
      this.#count--
      this.#removedStart = start
      if (head.every((byte) => byte === 0)) {
        this.#files.remove(this.#path(start))
        continue
      }
      const keptAt = `${keepDirectory}/${offsetName(start)}.segment`
      this.#files.makeDirectory(keepDirectory)
      this.#files.rename(this.#path(start), keptAt)
      log.warn({ phyOffset, keptAt }, 'a segment behind the end of the log was put aside')
    }
    this.#files.syncDirectory(this.directory)
  }

  close(): void {
    this.#isClosed = true
    for (const file of this.#open.values()) {
      if (this.#readsUnderWay.has(file)) this.#dropped.add(file)
      else file.close()
    }
    this.#open.clear()
  }

  #path(start: number): string {
    return `${this.directory}/${offsetName(start)}`
  }
}

/** @throws OperatingError FILE_FAILED when a segment was found shorter than it must be */
export function assertWhole(bytes: number, { length }: Buffer, phyOffset: number): void {
  if (bytes === length) return
  throw new OperatingError('FILE_FAILED', { operation: 'read', phyOffset, bytes, expectedBytes: length })
}
