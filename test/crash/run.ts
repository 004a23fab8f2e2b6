/**
 * Kills of every kind under load, many times: a master alone, the members of a SYNC_MASTER group, NameServers.
 *   npm run test:crash -- [--kills 50] [--only REGEX]
 * Prints one line a case with its figures and ends with `N passed, N failed`; stores and output lie in .work/crash/.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectDir } from '../peers/cluster.ts'
import { killUnderLoad } from './kill.ts'
import { type CrashReport, figuresOf } from './load.ts'
import { killNameServers } from './name-servers.ts'
import { killReplicas } from './replica.ts'

const { values: flags } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, only: { type: 'string', default: '' } },
})
const kills = Number(flags.kills)
const workDir = join(projectDir, '.work/crash')

const rare = Math.ceil(kills / 5) // the same with the other flush

const cases: [string, string, (dir: string) => Promise<CrashReport>][] = [
  ['master-sync', 'a master alone, SYNC_FLUSH', (dir) => killUnderLoad({ dir, flush: 'SYNC_FLUSH', kills })],
  ['master-async', 'a master alone, ASYNC_FLUSH', (dir) => killUnderLoad({ dir, flush: 'ASYNC_FLUSH', kills: rare })],
  [
    'group-async',
    'master, slave, and both at once, SYNC_MASTER and ASYNC_FLUSH; then the master’s disk gone',
    (dir) => killReplicas({ dir, flush: 'ASYNC_FLUSH', kills }),
  ],
  [
    'group-sync',
    'master, slave, and both at once, SYNC_MASTER and SYNC_FLUSH; then the master’s disk gone',
    (dir) => killReplicas({ dir, flush: 'SYNC_FLUSH', kills: rare }),
  ],
  ['namesrv', 'one of two NameServers, both, and both with the broker', (dir) => killNameServers({ dir, kills })],
]

let failed = 0
const wanted = cases.filter(([name, title]) => new RegExp(flags.only).test(`${name} ${title}`))
rmSync(workDir, { recursive: true, force: true })
for (const [name, title, work] of wanted) {
  const startedMs = performance.now()
  const dir = join(workDir, name)
  mkdirSync(dir, { recursive: true })
  const seconds = () => `${Math.round((performance.now() - startedMs) / 1000)} s`
  try {
    const report = await work(dir)
    if (report.problems.length > 0) failed++
    console.log(`${report.problems.length > 0 ? 'FAILED' : 'passed'} ${title}: ${figuresOf(report)} (${seconds()})`)
    for (const problem of report.problems.slice(0, 20)) console.log(`  ${problem}`)
  } catch (error) {
    failed++
    console.log(`FAILED ${title} (${seconds()})\n${(error as Error).message}`)
  }
}
console.log(`crash: ${wanted.length - failed} passed, ${failed} failed`)
process.exitCode = failed > 0 || wanted.length === 0 ? 1 : 0
