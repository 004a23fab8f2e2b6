import { createHash } from 'node:crypto'

const linesKept = 200

/** What happened, in order: its hash tells whether two runs were the same, its end why one failed. */
export class Trace {
  readonly #hash = createHash('sha256')
  readonly #lines: string[] = []
  readonly #stamp: () => string
  /** Told each line. */
  onLine: ((line: string) => void) | undefined

  /** @param stamp what begins each line */
  constructor(stamp: () => string) {
    this.#stamp = stamp
  }

  add(who: string, what: string): void {
    const line = `${this.#stamp()} ${who.padEnd(10)} ${what}`
    this.#hash.update(line).update('\n')
    this.#lines.push(line)
    if (this.#lines.length >= 2 * linesKept) this.#lines.splice(0, linesKept)
    this.onLine?.(line)
  }

  get lastLines(): readonly string[] {
    return this.#lines.slice(-linesKept)
  }

  digest(): string {
    return this.#hash.copy().digest('hex').slice(0, 16)
  }
}
