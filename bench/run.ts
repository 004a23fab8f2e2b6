/**
 * Apache RocketMQ and ours in one run on this machine, in turns, under the same Java load client.
 *   npm run bench -- [--rounds 3] [--seconds 10] [--heat 45] [--only REGEX] [--quick] [--against DIR]
 * Prints medians and ratios and keeps them in bench/RESULTS.md (40 minutes). --quick only shows that everything runs.
 * --against compares with another checkout of ours in place of Apache. Needs Java 17, Maven.
 * Exit code 1: something could not be measured, a send failed, or messages did not come. A missed bound is shown, not punished: this machine is shared.
 */
import { execFile, spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readFlags, wholeNumber } from '../scripts/flags.ts'
import { apachePeer, type Cluster, ourPeer, type Peer, projectDir, startCluster } from '../test/peers/cluster.ts'
import { type Group, startGroup } from '../test/peers/group.ts'
import { LoadClient, type LoadResult, prepareLoadClient } from './load-client.ts'
import { type Bounds, rowsOf, type Sample, tableOf } from './report.ts'
import { type Bed, backlogTopic, type Scenario, scenarios } from './scenarios.ts'

const run = promisify(execFile)
const flags = readFlags(import.meta.filename, {
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  heat: { type: 'string' },
  only: { type: 'string', default: '' },
  quick: { type: 'boolean', default: false },
  against: { type: 'string' },
})
const rounds = wholeNumber('rounds', flags.rounds ?? (flags.quick ? '1' : '3'))
const seconds = wholeNumber('seconds', flags.seconds ?? (flags.quick ? '2' : '10'))
const heatSeconds = wholeNumber('heat', flags.heat ?? (flags.quick ? '4' : '45'), 0)
const firstWarmupSeconds = flags.quick ? 1 : 15 // until a client's code for a scenario is compiled
const warmupSeconds = flags.quick ? 1 : 4
const idleSeconds = flags.quick ? 3 : 20
const backlogCount = flags.quick ? 100_000 : 500_000
const startTimeoutMs = 5 * 60_000
const readyTimeoutMs = 60_000
const only = new RegExp(flags.only)

const workDir = join(projectDir, '.work/bench')
const resultsFile = join(projectDir, 'bench/RESULTS.md')
const basePeer: Peer =
  flags.against === undefined ? apachePeer : { name: 'base', folder: join(resolve(flags.against), 'test/peers/ours') }
const peers: Peer[] = [basePeer, ourPeer]
const baseTitle = flags.against ?? 'Apache 5.5.0'
const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)

const startScenario = 'start to first send'
const idleScenario = `idle memory, ${idleSeconds} s after the first send`
const loadedScenario = 'memory after all sends of a round'
const third = 1 / 3
const bounds = new Map<string, Bounds>([
  [startScenario, { firstSendMs: 1 / 5 }],
  [idleScenario, { brokerRssMiB: third, namesrvRssMiB: third }],
  [loadedScenario, { brokerAnonMiB: 1 / 4 }],
])
for (const { title, bounds: asked } of scenarios(backlogCount)) bounds.set(title, asked)

async function main(): Promise<void> {
  rmSync(workDir, { recursive: true, force: true })
  mkdirSync(workDir, { recursive: true })
  await prepareLoadClient()
  const samples: Sample[] = []
  const keep = (sample: Sample) => {
    samples.push(sample)
    appendFileSync(join(workDir, 'samples.jsonl'), `${JSON.stringify(sample)}\n`)
    say(
      `${sample.peer} ${sample.scenario} #${sample.round}: ${JSON.stringify(sample.figures)} others ${sample.otherCores.toFixed(2)}`,
    )
  }
  if (only.test(startScenario) || only.test(idleScenario)) {
    for (let round = 1; round <= rounds; round++)
      for (const peer of inTurn(round)) for (const sample of await start(peer, round)) keep(sample)
  }
  const wanted = scenarios(backlogCount).filter(({ title }) => only.test(title))
  for (const bed of ['asyncFlush', 'syncFlush', 'syncMaster'] as const) {
    const ofBed = wanted.filter((scenario) => scenario.bed === bed)
    if (ofBed.length > 0) await measure(bed, ofBed, keep)
  }

  const table = tableOf(rowsOf(samples, bounds), baseTitle)
  console.log(table)
  if (!flags.quick && flags.only === '' && flags.against === undefined) {
    writeFileSync(resultsFile, resultsPage(table, samples))
  }
}

