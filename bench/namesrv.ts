/**
 * A NameServer under the registrations of many brokers with many topics, Apache's and ours, one after the other.
 *   npm run bench:namesrv -- [--brokers 100] [--topics 10000] [--seconds 30] [--period 30] [--lookups 500] [--only ours] [--layout same] [--quick]
 * Prints a table and keeps it in bench/NAMESRV-RESULTS.md; --quick only shows that everything runs. Needs Java 17, Maven for
 * Apache's side. Exit code 1: a request failed.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readFlags, wholeNumber } from '../scripts/flags.ts'
import { apachePeer, ourPeer, type Peer, projectDir, startCluster } from '../test/peers/cluster.ts'
import type { BrokersTask, Figures, Heartbeat, Layout, LookupsTask } from './namesrv-load.ts'

const flags = readFlags(import.meta.filename, {
  brokers: { type: 'string' },
  topics: { type: 'string' },
  seconds: { type: 'string' },
  period: { type: 'string', default: '30' },
  lookups: { type: 'string', default: '500' },
  only: { type: 'string', default: '' },
  layout: { type: 'string', default: '' },
  quick: { type: 'boolean', default: false },
})
const brokers = wholeNumber('brokers', flags.brokers ?? (flags.quick ? '10' : '100'))
const topics = wholeNumber('topics', flags.topics ?? (flags.quick ? '1000' : '10000'))
const seconds = wholeNumber('seconds', flags.seconds ?? (flags.quick ? '2' : '30'))
const periodSeconds = wholeNumber('period', flags.period)
const lookupsPerSecond = wholeNumber('lookups', flags.lookups, 0)
const idleSeconds = Math.min(seconds, 10)

const workDir = join(projectDir, '.work/bench-namesrv')
const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)

interface Row {
  peer: string
  layout: string
  scenario: string
  /** Of one core, over the scenario. */
  cpuShare: number
  otherCores: number
  lookups: Figures
  registrations?: Figures
  rssMiB: number
}

const layouts: { name: string; layout: Layout }[] = [
  { name: `the same ${topics} on each broker`, layout: { brokers, topics, isShared: true } },
  { name: `${topics} of its own on each broker`, layout: { brokers, topics, isShared: false } },
].filter(({ name }) => name.includes(flags.layout))

async function measure(peer: Peer, name: string, layout: Layout): Promise<Row[]> {
  const dir = join(workDir, `${peer.name}-${layout.isShared ? 'shared' : 'own'}`)
  // As much heap as runserver.sh gives at most; it takes what it needs.
  const cluster = await startCluster({ peer, dir, startsBroker: false, env: { NAMESRV_XMX: '4g' } })
  const load = join(import.meta.dirname, 'namesrv-load.ts')
  const args = [cluster.namesrv, JSON.stringify(layout)]
  const registering = fork(load, ['brokers', ...args])
  const asking = fork(load, ['lookups', ...args])
  const rows: Row[] = []
  const during = async (scenario: string, act: () => Promise<Figures | undefined>) => {
    asking.send({ do: 'start', perSecond: lookupsPerSecond } satisfies LookupsTask)
    await sleep(200)
    const before = usage(cluster.namesrvPid, [registering, asking])
    const registrations = await act()
    const after = usage(cluster.namesrvPid, [registering, asking])
    const lookups = await answerTo<Figures>(asking, { do: 'stop', perSecond: 0 } satisfies LookupsTask)
    const elapsed = after.atMs - before.atMs
    const row: Row = {
      peer: peer.name,
      layout: name,
      scenario,
      cpuShare: (after.ownMs - before.ownMs) / elapsed,
      otherCores: (after.othersMs - before.othersMs) / elapsed,
      lookups,
      ...(registrations && { registrations }),
      rssMiB: rssMiB(cluster.namesrvPid),
    }
    rows.push(row)
    if (lookups.failed + (registrations?.failed ?? 0) > 0) {
      say(`${lookups.failed} lookups and ${registrations?.failed ?? 0} registrations failed`)
      process.exitCode = 1
    }
    say(`${peer.name}, ${name}, ${scenario}: ${JSON.stringify(row)}`)
  }
  const beat = (heartbeat: Heartbeat) => () =>
    answerTo<Figures>(registering, { do: 'beat', heartbeat, seconds, periodSeconds } satisfies BrokersTask)
  try {
    const first: BrokersTask = { do: 'first', heartbeat: 'unchanged', seconds, periodSeconds }
    await during('all register at once', () => answerTo<Figures>(registering, first))
    await during('nobody registers', () => sleep(idleSeconds * 1000).then(() => undefined))
    await during('each registers, unchanged', beat('unchanged'))
    await during('each registers, a topic changed', beat('changed'))
    await during('each registers in parts of 800', beat('split'))
  } finally {
    registering.kill()
    asking.kill()
    await cluster.stop()
  }
  return rows
}

