/**
 * Apache RocketMQ and ours in one run on this machine, in turns, under the same Java load client.
 *   npm run bench -- [--rounds 3] [--seconds 10] [--heat 45] [--only REGEX] [--quick]
 * Prints medians and ratios and keeps them in bench/RESULTS.md; --quick only shows that everything runs. Needs Java 17, Maven.
 * Exit code 1: something could not be measured, or a send failed. A missed bound is shown, not punished: this machine is shared.
 */
import { execFile } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { apachePeer, type Cluster, ourPeer, type Peer, projectDir, startCluster } from '../test/peers/cluster.ts'
import { rowsOf, type Sample, tableOf } from './report.ts'

const run = promisify(execFile)
const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    heat: { type: 'string' },
    only: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
  },
})
const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3))
const seconds = Number(flags.seconds ?? (flags.quick ? 2 : 10))
const heatSeconds = Number(flags.heat ?? (flags.quick ? 4 : 45))
const warmupSeconds = flags.quick ? 1 : 15 // the client is a fresh JVM: cold, it costs three times as much a message and hides the brokers
const idleSeconds = flags.quick ? 3 : 20
const loadTimeoutMs = 5 * 60_000
const setupTimeoutMs = 10 * 60_000
const only = new RegExp(flags.only)

const workDir = join(projectDir, '.work/bench')
const resultsFile = join(projectDir, 'bench/RESULTS.md')
const peers: Peer[] = [apachePeer, ourPeer]
const topic = 'LoadTest'
const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)

const sends: { scenario: string; args: string[] }[] = [
  { scenario: 'sync send, 1 KiB, 16 threads', args: ['--mode', 'sync', '--size', '1024', '--threads', '16'] },
  { scenario: 'sync send, 1 KiB, 64 threads', args: ['--mode', 'sync', '--size', '1024', '--threads', '64'] },
  { scenario: 'async send, 1 KiB, 1024 in flight', args: ['--mode', 'async', '--size', '1024', '--inflight', '1024'] },
]
const startScenario = 'start to first send'
const idleScenario = `idle memory, ${idleSeconds} s after the first send`

async function main(): Promise<void> {
  rmSync(workDir, { recursive: true, force: true })
  mkdirSync(workDir, { recursive: true })
  await run(join(apachePeer.folder, 'setup'), [], { timeout: setupTimeoutMs })
  const samples: Sample[] = []
  const keep = (sample: Sample) => {
    samples.push(sample)
    appendFileSync(join(workDir, 'samples.jsonl'), `${JSON.stringify(sample)}\n`)
    say(
      `${sample.peer} ${sample.scenario} #${sample.round}: ${JSON.stringify(sample.figures)} others ${sample.otherCores.toFixed(2)}`,
    )
  }
  if (only.test(startScenario)) {
    for (let round = 1; round <= rounds; round++)
      for (const peer of inTurn(round)) for (const sample of await start(peer, round)) keep(sample)
  }
  const wanted = sends.filter(({ scenario }) => only.test(scenario))
  if (wanted.length > 0) await measureSends(wanted, keep)

  const table = tableOf(rowsOf(samples))
  console.log(table)
  if (!flags.quick && flags.only === '') writeFileSync(resultsFile, resultsPage(table, samples))
}

/** Who begins changes from round to round, so that a drift of the machine hits both alike. */
function inTurn(round: number): Peer[] {
  return round % 2 === 1 ? peers : peers.toReversed()
}

/** Starts a fresh NameServer, then a fresh broker, until a client's send succeeds; then leaves both alone and looks at their memory. */
async function start(peer: Peer, round: number): Promise<Sample[]> {
  const dir = join(workDir, `start-${peer.name}`)
  rmSync(dir, { recursive: true, force: true })
  const startedAt = performance.now()
  const cluster = await startCluster({ peer, dir, startsBroker: false })
  const namesrvListenMs = performance.now() - startedAt
  let brokerPid: number | undefined
  try {
    await sleep(2_000) // its start is over: the broker has the machine to itself
    const broker = [
      '--cmd',
      join(peer.folder, 'broker'),
      '--arg',
      join(dir, 'broker'),
      '--out',
      join(dir, 'broker.out'),
    ]
    const result = await load(cluster, ['startup', '--broker', 'broker-a', '--seconds', '90', ...broker], {
      namesrv: cluster.namesrvPid,
    })
    brokerPid = result.pid
    await sleep(idleSeconds * 1_000)
    const [brokerMemory, namesrvMemory] = [memoryOf(result.pid), memoryOf(cluster.namesrvPid)]
    const common = { peer: peer.name, round, otherCores: result.otherCores }
    const { registeredMs, firstSendMs } = result
    return [
      { ...common, scenario: startScenario, figures: { namesrvListenMs, registeredMs, firstSendMs } },
      {
        ...common,
        scenario: idleScenario,
        figures: {
          brokerRssMiB: brokerMemory.rssMiB,
          namesrvRssMiB: namesrvMemory.rssMiB,
          brokerAnonMiB: brokerMemory.anonMiB,
        },
      },
    ]
  } finally {
    // startup started it, so it is no child of ours: it is ended by its id and awaited by its entry in /proc
    if (brokerPid !== undefined) await end(brokerPid)
    await cluster.stop()
  }
}