/** A host gives memory slowly and takes back what is free: while a turn writes, so much is given back that was held for it. */
class WarmMemory {
  readonly #child = spawn(process.execPath, [join(projectDir, 'bench/warm-memory.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  readonly #lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()

  async fill(): Promise<void> {
    this.#child.stdin.write('\n')
    const deadline = setTimeout(() => this.close(), startTimeoutMs)
    const { value } = await this.#lines.next()
    clearTimeout(deadline)
    if (value === undefined) throw new Error('bench/warm-memory.ts ended')
    say(value)
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}

/**
 * Takes from memory what nobody will read again of a broker's log: the logs of both brokers would fill it within a round, and
 * who writes would wait until the kernel made room. What Apache's broker has mapped stays.
 */
async function forgetLog({ dir, keptSegments }: Side): Promise<void> {
  for (const name of segmentsOf(dir).slice(keptSegments, -1)) {
    const path = join(dir, logFolder, name)
    await run('sync', [path]) // what is not written yet cannot go
    await run('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
  }
}

const logFolder = 'broker/store/commitlog'

function segmentsOf(dir: string): string[] {
  return readdirSync(join(dir, logFolder)).sort()
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
    const broker = ['--cmd', join(peer.folder, 'broker'), '--arg', join(dir, 'broker')]
    const result = await startLoad(cluster, [...broker, '--out', join(dir, 'broker.out')])
    brokerPid = result.pid as number
    await sleep(idleSeconds * 1_000)
    const [brokerMemory, namesrvMemory] = [memoryOf(brokerPid), memoryOf(cluster.namesrvPid)]
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
    // the load client started it, so it is no child of ours: it is ended by its id and awaited by its entry in /proc
    if (brokerPid !== undefined) await end(brokerPid)
    await cluster.stop()
  }
}

/** A fresh load client that starts the broker itself, so that nothing is lost between the start and the first look. */
async function startLoad(cluster: Cluster, args: string[]): Promise<LoadResult> {
  const how = ['startup', '--broker', 'broker-a', '--seconds', '90', ...args, '--namesrv', cluster.namesrv]
  const { stdout } = await run(join(apachePeer.folder, 'load'), [...how, '--pids', `namesrv=${cluster.namesrvPid}`], {
    env: cluster.env,
    timeout: startTimeoutMs,
  }).catch((error) => {
    throw new Error(`load startup: ${error.message}\n${error.stdout ?? ''}\n${cluster.output()}`)
  })
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}

/** One cluster with the client that loads it. */
interface Side {
  dir: string
  cluster: Cluster | Group
  client: LoadClient
  /** Of its log, from the beginning: up to the end of the backlog. */
  keptSegments: number
}

/**
 * Both clusters stay up for all rounds, warm; the one that is not measured is frozen, since the timers of an idle Apache broker
 * take a tenth of a core from whoever shares the machine with it.
 */
async function measure(bed: Bed, wanted: readonly Scenario[], keep: (sample: Sample) => void): Promise<void> {
  const sides = new Map<Peer, Side>()
  const memory = flags.quick ? undefined : new WarmMemory()
  try {
    for (const peer of peers) {
      const dir = join(workDir, `${bed}-${peer.name}`)
      const cluster = await startBed(bed, peer, dir)
      const side = { dir, cluster, client: new LoadClient(cluster, join(dir, 'client')), keptSegments: 0 }
      sides.set(peer, side)
      await untilReady(bed, side)
      say(`${peer.name}, ${bed}: warming up for ${heatSeconds} s`)
      await side.client.load(['send', '--mode', 'sync', '--size', '1024', '--threads', '16', ...during(heatSeconds, 0)])
      if (wanted.some(({ args }) => args.includes(backlogTopic))) {
        await fillBacklog(side)
        side.keptSegments = segmentsOf(dir).length
      }
      cluster.freeze()
    }
    for (let round = 1; round <= rounds; round++) {
      for (const scenario of wanted) {
        const turns = flags.quick ? 1 : (scenario.turns ?? 1)
        for (let turn = (round - 1) * turns + 1; turn <= round * turns; turn++) {
          for (const peer of inTurn(turn)) {
            const side = sides.get(peer)!
            for (const one of sides.values()) await forgetLog(one)
            await memory?.fill()
            side.cluster.thaw()
            await untilReady(bed, side)
            const result = await loadOnce(scenario, side)
            side.cluster.freeze()
            complain(`${peer.name} ${scenario.title}`, result)
            const { otherCores } = result.proc
            keep({
              scenario: scenario.title,
              peer: peer.name,
              round: turn,
              otherCores,
              figures: scenario.figuresOf(result),
            })
          }
        }
      }
      if (bed !== 'asyncFlush' || !only.test(loadedScenario)) continue
      for (const [peer, { cluster }] of sides) {
        const brokerAnonMiB = memoryOf(cluster.brokerPid()).anonMiB
        keep({ scenario: loadedScenario, peer: peer.name, round, otherCores: 0, figures: { brokerAnonMiB } })
      }
    }
  } finally {
    memory?.close()
    for (const { client } of sides.values()) client.close()
    await Promise.all([...sides.values()].map(({ cluster }) => cluster.stop()))
    for (const peer of peers) rmSync(join(workDir, `${bed}-${peer.name}`), { recursive: true, force: true })
  }
}

function startBed(bed: Bed, peer: Peer, dir: string): Promise<Cluster> {
  if (bed !== 'syncMaster')
    return startCluster({ peer, dir, flush: bed === 'syncFlush' ? 'SYNC_FLUSH' : 'ASYNC_FLUSH' })
  return startGroup({
    peer,
    slavePeer: peer,
    dir,
    env: { BROKER_ROLE: 'SYNC_MASTER' },
    brokerConf: { totalReplicas: '2', inSyncReplicas: '2' }, // without these Apache's master waits for nobody
  })
}

function during(lasts: number, warmup: number): string[] {
  return ['--seconds', String(lasts), '--warmup', String(warmup)]
}

async function loadOnce({ title, args, secondsFactor }: Scenario, { cluster, client }: Side): Promise<LoadResult> {
  const pids = { broker: cluster.brokerPid(), ...('slavePid' in cluster && { slave: cluster.slavePid() }) }
  const isNew = client.isNew(title)
  if (secondsFactor !== undefined) {
    const lasts = Math.max(1, Math.round(seconds * secondsFactor))
    return client.load([...args, ...during(lasts, isNew ? firstWarmupSeconds : warmupSeconds)], pids)
  }
  if (isNew) await client.load(args, pids)
  return client.load(args, pids)
}

async function fillBacklog({ client }: Side): Promise<void> {
  const how = ['--mode', 'batch', '--batch', '32', '--threads', '4', '--size', '1024', '--retries', '5']
  await client.load(['send', '--topic', backlogTopic, ...how, '--count', String(backlogCount), '--seconds', '120'])
}

/** Until the brokers are registered, again if they slept through a heartbeat, and a send is as safe as it is to be. */
async function untilReady(bed: Bed, { cluster, client }: Side): Promise<void> {
  const brokers = bed === 'syncMaster' ? 'broker-a:0,broker-a:1' : 'broker-a:0'
  const until = Date.now() + readyTimeoutMs
  const { registered } = await client.load(['await', '--brokers', brokers, '--seconds', '60'])
  if (!registered) throw new Error(`${brokers} did not register\n${cluster.output()}`)
  for (;;) {
    const { sent } = await client.load(['send', '--mode', 'sync', '--count', '1', '--seconds', '5'])
    if (sent === 1) return
    if (Date.now() > until) throw new Error(`no send within ${readyTimeoutMs} ms\n${cluster.output()}`)
    await sleep(200)
  }
}

function complain(what: string, { failed = 0, notOk = 0, error, cmd, received }: LoadResult): void {
  if (failed + notOk > 0) say(`${what}: ${failed + notOk} sends failed: ${error}`)
  else if (cmd === 'consume' && received < backlogCount) say(`${what}: ${received} of ${backlogCount} came`)
  else return
  process.exitCode = 1
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

Made by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}: ${rounds} rounds in turns, ${seconds} s each (batches half of that, 1,000 a second half as long
again, 64 threads and async three times ${Math.round(0.6 * seconds)} s) after ${warmupSeconds} s of warm-up, ${firstWarmupSeconds} s the first time, and ${heatSeconds} s of load on the fresh brokers; ASYNC_MASTER and ASYNC_FLUSH unless said; Apache's
Java client loads both. The backlog has ${backlogCount.toLocaleString('en')} messages. Client, broker and NameServer share the machine:
${cpus().length} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}, Java 17 (broker heap 1 GiB, official G1 options).
Medians; read the ratios, not the absolute figures. Other processes took up to ${others.toFixed(1)} cores during a measurement.

${table}

Start-up with 10,000 topics and recovery of a 4 GiB log: \`npm run bench:recovery\`, in
[docs/performance.md](../docs/performance.md#starting-with-much-behind-it).
`
}

await main()
