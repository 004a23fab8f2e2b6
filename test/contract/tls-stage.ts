import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from '@jest/globals'
import { type Log, type LogFields, silentLog } from '../../src/base/log.ts'

class Folders {
  readonly #paths: string[] = []

  /** A folder with these files. */
  make(files: Record<string, string>): string {
    const path = mkdtempSync(join(tmpdir(), 'tls-test-'))
    this.#paths.push(path)
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
    return path
  }

  clear(): void {
    for (const path of this.#paths.splice(0)) rmSync(path, { recursive: true, force: true })
  }
}

/** Folders, and tasks of a test that are undone, last first, after it. */
export function forEachTest(): { folders: Pick<Folders, 'make'>; undo: (() => unknown)[] } {
  const folders = new Folders()
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const task of undo.splice(0).reverse()) await task()
    folders.clear()
  })
  return { folders, undo }
}

/** A log that keeps what a person would see. */
export function keptLog(): { log: Log; lines: [string, LogFields][] } {
  const lines: [string, LogFields][] = []
  const keep = (fields: LogFields, message: string) => void lines.push([message, fields])
  const log: Log = { ...silentLog, warn: keep, error: keep, info: keep, with: () => log }
  return { log, lines }
}
