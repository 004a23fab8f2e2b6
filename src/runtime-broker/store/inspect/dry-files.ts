import { OperatingError } from '../../../base/errors.ts'
import type { FileInfo, Files, OpenFile, OpenMode } from '../../../base/files.ts'

/** What a file became that was changed: zeroes from zeroFrom on, sizeBytes long. */
interface Change {
  zeroFrom: number
  sizeBytes: number
}

/**
 * A disk on which nothing is ever changed: files are opened for reading only. What is removed, renamed or cut looks so to
 * whoever works on it; bytes that are written are gone. That is enough for a recovery to run on it and to show what it
 * would do: it never reads again what it has written.
 */
export class DryFiles implements Files {
  readonly #files: Files
  readonly #gone = new Set<string>()
  readonly #changes = new Map<string, Change>() // by path: as many as a recovery cuts or makes files

  constructor(files: Files) {
    this.#files = files
  }

  /** Whether path, or a directory that it lies in, was removed or renamed. */
  isGone(path: string): boolean {
    for (let at = path.length; at > 0; at = path.lastIndexOf('/', at - 1)) {
      if (this.#gone.has(path.slice(0, at))) return true
    }
    return false
  }

  open(path: string, mode: OpenMode): OpenFile {
    const isThere = !this.isGone(path) && this.#files.exists(path)
    if (!isThere && (mode === 'existing' || mode === 'reading')) {
      throw new OperatingError('FILE_FAILED', { operation: 'open', path, code: 'ENOENT' })
    }
    if (!isThere) this.#changes.set(path, { zeroFrom: 0, sizeBytes: 0 })
    return new DryFile(path, isThere ? this.#files.open(path, 'reading') : undefined, this.#changes)
  }

  exists(path: string): boolean {
    return !this.isGone(path) && this.#files.exists(path)
  }

  list(directory: string): FileInfo[] {
    if (this.isGone(directory)) return []
    return this.#files
      .list(directory)
      .filter(({ name }) => !this.isGone(`${directory}/${name}`))
      .map((info) => ({
        ...info,
        sizeBytes: this.#changes.get(`${directory}/${info.name}`)?.sizeBytes ?? info.sizeBytes,
      }))
  }

  readText(path: string): string {
    return this.#files.readText(path)
  }

  rename(from: string): void {
    this.#gone.add(from)
  }

  remove(path: string): void {
    this.#gone.add(path)
  }

  async removeLater(path: string): Promise<void> {
    this.#gone.add(path)
  }

  makeDirectory(): void {}
  writeText(): void {}
  syncDirectory(): void {}

  lock(): { release(): void } {
    return { release: () => {} }
  }

  diskSpace(path: string): { totalBytes: number; freeBytes: number } {
    return this.#files.diskSpace(path)
  }
}

class DryFile implements OpenFile {
  readonly path: string
  readonly #file: OpenFile | undefined // none: it was made here
  readonly #changes: Map<string, Change>

  constructor(path: string, file: OpenFile | undefined, changes: Map<string, Change>) {
    this.path = path
    this.#file = file
    this.#changes = changes
  }

  write(bytes: Uint8Array, position: number): void {
    const change = this.#changes.get(this.path)
    if (change !== undefined) change.sizeBytes = Math.max(change.sizeBytes, position + bytes.length)
  }

  read(into: Uint8Array, position: number): number {
    const count = this.#file?.read(into, position) ?? 0
    return this.#asChanged(into, position, count)
  }

  async readLater(into: Uint8Array, position: number): Promise<number> {
    const count = (await this.#file?.readLater(into, position)) ?? 0
    return this.#asChanged(into, position, count)
  }

  sizeBytes(): number {
    return this.#changes.get(this.path)?.sizeBytes ?? this.#file!.sizeBytes()
  }

  truncate(sizeBytes: number): void {
    const zeroFrom = Math.min(this.#changes.get(this.path)?.zeroFrom ?? this.sizeBytes(), sizeBytes)
    this.#changes.set(this.path, { zeroFrom, sizeBytes })
  }

  async sync(): Promise<void> {}
  syncNow(): void {}

  close(): void {
    this.#file?.close()
  }

  #asChanged(into: Uint8Array, position: number, count: number): number {
    const change = this.#changes.get(this.path)
    if (change === undefined) return count
    const end = Math.max(0, Math.min(into.length, change.sizeBytes - position))
    into.fill(0, Math.min(end, Math.max(0, change.zeroFrom - position)), end)
    return end
  }
}
