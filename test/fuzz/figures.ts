/**
 * What hostile connections cost a NameServer and a broker, each a process of its own as in production: memory, and how long a
 * good client waits meanwhile. Linux alone tells the memory of a process.
 *   npm run fuzz -- --figures
 */
import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../src/base/log.ts'
import { nodeClock, nodeNetwork } from '../../src/base/node/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { type Cluster, ourPeer, startCluster } from '../peers/cluster.ts'
import { floodTopic } from './corpus.ts'
import type { Lives } from './idle-connections.ts'
import { cutOffFrame, floodPull, routeRequest, sendRequest } from './requests.ts'

const idleSeconds = 20
const idleConnections = 10_000 // to each server
const crowd = 100 // of readers that never read
const floodPulls = 400 // at once, and then one each write period
const writePeriodMs = 100
const askPeriodMs = 10
const quietMs = 10_000 // before the first scenario, and after each
const scenarioMsMax = 120_000

type Role = 'broker' | 'namesrv'
const roles: readonly Role[] = ['broker', 'namesrv']

/** What was seen of one server during one scenario. */
class Watch {
  beforeMiB = 0
  mostMiB = 0
  afterMiB = 0
  readonly #waits: number[] = [] // ms

  answered(ms: number): void {
    this.#waits.push(ms)
  }

  /** p50, p99 and the longest, in ms. */
  get waits(): string {
    const sorted = this.#waits.toSorted((a, b) => a - b)
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
    return [at(0.5), at(0.99), at(1)].map((ms) => ms.toFixed(1)).join(' / ')
  }

  get memory(): string {
    return [this.beforeMiB, this.mostMiB, this.afterMiB].map((mib) => mib.toFixed(0)).join(' / ')
  }
}

/** Does its worst. @returns what became of it */
type Scenario = (ports: Record<Role, number>) => Promise<string>

const scenarios: readonly { name: string; run: Scenario }[] = [
  {
    name: 'nobody but the good client',
    async run() {
      await nodeClock.sleep(quietMs)
      return ''
    },
  },
  {
    name: `${idleConnections} idle connections to each`,
    async run(ports) {
      const lives = await Promise.all(roles.map((role) => idle(ports[role])))
      return lives
        .map(({ shortestMs, longestMs }) => `all closed after ${seconds(shortestMs)}–${seconds(longestMs)} s`)
        .join('; ')
    },
  },
  {
    name: `a reader that never reads asks for ${floodPulls} MiB, and goes on asking`,
    async run({ broker }) {
      return `closed after ${seconds(await neverRead(broker))} s`
    },
  },
  {
    name: `${crowd} such readers`,
    async run({ broker }) {
      const ends = await Promise.all(Array.from({ length: crowd }, () => neverRead(broker)))
      return `closed after ${seconds(Math.min(...ends))}–${seconds(Math.max(...ends))} s`
    },
  },
  {
    name: 'a frame that drips, a byte each 100 ms, to each',
    async run(ports) {
      const ends = await Promise.all(roles.map((role) => drip(ports[role])))
      return `closed after ${ends.map(seconds).join(' and ')} s`
    },
  },
]

async function neverRead(port: number): Promise<number> {
  const socket = await open(port)
  socket.pause()
  socket.write(Buffer.concat(Array.from({ length: floodPulls }, (_, opaque) => floodPull(opaque))))
  return endMs(socket, floodPull(floodPulls))
}

async function drip(port: number): Promise<number> {
  const socket = await open(port)
  socket.write(cutOffFrame)
  return endMs(socket, Buffer.from(' '))
}

/** Goes on writing. @returns when the other side closed, in ms */
async function endMs(socket: Socket, bytes: Buffer): Promise<number> {
  const startedAtMs = nodeClock.monotonicMs()
  while (!socket.destroyed) {
    if (nodeClock.monotonicMs() - startedAtMs > scenarioMsMax) throw new Error(`open after ${scenarioMsMax} ms`)
    socket.write(bytes)
    await nodeClock.sleep(writePeriodMs)
  }
  return nodeClock.monotonicMs() - startedAtMs
}

const seconds = (ms: number) => (ms / 1000).toFixed(1)

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => resolve(socket))
    socket.once('error', reject)
    socket.on('error', () => {})
  })
}

