import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { DataVersion } from '../../remoting/body/data-version.ts'

/** Where a broker keeps its tables: config/<name>, in Apache's format. */
export interface TableStorage {
  /** @returns undefined when neither the file nor its backup can be read */
  load(name: string): unknown
  /** Old or new, never half. @throws OperatingError FILE_FAILED */
  save(name: string, json: string | Buffer): void
}

/** Writes one table to its file when it changed: changes of one turn of the event loop share one write. */
export class SavedTable {
  readonly #name: string
  readonly #content: () => string | Buffer
  readonly #storage: TableStorage
  readonly #clock: Clock
  readonly #log: Log
  #isDirty = false
  #write: Promise<void> | undefined

  /** @param content the table as it is now, as JSON; bytes are read before the next call */
  constructor(name: string, content: () => string | Buffer, { storage, clock, log }: TableDoors) {
    this.#name = name
    this.#content = content
    this.#storage = storage
    this.#clock = clock
    this.#log = log
  }

  /** For a table whose changes may wait for the next saveIfDirty. */
  markDirty(): void {
    this.#isDirty = true
  }

  /**
   * Resolves when all that the table holds now is on disk. A caller may leave the promise alone: a failed write is
   * logged and done again by the next saveIfDirty.
   * @throws OperatingError FILE_FAILED
   */
  changed(): Promise<void> {
    this.#isDirty = true
    if (this.#write === undefined) {
      this.#write = new Promise((resolve, reject) => {
        this.#clock.endOfTurn(() => {
          this.#write = undefined
          try {
            this.#save()
            resolve()
          } catch (error) {
            reject(error)
          }
        })
      })
      this.#write.catch((error: unknown) => {
        this.#log.error({ file: this.#name, err: messageOf(error) }, 'table not saved: it will be tried again')
      })
    }
    return this.#write
  }

  /** @throws OperatingError FILE_FAILED; the table stays dirty */
  saveIfDirty(): void {
    if (this.#isDirty) this.#save()
  }

  #save(): void {
    this.#storage.save(this.#name, this.#content())
    this.#isDirty = false
  }
}

export interface TableDoors {
  storage: TableStorage
  clock: Clock
  log: Log
}

/** The version after a change. Peers take two tables for equal when all three numbers are. */
export function nextDataVersion(version: DataVersion, now: number): DataVersion {
  return { counter: version.counter + 1, stateVersion: version.stateVersion, timestamp: now }
}
