import type { Clock } from '../base/clock.ts'

/** How old a table may be: short enough that nobody notices, long enough that 10,000 resources ask once. */
const tableAgeMaxMs = 1_000
const tablesMax = 1024
/** Then its memory is free again; a little longer than a table is of use. */
const forgottenMs = 2_000
/** Rows of a broker that are asked for alone within tableAgeMaxMs; more want the whole table. */
const singlesMaxLeast = 8
/** … or one of so many rows, where the table is known to be large: a question takes as long as about 50 rows of a table, and may be
 *  in vain, where the table is asked for all the same. */
const rowsPerSingle = 200

interface Entry<T> {
  table: Promise<Map<string, T>>
  askedMs: number
  /** Changes made while the answer was under way, or after it. */
  changes: Map<string, T | undefined>
}

/**
 * Tables of brokers, asked for whole: one question serves everybody who wants to know within a second. What this process
 * changes is in them at once, whatever the broker said before.
 */
export class SharedTables<T> {
  readonly #clock: Clock
  readonly #ask: (brokerAddr: string) => Promise<ReadonlyMap<string, T>>
  readonly #entries = new Map<string, Entry<T>>()
  readonly #singles = new Map<string, { sinceMs: number; count: number }>() // by brokerAddr
  readonly #rowCounts = new Map<string, number>() // of tables that were asked for, by brokerAddr

  constructor(clock: Clock, ask: (brokerAddr: string) => Promise<ReadonlyMap<string, T>>) {
    this.#clock = clock
    this.#ask = ask
  }

  /**
   * One row: of the table where that is known or many rows are wanted, else by a question of its own.
   * @returns undefined: there is none
   */
  async find(brokerAddr: string, name: string, askAlone: () => Promise<T | undefined>): Promise<T | undefined> {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#entries.get(brokerAddr)
    if (!known || nowMs - known.askedMs >= tableAgeMaxMs) {
      const before = this.#singles.get(brokerAddr)
      const singles = before && nowMs - before.sinceMs < tableAgeMaxMs ? before : { sinceMs: nowMs, count: 0 }
      keep(this.#singles, brokerAddr, singles)
      const singlesMax = Math.max(singlesMaxLeast, (this.#rowCounts.get(brokerAddr) ?? 0) / rowsPerSingle)
      if (++singles.count <= singlesMax) return askAlone()
    }
    return (await this.get(brokerAddr)).get(name)
  }

  async get(brokerAddr: string): Promise<ReadonlyMap<string, T>> {
    const known = this.#entries.get(brokerAddr)
    if (known && this.#clock.monotonicMs() - known.askedMs < tableAgeMaxMs) return known.table
    const changes = new Map<string, T | undefined>()
    const table = this.#ask(brokerAddr).then((rows) => {
      const whole = new Map(rows)
      for (const [name, row] of changes) set(whole, name, row)
      keep(this.#rowCounts, brokerAddr, whole.size)
      return whole
    })
    const entry = { table, askedMs: this.#clock.monotonicMs(), changes }
    keep(this.#entries, brokerAddr, entry)
    this.#clock
      .after(forgottenMs, () => {
        if (this.#entries.get(brokerAddr) === entry) this.#entries.delete(brokerAddr)
      })
      .unref()
    table.catch(() => {
      if (this.#entries.get(brokerAddr) === entry) this.#entries.delete(brokerAddr) // the next one asks again
    })
    return table
  }

  /** Notes a change that the broker has confirmed. @param row undefined: it is gone */
  changed(brokerAddr: string, name: string, row: T | undefined): void {
    const entry = this.#entries.get(brokerAddr)
    if (!entry) return
    entry.changes.set(name, row)
    void entry.table.then((table) => set(table, name, row)).catch(() => {})
  }
}

/** Sets it as the one used last, and forgets the one used longest ago where there are too many. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > tablesMax && oldest !== undefined) map.delete(oldest)
}

function set<T>(table: Map<string, T>, name: string, row: T | undefined): void {
  if (row === undefined) table.delete(name)
  else table.set(name, row)
}