function idle(port: number): Promise<Lives> {
  return new Promise((resolve, reject) => {
    const child = fork(join(import.meta.dirname, 'idle-connections.ts'), [String(port), String(idleConnections)])
    const deadline = setTimeout(() => child.kill('SIGKILL'), scenarioMsMax)
    child.on('message', (message: 'open' | Lives) => {
      if (message !== 'open') resolve(message)
    })
    child.once('exit', (code, signal) => {
      clearTimeout(deadline)
      reject(new Error(`idle connections ended early: ${signal ?? code}`)) // harmless where they did not
    })
  })
}

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

/** A client that asks both servers again and again, and how long it waited. */
function startGoodClient(addresses: Record<Role, string>, watches: () => Record<Role, Watch>) {
  const client = new RemotingClient({}, { clock: nodeClock, network: nodeNetwork, log: silentLog })
  const requests = { broker: sendRequest('Figures', Buffer.alloc(1024)), namesrv: routeRequest('Figures') }
  let isOver = false
  const working = roles.map(async (role) => {
    while (!isOver) {
      const startedAtMs = nodeClock.monotonicMs()
      await client.call(addresses[role], requests[role], scenarioMsMax)
      watches()[role].answered(nodeClock.monotonicMs() - startedAtMs)
      await nodeClock.sleep(askPeriodMs)
    }
  })
  return {
    async stop() {
      isOver = true
      await Promise.all(working)
      await client.close()
    },
  }
}

async function measure(cluster: Cluster): Promise<string[]> {
  const pids: Record<Role, number> = { broker: cluster.brokerPid(), namesrv: cluster.namesrvPid }
  const addresses: Record<Role, string> = { broker: cluster.brokerAddr, namesrv: cluster.namesrv }
  const ports = { broker: portOf(addresses.broker), namesrv: portOf(addresses.namesrv) }
  const newWatches = (): Record<Role, Watch> => ({ broker: new Watch(), namesrv: new Watch() })
  let watches = newWatches()
  const sampler = nodeClock.every(50, () => {
    for (const role of roles) watches[role].mostMiB = Math.max(watches[role].mostMiB, residentMiB(pids[role]))
  })
  const filler = new RemotingClient({}, { clock: nodeClock, network: nodeNetwork, log: silentLog })
  await filler.call(addresses.broker, sendRequest(floodTopic, Buffer.alloc(1024 * 1024)), scenarioMsMax)
  await filler.close()
  const goodClient = startGoodClient(addresses, () => watches)
  await nodeClock.sleep(quietMs) // code is compiled, buffers have their size

  const rows: string[] = []
  for (const { name, run } of scenarios) {
    watches = newWatches()
    for (const role of roles) watches[role].beforeMiB = residentMiB(pids[role])
    const became = await run(ports)
    const { broker, namesrv } = watches
    watches = newWatches()
    await nodeClock.sleep(quietMs)
    broker.afterMiB = residentMiB(pids.broker)
    namesrv.afterMiB = residentMiB(pids.namesrv)
    const cells = [name, broker.memory, namesrv.memory, broker.waits, namesrv.waits, became]
    rows.push(`| ${cells.join(' | ')} |`)
    console.log(rows.at(-1))
  }
  await goodClient.stop()
  sampler.cancel()
  return rows
}

const portOf = (address: string) => Number(address.split(':')[1])

/** Prints a table, a row for each scenario. @throws Error where a connection is not closed in time */
export async function figures(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'fuzz-figures-'))
  const idleTime = { serverChannelMaxIdleTimeSeconds: String(idleSeconds) }
  const env = { NAMESRV_CONF: `serverChannelMaxIdleTimeSeconds=${idleSeconds}` }
  const cluster = await startCluster({ peer: ourPeer, dir, brokerConf: idleTime, env })
  try {
    console.log(`serverChannelMaxIdleTimeSeconds=${idleSeconds}`)
    console.log(
      '| | broker: MiB before / most / after | NameServer: MiB | send: p50 / p99 / max ms | route: ms | what became of them |',
    )
    console.log('|---|---|---|---|---|---|')
    await measure(cluster)
  } finally {
    await cluster.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}