async function answerTo<T>(child: ChildProcess, task: object): Promise<T> {
  const answered = once(child, 'message', { signal: AbortSignal.timeout(10 * 60_000) })
  child.send(task)
  return ((await answered) as [T])[0]
}

const tickMs = 10 // of /proc, with the usual CLK_TCK of 100

/** CPU times in ms: of the NameServer, and of what is neither it nor the load nor this process. */
function usage(pid: number, loads: ChildProcess[]): { atMs: number; ownMs: number; othersMs: number } {
  const cpuMs = (pid: number) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * tickMs
  }
  const [user, nice, system] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1).map(Number)
  const ownMs = cpuMs(pid)
  const ours = ownMs + cpuMs(process.pid) + loads.reduce((sum, { pid }) => sum + cpuMs(pid!), 0)
  return { atMs: performance.now(), ownMs, othersMs: (user! + nice! + system!) * tickMs - ours }
}

function rssMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

function tableOf(rows: readonly Row[]): string {
  const head = [
    '| topics | load | NameServer | CPU, of one core | lookup p50 / p99 / max, ms | registration p50 / p99, ms | memory, MiB |',
    '|---|---|---|---|---|---|---|',
  ]
  const ms = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(0))
  const lines = rows.map(({ peer, layout, scenario, cpuShare, lookups, registrations, rssMiB }) => {
    const all = scenario === 'all register at once' ? `${scenario}: ${ms(registrations!.elapsedMs / 1000)} s` : scenario
    const took = registrations === undefined ? '' : `${ms(registrations.p50)} / ${ms(registrations.p99)}`
    const asked = `${ms(lookups.p50)} / ${ms(lookups.p99)} / ${ms(lookups.max)}`
    return `| ${layout} | ${all} | ${peer} | ${(100 * cpuShare).toFixed(1)} % | ${asked} | ${took} | ${rssMiB.toFixed(0)} |`
  })
  return [...head, ...lines].join('\n')
}

async function main(): Promise<void> {
  rmSync(workDir, { recursive: true, force: true })
  mkdirSync(workDir, { recursive: true })
  const peers = [apachePeer, ourPeer].filter(({ name }) => name.includes(flags.only))
  if (peers.includes(apachePeer)) await promisify(execFile)(join(apachePeer.folder, 'setup'), [], { timeout: 600_000 })
  const rows: Row[] = []
  for (const { name, layout } of layouts) for (const peer of peers) rows.push(...(await measure(peer, name, layout)))
  const order = (row: Row) => layouts.findIndex(({ name }) => name === row.layout)
  const table = tableOf(rows.toSorted((a, b) => order(a) - order(b) || a.scenario.localeCompare(b.scenario)))
  console.log(table)
  if (flags.quick || flags.only !== '') return
  const others = rows.map(({ otherCores }) => otherCores).toSorted((a, b) => a - b)
  writeFileSync(
    join(projectDir, 'bench/NAMESRV-RESULTS.md'),
    `# A NameServer under many registrations

Made by \`npm run bench:namesrv\` on ${new Date().toISOString().slice(0, 10)}: ${brokers} brokers, each with ${topics} topics, register every ${periodSeconds} s; ${lookupsPerSecond} route
lookups a second on 8 connections meanwhile; ${seconds} s each. NameServer, brokers and lookups share ${cpus().length} × ${cpus()[0]?.model.trim()}, Linux ${release()},
Node ${process.version}, Java 17 (heap up to 4 GiB). Other processes took ${others[Math.floor(others.length / 2)]?.toFixed(1)} cores in the median and up to ${others.at(-1)?.toFixed(1)}: lookups of "nobody registers"
show what that alone costs.

${table}
`,
  )
}

await main()
