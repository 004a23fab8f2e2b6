import { OperatingError } from '../errors.ts'
import type { Address, Listener, Network, Socket, TlsContext } from '../network.ts'

type Events = Parameters<Socket['handle']>[0]

/**
 * One end of a connection in memory. Bytes reach the other end in a later turn; while that end is paused they count as
 * queued at this one.
 */
export class MemorySocket implements Socket {
  readonly remote: Address
  readonly local: Address
  /** Every write so far, as it was made. */
  readonly writes: Buffer[] = []
  other!: MemorySocket
  /** Above so many queued bytes write says false. */
  highWaterBytes = 64 * 1024
  queuedBytes = 0
  isClosed = false
  #events: Events | undefined
  #isPaused = false
  #isFull = false
  #isEnding = false
  #queue: Uint8Array[] = [] // on the way to this end: the writer's own bytes, so who changes them too early is found out

  constructor(local: Address, remote: Address) {
    this.local = local
    this.remote = remote
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  handle(events: Events): void {
    this.#events = events
    this.#deliverLater()
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.#isEnding) return true
    this.writes.push(Buffer.from(bytes))
    this.queuedBytes += bytes.length
    this.other.#queue.push(bytes)
    this.other.#deliverLater()
    this.#isFull = this.queuedBytes > this.highWaterBytes
    return !this.#isFull
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#deliverLater()
  }

  end(): void {
    this.#isEnding = true
    this.other.#deliverLater()
  }

  destroy(): void {
    this.#close()
    queueMicrotask(() => this.other.#close())
  }

  /** Breaks the connection as a network does: both ends hear of it. */
  break(error: Error): void {
    this.#close(error)
    this.other.#close(error)
  }

  #deliverLater(): void {
    setImmediate(() => this.#deliver())
  }

  #deliver(): void {
    while (this.#queue.length > 0 && this.#events !== undefined && !this.#isPaused && !this.isClosed) {
      const chunk = Buffer.from(this.#queue.shift()!)
      this.other.#taken(chunk.length)
      if (this.#events.borrows) lend(chunk, this.#events)
      else this.#events.data(chunk)
    }
    if (this.#queue.length === 0 && this.other.#isEnding) {
      this.other.#close()
      this.#close()
    }
  }

  #taken(bytes: number): void {
    this.queuedBytes -= bytes
    if (!this.#isFull || this.queuedBytes > 0) return
    this.#isFull = false
    this.#events?.drained()
  }

  #close(error?: Error): void {
    if (this.isClosed) return
    this.isClosed = true
    queueMicrotask(() => this.#events?.closed(error))
  }
}

/** Gives out bytes that are others once data returned. */
export function lend(chunk: Buffer, events: Events): void {
  const lent = Buffer.from(chunk)
  try {
    events.data(lent)
  } finally {
    lent.fill(0xdb)
  }
}

/** TCP in memory: listeners and connections between them, with no machine underneath. */
export class MemoryNetwork implements Network {
  readonly #listeners = new Map<string, (socket: Socket) => void>()
  #lastPort = 40_000
  /** The client's end of every connection so far. */
  readonly sockets: MemorySocket[] = []

  async listen(address: Address, accept: (socket: Socket) => void): Promise<Listener> {
    const bound = { host: address.host, port: address.port || ++this.#lastPort }
    const key = `${bound.host}:${bound.port}`
    if (this.#listeners.has(key)) throw new OperatingError('LISTEN_FAILED', { ...bound }, new Error('EADDRINUSE'))
    this.#listeners.set(key, accept)
    return { address: bound, close: async () => void this.#listeners.delete(key) }
  }

  async connect(address: Address, timeoutMs: number): Promise<Socket> {
    const accept = this.#listeners.get(`${address.host}:${address.port}`)
    if (accept === undefined)
      throw new OperatingError('CONNECT_FAILED', { ...address, timeoutMs }, new Error('ECONNREFUSED'))
    const local = { host: '127.0.0.1', port: ++this.#lastPort }
    const near = new MemorySocket(local, address)
    const far = new MemorySocket(address, local)
    near.other = far
    far.other = near
    this.sockets.push(near)
    accept(far)
    return near
  }

  /** Nothing is encrypted in memory. */
  async tlsContext(): Promise<TlsContext> {
    throw new OperatingError('TLS_INVALID', { part: 'network' })
  }

  tlsClientContext(): Promise<never> {
    return Promise.reject(new OperatingError('TLS_INVALID', { part: 'network' }))
  }

  async resolve(host: string): Promise<string[]> {
    return [host]
  }

  localAddresses(): string[] {
    return ['127.0.0.1']
  }
}
