/**
 * How long a broker with much behind it takes to serve again, Apache RocketMQ's and ours on the same directories:
 * a log of --gib GiB after a clean stop, after kill -9, and after kill -9 where no checkpoint is left; and --topics topics.
 *   npm run bench:recovery -- [--gib 4] [--topics 10000] [--only log|topics] [--fill]
 * --fill only fills the log, which does not need a quiet machine; the next run takes it from there.
 * Prints a table; nothing is judged. Needs Java 17, Maven, twice as much room as the log takes, and a quiet machine.
 */
import { type ChildProcess, execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readFlags, wholeNumber } from '../scripts/flags.ts'
import { createLog, nodeDoors } from '../src/base/node/index.ts'
import { Admin, Producer } from '../src/client/index.ts'
import { topicConfig } from '../src/remoting/body/topic-config.ts'
import {
  apachePeer,
  type Cluster,
  end,
  launchRole,
  ourPeer,
  type Peer,
  projectDir,
  startCluster,
} from '../test/peers/cluster.ts'

const run = promisify(execFile)
const flags = readFlags(import.meta.filename, {
  gib: { type: 'string', default: '4' },
  topics: { type: 'string', default: '10000' },
  only: { type: 'string', default: '' },
  fill: { type: 'boolean', default: false },
})
const logBytes = wholeNumber('gib', flags.gib) * 2 ** 30
const topicCount = wholeNumber('topics', flags.topics)
const workDir = join(projectDir, '.work/recovery')
const topic = 'RecoveryTest'
const bodyBytes = 1024
const inFlight = 1024
/** Long enough for a checkpoint of either, which recovery begins at. */
const loadBeforeKillMs = 15_000
/** As many queue files as topics were just made: a stop that has to make them all safe would not be in time. */
const flushedAfterMs = 30_000
const startTimeoutMs = 10 * 60_000
const loadTimeoutMs = 20 * 60_000
/** After the first send: what recovery left to do in the background has had its time. */
const settleMs = 5_000
const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)

interface Start {
  listenMs: number
  firstSendMs: number
  cpuS: number
  peakRssMiB: number
  anonMiB: number
}
const rows: { scenario: string; peer: Peer['name']; start: Start }[] = []

/** A broker of either implementation on one directory and port, after each other. */
class Bed {
  readonly cluster: Cluster
  readonly dir: string
  readonly producer: Producer
  readonly admin: Admin
  #broker: ChildProcess | undefined

  constructor(cluster: Cluster, dir: string) {
    this.cluster = cluster
    this.dir = dir
    const doors = nodeDoors(createLog('fatal', { component: 'recovery' }))
    const options = { namesrvAddr: cluster.namesrv, requestTimeoutMs: 30_000 }
    this.producer = new Producer({ ...options, producerGroup: 'recovery', sendTimeoutMs: 10_000 }, doors)
    this.admin = new Admin(options, doors)
  }

