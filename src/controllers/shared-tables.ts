import type { Clock } from '../base/clock.ts'

/** How old a table may be: short enough that nobody notices, long enough that 10,000 resources ask once. */
const tableAgeMaxMs = 1_000
const tablesMax = 1024

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

  constructor(clock: Clock, ask: (brokerAddr: string) => Promise<ReadonlyMap<string, T>>) {
    this.#clock = clock
    this.#ask = ask
  }

  async get(brokerAddr: string): Promise<ReadonlyMap<string, T>> {
    const known = this.#entries.get(brokerAddr)
    if (known && this.#clock.monotonicMs() - known.askedMs < tableAgeMaxMs) return known.table
    const changes = new Map<string, T | undefined>()
    const table = this.#ask(brokerAddr).then((rows) => {
      const whole = new Map(rows)
      for (const [name, row] of changes) set(whole, name, row)
      return whole
    })
    const entry = { table, askedMs: this.#clock.monotonicMs(), changes }
    this.#entries.delete(brokerAddr)
    this.#entries.set(brokerAddr, entry)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > tablesMax && oldest !== undefined) this.#entries.delete(oldest)
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

function set<T>(table: Map<string, T>, name: string, row: T | undefined): void {
  if (row === undefined) table.delete(name)
  else table.set(name, row)
}
