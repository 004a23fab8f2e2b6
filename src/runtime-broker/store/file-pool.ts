import type { Files, OpenFile } from '../../base/files.ts'

/** A file that the pool may close when it is not pinned; isOpen says whether it did. */
export interface PooledFile {
  readonly path: string
  readonly file: OpenFile
  isOpen: boolean
  wasUsed: boolean
  pinCount: number
}

/**
 * Keeps at most openMax files open: there are more queues than a process may have file descriptors. The one to close is
 * found by second chance: the oldest that was not used since the pool last looked at it.
 */
export class FilePool {
  readonly #files: Files
  readonly #openMax: number
  readonly #open = new Map<string, PooledFile>()

  constructor(files: Files, openMax: number) {
    this.#files = files
    this.#openMax = openMax
  }

  get openCount(): number {
    return this.#open.size
  }

  /** @throws OperatingError FILE_FAILED */
  get(path: string): PooledFile {
    const known = this.#open.get(path)
    if (known !== undefined) {
      known.wasUsed = true
      return known
    }
    return this.#add(this.#files.open(path, 'existing'))
  }

  /** Makes the file, sparse, fileBytes long. */
  create(path: string, fileBytes: number): PooledFile {
    const file = this.#files.open(path, 'either')
    try {
      file.truncate(fileBytes)
    } catch (error) {
      file.close()
      throw error
    }
    return this.#add(file)
  }

  /** Makes what was written to the file before the call survive a power cut; it stays open meanwhile. */
  async sync(path: string): Promise<void> {
    const pooled = this.get(path)
    pooled.pinCount++
    try {
      await pooled.file.sync()
    } finally {
      pooled.pinCount--
      if (!pooled.isOpen) pooled.file.close() // it was dropped meanwhile
    }
  }

  /** Closes the files that lie in directory: it is about to be removed. */
  drop(directory: string): void {
    for (const [path, pooled] of this.#open) if (path.startsWith(`${directory}/`)) this.#close(pooled)
  }

  /** Closes one file: it is about to be removed. */
  dropFile(path: string): void {
    const pooled = this.#open.get(path)
    if (pooled !== undefined) this.#close(pooled)
  }

  close(): void {
    for (const pooled of this.#open.values()) this.#close(pooled)
  }

  #add(file: OpenFile): PooledFile {
    const pooled = { path: file.path, file, isOpen: true, wasUsed: false, pinCount: 0 }
    this.#open.set(file.path, pooled)
    if (this.#open.size > this.#openMax) this.#closeOne(pooled)
    return pooled
  }

  #closeOne(newest: PooledFile): void {
    for (const [path, pooled] of this.#open) {
      if (pooled === newest) continue
      if (!pooled.wasUsed && pooled.pinCount === 0) {
        this.#close(pooled)
        return
      }
      pooled.wasUsed = false
      this.#open.delete(path)
      this.#open.set(path, pooled)
      if (this.#open.keys().next().value === newest.path) return // everybody else is in use: one more stays open
    }
  }

  #close(pooled: PooledFile): void {
    this.#open.delete(pooled.path)
    pooled.isOpen = false
    if (pooled.pinCount === 0) pooled.file.close()
  }
}
