/**
 * Controllers under seeds: npm run sim:controllers -- [--seeds N] [--first SEED]
 * Ends with `controllers: N passed, M failed`; a seed that failed is printed with its story, and is the same story again with
 * `--seeds 1 --first SEED`.
 */
import { parseArgs } from 'node:util'
import { runSeed } from './seed.ts'

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '20' }, first: { type: 'string', default: '1' } },
})
let passed = 0
let failed = 0
let crashes = 0
let restarts = 0
let removals = 0
for (let seed = Number(values.first); seed < Number(values.first) + Number(values.seeds); seed++) {
  const outcome = await runSeed(seed)
  crashes += outcome.crashes
  restarts += outcome.restarts
  removals += outcome.removals
  if (outcome.violations.length === 0) passed++
  else {
    failed++
    console.log([`seed ${seed}:`, ...outcome.trace, ...outcome.violations.map((one) => `VIOLATED ${one}`)].join('\n  '))
  }
}
console.log(`${crashes} operators died, ${restarts} brokers were restarted, ${removals} groups removed`)
console.log(`controllers: ${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
