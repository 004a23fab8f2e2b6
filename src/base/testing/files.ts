import { assert } from '../assert.ts'
import { OperatingError } from '../errors.ts'
import type { DiskSpace, FileInfo, Files, OpenFile, OpenMode } from '../files.ts'

export const pageBytes = 4096
/** A disk writes whole sectors: a write that is cut by a power cut ends at the end of one. */
const sectorBytes = 512

interface Write {
  position: number
  bytes: Buffer
}

type Change = Write | { truncate: number }

/** Sparse bytes: pages that were never written are zero and take no room. */
class Pages {
  size = 0
  readonly #pages = new Map<number, Buffer>()

  apply(change: Change): void {
    if ('truncate' in change) this.#truncate(change.truncate)
    else this.#write(change.bytes, change.position)
  }

  read(into: Uint8Array, position: number): number {
    assert(position >= 0, 'a file is read from its beginning on') // Node's files refuse it too
    const count = Math.max(0, Math.min(into.length, this.size - position))
    for (let done = 0; done < count; ) {
      const at = (position + done) % pageBytes
      const length = Math.min(pageBytes - at, count - done)
      const page = this.#pages.get((position + done - at) / pageBytes)
      if (page === undefined) into.fill(0, done, done + length)
      else into.set(page.subarray(at, at + length), done)
      done += length
    }
    return count
  }

  copy(): Pages {
    const copy = new Pages()
    copy.size = this.size
    for (const [index, page] of this.#pages) copy.#pages.set(index, Buffer.from(page))
    return copy
  }

  #write(bytes: Buffer, position: number): void {
    this.size = Math.max(this.size, position + bytes.length)
    for (let done = 0; done < bytes.length; ) {
      const at = (position + done) % pageBytes
      const index = (position + done - at) / pageBytes
      let page = this.#pages.get(index)
      if (page === undefined) this.#pages.set(index, (page = Buffer.alloc(pageBytes)))
      done += bytes.copy(page, at, done, Math.min(bytes.length, done + pageBytes - at))
    }
  }

  #truncate(size: number): void {
    this.size = size
    for (const index of this.#pages.keys()) if (index * pageBytes >= size) this.#pages.delete(index)
    this.#pages.get(Math.floor(size / pageBytes))?.fill(0, size % pageBytes)
  }
}

/** One file: what readers see, what survives a power cut, and the changes between the two, oldest first. */
class Content {
  live = new Pages()
  safe = new Pages()
  unsynced: Change[] = []
  /** Changes there ever were. */
  count = 0
  modifiedAt = 0
  /** Pages that a sync failed for: readers see what was written, and the system takes them for safe, until they change again. */
  readonly #given = new Set<number>()

