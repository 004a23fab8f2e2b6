import type { Files } from '../../base/files.ts'
import { isDiskFull } from './disk-guard.ts'

/**
 * The file `abort`: there while a process uses the directory, and after one that died. Its text says more where an fsync failed:
 * `unflushed PHYOFFSET`, from where on the log may be in the system's memory alone. That text need not survive a power cut,
 * as that memory does not.
 */
export class AbortMark {
  readonly #files: Files
  readonly #path: string

  constructor(files: Files, path: string) {
    this.#files = files
    this.#path = path
  }

  get isSet(): boolean {
    return this.#files.exists(this.#path)
  }

  /** What the last process could not flush begins there; undefined: it flushed what it had to, or nobody says otherwise. */
  get unflushedFrom(): number | undefined {
    if (!this.isSet) return undefined
    const found = /^unflushed (\d+)\n/.exec(this.#files.readText(this.#path))?.[1]
    return found === undefined ? undefined : Number(found)
  }

  /** Before the first write: a start that finds it reads the log again. @throws OperatingError FILE_FAILED */
  set(): void {
    try {
      this.#files.writeText(this.#path, 'open\n')
    } catch (error) {
      if (!isDiskFull(error)) throw error
      // That there is such a file is what counts, and a name alone finds room: who only reads must be able to start.
      this.#files.open(this.#path, 'either').close()
      this.#files.syncDirectory(this.#path.slice(0, this.#path.lastIndexOf('/')))
    }
  }

  /** Written in place and not synced: the disk failed a moment ago. @throws OperatingError FILE_FAILED */
  noteUnflushed(phyOffset: number): void {
    const file = this.#files.open(this.#path, 'either')
    try {
      file.write(Buffer.from(`unflushed ${phyOffset}\n`), 0)
    } finally {
      file.close()
    }
  }

  remove(): void {
    this.#files.remove(this.#path)
  }
}
