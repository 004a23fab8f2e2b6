/**
 * The servers under attack, in a process of their own: it may hang, grow or die without taking the fuzzer along. Does what
 * its parent asks for over IPC (TargetCalls); ends with it.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { queryObjects } from 'node:v8'
import type { Doors } from '../../src/base/doors.ts'
import { OperatingError } from '../../src/base/errors.ts'
import { type Log, type LogFields, silentLog } from '../../src/base/log.ts'
import type { Network, Socket } from '../../src/base/network.ts'
import { nodeClock, nodeFiles, nodeNetwork, nodeRandom } from '../../src/base/node/index.ts'
import { RemotingConnection } from '../../src/remoting/connection.ts'
import { Request } from '../../src/remoting/request.ts'
import { startBroker } from '../../src/runtime-broker/broker/broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { brokerSettingsOf, namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'
import { certificate } from '../contract/certificate.ts'
import { TurnMeter, type Turns } from './turn-meter.ts'

/** What the parent may ask for. */
export interface TargetCalls {
  /** @param idleSeconds serverChannelMaxIdleTimeSeconds of all servers */
  start(idleSeconds: number): Promise<Ports>
  /** Ends the servers. */
  stop(): Promise<void>
  /** What should not have been, since the last question: bugs, errors that nobody caught, lines without number. */
  problems(): string[]
  /** The server's end of a connection; undefined: there was none so far. */
  look(clientPort: number, serverPort: number): Look | undefined
  /** How many connections from elsewhere are open. */
  open(): number
  /** What the servers, which run, have not let go. */
  live(): Live
  memory(): Promise<Memory>
  /** Since the last question. */
  turns(): Turns
  ping(): void
}

/** A broker and a NameServer that serve plain and TLS connections, and a NameServer that serves TLS alone. */
export interface Ports {
  broker: number
  namesrv: number
  tls: number
}

export interface Look {
  isOpen: boolean
  /** It was closed because of what came, before anything else happened. */
  isClosedByData: boolean
  /** Bytes that the server was given. */
  takenBytes: number
  /** Bytes that waited for the peer to read them, at most. */
  queuedBytesMost: number
  /** From when it was accepted to when it was closed, or now, without what other processes took of it. */
  openMs: number
  /** The same from when bytes last came out of it. */
  silentMs: number
  /** With what they took. */
  silentWallMs: number
}

/** Objects that something still refers to. */
export interface Live {
  connections: number
  requests: number
}

export interface Memory {
  /** In use after everything that can go is gone. */
  heldBytes: number
  /** Of it in buffers. */
  buffersBytes: number
  /** Resident at most, since the process began. */
  peakBytes: number
  /** Of buffers, whether or not their bytes were ever touched: at most, since the last question. */
  buffersMostBytes: number
  /** Bytes that waited for all peers together to read them: at most, since the last question. */
  queuedMostBytes: number
  /** Files and sockets that are open; 0 where the system does not tell. */
  descriptors: number
  /** Timers that keep the process. */
  timers: number
}

const loopback = '127.0.0.1'
/** Lines of one message that a run of the servers may cause, at warn and above. */
const linesMax = 40
const samplePeriodMs = 25

interface Seen {
  socket: Socket | undefined // while it is open
  openedAtMs: number
  lastDataAtMs: number
  closedAtMs: number | undefined
  isTaking: boolean // while its bytes are taken
  takenBytes: number
  isClosedByData: boolean
  queuedBytesMost: number
}

const problems: string[] = []
const lines = new Map<string, number>()
const incoming = new Map<string, Seen>() // by both ports; those that were closed too
const outgoing = new Set<number>() // local ports of this process
let running: { stop(): Promise<void> } | undefined

for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => problems.push(`${event}: ${error instanceof Error ? error.stack : error}`))

const meter = new TurnMeter()
const most = { buffersBytes: 0, queuedBytes: 0 }
nodeClock
  .every(samplePeriodMs, () => {
    let queuedBytes = 0
    for (const { socket } of incoming.values()) queuedBytes += socket?.queuedBytes ?? 0
    most.queuedBytes = Math.max(most.queuedBytes, queuedBytes)
    most.buffersBytes = Math.max(most.buffersBytes, process.memoryUsage().arrayBuffers)
  })
  .unref()

const calls: TargetCalls = {
  async start(idleSeconds) {
    const { ports, stop } = await startServers(idleSeconds)
    running = { stop }
    return ports
  },
  async stop() {
    await running?.stop()
    running = undefined
    incoming.clear()
    outgoing.clear()
    for (const [message, count] of lines) if (count > linesMax) problems.push(`${count} log lines say: ${message}`)
    lines.clear()
  },
  problems: () => problems.splice(0),
  look(clientPort, serverPort) {
    const seen = incoming.get(keyOf(clientPort, serverPort))
    if (seen === undefined) return undefined
    const { openedAtMs, lastDataAtMs, closedAtMs, isClosedByData, takenBytes, queuedBytesMost } = seen
    const endMs = closedAtMs ?? nodeClock.monotonicMs()
    return {
      isOpen: closedAtMs === undefined,
      isClosedByData,
      takenBytes,
      queuedBytesMost,
      openMs: meter.fairMs(openedAtMs, endMs),
      silentMs: meter.fairMs(lastDataAtMs, endMs),
      silentWallMs: endMs - lastDataAtMs,
    }
  },
  open() {
    return [...incoming.values()].filter(({ socket }) => socket && !outgoing.has(socket.remote.port)).length
  },
  live: () => ({
    connections: queryObjects(RemotingConnection, { format: 'count' }),
    requests: queryObjects(Request, { format: 'count' }),
  }),
  async memory() {
    for (let turn = 0; turn < 3; turn++) {
      globalThis.gc?.()
      await nodeClock.sleep(20)
    }
    const { heapUsed, external, arrayBuffers } = process.memoryUsage() // external has the array buffers in it
    const buffersMostBytes = most.buffersBytes
    const queuedMostBytes = most.queuedBytes
    Object.assign(most, { buffersBytes: 0, queuedBytes: 0 })
    return {
      heldBytes: heapUsed + external,
      buffersBytes: arrayBuffers,
      peakBytes: process.resourceUsage().maxRSS * 1024,
      buffersMostBytes,
      queuedMostBytes,
      descriptors: descriptors(),
      timers: process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length,
    }
  },
  turns: () => meter.take(),
  ping() {},
}

