import type { Timer } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import type { Address, Listener, ListenerTls, Socket } from '../base/network.ts'
import { Warnings } from '../base/warnings.ts'
import { formatAddress } from './address.ts'
import { ResponseCode } from './codes.ts'
import { type Connection, connectionLimits, RemotingConnection } from './connection.ts'
import { frameBytesMax } from './frame.ts'
import type { Handler, Request, Response } from './request.ts'
import { Version } from './version.ts'

export type { Connection } from './connection.ts'
export type { Handler, Request, Response } from './request.ts'

export interface ServerOptions {
  listen: Address // port 0: any free one
  handle: Handler
  tls?: ListenerTls | undefined // plain connections only without it
  idleMs?: number // a connection without traffic for so long is closed, and one whose frame takes much longer; 120 s
  connectionsMax?: number
  heldBytesMax?: number // of all connections: frames under way, and answers that wait to be read; 512 MiB
  frameBytesMax?: number
  queuedBytesHigh?: number // ConnectionLimits has the meaning of these
  queuedBytesMax?: number
  requestsMax?: number
  callsMax?: number
}

export interface Server {
  readonly address: Address
  readonly connections: Iterable<Connection>
  /** Refuses new requests, waits up to graceMs for the answers under way, then closes all connections. */
  close(graceMs: number): Promise<void>
}

/** Listens for RocketMQ peers. @throws OperatingError LISTEN_FAILED */
export async function startServer(
  options: ServerOptions,
  doors: Pick<Doors, 'clock' | 'network' | 'log'>,
): Promise<Server> {
  const server = new RemotingServer(options, doors)
  await server.listen()
  return server
}

const connectionsMaxDefault = 16_384
const heldBytesMaxDefault = 512 * 1024 * 1024 // many honest clients may read slowly at once, each as much as a pull brings
const heldCounts = 16 // while as many bytes move as may be held: connections are counted often enough, and seldom
const idleMsDefault = 120_000
const idleChecks = 4 // in each idleMs
const closePollMs = 10

class RemotingServer implements Server {
  readonly #options: ServerOptions
  readonly #doors: Pick<Doors, 'clock' | 'network' | 'log'>
  readonly #connections = new Set<RemotingConnection>()
  readonly #warnings: Warnings
  #listener: Listener | undefined
  #idleTimer: Timer | undefined
  #lastId = 0
  #movedBytes = 0 // since connections were counted
  #refused = 0 // connections above connectionsMax since the last idle check
  #isClosing = false

  constructor(options: ServerOptions, doors: Pick<Doors, 'clock' | 'network' | 'log'>) {
    this.#options = options
    this.#doors = doors
    this.#warnings = new Warnings(doors.clock)
  }

  async listen(): Promise<void> {
    const { listen, tls } = this.#options
    this.#listener = await this.#doors.network.listen(listen, (socket) => this.#accept(socket), tls)
    const idleMs = this.#options.idleMs ?? idleMsDefault
    this.#idleTimer = this.#doors.clock.every(idleMs / idleChecks, () => this.#closeIdle(idleMs))
  }

  get address(): Address {
    return this.#listener!.address
  }

  get connections(): Iterable<Connection> {
    return this.#connections
  }

  async close(graceMs: number): Promise<void> {
    const { clock } = this.#doors
    this.#isClosing = true
    this.#idleTimer?.cancel()
    const listenerClosed = this.#listener!.close()
    const deadlineMs = clock.monotonicMs() + graceMs
    const poll = async (isDone: () => boolean) => {
      while (!isDone() && clock.monotonicMs() < deadlineMs) await clock.sleep(closePollMs)
    }
    await poll(() => [...this.#connections].every(({ requests }) => requests === 0))
    for (const connection of this.#connections) connection.close()
    await poll(() => this.#connections.size === 0)
    for (const connection of this.#connections) connection.destroy()
    await listenerClosed
  }

  #accept(socket: Socket): void {
    if (this.#isClosing || this.#connections.size >= (this.#options.connectionsMax ?? connectionsMaxDefault)) {
      this.#refused++
      socket.destroy()
      return
    }
    const { clock, log } = this.#doors
    const connection = new RemotingConnection({
      id: ++this.#lastId,
      socket,
      clock,
      log,
      warnings: this.#warnings,
      limits: { frameBytesMax, ...connectionLimits, ...this.#limits() },
      side: 'server',
      moved: (bytes) => this.#moved(bytes),
      handle: (request) => (this.#isClosing ? refusal(request) : this.#options.handle(request)),
    })
    this.#connections.add(connection)
    connection.onClose(() => this.#connections.delete(connection))
    connection.start()
  }

  #limits() {
    const { handle, listen, tls, idleMs, connectionsMax, heldBytesMax, ...limits } = this.#options
    return limits
  }

  /** Each connection has a limit of its own, but there may be many of them. */
  #moved(bytes: number): void {
    const heldBytesMax = this.#options.heldBytesMax ?? heldBytesMaxDefault
    this.#movedBytes += bytes
    if (this.#movedBytes < heldBytesMax / heldCounts) return
    this.#movedBytes = 0
    let heldBytes = 0
    for (const connection of this.#connections) heldBytes += connection.heldBytes
    if (heldBytes > heldBytesMax) this.#closeLargest(heldBytes, heldBytesMax)
  }

  #closeLargest(heldBytes: number, heldBytesMax: number): void {
    const largestFirst = [...this.#connections].sort((a, b) => b.heldBytes - a.heldBytes)
    for (let left = heldBytes, next = 0; left > heldBytesMax; next++) {
      const connection = largestFirst[next]!
      const facts = {
        bytes: connection.heldBytes,
        heldBytes: left,
        heldBytesMax,
        remote: formatAddress(connection.remote),
      }
      this.#warnings.warn(this.#doors.log, facts, 'closing the connection that holds most: all hold too much')
      left -= connection.heldBytes
      connection.destroy()
    }
  }

  #closeIdle(idleMs: number): void {
    if (this.#refused > 0)
      this.#doors.log.warn(
        { refused: this.#refused, open: this.#connections.size },
        'refused connections above connectionsMax',
      )
    this.#refused = 0
    for (const connection of this.#connections) connection.closeIfIdle(idleMs)
  }
}

/** Peers that know GO_AWAY reconnect elsewhere and try again; for others this broker is merely not available. */
function refusal(request: Request): Response {
  return request.version > Version.V5_3_1
    ? { code: ResponseCode.GO_AWAY, remark: 'please go away' }
    : { code: ResponseCode.SERVICE_NOT_AVAILABLE, remark: 'the server is shutting down' }
}
