import { assert } from '../assert.ts'
import { OperatingError } from '../errors.ts'
import type { DiskSpace, FileInfo, Files, OpenFile, OpenMode } from '../files.ts'

const pageBytes = 4096
/** A disk writes whole sectors: a write that is cut by a power cut ends at the end of one. */
const sectorBytes = 512

type Change = { position: number; bytes: Buffer } | { truncate: number }

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

  change(change: Change, now: number): void {
    this.modifiedAt = now
    this.live.apply(change)
    this.unsynced.push(change)
    this.count++
  }

  /** Makes the first count changes safe. */
  makeSafe(count: number): void {
    const alreadySafe = this.count - this.unsynced.length
    for (const change of this.unsynced.splice(0, Math.max(0, count - alreadySafe))) this.safe.apply(change)
  }
}

/** What happens to bytes that were not synced when the power goes; [0, 1), as Random.float gives them. */
export type Chance = () => number

export interface MemoryFilesOptions {
  /** Resolves when a sync may finish; without it, at once. */
  beforeSync?: () => Promise<void>
}

/**
 * A disk in memory. It fails on demand, and it can lose its power: what was not synced then survives, is lost or is torn
 * as chance has it, each write by itself, in whatever order. As with a journalling file system, syncing a file makes its
 * name safe too, and a size goes with the name.
 */
export class MemoryFiles implements Files {
  readonly #options: MemoryFilesOptions
  #names = new Map<string, Content>()
  #safeNames = new Map<string, Content>()
  #directories = new Set<string>(['/'])
  readonly #locks = new Set<string>()
  #epoch = 0
  /** While set, writes fail with this system code after having written part of their bytes. */
  writeFailure: 'ENOSPC' | 'EIO' | undefined
  /** While set, syncs fail with this system code. */
  syncFailure: 'EIO' | undefined
  /** What files are dated with when they change. */
  now: () => number = () => 0
  space: DiskSpace = { totalBytes: 1 << 30, freeBytes: 1 << 29 }

  constructor(options: MemoryFilesOptions = {}) {
    this.#options = options
  }

  /** The process is gone: files stay as they are, locks end, what it had open fails. */
  crashProcess(): void {
    this.#epoch++
    this.#locks.clear()
  }

  /** The power is gone too: what was not synced is up to chance. */
  cutPower(chance: Chance): void {
    this.crashProcess()
    const names = new Map<string, Content>()
    for (const path of new Set([...this.#names.keys(), ...this.#safeNames.keys()])) {
      const now = this.#names.get(path)
      const safe = this.#safeNames.get(path)
      const content = now === safe || chance() < 0.5 ? now : safe
      if (content === undefined) continue
      names.set(path, content)
      this.makeDirectory(parentOf(path))
    }
    for (const content of new Set(names.values())) {
      for (const change of content.unsynced.splice(0)) {
        const fate = 'truncate' in change ? 0 : chance()
        if (fate < 0.4) content.safe.apply(change)
        else if (fate < 0.7 && 'bytes' in change) content.safe.apply(torn(change, chance()))
      }
      content.live = content.safe.copy()
    }
    this.#names = names
    this.#safeNames = new Map(names)
  }

  open(path: string, mode: OpenMode): OpenFile {
    let content = this.#names.get(path)
    if (content === undefined && (mode === 'existing' || mode === 'reading')) throw failed('open', path, 'ENOENT')
    if (content !== undefined && mode === 'create') throw failed('open', path, 'EEXIST')
    if (content === undefined) {
      if (!this.#directories.has(parentOf(path))) throw failed('open', path, 'ENOENT')
      this.#names.set(path, (content = new Content()))
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

  writeText(path: string, text: string): void {
    if (this.writeFailure) throw failed('write', path, this.writeFailure)
    const content = new Content()
    content.change({ position: 0, bytes: Buffer.from(text) }, this.now())
    content.makeSafe(1)
    this.#names.set(path, content)
    this.#safeNames.set(path, content)
  }

  rename(from: string, to: string): void {
    const content = this.#names.get(from)
    if (content === undefined) throw failed('rename', from, 'ENOENT')
    this.#names.delete(from)
    this.#names.set(to, content)
  }

  remove(path: string): void {
    for (const names of [this.#names.keys(), this.#directories.values()]) {
      for (const name of [...names]) {
        if (name !== path && !name.startsWith(`${path}/`)) continue
        this.#names.delete(name)
        this.#directories.delete(name)
      }
    }
  }

  async removeLater(path: string): Promise<void> {
    this.remove(path)
  }

  syncDirectory(directory: string): void {
    for (const path of new Set([...this.#names.keys(), ...this.#safeNames.keys()])) {
      if (parentOf(path) !== directory) continue
      const content = this.#names.get(path)
      if (content === undefined) this.#safeNames.delete(path)
      else this.#safeNames.set(path, content)
    }
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

  #handle(path: string, content: Content, isWritable: boolean): OpenFile {
    const epoch = this.#epoch
    let isOpen = true
    const check = (operation: string) => {
      const isChange = operation === 'write' || operation === 'truncate'
      if (!isOpen || epoch !== this.#epoch || (isChange && !isWritable)) throw failed(operation, path, 'EBADF')
    }
    const finishSync = (count: number) => {
      if (this.syncFailure) throw failed('fdatasync', path, this.syncFailure)
      content.makeSafe(count)
      this.#safeNames.set(path, content)
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
      read: (into, position) => {
        check('read')
        return content.live.read(into, position)
      },
      readLater: async (into, position) => {
        check('read')
        return content.live.read(into, position)
      },
      sync: async () => {
        check('fdatasync')
        const { count } = content
        await this.#options.beforeSync?.()
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
        content.change({ truncate: sizeBytes }, this.now())
      },
      close: () => {
        check('close')
        isOpen = false
      },
    }
  }
}

function torn({ position, bytes }: { position: number; bytes: Buffer }, share: number): Change {
  const end = Math.floor((position + bytes.length * share) / sectorBytes) * sectorBytes
  return { position, bytes: bytes.subarray(0, Math.max(0, end - position)) }
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
