/**
 * Throws hostile bytes at a NameServer and a broker that run in this process, while a good client asks both for answers.
 *   npm run fuzz -- [--seeds N] [--seed S] [--attacks N] [--parallel N]
 * One line a seed, then `fuzz: N passed, M failed`. A seed passes where nothing crashed, each request was answered or its
 * connection closed in time, the good client never waited for long, the log stayed short, and memory came back.
 */
import { parseArgs } from 'node:util'
import { messageOf } from '../../src/base/errors.ts'
import { attacks } from './attacks.ts'
import { Chance } from './chance.ts'
import { Peer } from './peer.ts'
import { startStage } from './stage.ts'

/** What one seed may leave behind once all is closed: caches, compiled code; a leak grows with the seeds. */
const keptBytesMax = 48 * 1024 * 1024
const problemsShown = 10

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    attacks: { type: 'string', default: '400' },
    parallel: { type: 'string', default: '48' },
  },
})
const [seedCount, firstSeed, attackCount, parallel] = [flags.seeds, flags.seed, flags.attacks, flags.parallel].map(
  Number,
)
if (![seedCount, firstSeed, attackCount, parallel].every((value) => Number.isInteger(value) && value! >= 0))
  throw new Error('whole numbers are wanted')

const crashes: string[] = []
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => crashes.push(`${event}: ${error instanceof Error ? error.stack : error}`))

const deck = attacks.flatMap((entry) => Array.from({ length: entry.weight }, () => entry))

async function runSeed(seed: number): Promise<{ problems: string[]; worstMs: number }> {
  const chance = new Chance(seed)
  const stage = await startStage()
  let left = attackCount!
  const worker = async () => {
    while (left-- > 0) {
      const { name, attack } = chance.one(deck)
      const own = chance.fork()
      try {
        const peer = await Peer.connect(own.one(stage.ports))
        const problem = await attack(peer, own)
        peer.destroy()
        if (problem !== undefined) stage.problems.push(`${name}: ${problem}`)
        if (peer.nonsense !== undefined) stage.problems.push(`${name}: answered with ${messageOf(peer.nonsense)}`)
      } catch (error) {
        stage.problems.push(`${name}: ${error instanceof Error ? error.stack : error}`)
      }
    }
  }
  await Promise.all(Array.from({ length: parallel! }, worker))
  const worstMs = stage.worstMs()
  await stage.stop()
  return { problems: [...stage.problems, ...crashes.splice(0)], worstMs }
}

/** Bytes in use after everything that can go is gone. */
async function heldBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, arrayBuffers, external } = process.memoryUsage()
  return heapUsed + arrayBuffers + external
}

const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024)
let failed = 0
let baseline: number | undefined
let peakBytes = 0
const watch = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage.rss())), 50)
watch.unref()
for (let seed = firstSeed!; seed < firstSeed! + seedCount!; seed++) {
  const started = performance.now()
  const { problems, worstMs } = await runSeed(seed)
  const held = await heldBytes()
  baseline ??= held // after the first one, which compiles and caches
  if (held - baseline > keptBytesMax)
    problems.push(`memory: ${mebibytes(held)} MiB are held, ${mebibytes(baseline)} MiB after the first seed`)
  const facts = `${Math.round(performance.now() - started)} ms, good client at most ${worstMs} ms, holds ${mebibytes(held)} MiB`
  console.log(`${problems.length === 0 ? 'passed' : 'FAILED'} seed ${seed} (${facts})`)
  for (const problem of problems.slice(0, problemsShown)) console.log(`  ${problem.replaceAll('\n', '\n    ')}`)
  if (problems.length > problemsShown) console.log(`  and ${problems.length - problemsShown} more`)
  if (problems.length > 0) failed++
}
console.log(`peak ${mebibytes(peakBytes)} MiB`)
console.log(`fuzz: ${seedCount! - failed} passed, ${failed} failed`)
process.exit(failed > 0 || seedCount === 0 ? 1 : 0)
