/**
 * Controllers under seeds, then stories in which the operator dies after each of its writes; or shows that both find bugs that are
 * planted.
 *   npm run sim:controllers -- [--seeds N] [--from SEED] [--every K] [--workers N] [--mutant NAME]
 *   npm run sim:controllers -- --story NAME [--write I] [--mutant NAME]
 *   npm run sim:controllers -- --mutants [--seeds N]
 * --every K: the operator dies after every Kth write of each story only; 0: there are no stories, as with --from.
 * --story: one of them, and the operator dies after its write I; 0, or nothing: it lives. --seeds 0: the stories alone.
 * Ends with `controllers: N passed, M failed`; what failed is printed with what was asked for, and is the same again with
 * `--seeds 1 --from SEED`, or `--story NAME --write I`.
 */
import { availableParallelism } from 'node:os'
import { readFlags, wholeNumber } from '../../scripts/flags.ts'
import { findMutants } from '../sim/mutants/find.ts'
import { plantNamed } from '../sim/mutants/plant.ts'
import { runSeeds, serveSeeds } from '../sim/workers.ts'
import { crashMutants, mutants } from './mutants.ts'
import type { Outcome } from './seed.ts'
import type { StoryOutcome } from './stories.ts'

const mutantSeeds = 200

const flags = readFlags(import.meta.filename, {
  seeds: { type: 'string' },
  from: { type: 'string' },
  every: { type: 'string', default: '1' },
  story: { type: 'string' },
  write: { type: 'string', default: '0' }, // 0: it does not die
  workers: { type: 'string', default: String(availableParallelism()) },
  mutants: { type: 'boolean', default: false },
  mutant: { type: 'string' }, // plants this one
  worker: { type: 'boolean', default: false }, // takes seeds from its parent
  stories: { type: 'boolean', default: false }, // what it takes are cases of stories
})
const program = import.meta.filename
const workers = wholeNumber('workers', flags.workers)
const firstSeed = wholeNumber('from', flags.from ?? '1', 0)
const every = wholeNumber('every', flags.every, 0)
const seedsFrom = (count: number) => Array.from({ length: count }, (_, at) => firstSeed + at)
const planted = flags.mutant === undefined ? [] : ['--mutant', flags.mutant]
const storyArgs = ['--stories']

interface Count {
  passed: number
  failed: number
}

async function allSeeds(): Promise<Count> {
  const startedMs = performance.now()
  const seeds = seedsFrom(wholeNumber('seeds', flags.seeds ?? '20', 0))
  const sums = { crashes: 0, restarts: 0, removals: 0 }
  let failed = 0
  let done = 0
  await runSeeds<Outcome>(seeds, { workers, args: planted, program }, ({ seed, trace, violations, ...counts }) => {
    for (const key of ['crashes', 'restarts', 'removals'] as const) sums[key] += counts[key]
    if (violations.length > 0) {
      failed++
      tell(`seed ${seed}`, trace, violations)
    }
    if (++done % 200 === 0) console.log(`${done} of ${seeds.length} seeds, ${secondsSince(startedMs)} s`)
    return true
  })
  const { crashes, restarts, removals } = sums
  console.log(`${crashes} operators died, ${restarts} pods were restarted, ${removals} groups removed`)
  return { passed: done - failed, failed }
}

/** Each story with an operator that lives, then with one that dies after each of the writes that there were. */
async function allStories(names: readonly string[]): Promise<Count> {
  if (every === 0) return { passed: 0, failed: 0 }
  const startedMs = performance.now()
  const { whole, crashed } = await casesOf(names)
  const problems = whole.filter(({ violations }) => violations.length > 0)
  const cases = crashed.filter((one) => one % every === 0)
  await runSeeds<StoryOutcome>(cases, { workers, args: [...storyArgs, ...planted], program }, (outcome) => {
    if (outcome.violations.length > 0) problems.push(outcome)
    return true
  })
  for (const { story, diedAfter, trace, violations } of problems)
    tell(`${story}, write ${diedAfter}`, trace, violations)
  const which = every === 1 ? 'each' : `one in ${every}`
  console.log(
    `${names.length} stories, the operator died after ${which} of ${crashed.length} writes, ${secondsSince(startedMs)} s`,
  )
  return { passed: whole.length + cases.length - problems.length, failed: problems.length }
}

