import type { Timer } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import type { Address, Listener, ListenerTls, Socket } from '../base/network.ts'
import { Warnings } from '../base/warnings.ts'
import { ResponseCode } from './codes.ts'
import { type Connection, type ConnectionLimits, connectionLimits, RemotingConnection } from './connection.ts'
import { frameBytesMax } from './frame.ts'
import { HeldBytes } from './held-bytes.ts'
import { KnownHeaders } from './known-headers.ts'
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
  heldBytesMax?: number // HeldBytes has the meaning; 512 MiB
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
const idleMsDefault = 120_000
const idleChecks = 4 // in each idleMs
const closePollMs = 10

class RemotingServer implements Server {
  readonly #options: ServerOptions
  readonly #doors: Pick<Doors, 'clock' | 'network' | 'log'>
  readonly #connections = new Set<RemotingConnection>()
  readonly #warnings: Warnings
  readonly #limits: ConnectionLimits
  readonly #held: HeldBytes
  readonly #knownHeaders = new KnownHeaders()
  #listener: Listener | undefined
  #idleTimer: Timer | undefined
  #lastId = 0
  #refused = 0 // connections above connectionsMax since the last idle check
  #isClosing = false

  constructor(options: ServerOptions, doors: Pick<Doors, 'clock' | 'network' | 'log'>) {
    this.#options = options
    this.#doors = doors
    this.#warnings = new Warnings(doors.clock)
    const { handle, listen, tls, idleMs, connectionsMax, heldBytesMax = heldBytesMaxDefault, ...limits } = options
    this.#limits = { frameBytesMax, ...connectionLimits, ...limits }
    const { log } = doors
    this.#held = new HeldBytes(this.#connections, this.#limits, heldBytesMax, { warnings: this.#warnings, log })
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
      limits: this.#limits,
      side: 'server',
      knownHeaders: this.#knownHeaders,
      moved: (bytes) => this.#held.moved(bytes),
      handle: (request) => (this.#isClosing ? refusal(request) : this.#options.handle(request)),
    })
    this.#connections.add(connection)
    connection.onClose(() => this.#connections.delete(connection))
    connection.start()
  }

  #closeIdle(idleMs: number): void {
    if (this.#refused > 0)
      this.#doors.log.warn(
        { refused: this.#refused, open: this.#connections.size },
        'refused connections above connectionsMax',
      )
    this.#refused = 0
    for (const connection of this.#connections) connection.closeIfIdle(idleMs)
    this.#held.count()
  }
}

/** Peers that know GO_AWAY reconnect elsewhere and try again; for others this broker is merely not available. */
function refusal(request: Request): Response {
  return request.version > Version.V5_3_1
    ? { code: ResponseCode.GO_AWAY, remark: 'please go away' }
    : { code: ResponseCode.SERVICE_NOT_AVAILABLE, remark: 'the server is shutting down' }
}
