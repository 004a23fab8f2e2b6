/**
 * Controllers under seeds; or shows that it finds bugs that are planted.
 *   npm run sim:controllers -- [--seeds N] [--from SEED] [--workers N] [--mutant NAME]
 *   npm run sim:controllers -- --mutants [--seeds N]
 * Ends with `controllers: N passed, M failed`; a seed that failed is printed with its story, and is the same story again with
 * `--seeds 1 --from SEED`.
 */
import { availableParallelism } from 'node:os'
import { readFlags, wholeNumber } from '../../scripts/flags.ts'
import { findMutants } from '../sim/mutants/find.ts'
import { plantNamed } from '../sim/mutants/plant.ts'
import { runSeeds, serveSeeds } from '../sim/workers.ts'
import { mutants } from './mutants.ts'
import type { Outcome } from './seed.ts'

const mutantSeeds = 200

const flags = readFlags(import.meta.filename, {
  seeds: { type: 'string' },
  from: { type: 'string', default: '1' },
  workers: { type: 'string', default: String(availableParallelism()) },
  mutants: { type: 'boolean', default: false },
  mutant: { type: 'string' }, // plants this one
  worker: { type: 'boolean', default: false }, // takes seeds from its parent
})
const program = import.meta.filename
const workers = wholeNumber('workers', flags.workers)
const firstSeed = wholeNumber('from', flags.from, 0)
const seedsFrom = (count: number) => Array.from({ length: count }, (_, at) => firstSeed + at)

async function all(): Promise<number> {
  const startedMs = performance.now()
  const seeds = seedsFrom(wholeNumber('seeds', flags.seeds ?? '20'))
  const sums = { crashes: 0, restarts: 0, removals: 0 }
  let failed = 0
  let done = 0
  const args = flags.mutant === undefined ? [] : ['--mutant', flags.mutant]
  await runSeeds<Outcome>(seeds, { workers, args, program }, ({ seed, trace, violations, ...counts }) => {
    for (const key of ['crashes', 'restarts', 'removals'] as const) sums[key] += counts[key]
    if (violations.length > 0) {
      failed++
      console.log([`seed ${seed}:`, ...trace, ...violations.map((one) => `VIOLATED ${one}`)].join('\n  '))
    }
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    if (++done % 200 === 0) console.log(`${done} of ${seeds.length} seeds, ${seconds} s`)
    return true
  })
  const { crashes, restarts, removals } = sums
  console.log(`${crashes} operators died, ${restarts} brokers were restarted, ${removals} groups removed`)
  console.log(`controllers: ${done - failed} passed, ${failed} failed`)
  return failed
}

async function allMutants(): Promise<number> {
  const seeds = seedsFrom(wholeNumber('seeds', flags.seeds ?? String(mutantSeeds)))
  const problemsOf = ({ violations }: Outcome) => violations
  const missed = await findMutants<Outcome>({ mutants, seeds, workers, program, problemsOf })
  console.log(`controllers: ${mutants.length - missed} passed, ${missed} failed`)
  return missed
}

if (flags.mutant !== undefined) plantNamed(mutants, flags.mutant)
if (flags.worker) {
  const { runSeed } = await import('./seed.ts') // after the mutant was planted
  serveSeeds(runSeed)
} else {
  const failed = flags.mutants ? await allMutants() : await all()
  process.exitCode = failed > 0 ? 1 : 0
}
