import type { Clock } from '../base/clock.ts'

/** Where text goes; process.stdout is one. */
export interface Output {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
}

const redrawMs = 100
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const nameColumns = 72

/** A list of steps: one line each, when it is done. On a terminal the step under way is shown as it goes, too. */
export class Progress {
  readonly #output: Output
  readonly #clock: Clock

  constructor(output: Output, clock: Clock) {
    this.#output = output
    this.#clock = clock
  }

  say(text = ''): void {
    this.#output.write(`${text}\n`)
  }

  /**
   * Does a step and ticks it off with what it returns, and the time it took. A step that fails is crossed.
   * @param act gets a way to tell how far it is
   */
  async step<T>(
    name: string,
    act: (tell: (detail: string) => void) => Promise<T>,
    done?: (result: T) => string,
  ): Promise<T> {
    const startMs = this.#clock.monotonicMs()
    let detail = ''
    let frame = 0
    const redraw = () =>
      this.#redraw(`  ${frames[frame++ % frames.length]} ${name}${detail === '' ? '' : `: ${detail}`}`)
    const timer = this.#output.isTTY ? this.#clock.every(redrawMs, redraw) : undefined
    try {
      const result = await act((text) => {
        detail = text
      })
      const line = `${name}${done === undefined ? '' : `: ${done(result)}`}`
      const seconds = ((this.#clock.monotonicMs() - startMs) / 1000).toFixed(1)
      this.#clear()
      this.say(`  ✓ ${line.padEnd(nameColumns)} ${seconds.padStart(5)} s`)
      return result
    } catch (error) {
      this.#clear()
      this.say(`  ✗ ${name}${detail === '' ? '' : `: ${detail}`}`)
      throw error
    } finally {
      timer?.cancel()
    }
  }

  #redraw(line: string): void {
    const columns = this.#output.columns ?? 80
    this.#output.write(`\r\x1b[K${line.length < columns ? line : `${line.slice(0, columns - 2)}…`}`)
  }

  #clear(): void {
    if (this.#output.isTTY) this.#output.write('\r\x1b[K')
  }
}

/** Lines of a table: the first row is its head; columns of numbers are set to the right. */
export function tableLines(rows: readonly (readonly (string | number)[])[]): string[] {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? countText(cell) : cell)))
  const isNumber = (column: number) => rows.slice(1).every((row) => typeof row[column] === 'number')
  const widths = (texts[0] ?? []).map((_, column) => Math.max(...texts.map((row) => row[column]?.length ?? 0)))
  return texts.map((row) =>
    row
      .map((text, column) => (isNumber(column) ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  )
}

/** `10,000` */
export function countText(count: number): string {
  return count.toLocaleString('en-US')
}