  change(change: Change, now: number): void {
    this.modifiedAt = now
    this.live.apply(change)
    this.#add(change)
    if ('bytes' in change) return
    // the system writes the rest of a page that was cut
    const last = Math.floor(change.truncate / pageBytes)
    for (const index of this.#given) if (index > last) this.#given.delete(index)
    if (this.#given.has(last)) this.#add({ position: last * pageBytes, bytes: Buffer.alloc(0) })
  }

  /** Of the oldest count changes, those of bytes are lost to the disk: a system that cannot write a page says so once. */
  giveUp(count: number): void {
    const alreadySafe = this.count - this.unsynced.length
    for (const change of this.unsynced.splice(0, Math.max(0, count - alreadySafe))) {
      if ('truncate' in change) this.safe.apply(change)
      else for (const [index] of pagesOf(change)) this.#given.add(index)
    }
  }

  /** Whether a power cut could change what readers see. */
  get isDoubtful(): boolean {
    return this.unsynced.length > 0 || this.#given.size > 0
  }

  /** A page that was given up goes to the disk as a whole. */
  #add(change: Change): void {
    this.unsynced.push('bytes' in change && this.#given.size > 0 ? this.#withWholePages(change) : change)
    this.count++
  }

  #withWholePages({ position, bytes }: Write): Write {
    let start = position
    let end = position + bytes.length
    for (const index of [Math.floor(position / pageBytes), Math.floor(Math.max(position, end - 1) / pageBytes)]) {
      if (!this.#given.has(index)) continue
      start = Math.min(start, index * pageBytes)
      end = Math.max(end, Math.min(this.live.size, (index + 1) * pageBytes))
    }
    for (let index = Math.floor(start / pageBytes); index * pageBytes < end; index++) this.#given.delete(index)
    const whole = Buffer.alloc(end - start)
    this.live.read(whole, start)
    return { position: start, bytes: whole }
  }

  /**
   * Of what was not synced each page of the system's cache may have reached the disk, as it was at some moment; a page that
   * was on its way is cut at a sector. Lengths go with the names.
   */
  cutPower(chance: Chance): void {
    const isInOrder = chance() < 0.5 // as the system mostly writes: nothing behind the first page that is not there
    let isOver = false
    let writes: Write[] = []
    const settle = () => {
      for (const changes of byPage(writes)) {
        if (isOver) break
        const isWhole = isInOrder && chance() < 0.7
        const count = isWhole ? changes.length : shareOf(chance(), changes.length)
        for (const change of changes.slice(0, count)) this.safe.apply(change)
        const next = changes[count]
        if (next !== undefined && chance() < 0.5) this.safe.apply(torn(next, chance()))
        isOver = isInOrder && next !== undefined
      }
      writes = []
    }
    for (const change of this.unsynced.splice(0)) {
      if ('bytes' in change) writes.push(change)
      else {
        settle()
        this.safe.apply(change)
      }
    }
    settle()
    this.#given.clear()
    this.live = this.safe.copy()
  }

  /** Makes the first count changes safe. */
  makeSafe(count: number): void {
    const alreadySafe = this.count - this.unsynced.length
    for (const change of this.unsynced.splice(0, Math.max(0, count - alreadySafe))) this.safe.apply(change)
  }
}

/** What happens to bytes that were not synced when the power goes; [0, 1), as Random.float gives them: near 1 all is lost. */
export type Chance = () => number

/** A change of directories that a power cut may undo: as a whole, and never before an older one (a journal keeps its order). */
interface NameChange {
  readonly paths: readonly string[]
  apply(names: Map<string, Content>): void
}

export interface MemoryFilesOptions {
  beforeSync?: () => Promise<void>
}

/**
 * A disk in memory. It fails on demand, and it can lose its power: what was not synced then survives, is lost or is torn
 * as chance has it, each write by itself, in whatever order. As with a journalling file system, syncing a file makes its
 * name safe too, a size goes with the name, and of the changes of names those that survive are the oldest.
 */
export class MemoryFiles implements Files {
  /** Resolves when a sync may finish; without it, at once. */
  beforeSync: (() => Promise<void>) | undefined
  #names = new Map<string, Content>()
  #safeNames = new Map<string, Content>()
  #nameChanges: NameChange[] = [] // not safe yet, oldest first
  #directories = new Set<string>(['/'])
  readonly #locks = new Set<string>()
  #epoch = 0
  /** While set, writes fail with this system code after having written part of their bytes; with EIO no length changes either. */
  writeFailure: 'ENOSPC' | 'EIO' | undefined
  /**
   * While set, syncs fail with this system code. What they were for is lost to the disk, although readers go on seeing it, and
   * later syncs of the same bytes succeed: so do Linux and its file systems.
   */
  syncFailure: 'EIO' | undefined
  /** Whether reading these bytes fails with EIO, as those of a damaged sector do. */
  isDamaged: (path: string, position: number, bytes: number) => boolean = () => false
  /** What files are dated with when they change. */
  now: () => number = () => 0
  space: DiskSpace = { totalBytes: 1 << 30, freeBytes: 1 << 29 }

  constructor(options: MemoryFilesOptions = {}) {
    this.beforeSync = options.beforeSync
  }

  /** The process is gone: files stay as they are, locks end, what it had open fails. */
  crashProcess(): void {
    this.#epoch++
    this.#locks.clear()
  }

  /** The power is gone too: what was not synced is up to chance. */
  cutPower(chance: Chance): void {
    this.crashProcess()
    const kept = shareOf(chance(), this.#nameChanges.length)
    for (const change of this.#nameChanges.slice(0, kept)) change.apply(this.#safeNames)
    this.#nameChanges = []
    for (const content of new Set(this.#safeNames.values())) if (content.isDoubtful) content.cutPower(chance)
    this.#names = new Map(this.#safeNames)
    for (const path of this.#names.keys()) this.makeDirectory(parentOf(path))
  }

  /** As OpenFile.read, of what readers see, damaged or not; 0 where there is no such file. */
  readLive(path: string, into: Uint8Array, position: number): number {
    return this.#names.get(path)?.live.read(into, position) ?? 0
  }

  /** As OpenFile.read, of what would survive a power cut at its worst; 0 where nothing of the file would. */
  readSafe(path: string, into: Uint8Array, position: number): number {
    return this.#safeNames.get(path)?.safe.read(into, position) ?? 0
  }

  open(path: string, mode: OpenMode): OpenFile {
    let content = this.#names.get(path)
    if (content === undefined && (mode === 'existing' || mode === 'reading')) throw failed('open', path, 'ENOENT')
    if (content !== undefined && mode === 'create') throw failed('open', path, 'EEXIST')
    if (content === undefined) {
      if (!this.#directories.has(parentOf(path))) throw failed('open', path, 'ENOENT')
      const made = (content = new Content())
      this.#changeNames([path], (names) => names.set(path, made))
    }
    return this.#handle(path, content, mode !== 'reading')
  }

  exists(path: string): boolean {
    return this.#names.has(path) || this.#directories.has(path)
  }

  list(directory: string): FileInfo[] {
    const infos: FileInfo[] = []
    for (const path of this.#directories) {
      if (path !== '/' && parentOf(path) === directory) {
        infos.push({ name: nameOf(path), isDirectory: true, sizeBytes: 0, modifiedAt: 0 })
      }
    }
    for (const [path, { live, modifiedAt }] of this.#names) {
      if (parentOf(path) !== directory) continue
      infos.push({ name: nameOf(path), isDirectory: false, sizeBytes: live.size, modifiedAt })
    }
    return infos.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  makeDirectory(directory: string): void {
    for (let path = directory; path !== '/'; path = parentOf(path)) this.#directories.add(path)
  }

  readText(path: string): string {
    const content = this.#names.get(path)
    if (content === undefined) throw failed('read', path, 'ENOENT')
    const bytes = Buffer.alloc(content.live.size)
    content.live.read(bytes, 0)
    return bytes.toString('utf8')
  }

  writeText(path: string, text: string | Uint8Array): void {
    if (this.writeFailure) throw failed('write', path, this.writeFailure)
    const content = new Content()
    content.change({ position: 0, bytes: Buffer.from(text) }, this.now())
    content.makeSafe(1)
    this.#changeNames([path], (names) => names.set(path, content))
    this.#makeNamesSafe((changed) => changed === path)
  }

  rename(from: string, to: string): void {
    const content = this.#names.get(from)
    if (content === undefined) throw failed('rename', from, 'ENOENT')
    this.#changeNames([from, to], (names) => {
      if (names.delete(from)) names.set(to, content)
    })
  }

  remove(path: string): void {
    for (const names of [this.#names.keys(), this.#directories.values()]) {
      for (const name of [...names]) {
        if (name !== path && !name.startsWith(`${path}/`)) continue
        if (this.#names.has(name)) this.#changeNames([name], (files) => files.delete(name))
        this.#directories.delete(name)
      }
    }
  }

  async removeLater(path: string): Promise<void> {
    this.remove(path)
  }

  syncDirectory(directory: string): void {
    this.#makeNamesSafe((path) => parentOf(path) === directory)
  }

  lock(path: string): { release(): void } | undefined {
    if (this.#locks.has(path)) return undefined
    this.#locks.add(path)
    const epoch = this.#epoch
    return {
      release: () => {
        if (epoch === this.#epoch) this.#locks.delete(path)
      },
    }
  }

  diskSpace(): DiskSpace {
    return this.space
  }

  #changeNames(paths: readonly string[], apply: NameChange['apply']): void {
    apply(this.#names)
    this.#nameChanges.push({ paths, apply })
  }

  /** Makes the changes of these paths safe, and with them all older ones: a journal is written from its beginning. */
  #makeNamesSafe(isMeant: (path: string) => boolean): void {
    const count = this.#nameChanges.findLastIndex(({ paths }) => paths.some(isMeant)) + 1
    for (const change of this.#nameChanges.splice(0, count)) change.apply(this.#safeNames)
  }

  #handle(path: string, content: Content, isWritable: boolean): OpenFile {
    const epoch = this.#epoch
    let isOpen = true
    const check = (operation: string) => {
      const isChange = operation === 'write' || operation === 'truncate'
      if (!isOpen || epoch !== this.#epoch || (isChange && !isWritable)) throw failed(operation, path, 'EBADF')
    }
    const finishSync = (count: number) => {
      if (this.syncFailure) {
        content.giveUp(count)
        throw failed('fdatasync', path, this.syncFailure)
      }
      content.makeSafe(count)
      this.#makeNamesSafe((changed) => changed === path)
    }
    const read = (into: Uint8Array, position: number) => {
      check('read')
      if (this.isDamaged(path, position, into.length)) throw failed('read', path, 'EIO')
      return content.live.read(into, position)
    }
    return {
      path,
      write: (bytes, position) => {
        check('write')
        const whole = Buffer.from(bytes)
        const kept = this.writeFailure ? whole.subarray(0, whole.length >> 1) : whole
        content.change({ position, bytes: kept }, this.now())
        if (this.writeFailure) throw failed('write', path, this.writeFailure)
      },
      read,
      readLater: async (into, position) => read(into, position),
      sync: async () => {
        check('fdatasync')
        const { count } = content
        await this.beforeSync?.()
        check('fdatasync')
        finishSync(count)
      },
      syncNow: () => {
        check('fdatasync')
        finishSync(content.count)
      },
      sizeBytes: () => content.live.size,
      truncate: (sizeBytes) => {
        check('truncate')
        if (this.writeFailure === 'EIO') throw failed('truncate', path, 'EIO')
        content.change({ truncate: sizeBytes }, this.now())
      },
      close: () => {
        check('close')
        isOpen = false
      },
    }
  }
}

/** How many of count, the oldest first, for a chance in [0, 1). */
function shareOf(chance: number, count: number): number {
  return Math.min(count, Math.floor((1 - chance) * (count + 1)))
}

function torn({ position, bytes }: Write, chance: number): Write {
  const end = Math.floor((position + bytes.length * (1 - chance)) / sectorBytes) * sectorBytes
  return { position, bytes: bytes.subarray(0, Math.max(0, end - position)) }
}

/** What a write did to each page. */
function* pagesOf({ position, bytes }: Write): Generator<[index: number, part: Write]> {
  for (let done = 0; done < bytes.length; ) {
    const at = position + done
    const index = Math.floor(at / pageBytes)
    const length = Math.min(bytes.length - done, (index + 1) * pageBytes - at)
    yield [index, { position: at, bytes: bytes.subarray(done, done + length) }]
    done += length
  }
}

/** Writes as what they did to each page, in the order of the pages, each page's in that of their coming. */
function byPage(writes: readonly Write[]): Write[][] {
  const pages = new Map<number, Write[]>()
  for (const whole of writes) {
    for (const [index, write] of pagesOf(whole)) {
      const page = pages.get(index)
      if (page === undefined) pages.set(index, [write])
      else page.push(write)
    }
  }
  return [...pages].sort(([a], [b]) => a - b).map(([, page]) => page)
}

function failed(operation: string, path: string, code: string): OperatingError {
  return new OperatingError('FILE_FAILED', { operation, path, code })
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
