import type { Doors } from '../base/doors.ts'
import { OperatingError } from '../base/errors.ts'
import { Warnings } from '../base/warnings.ts'
import { parseAddress } from './address.ts'
import type { ClientTls } from './client-tls.ts'
import { ResponseCode } from './codes.ts'
import type { Command, CommandContent } from './command.ts'
import { connectionLimits, RemotingConnection } from './connection.ts'
import { frameBytesMax } from './frame.ts'
import type { Handler } from './request.ts'

export interface RemotingClientOptions {
  connectTimeoutMs?: number // 3 s
  idleMs?: number // a connection without traffic for so long is closed; 120 s
  connectionsMax?: number
  /** Speaks TLS with every server; undefined: with none. */
  tls?: ClientTls | undefined
  /** Answers requests that servers send; without it they are told REQUEST_CODE_NOT_SUPPORTED. */
  onRequest?: Handler
  /** The connection to this address was lost, or closed because it was idle. */
  onClose?: (address: string) => void
}

const connectTimeoutMsDefault = 3_000
const idleMsDefault = 120_000
const idleChecks = 4 // in each idleMs
const connectionsMaxDefault = 4_096

/** Sends requests to servers: one connection for each address, made on first use and made again after a loss. */
export class RemotingClient {
  readonly #options: RemotingClientOptions
  readonly #doors: Pick<Doors, 'clock' | 'network' | 'log'>
  readonly #warnings: Warnings
  readonly #open = new Map<string, RemotingConnection>()
  readonly #opening = new Map<string, Promise<RemotingConnection>>()
  readonly #idleTimer: { cancel(): void }
  #lastId = 0
  #isClosed = false

  constructor(options: RemotingClientOptions, doors: Pick<Doors, 'clock' | 'network' | 'log'>) {
    this.#options = options
    this.#doors = doors
    this.#warnings = new Warnings(doors.clock)
    const idleMs = options.idleMs ?? idleMsDefault
    const timer = doors.clock.every(idleMs / idleChecks, () => this.#closeIdle(idleMs))
    timer.unref()
    this.#idleTimer = timer
  }

  /**
   * Sends one request. Any response code resolves.
   * @param address `host:port`, an IPv6 host in brackets
   * @param timeoutMs for everything: connecting, sending, the answer
   * @throws OperatingError CONNECT_FAILED, TLS_FAILED, CONNECTION_CLOSED, REQUEST_TIMEOUT, TOO_MANY_REQUESTS, FRAME_TOO_LARGE
   */
  call(address: string, command: CommandContent, timeoutMs: number): Promise<Command> {
    const connection = this.#open.get(address)
    return connection?.isOpen ? connection.call(command, timeoutMs) : this.#connectAndCall(address, command, timeoutMs)
  }

  /** Sends a request that nobody answers; resolves when it is queued. @throws OperatingError as call */
  async oneway(address: string, command: CommandContent): Promise<void> {
    const connection = this.#open.get(address)
    const { connectTimeoutMs = connectTimeoutMsDefault } = this.#options
    const open = connection?.isOpen ? connection : await this.#connected(address, connectTimeoutMs)
    open.oneway(command)
  }

  /** Closes all connections; requests under way fail with CONNECTION_CLOSED. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#idleTimer.cancel()
    await Promise.allSettled(this.#opening.values())
    for (const connection of this.#open.values()) connection.destroy()
  }

  async #connectAndCall(address: string, command: CommandContent, timeoutMs: number): Promise<Command> {
    const { clock } = this.#doors
    const deadlineMs = clock.monotonicMs() + timeoutMs
    const connection = await this.#connected(address, timeoutMs)
    return connection.call(command, Math.max(1, deadlineMs - clock.monotonicMs()))
  }

  /** Waits for the connection that all callers share, but not longer than this caller's own timeoutMs. */
  #connected(address: string, timeoutMs: number): Promise<RemotingConnection> {
    let opening = this.#opening.get(address)
    if (opening === undefined) {
      opening = this.#connect(address).finally(() => this.#opening.delete(address))
      this.#opening.set(address, opening)
    }
    return new Promise((resolve, reject) => {
      const timer = this.#doors.clock.after(timeoutMs, () =>
        reject(new OperatingError('CONNECT_FAILED', { address, timeoutMs })),
      )
      opening.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  async #connect(address: string): Promise<RemotingConnection> {
    const { clock, log, network } = this.#doors
    const { connectTimeoutMs = connectTimeoutMsDefault, connectionsMax = connectionsMaxDefault } = this.#options
    const parsed = parseAddress(address)
    if (parsed === undefined) throw new OperatingError('CONNECT_FAILED', { address, why: 'no host:port' })
    if (this.#isClosed) throw new OperatingError('CONNECTION_CLOSED', { address, why: 'the client is closed' })
    if (this.#open.size >= connectionsMax) throw new OperatingError('TOO_MANY_REQUESTS', { address, connectionsMax })
    const socket = await (this.#options.tls ?? network).connect(parsed, connectTimeoutMs)
    if (this.#isClosed) {
      socket.destroy()
      throw new OperatingError('CONNECTION_CLOSED', { address, why: 'the client is closed' })
    }
    const connection = new RemotingConnection({
      id: ++this.#lastId,
      socket,
      clock,
      log,
      warnings: this.#warnings,
      limits: { frameBytesMax, ...connectionLimits },
      handle: this.#options.onRequest ?? notSupported,
      side: 'client',
      silentCloseHint: this.#options.tls ? closedUnderTls : closedInPlain,
    })
    this.#open.set(address, connection)
    connection.onClose(() => {
      if (this.#open.get(address) === connection) this.#open.delete(address)
      this.#options.onClose?.(address)
    })
    connection.start()
    return connection
  }

  #closeIdle(idleMs: number): void {
    for (const connection of this.#open.values()) connection.closeIfIdle(idleMs)
  }
}

const closedInPlain = 'it closed without a word: it may have ended, or serve TLS only (tls.enable)'
const closedUnderTls = 'it closed without a word: it may not trust the certificate of this client (tls.client.certPath)'

const notSupported: Handler = ({ code }) => ({
  code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
  remark: ` request type ${code} not supported`,
})