  async start(peer: Peer, sendsTo: string | undefined): Promise<Start> {
    const startedMs = performance.now()
    this.#broker = await launchRole({
      peer,
      role: 'broker',
      dir: join(this.dir, 'broker'),
      logFile: join(this.dir, 'broker.out'),
      env: this.cluster.env,
      port: Number(this.cluster.brokerAddr.split(':')[1]),
      listenTimeoutMs: startTimeoutMs,
    })
    const listenMs = performance.now() - startedMs
    while (sendsTo !== undefined) {
      const sent = await this.producer.send({ topic: sendsTo, body: 'first' }).catch(() => undefined)
      if (sent?.status === 'SEND_OK') break
      if (performance.now() - startedMs > startTimeoutMs) throw new Error(`no send within ${startTimeoutMs} ms`)
      await sleep(20)
    }
    const firstSendMs = performance.now() - startedMs
    const cpuS = cpuOf(this.#broker.pid!)
    await sleep(settleMs)
    return { listenMs, firstSendMs, cpuS, ...memoryOf(this.#broker.pid!) }
  }

  async measure(peer: Peer, scenario: string, sendsTo: string): Promise<void> {
    const start = await this.start(peer, sendsTo)
    rows.push({ scenario, peer: peer.name, start })
    say(`${peer.name}, ${scenario}: ${JSON.stringify(start)}`)
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await end(this.#broker, signal)
    if (signal === 'SIGTERM' && existsSync(join(this.store, 'abort')))
      throw new Error('the broker did not stop cleanly')
  }

  get store(): string {
    return join(this.dir, 'broker/store')
  }

  /** Many sends at a time until isEnough says so. */
  async load(isEnough: () => boolean): Promise<void> {
    const body = Buffer.alloc(bodyBytes, 'r')
    const until = Date.now() + loadTimeoutMs
    const write = async () => {
      while (!isEnough() && Date.now() < until) await this.producer.send({ topic, body }).catch(() => sleep(50))
    }
    await Promise.all(Array.from({ length: inFlight }, write))
  }

  async close(): Promise<void> {
    await Promise.all([this.producer.close(), this.admin.close()])
    await end(this.#broker, 'SIGTERM')
    await this.cluster.stop()
  }
}

async function bed(name: string): Promise<Bed> {
  const dir = join(workDir, name)
  mkdirSync(dir, { recursive: true })
  const cluster = await startCluster({
    peer: ourPeer,
    dir,
    startsBroker: false,
    brokerConf: { waitTimeMillsInSendQueue: '5000' }, // nothing is refused because the machine is busy
  })
  return new Bed(cluster, dir)
}

async function fillLog(): Promise<void> {
  const one = await bed('log')
  try {
    await one.start(ourPeer, undefined)
    await one.admin.createTopic(one.cluster.brokerAddr, { topicName: topic, readQueueNums: 8, writeQueueNums: 8 })
    say(`filling ${flags.gib} GiB`)
    const sizeOf = async () =>
      Number((await one.admin.brokerRuntimeInfo(one.cluster.brokerAddr)).get('commitLogMaxOffset'))
    let size = 0
    const looking = setInterval(() => {
      void sizeOf().then(
        (bytes) => (size = bytes),
        () => {},
      )
    }, 500)
    await one.load(() => size >= logBytes).finally(() => clearInterval(looking))
    await one.end('SIGTERM')
  } finally {
    await one.close()
  }
}

async function measureLog(): Promise<void> {
  const one = await bed('log')
  try {
    for (const peer of [ourPeer, apachePeer]) {
      // once unmeasured: what it makes of the other's directory is its own from then on
      await one.start(peer, topic)
      await one.end('SIGTERM')
      await one.measure(peer, `${flags.gib} GiB, after a clean stop`, topic)
      const until = Date.now() + loadBeforeKillMs
      await one.load(() => Date.now() > until)
      await one.end('SIGKILL')
      await one.measure(peer, `${flags.gib} GiB, after kill -9`, topic)
      await one.end('SIGKILL')
      rmSync(join(one.store, 'checkpoint'), { force: true })
      await one.measure(peer, `${flags.gib} GiB, after kill -9, no checkpoint`, topic)
      await one.end('SIGTERM')
    }
  } finally {
    await one.close()
  }
}

async function measureTopics(): Promise<void> {
  for (const peer of [ourPeer, apachePeer]) {
    const one = await bed(`topics-${peer.name}`)
    try {
      writeTopics(one)
      await one.start(peer, 'T0')
      say(`${peer.name}: a message to each of ${topicCount} topics`)
      await load(one.cluster, [
        'send',
        '--topic',
        'T', // T0, T1, …
        '--topics',
        `${topicCount}`,
        '--count',
        `${topicCount}`,
        '--threads',
        '16',
        '--size',
        '64',
        '--seconds',
        '600',
      ])
      await sleep(flushedAfterMs)
      await one.end('SIGTERM')
      await one.measure(peer, `${topicCount} topics, after a clean stop`, 'T0')
      await one.end('SIGKILL')
      await one.measure(peer, `${topicCount} topics, after kill -9`, 'T0')
    } finally {
      await one.close()
    }
  }
}

/** As both brokers keep them: made one by one they would take longer than all that is measured. */
function writeTopics({ store }: Bed): void {
  const names = Array.from({ length: topicCount }, (_, index) => `T${index}`)
  const topics = Object.fromEntries(
    names.map((name) => [name, topicConfig(name, { readQueueNums: 8, writeQueueNums: 8 })]),
  )
  const dataVersion = { counter: topicCount, stateVersion: 0, timestamp: Date.now() }
  mkdirSync(join(store, 'config'), { recursive: true })
  writeFileSync(join(store, 'config/topics.json'), JSON.stringify({ dataVersion, topicConfigTable: topics }))
}

async function load({ namesrv, env }: Cluster, args: string[]): Promise<void> {
  const { stdout } = await run(join(apachePeer.folder, 'load'), [...args, '--namesrv', namesrv], {
    env,
    timeout: loadTimeoutMs,
  })
  say(stdout.trim())
}

function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function memoryOf(pid: number): { peakRssMiB: number; anonMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const mib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024
  return { peakRssMiB: mib('VmHWM'), anonMiB: mib('RssAnon') }
}

function table(): string {
  const lines = rows.map(({ scenario, peer, start }) => {
    const { listenMs, firstSendMs, cpuS, peakRssMiB, anonMiB } = start
    const times = `${(listenMs / 1000).toFixed(2)} | ${(firstSendMs / 1000).toFixed(2)} | ${cpuS.toFixed(2)}`
    return `| ${scenario} | ${peer} | ${times} | ${peakRssMiB.toFixed(0)} | ${anonMiB.toFixed(0)} |`
  })
  const head =
    '| | | listens, s | first send, s | CPU until then, s | peak RSS MiB | anonymous MiB |\n|---|---|---|---|---|---|---|'
  return [head, ...lines].join('\n')
}

const isFilled = () => existsSync(join(workDir, 'log/broker/store/commitlog'))
await run(join(apachePeer.folder, 'setup'), [], { timeout: startTimeoutMs })
if (flags.only !== 'topics' && (flags.fill || !isFilled())) {
  rmSync(workDir, { recursive: true, force: true })
  await fillLog()
}
if (!flags.fill) {
  if (flags.only !== 'topics') await measureLog()
  if (flags.only !== 'log') await measureTopics()
  console.log(table())
  rmSync(workDir, { recursive: true, force: true })
}