/** Stories as they are with an operator that lives, and the cases of one that dies once. */
async function casesOf(names: readonly string[], args: readonly string[] = planted) {
  const { caseOf, storyNames } = await import('./stories.ts')
  const indexes = names.map((name) => storyNames.indexOf(name))
  const whole: StoryOutcome[] = []
  const first = indexes.map((index) => caseOf(index, 0))
  await runSeeds<StoryOutcome>(first, { workers, args: [...storyArgs, ...args], program }, (outcome) => {
    whole.push(outcome)
    return true
  })
  whole.sort((a, b) => a.seed - b.seed)
  const crashed = whole.flatMap(({ seed, writes }) => Array.from({ length: writes }, (_, at) => seed + at + 1))
  return { whole, crashed }
}

async function oneCase(name: string): Promise<Count> {
  const { caseOf, runCase, storyNames } = await import('./stories.ts')
  if (!storyNames.includes(name)) {
    console.error(`--story wants one of:\n  ${storyNames.join('\n  ')}`)
    process.exit(2)
  }
  const { trace, violations } = await runCase(caseOf(storyNames.indexOf(name), wholeNumber('write', flags.write, 0)))
  tell(name, trace, violations)
  return { passed: violations.length > 0 ? 0 : 1, failed: violations.length > 0 ? 1 : 0 }
}

function tell(name: string, trace: readonly string[], violations: readonly string[]): void {
  console.log([`${name}:`, ...trace, ...violations.map((one) => `VIOLATED ${one}`)].join('\n  '))
}

function secondsSince(startedMs: number): number {
  return Math.round((performance.now() - startedMs) / 1000)
}

async function allMutants(): Promise<Count> {
  const seeds = seedsFrom(wholeNumber('seeds', flags.seeds ?? String(mutantSeeds)))
  const problemsOf = ({ violations }: Pick<Outcome, 'violations'>) => violations
  let failed = await findMutants<Outcome>({ mutants, seeds, workers, program, problemsOf })
  for (const mutant of crashMutants) {
    const { whole, crashed } = await casesOf([mutant.story], ['--mutant', mutant.name])
    const isSeenAnyway = whole.some(({ violations }) => violations.length > 0)
    if (isSeenAnyway) console.log(`${mutant.name}: it shows with an operator that lives`)
    const search = { mutants: [mutant], seeds: crashed, workers, program, args: storyArgs, problemsOf }
    failed += Math.max(await findMutants<StoryOutcome>(search), isSeenAnyway ? 1 : 0)
  }
  return { passed: mutants.length + crashMutants.length - failed, failed }
}

async function all(): Promise<Count[]> {
  const { storyNames } = await import('./stories.ts')
  return [await allSeeds(), flags.from === undefined ? await allStories(storyNames) : { passed: 0, failed: 0 }]
}

if (flags.mutant !== undefined) plantNamed([...mutants, ...crashMutants], flags.mutant)
if (flags.worker) {
  if (flags.stories) serveSeeds((await import('./stories.ts')).runCase)
  else serveSeeds((await import('./seed.ts')).runSeed) // after the mutant was planted
} else {
  const counts = flags.mutants
    ? [await allMutants()]
    : flags.story !== undefined
      ? [await oneCase(flags.story)]
      : await all()
  const sum = (key: keyof Count) => counts.reduce((total, count) => total + count[key], 0)
  console.log(`controllers: ${sum('passed')} passed, ${sum('failed')} failed`)
  process.exitCode = sum('failed') > 0 ? 1 : 0
}
