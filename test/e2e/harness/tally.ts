import { say } from './kube.ts'
import { type Case, Scene } from './stage.ts'

/** Runs cases and counts them. */
export class Tally {
  passed = 0
  failed = 0
  readonly #wanted: RegExp
  readonly #startedMs = Date.now()
  readonly #slow: { name: string; seconds: number }[] = []
  readonly #failures: string[] = []

  constructor(wanted: RegExp) {
    this.#wanted = wanted
  }

  /**
   * Runs the wanted cases of a track in order, and what they stand on. After each of them what was sent meanwhile must have
   * been received.
   * @param diagnose tells what a person needs to see; what is kept goes into the folder of that name
   * @param standing others that stand on these
   * @returns whether those that others stand on passed
   */
  async track<S extends object>(
    stage: S,
    cases: Case<S>[],
    diagnose: (folder: string) => Promise<void>,
    standing: Case<S>[] = [],
  ): Promise<boolean> {
    const isWanted = ({ name }: Case<S>) => this.#wanted.test(name)
    if (![...cases, ...standing].some(isWanted)) return true
    const wanted = cases.filter((one) => one.isBase || isWanted(one))
    const where = stage instanceof Scene ? `${stage.kube.namespace}: ` : ''
    for (const [index, { name, isBase, run }] of wanted.entries()) {
      const started = Date.now()
      say(`${where}${name}`)
      try {
        await run(stage)
        if (stage instanceof Scene) await stage.settle()
        this.passed++
        const seconds = (Date.now() - started) / 1000
        this.#slow.push({ name, seconds })
        say(`  passed (${seconds.toFixed(1)} s): ${where}${name}`)
      } catch (error) {
        this.failed++
        const failure = `${where}${name}\n${error instanceof Error ? error.message : error}`
        this.#failures.push(failure)
        say(`  FAILED: ${failure}`)
        await diagnose(`failure-${this.#failures.length}`).catch((trouble) => say(`  no diagnosis: ${trouble}`))
        if (!isBase) continue
        if (stage instanceof Scene) await stage.stopFlows()
        this.skip(wanted.slice(index + 1))
        return false
      }
    }
    return true
  }

  /** Cases that stand on one that failed. */
  skip<S>(cases: Case<S>[]): void {
    const left = cases.filter(({ name }) => this.#wanted.test(name))
    if (left.length > 0) say(`not run, and counted as failed: ${left.map(({ name }) => name).join('; ')}`)
    this.failed += left.length
  }

  /** Something failed that no case was about. */
  failedOutside(error: unknown): void {
    this.failed++
    const failure = `outside of the cases: ${error instanceof Error ? error.stack : error}`
    this.#failures.push(failure)
    say(`FAILED ${failure}`)
  }

  tell(name: string): void {
    const slowest = this.#slow.sort((a, b) => b.seconds - a.seconds).slice(0, 5)
    for (const { name: slow, seconds } of slowest) say(`  ${seconds.toFixed(1)} s: ${slow}`)
    for (const failure of this.#failures) say(`  FAILED: ${failure}`) // again: it stands far above, if anybody kept that
    say(`done in ${((Date.now() - this.#startedMs) / 1000).toFixed(0)} s`)
    console.log(`${name}: ${this.passed} passed, ${this.failed} failed`)
  }
}
