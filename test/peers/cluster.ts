import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export const projectDir = resolve(import.meta.dirname, '../..')

/** An implementation: a folder with executables `namesrv DIR` and `broker DIR` that obey the same environment. */
export interface Peer {
  /** base: another checkout of ours. */
  name: 'apache' | 'ours' | 'base'
  folder: string
}
export const apachePeer: Peer = { name: 'apache', folder: resolve(projectDir, '../shared/peers/apache') }
export const ourPeer: Peer = { name: 'ours', folder: join(projectDir, 'test/peers/ours') }

/** Settings with which Apache's broker refuses nothing because the machine is busy, for what is no question of speed. */
export const patientBroker = { waitTimeMillsInSendQueue: '5000', waitTimeMillsInPullQueue: '10000' }

export interface ClusterOptions {
  peer: Peer
  /** Configuration, stores and output of both processes; made where it does not exist. */
  dir: string
  flush?: 'ASYNC_FLUSH' | 'SYNC_FLUSH'
  /** Settings of the broker besides those that the peer's script writes. */
  brokerConf?: Record<string, string>
  env?: Record<string, string>
  /** false: the broker is started later, or by somebody else with `env`. */
  startsBroker?: boolean
}

/** One NameServer and one master on loopback, each in a process of its own, on ports that were free. */
export interface Cluster {
  namesrv: string
  brokerAddr: string
  readonly namesrvPid: number
  /** What both scripts of the peer were or will be given; NAMESRV may be changed before the broker is started. */
  env: NodeJS.ProcessEnv
  /** Starts the NameServer again after it was killed. */
  startNamesrv(): Promise<void>
  killNamesrv(): Promise<void>
  brokerPid(): number
  /** Starts the broker, again after it was killed; returns when it listens. */
  startBroker(): Promise<void>
  /** kill -9 of the broker; returns when it is gone. */
  killBroker(): Promise<void>
  stopBroker(): Promise<void>
  stop(): Promise<void>
  /** SIGSTOP and SIGCONT of both processes: a frozen cluster takes nothing from the one that is measured. */
  freeze(): void
  thaw(): void
  /** The last lines of what the processes printed. */
  output(): string
}

const listenTimeoutMsDefault = 180_000 // a JVM on a machine with much else to do
const stopTimeoutMs = 30_000
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { peer, dir } = options
  const [namesrvPort, brokerPort] = await freePorts()
  const namesrv = `127.0.0.1:${namesrvPort}`
  const env = {
    ...process.env,
    NAMESRV_HOST: '127.0.0.1',
    NAMESRV_PORT: String(namesrvPort),
    NAMESRV: namesrv,
    BROKER_HOST: '127.0.0.1',
    BROKER_PORT: String(brokerPort),
    FLUSH: options.flush ?? 'ASYNC_FLUSH',
    BROKER_CONF: Object.entries(options.brokerConf ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join('\n'),
    ...options.env,
  }
  mkdirSync(dir, { recursive: true })
  const logs = { namesrv: join(dir, 'namesrv.out'), broker: join(dir, 'broker.out') }
  const output = () => Object.values(logs).map(tailOf).join('')
  const launch = (role: 'namesrv' | 'broker', port: number) =>
    launchRole({ peer, role, dir: join(dir, role), logFile: logs[role], env, port })

  let nameServer = await launch('namesrv', namesrvPort)
  let broker: ChildProcess | undefined
  const signal = (name: NodeJS.Signals) => {
    for (const child of [broker, nameServer]) child?.kill(name)
  }
  const cluster: Cluster = {
    namesrv,
    brokerAddr: `127.0.0.1:${brokerPort}`,
    get namesrvPid() {
      return nameServer.pid!
    },
    env,
    async startNamesrv() {
      nameServer = await launch('namesrv', namesrvPort)
    },
    killNamesrv: () => end(nameServer, 'SIGKILL'),
    brokerPid: () => broker!.pid!,
    async startBroker() {
      broker = await launch('broker', brokerPort)
    },
    killBroker: () => end(broker, 'SIGKILL'),
    stopBroker: () => end(broker, 'SIGTERM'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async stop() {
      signal('SIGCONT')
      await end(broker, 'SIGTERM')
      await end(nameServer, 'SIGTERM')
    },
    output,
  }
  try {
    if (options.startsBroker !== false) await cluster.startBroker()
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}

/** Starts one process of a peer; returns when it listens. */
export async function launchRole(options: {
  peer: Peer
  role: 'namesrv' | 'broker'
  dir: string
  logFile: string
  env: NodeJS.ProcessEnv
  port: number
  /** How long it may take until it listens (180 s). */
  listenTimeoutMs?: number
}): Promise<ChildProcess> {
  const { peer, role, dir, logFile, env, port } = options
  const log = openSync(logFile, 'a')
  const child = spawn(join(peer.folder, role), [dir], { env, stdio: ['ignore', log, log] })
  closeSync(log)
  children.add(child)
  child.once('exit', () => children.delete(child))
  await listens(port, child, options.listenTimeoutMs ?? listenTimeoutMsDefault).catch((error) => {
    child.kill('SIGKILL')
    throw new Error(`${peer.name} ${role}: ${error.message}\n${tailOf(logFile)}`)
  })
  return child
}

/** Ends a process, if it still runs; returns when it is gone. */
export async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await gone
  clearTimeout(timer)
}

/**
 * Ports for a NameServer and a broker: below the ephemeral range, so no client takes them, and with the broker's neighbours
 * (its fast port is two below, its HA port one above) free too.
 */
export async function freePorts(): Promise<[number, number]> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = 20_000 + Math.floor(Math.random() * 1_200) * 10
    const wanted = [base, base + 3, base + 5, base + 6]
    if ((await Promise.all(wanted.map(isFree))).every(Boolean)) return [base, base + 5]
  }
  throw new Error('no free ports between 20000 and 32000')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}

async function listens(port: number, child: ChildProcess, listenTimeoutMs: number): Promise<void> {
  const until = Date.now() + listenTimeoutMs
  while (!(await connects(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`ended before port ${port} listened`)
    if (Date.now() > until) throw new Error(`port ${port} did not listen within ${listenTimeoutMs} ms`)
    await sleep(10)
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', () => done(false))
  })
}

export function tailOf(file: string): string {
  if (!existsSync(file)) return ''
  return `--- ${file}\n${readFileSync(file, 'utf8').split('\n').slice(-40).join('\n')}\n`
}