async function startServers(idleSeconds: number): Promise<{ ports: Ports; stop(): Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'fuzz-'))
  const { cert, key } = certificate('fuzz')
  writeFileSync(`${dir}/tls.crt`, cert)
  writeFileSync(`${dir}/tls.key`, key)
  const doors: Doors = {
    clock: nodeClock,
    files: nodeFiles,
    network: watched(nodeNetwork),
    random: nodeRandom,
    log: watchedLog(),
  }
  const common = {
    bindAddress: loopback,
    listenPort: 0,
    serverChannelMaxIdleTimeSeconds: idleSeconds,
    'tls.server.certPath': `${dir}/tls.crt`,
    'tls.server.keyPath': `${dir}/tls.key`,
  }
  const nameServer = (name: string, more: Record<string, unknown>) => {
    const files = { kvConfigPath: `${dir}/${name}.json`, configStorePath: `${dir}/${name}.properties` }
    return startNameServer(namesrvSettingsOf(propertiesOf({ ...common, ...files, ...more }), testMachine), doors)
  }
  const namesrv = await nameServer('namesrv', {})
  const tls = await nameServer('tls', { 'tls.server.mode': 'enforcing' })
  const settings = {
    ...common,
    namesrvAddr: `${loopback}:${namesrv.address.port}`,
    brokerName: 'broker-a',
    brokerIP1: loopback,
    storePathRootDir: `${dir}/store`,
    mappedFileSizeCommitLog: 16 << 20,
    maxHashSlotNum: 1_000,
    maxIndexNum: 4_000,
  }
  const broker = await startBroker(brokerSettingsOf(propertiesOf(settings), testMachine), doors)
  return {
    ports: { broker: broker.address.port, namesrv: namesrv.address.port, tls: tls.address.port },
    async stop() {
      await broker.stop()
      await namesrv.stop()
      await tls.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Knows all connections. Settings are changed too, names of NameServers among them: nothing outside is to be reached. */
function watched(network: Network): Network {
  return {
    ...network,
    listen: (address, accept, tls) =>
      network.listen(
        address,
        (socket) => {
          watch(socket)
          accept(socket)
        },
        tls,
      ),
    async connect(address, timeoutMs, tls) {
      if (address.host !== loopback) throw new OperatingError('CONNECT_FAILED', { ...address, why: 'outside' })
      const socket = await network.connect(address, timeoutMs, tls)
      outgoing.add(socket.local.port)
      return socket
    },
    async resolve(host) {
      if (host === loopback) return [host]
      throw new OperatingError('RESOLVE_FAILED', { host })
    },
  }
}

function descriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0
}

const keyOf = (clientPort: number, serverPort: number) => `${clientPort} ${serverPort}`

function watch(socket: Socket): void {
  const nowMs = nodeClock.monotonicMs()
  const seen: Seen = {
    socket,
    openedAtMs: nowMs,
    lastDataAtMs: nowMs,
    closedAtMs: undefined,
    isTaking: false,
    takenBytes: 0,
    isClosedByData: false,
    queuedBytesMost: 0,
  }
  incoming.set(keyOf(socket.remote.port, socket.local.port), seen)
  const { handle, write, destroy } = socket
  socket.write = (bytes) => {
    const mayGoOn = write.call(socket, bytes)
    seen.queuedBytesMost = Math.max(seen.queuedBytesMost, socket.queuedBytes)
    return mayGoOn
  }
  socket.destroy = () => {
    seen.isClosedByData ||= seen.isTaking
    destroy.call(socket)
  }
  socket.handle = (events) =>
    handle.call(socket, {
      ...events,
      data(chunk) {
        seen.lastDataAtMs = nodeClock.monotonicMs()
        seen.takenBytes += chunk.length
        seen.isTaking = true
        events.data(chunk)
        seen.isTaking = false
      },
      closed(error) {
        seen.closedAtMs = nodeClock.monotonicMs()
        seen.socket = undefined
        events.closed(error)
      },
    })
}

/** Bugs are problems; other lines are counted. */
function watchedLog(): Log {
  const note = (fields: LogFields, message: string) => {
    lines.set(message, (lines.get(message) ?? 0) + 1)
    if (/\bbug\b/.test(message)) {
      const { err, code } = fields
      problems.push(`${message}: code ${code}: ${err instanceof Error ? err.stack : err}`)
    }
  }
  const log: Log = { ...silentLog, warn: note, error: note, fatal: note, with: () => log }
  return log
}

process.on('message', async ({ id, name, args }: { id: number; name: keyof TargetCalls; args: unknown[] }) => {
  try {
    const value = await (calls[name] as (...args: unknown[]) => unknown)(...args)
    process.send!({ id, value })
  } catch (error) {
    process.send!({ id, error: error instanceof Error ? error.stack : String(error) })
  }
})
process.on('disconnect', () => process.exit())
