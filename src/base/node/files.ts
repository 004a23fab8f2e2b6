import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { OperatingError } from '../errors.ts'
import type { FileInfo, Files, OpenFile } from '../files.ts'

const require = createRequire(import.meta.url)

function failed(operation: string, path: string, cause: unknown): OperatingError {
  const { code } = cause as NodeJS.ErrnoException
  return new OperatingError('FILE_FAILED', { operation, path, code }, cause)
}

/** Runs a file operation and says which one it was, on which file, when the system refuses it. */
function attempt<T>(operation: string, path: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    throw failed(operation, path, cause)
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

class NodeFile implements OpenFile {
  readonly path: string
  readonly #fd: number

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  write(bytes: Uint8Array, position: number): void {
    attempt('write', this.path, () => {
      for (let done = 0; done < bytes.length; ) {
        done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, position + done) // short writes happen on a full disk
      }
    })
  }

  read(into: Uint8Array, position: number): number {
    return attempt('read', this.path, () => {
      let done = 0
      while (done < into.length) {
        const count = fs.readSync(this.#fd, into, done, into.length - done, position + done)
        if (count === 0) break
        done += count
      }
      return done
    })
  }

  async readLater(into: Uint8Array, position: number): Promise<number> {
    let done = 0
    while (done < into.length) {
      const count = await new Promise<number>((resolve, reject) =>
        fs.read(this.#fd, into, done, into.length - done, position + done, (error, bytesRead) =>
          error ? reject(failed('read', this.path, error)) : resolve(bytesRead),
        ),
      )
      if (count === 0) break
      done += count
    }
    return done
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) =>
      fs.fdatasync(this.#fd, (error) => (error ? reject(failed('fdatasync', this.path, error)) : resolve())),
    )
  }

  syncNow(): void {
    attempt('fdatasync', this.path, () => fs.fdatasyncSync(this.#fd))
  }

  sizeBytes(): number {
    return attempt('fstat', this.path, () => fs.fstatSync(this.#fd).size)
  }

  truncate(sizeBytes: number): void {
    attempt('truncate', this.path, () => fs.ftruncateSync(this.#fd, sizeBytes))
  }

  close(): void {
    attempt('close', this.path, () => fs.closeSync(this.#fd))
  }
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants
const openFlags = { reading: O_RDONLY, existing: O_RDWR, create: O_RDWR | O_CREAT | O_EXCL, either: O_RDWR | O_CREAT }

function syncDirectory(directory: string): void {
  attempt('fsync', directory, () => {
    const fd = fs.openSync(directory, 'r')
    try {
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  })
}

/**
 * Node's own recursive mkdir never returns, and no signal reaches it, where a directory that is there cannot take new
 * ones: a mounted volume whose folder was removed answers ENOENT for ever. Here the parent is made once, then asked again.
 */
export function makeDirectory(directory: string, mode = 0o750): void {
  try {
    fs.mkdirSync(directory, { mode })
  } catch (error) {
    if (isDirectory(directory)) return
    const parent = dirname(directory)
    if (!isMissing(error) || parent === directory) throw error
    makeDirectory(parent, mode)
    try {
      fs.mkdirSync(directory, { mode })
    } catch (again) {
      if (!isDirectory(directory)) throw again
    }
  }
}

function isDirectory(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

export const nodeFiles: Files = {
  open: (path, mode) => attempt('open', path, () => new NodeFile(path, fs.openSync(path, openFlags[mode], 0o640))),
  exists: (path) => fs.existsSync(path),
  list(directory) {
    return attempt('list', directory, () => {
      let names: string[]
      try {
        names = fs.readdirSync(directory)
      } catch (error) {
        if (isMissing(error)) return []
        throw error
      }
      const infos: FileInfo[] = []
      for (const name of names.sort()) {
        const stat = fs.statSync(join(directory, name), { throwIfNoEntry: false })
        if (stat === undefined) continue // removed meanwhile
        infos.push({ name, isDirectory: stat.isDirectory(), sizeBytes: stat.size, modifiedAt: stat.mtimeMs })
      }
      return infos
    })
  },
  makeDirectory: (directory) => attempt('mkdir', directory, () => makeDirectory(directory)),
  readText: (path) => attempt('read', path, () => fs.readFileSync(path, 'utf8')),
  writeText(path, text) {
    const temporary = `${path}.new`
    attempt('write', path, () => {
      try {
        const fd = fs.openSync(temporary, 'w', 0o640)
        try {
          fs.writeFileSync(fd, text) // all of it: a full disk takes a part without an error
          fs.fsyncSync(fd)
        } finally {
          fs.closeSync(fd)
        }
        fs.renameSync(temporary, path)
      } catch (error) {
        fs.rmSync(temporary, { force: true }) // a full disk needs the room
        throw error
      }
    })
    syncDirectory(dirname(path))
  },
  rename: (from, to) => attempt('rename', from, () => fs.renameSync(from, to)),
  remove: (path) => attempt('remove', path, () => fs.rmSync(path, { recursive: true, force: true })),
  removeLater: (path) =>
    new Promise((resolve, reject) =>
      fs.unlink(path, (error) => (error && !isMissing(error) ? reject(failed('remove', path, error)) : resolve())),
    ),
  syncDirectory,
  lock(path) {
    // Node has no call for a file lock, but the SQLite in it takes a real one from the kernel (fcntl): held by the
    // process, so it ends with it, and seen from every container on the machine. The database itself stays empty.
    const { DatabaseSync } = require('node:sqlite') as typeof import('node:sqlite')
    let database: InstanceType<typeof DatabaseSync> | undefined
    try {
      database = new DatabaseSync(path, { timeout: 0 })
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (cause) {
      database?.close()
      if ((cause as { errcode?: number }).errcode === sqliteBusy) return undefined
      throw failed('lock', path, cause)
    }
    const held = database
    return { release: () => held.close() }
  },
  diskSpace(path) {
    return attempt('statfs', path, () => {
      const { bsize, blocks, bfree, bavail } = fs.statfsSync(path)
      return { totalBytes: bsize * (blocks - bfree + bavail), freeBytes: bsize * bavail }
    })
  },
}

const sqliteBusy = 5 // SQLITE_BUSY: another connection holds the lock
