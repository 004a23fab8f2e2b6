/**
 * Runs a broker group with its clients in one process under a seed, on a simulated clock, network and disks, while things
 * fail; or shows that it finds bugs that are planted.
 *   npm run sim -- [--seeds N] [--from SEED] [--workers N] [--mutant NAME]
 *   npm run sim -- --seed SEED [--trace] [--mutant NAME]
 *   npm run sim -- --mutants [--seeds N]
 * Ends with `sim: N passed, M failed`.
 */
import { availableParallelism } from 'node:os'
import { readFlags, wholeNumber } from '../../scripts/flags.ts'
import { findMutants } from './mutants/find.ts'
import { mutants } from './mutants/list.ts'
import { plantNamed } from './mutants/plant.ts'
import type { Outcome } from './seed.ts'
import { runSeeds, serveSeeds } from './workers.ts'

process.env.TZ = 'UTC' // retention looks at the hour
Object.defineProperty(process, 'pid', { value: 1 }) // clients name themselves by it
const linesShown = 40
const problemsShown = 10
const mutantSeeds = 200

const flags = readFlags(import.meta.filename, {
  seeds: { type: 'string' },
  from: { type: 'string', default: '1' },
  seed: { type: 'string' },
  trace: { type: 'boolean', default: false },
  workers: { type: 'string', default: String(availableParallelism()) },
  mutants: { type: 'boolean', default: false },
  mutant: { type: 'string' }, // plants this one
  worker: { type: 'boolean', default: false }, // takes seeds from its parent
})
const program = import.meta.filename
const workers = wholeNumber('workers', flags.workers)
const firstSeed = wholeNumber('from', flags.from, 0)

function report({ seed, problems, lastLines, scenario }: Outcome): void {
  console.log(`\nseed ${seed} failed: ${JSON.stringify(scenario)}`)
  for (const line of lastLines.slice(-linesShown)) console.log(`  ${line}`)
  for (const problem of problems.slice(0, problemsShown)) console.log(`  PROBLEM ${problem}`)
  console.log(`  again: npm run sim -- --seed ${seed} --trace\n`)
}

function lineOf({ seed, problems, digest, simulatedMs, events, acked, ended, consumed }: Outcome): string {
  const how = problems.length === 0 ? 'ok' : 'FAILED'
  const what = `${Math.round(simulatedMs / 1000)} s simulated, ${events} events, ${acked} acknowledged, ${ended} transactions ended, ${consumed} consumed`
  return `seed ${seed} ${how}: ${what}, trace ${digest}`
}

const seedsFrom = (count: number) => Array.from({ length: count }, (_, at) => firstSeed + at)

async function all(): Promise<number> {
  const startedMs = performance.now()
  const seeds = seedsFrom(wholeNumber('seeds', flags.seeds ?? '100'))
  let failed = 0
  let done = 0
  const args = flags.mutant === undefined ? [] : ['--mutant', flags.mutant]
  await runSeeds<Outcome>(seeds, { workers, args, program }, (outcome) => {
    if (outcome.problems.length > 0) {
      failed++
      report(outcome)
    }
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    if (++done % 50 === 0) console.log(`${done} of ${seeds.length} seeds, ${seconds} s`)
    return true
  })
  console.log(`sim: ${done - failed} passed, ${failed} failed`)
  return failed
}

async function allMutants(): Promise<number> {
  const seeds = seedsFrom(wholeNumber('seeds', flags.seeds ?? String(mutantSeeds)))
  const problemsOf = ({ problems }: Outcome) => problems
  const missed = await findMutants<Outcome>({ mutants, seeds, workers, program, problemsOf })
  console.log(`sim: ${mutants.length - missed} passed, ${missed} failed`)
  return missed
}

async function one(seed: number): Promise<number> {
  const { runSeed } = await import('./seed.ts')
  const outcome = await runSeed(seed, flags.trace ? (line) => console.log(line) : undefined)
  if (outcome.problems.length > 0) report(outcome)
  console.log(lineOf(outcome))
  return outcome.problems.length
}

if (flags.mutant !== undefined) plantNamed(mutants, flags.mutant)
if (flags.worker) {
  const { runSeed } = await import('./seed.ts') // after the mutant was planted
  serveSeeds(runSeed)
} else {
  const failed = flags.mutants
    ? await allMutants()
    : flags.seed !== undefined
      ? await one(wholeNumber('seed', flags.seed, 0))
      : await all()
  process.exitCode = failed > 0 ? 1 : 0
}
