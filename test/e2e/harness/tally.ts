import { say } from './kube.ts'
import { type Case, Scene } from './stage.ts'

/** Runs cases and counts them. */
export class Tally {
  passed = 0
  failed = 0
  readonly #wanted: RegExp
  readonly #startedMs = Date.now()
  readonly #slow: { name: string; seconds: number }[] = []
  #failureCount = 0

  constructor(wanted: RegExp) {
    this.#wanted = wanted
  }

  /**
   * Runs the wanted cases of a track in order, and what they stand on. After each of them what was sent meanwhile must have
   * been received.
   * @param diagnose tells what a person needs to see; what is kept goes into the folder of that name
   * @returns whether those that others stand on passed
   */
  async track<S extends object>(
    stage: S,
    cases: Case<S>[],
    diagnose: (folder: string) => Promise<void>,
  ): Promise<boolean> {
    const isWanted = ({ name }: Case<S>) => this.#wanted.test(name)
    if (!cases.some(isWanted)) return true
    const wanted = cases.filter((one) => one.isBase || isWanted(one))
    for (const [index, { name, isBase, run }] of wanted.entries()) {
      const started = Date.now()
      say(name)
      try {
        await run(stage)
        if (stage instanceof Scene) await stage.settle()
        this.passed++
        const seconds = (Date.now() - started) / 1000
        this.#slow.push({ name, seconds })
        say(`  passed (${seconds.toFixed(1)} s): ${name}`)
      } catch (error) {
        this.failed++
        this.#failureCount++
        say(`  FAILED: ${name}\n${error instanceof Error ? error.message : error}`)
        await diagnose(`failure-${this.#failureCount}`).catch((failure) => say(`  no diagnosis: ${failure}`))
        if (!isBase) continue
        if (stage instanceof Scene) await stage.stopFlows()
        const left = wanted.length - index - 1
        if (left > 0) say(`the ${left} cases that stand on this one are not run, and count as failed`)
        this.failed += left
        return false
      }
    }
    return true
  }

  /** Something failed that no case was about. */
  failedOutside(error: unknown): void {
    this.failed++
    say(`FAILED outside of the cases: ${error instanceof Error ? error.stack : error}`)
  }

  tell(name: string): void {
    const slowest = this.#slow.sort((a, b) => b.seconds - a.seconds).slice(0, 5)
    for (const { name: slow, seconds } of slowest) say(`  ${seconds.toFixed(1)} s: ${slow}`)
    say(`done in ${((Date.now() - this.#startedMs) / 1000).toFixed(0)} s`)
    console.log(`${name}: ${this.passed} passed, ${this.failed} failed`)
  }
}
