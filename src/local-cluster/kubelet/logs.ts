import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { makeDirectory } from '../../base/node/index.ts'

const sizeBytesMax = 8 * 1024 * 1024 // then the file becomes the one before, and what that held is gone

/** What a container writes, in `path` and `path.1` (what was there before it grew too large). */
export class LogFile {
  readonly #path: string
  #fd: number
  #sizeBytes: number
  readonly #followers = new Set<() => void>()
  #isClosed = false

  constructor(path: string) {
    this.#path = path
    makeDirectory(dirname(path), 0o700)
    this.#fd = fs.openSync(path, 'a', 0o600)
    this.#sizeBytes = fs.fstatSync(this.#fd).size
  }

  write(chunk: Buffer): void {
    if (this.#isClosed) return
    if (this.#sizeBytes + chunk.length > sizeBytesMax) this.#rotate()
    fs.writeSync(this.#fd, chunk)
    this.#sizeBytes += chunk.length
    for (const wake of this.#followers) wake()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    fs.closeSync(this.#fd)
    for (const wake of this.#followers) wake()
  }

  /** What was written last, then, when following, what comes, until the file is closed or the reader gone. */
  async *read(
    options: { tailLines: number | undefined; follow: boolean },
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    let position = this.#sizeBytes
    const { path, text } = { path: this.#path, text: readLog(this.#path) }
    yield tail(text, options.tailLines)
    if (!options.follow) return
    let wake = () => {}
    const follower = () => wake()
    this.#followers.add(follower)
    signal.addEventListener('abort', follower, { once: true })
    try {
      while (!signal.aborted) {
        if (this.#sizeBytes < position) position = 0 // rotated meanwhile
        if (this.#sizeBytes > position) {
          const chunk = readFrom(path, position)
          position += chunk.length
          yield chunk
        } else if (this.#isClosed) return
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      this.#followers.delete(follower)
    }
  }

  #rotate(): void {
    fs.closeSync(this.#fd)
    fs.renameSync(this.#path, `${this.#path}.1`)
    this.#fd = fs.openSync(this.#path, 'a', 0o600)
    this.#sizeBytes = 0
  }
}

/** All that is kept of a log; empty where there is none. */
export function readLog(path: string): Buffer {
  const parts = [`${path}.1`, path].filter((part) => fs.existsSync(part))
  return Buffer.concat(parts.map((part) => fs.readFileSync(part)))
}

export function tail(text: Buffer, lines: number | undefined): Buffer {
  if (lines === undefined || lines < 0) return text
  if (lines === 0) return Buffer.alloc(0)
  let start = text.length > 0 && text.at(-1) === lineFeed ? text.length - 1 : text.length
  for (let count = 0; count < lines; count++) {
    start = text.lastIndexOf(lineFeed, start - 1)
    if (start < 0) return text
  }
  return text.subarray(start + 1)
}

const lineFeed = 10

function readFrom(path: string, position: number): Buffer {
  const fd = fs.openSync(path, 'r')
  try {
    const into = Buffer.alloc(Math.min(fs.fstatSync(fd).size - position, 256 * 1024))
    return into.subarray(0, fs.readSync(fd, into, 0, into.length, position))
  } finally {
    fs.closeSync(fd)
  }
}
