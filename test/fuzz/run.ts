/**
 * Throws hostile bytes at a NameServer and a broker, plain and with TLS, while good clients ask them for answers.
 *   npm run fuzz -- [--seeds N] [--seed S] [--attacks N] [--parallel N] [--only TEXT]
 *   npm run fuzz -- --figures     what a few of them cost: figures.ts
 *   npm run fuzz -- --mutants [--only TEXT]   whether bugs that are planted are found: mutants/list.ts
 * One line a seed, then `fuzz: N passed, M failed`. A seed passes where nothing crashed or stood still, each request got its
 * answer and no other one, what broke a rule was closed at once and what was unfinished in time, the good clients never waited
 * for long, the log stayed short, and nothing was left: no connection, no timer, no file, and no memory beyond a limit.
 */
import { readFlags, wholeNumber } from '../../scripts/flags.ts'
import { deckOf } from './deck.ts'
import { type Plan, runSeed } from './seed.ts'
import { Servers } from './servers.ts'

/** What the servers may hold once all is closed: their code above all, and with each seed a little more of it. */
const heldBytesMax = 28 * 1024 * 1024
const keptBytesMax = 1024 * 1024
const problemsShown = 10

const flags = readFlags(import.meta.filename, {
  seeds: { type: 'string', default: '5' },
  seed: { type: 'string', default: '1' },
  attacks: { type: 'string', default: '400' },
  parallel: { type: 'string', default: '64' },
  only: { type: 'string', default: '' },
  figures: { type: 'boolean', default: false },
  mutants: { type: 'boolean', default: false },
})
if (flags.figures) {
  await (await import('./figures.ts')).figures()
  process.exit()
}
if (flags.mutants) {
  const missed = await (await import('./mutants/run.ts')).findMutants(flags.only)
  process.exit(missed > 0 ? 1 : 0)
}
const seedCount = wholeNumber('seeds', flags.seeds)
const firstSeed = wholeNumber('seed', flags.seed, 0)
const attacks = wholeNumber('attacks', flags.attacks)
const parallel = wholeNumber('parallel', flags.parallel)

const plan: Plan = { deck: deckOf(flags.only), attacks, parallel }
let failed = 0
let servers = new Servers()
let baseline: { bytes: number; seed: number } | undefined // after the first seed of a process, which compiles and caches
for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
  const startedAtMs = performance.now()
  const { problems, facts, heldBytes } = await runSeed(seed, plan, servers)
  if (heldBytes !== undefined) {
    baseline ??= { bytes: heldBytes, seed }
    const keptBytes = heldBytes - baseline.bytes
    if (heldBytes > heldBytesMax || keptBytes > keptBytesMax * (seed - baseline.seed))
      problems.push(`${heldBytes} bytes are held, ${keptBytes} more than after seed ${baseline.seed}`)
  }
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
  console.log(
    `${problems.length === 0 ? 'passed' : 'FAILED'} seed ${seed} in ${seconds} s: at most ${facts.join(', ')}`,
  )
  for (const problem of problems.slice(0, problemsShown)) console.log(`  ${problem.replaceAll('\n', '\n    ')}`)
  if (problems.length > problemsShown) console.log(`  and ${problems.length - problemsShown} more`)
  if (problems.length === 0) continue
  failed++
  servers.end()
  servers = new Servers() // the next seed is judged by itself
  baseline = undefined
}
servers.end()
console.log(`fuzz: ${seedCount - failed} passed, ${failed} failed`)
process.exit(failed > 0 || seedCount === 0 ? 1 : 0)