/**
 * Both clusters stay up for all rounds, warm; the one that is not measured is frozen, since the timers of an idle Apache broker
 * take a tenth of a core from whoever shares the machine with it.
 */
async function measureSends(wanted: typeof sends, keep: (sample: Sample) => void): Promise<void> {
  const clusters = new Map<Peer, Cluster>()
  try {
    for (const peer of peers) {
      const cluster = await startCluster({ peer, dir: join(workDir, `send-${peer.name}`) })
      clusters.set(peer, cluster)
      say(`${peer.name}: warming up for ${heatSeconds} s`)
      await load(cluster, ['await', '--seconds', '60'], {})
      await load(
        cluster,
        [
          'send',
          '--topic',
          topic,
          '--mode',
          'sync',
          '--size',
          '1024',
          '--threads',
          '16',
          '--seconds',
          String(heatSeconds),
        ],
        {},
      )
    }
    for (let round = 1; round <= rounds; round++) {
      for (const { scenario, args } of wanted) {
        for (const peer of inTurn(round)) {
          const cluster = clusters.get(peer)!
          await freezeOthers(clusters, cluster)
          const window = ['--seconds', String(seconds), '--warmup', String(warmupSeconds)]
          const result = await load(cluster, ['send', '--topic', topic, ...args, ...window], {
            broker: cluster.brokerPid(),
          })
          if (result.failed + result.notOk > 0) {
            say(`${peer.name} ${scenario}: ${result.failed + result.notOk} sends failed: ${result.error}`)
            process.exitCode = 1
          }
          keep({
            scenario,
            peer: peer.name,
            round,
            otherCores: result.proc.otherCores,
            figures: {
              sendsPerSecond: result.tps,
              p50Ms: result.p50ms,
              p99Ms: result.p99ms,
              brokerCpuMicros: result.proc.broker.cpuSper100k * 10,
            },
          })
        }
      }
    }
  } finally {
    await Promise.all([...clusters.values()].map((cluster) => cluster.stop()))
  }
}

/** Leaves one cluster running, and waits until its broker is registered again if it slept through a heartbeat. */
async function freezeOthers(clusters: ReadonlyMap<Peer, Cluster>, running: Cluster): Promise<void> {
  for (const cluster of clusters.values()) if (cluster !== running) cluster.freeze()
  running.thaw()
  await load(running, ['await', '--seconds', '60'], {})
}

/** One run of the load client; it prints one JSON line. @throws when it fails or prints none */
// biome-ignore lint/suspicious/noExplicitAny: the line's form is the load client's, described by `load help`
async function load(cluster: Cluster, args: string[], pids: Record<string, number>): Promise<any> {
  const watched = Object.entries(pids)
    .map(([name, pid]) => `${name}=${pid}`)
    .join(';')
  const all = [...args, '--namesrv', cluster.namesrv, ...(watched === '' ? [] : ['--pids', watched])]
  const { stdout } = await run(join(apachePeer.folder, 'load'), all, {
    env: cluster.env,
    timeout: loadTimeoutMs,
  }).catch((error) => {
    throw new Error(`load ${args.join(' ')}: ${error.message}\n${error.stdout ?? ''}\n${cluster.output()}`)
  })
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}

function memoryOf(pid: number): { rssMiB: number; anonMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
  return { rssMiB: mib('VmRSS'), anonMiB: mib('RssAnon') }
}

async function end(pid: number): Promise<void> {
  const until = Date.now() + 30_000
  try {
    process.kill(pid, 'SIGTERM')
    while (Date.now() < until) {
      process.kill(pid, 0)
      await sleep(50)
    }
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error // ESRCH: it is gone
  }
}

function resultsPage(table: string, samples: Sample[]): string {
  const others = Math.max(...samples.map((sample) => sample.otherCores))
  return `# Apache RocketMQ 5.5.0 and ours, side by side

Made by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${rounds} rounds in turns, ${seconds} s each after ${warmupSeconds} s of warm-up and ${heatSeconds} s of load
on the fresh brokers; ASYNC_MASTER, ASYNC_FLUSH; Apache's Java client loads both. Client, broker and NameServer share the machine:
${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}, Java 17 (broker heap 1 GiB, official G1 options).
Medians; read the ratios, not the absolute figures. Other processes took up to ${others.toFixed(1)} cores during a measurement.

${table}
`
}

await main()
