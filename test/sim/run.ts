/**
 * Runs a broker group with its clients in one process under a seed, on a simulated clock, network and disks, while things fail.
 *   npm run sim -- [--seeds N] [--from SEED] [--seed SEED] [--trace] [--workers N]
 * Ends with `sim: N passed, M failed`.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { type Outcome, runSeed } from './seed.ts'

process.env.TZ = 'UTC' // retention looks at the hour
const linesShown = 40

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    worker: { type: 'boolean', default: false }, // takes seeds from its parent
    workers: { type: 'string', default: String(availableParallelism()) },
  },
})

function report({ seed, problems, lastLines, scenario }: Outcome): void {
  console.log(`\nseed ${seed} failed: ${JSON.stringify(scenario)}`)
  for (const line of lastLines.slice(-linesShown)) console.log(`  ${line}`)
  for (const problem of problems.slice(0, 10)) console.log(`  PROBLEM ${problem}`)
  console.log(`  again: npm run sim -- --seed ${seed} --trace\n`)
}

function lineOf({ seed, problems, digest, simulatedMs, events, acked, consumed }: Outcome): string {
  const how = problems.length === 0 ? 'ok' : 'FAILED'
  return `seed ${seed} ${how}: ${Math.round(simulatedMs / 1000)} s simulated, ${events} events, ${acked} acknowledged, ${consumed} consumed, trace ${digest}`
}

/** Runs seeds in other processes, as many at a time as there are. */
function runAll(seeds: readonly number[], workers: number, onOutcome: (outcome: Outcome) => void): Promise<void> {
  const waiting = [...seeds]
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const child: ChildProcess = fork(import.meta.filename, ['--worker'], { execArgv: ['--no-warnings'] })
      const next = () => {
        const seed = waiting.shift()
        if (seed === undefined) child.disconnect()
        else child.send(seed)
      }
      child.on('message', (outcome: Outcome) => {
        onOutcome(outcome)
        next()
      })
      child.on('error', reject)
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with code ${code}`))))
      next()
    })
  return Promise.all(Array.from({ length: Math.min(workers, seeds.length) }, work)).then(() => {})
}

if (flags.worker) {
  process.on('message', (seed: number) => void runSeed(seed).then((outcome) => process.send!(outcome)))
} else if (flags.seed !== undefined) {
  const outcome = await runSeed(Number(flags.seed), flags.trace ? (line) => console.log(line) : undefined)
  if (outcome.problems.length > 0) report(outcome)
  console.log(lineOf(outcome))
  process.exitCode = outcome.problems.length > 0 ? 1 : 0
} else {
  const started = performance.now()
  let failed = 0
  let done = 0
  const seeds = Array.from({ length: Number(flags.seeds) }, (_, at) => Number(flags.from) + at)
  await runAll(seeds, Number(flags.workers), (outcome) => {
    if (outcome.problems.length > 0) {
      failed++
      report(outcome)
    }
    if (++done % 25 === 0)
      console.log(`${done} of ${seeds.length} seeds, ${Math.round((performance.now() - started) / 1000)} s`)
  })
  console.log(`sim: ${done - failed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}
