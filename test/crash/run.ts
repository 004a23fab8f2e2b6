/**
 * Kills of every kind under load, many times: a master alone, the members of a SYNC_MASTER group, NameServers; and a slave that
 * begins at zero with a long log.
 *   npm run test:crash -- [--kills 50] [--only REGEX]
 * Prints one line a case with its figures and ends with `N passed, N failed`; stores and output lie in .work/crash/.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readFlags, wholeNumber } from '../../scripts/flags.ts'
import { projectDir } from '../peers/cluster.ts'
import { fillDisk } from './disk-full.ts'
import { slaveFromZero } from './far-behind.ts'
import { killUnderLoad } from './kill.ts'
import { type CrashReport, figuresOf } from './load.ts'
import { killNameServers } from './name-servers.ts'
import { killReplicas } from './replica.ts'

const flags = readFlags(import.meta.filename, {
  kills: { type: 'string', default: '50' },
  only: { type: 'string', default: '' },
})
const kills = wholeNumber('kills', flags.kills)
const workDir = join(projectDir, '.work/crash')

const rare = Math.ceil(kills / 5) // the same with the other flush

/** What a case came to. */
interface Shown {
  problems: string[]
  figures: string
}

type Case = [name: string, title: string, work: (dir: string) => Promise<CrashReport | Shown>]

/** What can be killed at the same time as something of the other lane: all of them mostly wait. */
const lanes: Case[][] = [
  [
    ['master-sync', 'a master alone, SYNC_FLUSH', (dir) => killUnderLoad({ dir, flush: 'SYNC_FLUSH', kills })],
    ['master-async', 'a master alone, ASYNC_FLUSH', (dir) => killUnderLoad({ dir, flush: 'ASYNC_FLUSH', kills: rare })],
    [
      'master-stopped',
      'a master alone, SYNC_FLUSH, stopped with SIGTERM',
      (dir) => killUnderLoad({ dir, flush: 'SYNC_FLUSH', kills: rare, by: 'SIGTERM' }),
    ],
    ['namesrv', 'one of two NameServers, both, and both with the broker', (dir) => killNameServers({ dir, kills })],
  ],
  [
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
    ['full-ext4', 'the volume full, ext4; killed, and started on it', (dir) => fillDisk({ dir, kind: 'ext4' })],
    ['far-behind', 'a slave from zero while clients go on', (dir) => slaveFromZero({ dir, logMiB: 256 })],
    ['full-tmpfs', 'the volume full, tmpfs; killed, and started on it', (dir) => fillDisk({ dir, kind: 'tmpfs' })],
  ],
]

let passed = 0
let failed = 0

async function runCase([name, title, work]: Case): Promise<void> {
  const startedMs = performance.now()
  const dir = join(workDir, name)
  mkdirSync(dir, { recursive: true })
  const seconds = () => `${Math.round((performance.now() - startedMs) / 1000)} s`
  try {
    const report = await work(dir)
    const figures = 'figures' in report ? report.figures : figuresOf(report)
    const isGood = report.problems.length === 0
    if (isGood) passed++
    else failed++
    console.log(`${isGood ? 'passed' : 'FAILED'} ${title}: ${figures} (${seconds()})`)
    for (const problem of report.problems.slice(0, 20)) console.log(`  ${problem}`)
  } catch (error) {
    failed++
    console.log(`FAILED ${title} (${seconds()})\n${(error as Error).message}`)
  }
}

async function runLane(lane: readonly Case[]): Promise<void> {
  for (const one of lane) if (new RegExp(flags.only).test(`${one[0]} ${one[1]}`)) await runCase(one)
}

rmSync(workDir, { recursive: true, force: true })
await Promise.all(lanes.map(runLane))
console.log(`crash: ${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
