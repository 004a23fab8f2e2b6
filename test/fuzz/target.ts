/**
 * The servers under attack, in a process of their own: it may hang, grow or die without taking the fuzzer along. Does what
 * its parent asks for over IPC (TargetCalls); ends with it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Doors } from '../../src/base/doors.ts'
import { OperatingError } from '../../src/base/errors.ts'
import { type Log, type LogFields, silentLog } from '../../src/base/log.ts'
import type { Network, Socket } from '../../src/base/network.ts'
import { nodeClock, nodeFiles, nodeNetwork, nodeRandom } from '../../src/base/node/index.ts'
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
  /** Bytes that wait for the peer to read them. */
  queuedBytes: number
  /** From when it was accepted to when it was closed, or now, without what other processes took of it. */
  openMs: number
  /** The same from when bytes last came out of it. */
  silentMs: number
  /** With what they took. */
  silentWallMs: number
}

export interface Memory {
  /** In use after everything that can go is gone. */
  heldBytes: number
  /** Resident at most, since the process began. */
  peakBytes: number
}

const loopback = '127.0.0.1'
/** Lines of one message that a run of the servers may cause, at warn and above. */
const linesMax = 40

interface Seen {
  socket: Socket | undefined // while it is open
  openedAtMs: number
  lastDataAtMs: number
  closedAtMs: number | undefined
}

const problems: string[] = []
const lines = new Map<string, number>()
const incoming = new Map<string, Seen>() // by both ports; those that were closed too
const outgoing = new Set<number>() // local ports of this process
let running: { stop(): Promise<void> } | undefined

for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => problems.push(`${event}: ${error instanceof Error ? error.stack : error}`))

const meter = new TurnMeter()

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
    const { socket, openedAtMs, lastDataAtMs, closedAtMs } = seen
    const endMs = closedAtMs ?? nodeClock.monotonicMs()
    return {
      isOpen: closedAtMs === undefined,
      queuedBytes: socket?.queuedBytes ?? 0,
      openMs: meter.fairMs(openedAtMs, endMs),
      silentMs: meter.fairMs(lastDataAtMs, endMs),
      silentWallMs: endMs - lastDataAtMs,
    }
  },
  open() {
    return [...incoming.values()].filter(({ socket }) => socket && !outgoing.has(socket.remote.port)).length
  },
  async memory() {
    for (let turn = 0; turn < 3; turn++) {
      globalThis.gc?.()
      await nodeClock.sleep(20)
    }
    const { heapUsed, external } = process.memoryUsage() // external has the array buffers in it
    return { heldBytes: heapUsed + external, peakBytes: process.resourceUsage().maxRSS * 1024 }
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

const keyOf = (clientPort: number, serverPort: number) => `${clientPort} ${serverPort}`

function watch(socket: Socket): void {
  const nowMs = nodeClock.monotonicMs()
  const seen: Seen = { socket, openedAtMs: nowMs, lastDataAtMs: nowMs, closedAtMs: undefined }
  incoming.set(keyOf(socket.remote.port, socket.local.port), seen)
  const handle = socket.handle.bind(socket)
  socket.handle = (events) =>
    handle({
      data(chunk) {
        seen.lastDataAtMs = nodeClock.monotonicMs()
        events.data(chunk)
      },
      drained: () => events.drained(),
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
