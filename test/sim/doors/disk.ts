import type { Files, OpenFile } from '../../../src/base/files.ts'
import { MemoryFiles, pageBytes } from '../../../src/base/testing/files.ts'
import type { SeededRandom } from './random.ts'
import type { Timeline } from './timeline.ts'

/** Thrown out of every file operation of a process that is dead: nothing that it does any more has an effect. */
export class ProcessDead extends Error {
  override readonly name = 'ProcessDead'
}

/** What uses a disk: a process, from its start to its end. */
export interface DiskUser {
  readonly isAlive: boolean
  /** Told before each operation that changes the disk; it may end the user there. */
  beforeChange(operation: string, path: string): void
}

/** The disk of one machine. */
export class Disk {
  readonly memory: MemoryFiles
  /** How long a sync takes, in ms: fastest and slowest. */
  syncMs: readonly [number, number] = [0.1, 8]
  /** Its syncs failed at some time. */
  hasFailedSyncs = false
  readonly #timeline: Timeline
  readonly #random: SeededRandom

  constructor(timeline: Timeline, random: SeededRandom) {
    this.#timeline = timeline
    this.#random = random
    this.memory = new MemoryFiles({ beforeSync: () => this.#pause(random.scaled(...this.syncMs)) })
  }

  crashProcess(): void {
    this.memory.crashProcess()
  }

  cutPower(): void {
    this.memory.cutPower(() => this.#random.float())
  }

  /** The door of one process. Where it gives way, the process is dead: promises never end then, calls throw ProcessDead. */
  filesOf(user: DiskUser): Files {
    const { memory } = this
    const reading = () => {
      if (!user.isAlive) throw new ProcessDead()
    }
    const changing = (operation: string, path: string) => {
      reading()
      user.beforeChange(operation, path)
      reading()
    }
    const whileAlive = <T>(work: Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        work.then(
          (value) => user.isAlive && resolve(value),
          (error) => user.isAlive && reject(error),
        )
      })
    const wrapped = (file: OpenFile): OpenFile => ({
      path: file.path,
      write: (bytes, position) => {
        // The system takes the bytes of a call page by page, and a page goes to the disk with all that a call put there.
        const middle = position + (bytes.length >> 1)
        const taken = Math.max(0, middle - (middle % pageBytes) - position)
        changing('write', file.path)
        if (taken > 0) {
          file.write(bytes.subarray(0, taken), position)
          changing('write-half', file.path)
        }
        file.write(bytes.subarray(taken), position + taken)
      },
      read: (into, position) => {
        reading()
        return file.read(into, position)
      },
      readLater: (into, position) => {
        reading()
        return whileAlive(this.#pause(this.#random.scaled(0.02, 2)).then(() => file.readLater(into, position)))
      },
      sync: () => {
        changing('sync', file.path)
        return whileAlive(file.sync())
      },
      syncNow: () => {
        changing('sync', file.path)
        file.syncNow()
      },
      sizeBytes: () => {
        reading()
        return file.sizeBytes()
      },
      truncate: (sizeBytes) => {
        changing('truncate', file.path)
        file.truncate(sizeBytes)
      },
      close: () => {
        if (user.isAlive) file.close()
      },
    })
    const files: Files = {
      open: (path, mode) => {
        if (mode === 'create' || mode === 'either') changing('open', path)
        else reading()
        return wrapped(memory.open(path, mode))
      },
      exists: (path) => {
        reading()
        return memory.exists(path)
      },
      list: (directory) => {
        reading()
        return memory.list(directory)
      },
      makeDirectory: (directory) => {
        reading()
        memory.makeDirectory(directory)
      },
      readText: (path) => {
        reading()
        return memory.readText(path)
      },
      writeText: (path, text) => {
        // Step by step as base/node does it, so that a crash may fall between any two.
        const temporary = `${path}.new`
        const file = files.open(temporary, 'either')
        try {
          file.truncate(0)
          file.write(Buffer.from(text), 0)
          file.syncNow()
        } catch (error) {
          if (user.isAlive) memory.remove(temporary)
          throw error
        } finally {
          file.close()
        }
        files.rename(temporary, path)
        files.syncDirectory(path.slice(0, path.lastIndexOf('/')) || '/')
      },
      rename: (from, to) => {
        changing('rename', from)
        memory.rename(from, to)
      },
      remove: (path) => {
        changing('remove', path)
        memory.remove(path)
      },
      removeLater: (path) => {
        changing('remove', path)
        return whileAlive(
          this.#pause(this.#random.scaled(0.05, 5)).then(() => {
            if (user.isAlive) memory.remove(path)
          }),
        )
      },
      syncDirectory: (directory) => {
        changing('sync', directory)
        memory.syncDirectory(directory)
      },
      lock: (path) => {
        reading()
        return memory.lock(path)
      },
      diskSpace: () => memory.diskSpace(),
    }
    return files
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#timeline.after(ms, resolve))
  }
}
