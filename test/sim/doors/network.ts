import { OperatingError } from '../../../src/base/errors.ts'
import type { Address, Listener, Network, Socket } from '../../../src/base/network.ts'
import { lend } from '../../../src/base/testing/network.ts'
import type { SeededRandom } from './random.ts'
import type { Scheduled, Timeline } from './timeline.ts'

type Events = Parameters<Socket['handle']>[0]

/** Whose listeners and connections these are. */
export interface NetworkUser {
  readonly name: string
  readonly host: string
  /** Runs a task of the process, if that still lives. */
  run(task: () => void): void
}

export const usualLatencyMs: readonly [number, number] = [0.05, 2]
const synRetryMs = [0, 1_000, 3_000] // a connect that hears nothing asks again
const keepAliveMs = 60_000
const highWaterBytes = 16 * 1024 // of the stream above the kernel's buffer
const partsMax = 3

/** One end of a connection: the kernel's and Node's parts in one. */
class SimSocket implements Socket {
  readonly local: Address
  readonly remote: Address
  readonly user: NetworkUser
  readonly #net: SimNetwork
  other!: SimSocket
  /** Which way round data goes to this end; in order. */
  readonly inbound: Passage[] = []
  kernelBytes = 64 * 1024
  /** Sent by this end, and not yet read at the other. */
  outstandingBytes = 0
  /** local: closed here; lost: the machine lost its power, and nobody told the other end. */
  state: 'open' | 'ending' | 'closed' | 'lost' = 'open'
  #events: Events | undefined
  #isPaused = false
  #isFull = false
  #inbox: Buffer[] = []
  #isEndRead = false
  #hasPeerEnded = false
  #error: Error | undefined

  constructor(net: SimNetwork, user: NetworkUser, local: Address, remote: Address) {
    this.#net = net
    this.user = user
    this.local = local
    this.remote = remote
  }

  handle(events: Events): void {
    this.#events = events
    if (this.state === 'closed') this.#net.timeline.after(0, () => this.user.run(() => events.closed(this.#error)))
    else this.#readSoon()
  }

  write(bytes: Uint8Array): boolean {
    if (this.state !== 'open') return true
    this.outstandingBytes += bytes.length
    this.#net.send(this, Buffer.from(bytes)) // the writer may use its buffer again
    this.#isFull = this.queuedBytes >= highWaterBytes
    return !this.#isFull
  }

  get queuedBytes(): number {
    return Math.max(0, this.outstandingBytes - this.kernelBytes)
  }

  get hasUnread(): boolean {
    return this.#inbox.length > 0
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#readSoon()
  }

  end(): void {
    if (this.state !== 'open') return
    this.state = 'ending'
    this.#net.send(this, 'end')
  }

  destroy(): void {
    if (this.state === 'closed' || this.state === 'lost') return
    const wasEnding = this.state === 'ending'
    const isReset = this.#inbox.length > 0
    this.close(undefined)
    if (isReset || !wasEnding) this.#net.send(this, isReset ? 'reset' : 'end')
  }

  /** The kernel has something for the process. */
  arrived(what: Passage['what']): void {
    if (this.state === 'closed' || this.state === 'lost') {
      // A socket that is gone answers with a reset; a machine that has no power does not answer.
      if (what !== 'reset' && what !== 'end') this.#net.send(this, 'reset')
      return
    }
    if (what === 'reset') {
      this.close(new Error('read ECONNRESET'))
      return
    }
    if (what === 'end') this.#hasPeerEnded = true
    else this.#inbox.push(what)
    this.#readSoon()
  }

  /** The other end read so many bytes. */
  taken(bytes: number): void {
    this.outstandingBytes -= bytes
    if (!this.#isFull || this.queuedBytes > 0 || this.state !== 'open') return
    this.#isFull = false
    this.#net.timeline.after(0, () => this.user.run(() => this.#events?.drained()))
  }

  close(error: Error | undefined): void {
    if (this.state === 'closed' || this.state === 'lost') return
    this.state = 'closed'
    this.#error = error
    this.#inbox = []
    this.#net.closed(this)
    this.#net.timeline.after(0, () => this.user.run(() => this.#events?.closed(error)))
  }

  #readSoon(): void {
    this.#net.timeline.after(0, () => this.user.run(() => this.#read()))
  }

  #read(): void {
    if (this.#events === undefined || this.#isPaused) return
    const chunk = this.#inbox.shift()
    if (chunk !== undefined) {
      this.other.taken(chunk.length)
      if (this.#inbox.length > 0 || this.#hasPeerEnded) this.#readSoon()
      if (this.#events.borrows) lend(chunk, this.#events)
      else this.#events.data(chunk)
    } else if (this.#hasPeerEnded && !this.#isEndRead) {
      this.#isEndRead = true
      const wasOpen = this.state === 'open'
      this.close(undefined)
      if (wasOpen) this.#net.send(this, 'end') // no half-open connections
    }
  }
}

/** What goes from one end to the other: bytes, an orderly end, or a reset. */
interface Passage {
  what: Buffer | 'end' | 'reset'
  atMs: number // when it may arrive, at the earliest
}

/** TCP between machines under a seed: slow, cut into chunks of any length, and now and then gone. */
export class SimNetwork {
  readonly timeline: Timeline
  /** One way, in ms: fastest and slowest. */
  latencyMs = usualLatencyMs
  readonly #random: SeededRandom
  readonly #listeners = new Map<string, { user: NetworkUser; accept: (socket: Socket) => void }>()
  readonly #sockets = new Set<SimSocket>()
  readonly #pumps = new Map<SimSocket, Scheduled>()
  readonly #blocked = new Map<string, number>() // from>to → how many partitions
  readonly #dark = new Set<string>() // hosts without power
  readonly #names = new Map<string, string>()
  #lastPort = 32_767

  constructor(timeline: Timeline, random: SeededRandom) {
    this.timeline = timeline
    this.#random = random
  }

  /** A host name that resolves to an address. */
  name(name: string, host: string): void {
    this.#names.set(name, host)
  }

  /** Connections that are open at one end at least. */
  get socketCount(): number {
    return this.#sockets.size
  }

  /** Swallows all that goes from one host to another. @returns its end */
  partition(from: string, to: string): () => void {
    const way = `${from}>${to}`
    this.#blocked.set(way, (this.#blocked.get(way) ?? 0) + 1)
    return () => {
      const left = this.#blocked.get(way)! - 1
      if (left > 0) this.#blocked.set(way, left)
      else this.#blocked.delete(way)
      for (const socket of this.#sockets) {
        if (socket.other.local.host === from && socket.local.host === to)
          this.#pump(socket, this.#random.scaled(1, 1_500))
      }
    }
  }

  /** The process ended: its machine closes its connections. */
  processDied(user: NetworkUser): void {
    this.#dropListeners(user)
    for (const socket of [...this.#sockets]) {
      if (socket.user !== user || socket.state === 'closed' || socket.state === 'lost') continue
      const isReset = socket.hasUnread || this.#random.is(0.3)
      socket.state = 'closed'
      this.closed(socket)
      this.send(socket, isReset ? 'reset' : 'end')
    }
  }

  /** The machine lost its power: nobody is told. */
  powerLost(host: string): void {
    this.#dark.add(host)
    for (const [key, { user }] of this.#listeners) if (user.host === host) this.#listeners.delete(key)
    for (const socket of [...this.#sockets]) {
      if (socket.local.host !== host) continue
      socket.state = 'lost'
      this.closed(socket)
    }
  }

  powerBack(host: string): void {
    this.#dark.delete(host)
    // Whoever still believes in a connection hears of its end when it says something, or asks after a while.
    for (const socket of this.#sockets) {
      if (socket.other.state !== 'lost' || socket.other.local.host !== host) continue
      const delayMs = socket.outstandingBytes > 0 ? this.#random.scaled(200, 5_000) : keepAliveMs
      this.timeline.after(delayMs, () => this.#reset(socket))
    }
  }

  #reset(socket: SimSocket): void {
    const { local, other } = socket
    if (this.#isBlocked(other.local.host, local.host) || this.#isBlocked(local.host, other.local.host)) {
      this.timeline.after(1_000, () => this.#reset(socket))
    } else socket.close(new Error('read ECONNRESET'))
  }

  /** The door of one process. */
  of(user: NetworkUser): Network {
    return {
      listen: (address, accept) => this.#listen(user, address, accept),
      connect: (address, timeoutMs) => this.#connect(user, address, timeoutMs),
      tlsContext: () => Promise.reject(new OperatingError('TLS_INVALID', { part: 'network' })),
      tlsClientContext: () => Promise.reject(new OperatingError('TLS_INVALID', { part: 'network' })),
      resolve: (name) =>
        new Promise((resolve, reject) => {
          const host = this.#resolve(name)
          this.timeline.after(this.#latency(), () =>
            user.run(() =>
              host === undefined ? reject(new OperatingError('RESOLVE_FAILED', { host: name })) : resolve([host]),
            ),
          )
        }),
      localAddresses: () => [user.host],
    }
  }

  #resolve(name: string): string | undefined {
    return /^\d+(\.\d+){3}$/.test(name) ? name : this.#names.get(name)
  }

  async #listen(user: NetworkUser, address: Address, accept: (socket: Socket) => void): Promise<Listener> {
    const bound = { host: user.host, port: address.port || ++this.#lastPort }
    const key = `${bound.host}:${bound.port}`
    if (this.#listeners.has(key)) throw new OperatingError('LISTEN_FAILED', { ...bound }, new Error('EADDRINUSE'))
    const listener = { user, accept }
    this.#listeners.set(key, listener)
    return {
      address: bound,
      close: async () => {
        if (this.#listeners.get(key) === listener) this.#listeners.delete(key)
      },
    }
  }

  #connect(user: NetworkUser, address: Address, timeoutMs: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      let isOver = false
      const end = (task: () => void) => {
        if (isOver) return
        isOver = true
        deadline.cancel()
        user.run(task)
      }
      const fail = (why: string) =>
        end(() => reject(new OperatingError('CONNECT_FAILED', { ...address, timeoutMs }, new Error(why))))
      const deadline = this.timeline.after(Math.max(1, timeoutMs), () => fail(`no answer in ${timeoutMs} ms`))
      const host = this.#resolve(address.host)
      if (host === undefined) {
        this.timeline.after(this.#latency(), () => fail('ENOTFOUND'))
        return
      }
      for (const delayMs of synRetryMs) {
        this.timeline.after(delayMs + this.#latency(), () => {
          if (isOver || this.#dark.has(host) || this.#isBlocked(user.host, host) || this.#isBlocked(host, user.host))
            return
          const listener = this.#listeners.get(`${host}:${address.port}`)
          this.timeline.after(this.#latency(), () => {
            if (isOver) return
            if (listener === undefined || this.#listeners.get(`${host}:${address.port}`) !== listener)
              return fail('ECONNREFUSED')
            end(() => resolve(this.#join(user, listener, { host, port: address.port })))
          })
        })
      }
    })
  }

  #join(
    user: NetworkUser,
    { user: server, accept }: { user: NetworkUser; accept: (socket: Socket) => void },
    remote: Address,
  ) {
    const local = { host: user.host, port: ++this.#lastPort }
    const near = new SimSocket(this, user, local, remote)
    const far = new SimSocket(this, server, remote, local)
    near.other = far
    far.other = near
    for (const socket of [near, far]) {
      socket.kernelBytes = Math.round(this.#random.scaled(32 * 1024, 1024 * 1024))
      this.#sockets.add(socket)
    }
    this.timeline.after(this.#latency(), () => {
      if (far.state === 'open') server.run(() => accept(far))
    })
    return near
  }

  /** Puts something on its way from one end to the other. */
  send(from: SimSocket, what: Uint8Array | 'end' | 'reset'): void {
    const to = from.other
    if (from.state === 'lost') return
    if (to.state === 'lost' || to.state === 'closed') {
      // Nobody is there: a machine with power says so.
      if (typeof what !== 'string' && !this.#dark.has(to.local.host))
        this.timeline.after(this.#latency(), () => this.#reset(from))
      return
    }
    const lastMs = to.inbound.at(-1)?.atMs ?? 0
    const atMs = Math.max(lastMs, roundUp(this.timeline.nowMs + this.#latency()))
    if (typeof what === 'string') {
      if (what === 'reset') to.inbound.length = 0
      to.inbound.push({ what, atMs })
    } else {
      const bytes = Buffer.from(what.buffer, what.byteOffset, what.byteLength)
      let partMs = atMs
      for (const part of this.#cut(bytes)) {
        to.inbound.push({ what: part, atMs: partMs })
        partMs += this.#random.int(3) / 10
      }
    }
    this.#pump(to, 0)
  }

  closed(socket: SimSocket): void {
    this.#sockets.delete(socket)
    socket.inbound.length = 0
    this.#pumps.get(socket)?.cancel()
    this.#pumps.delete(socket)
  }

  /** Delivers what is due to an end, and comes again for the rest. */
  #pump(to: SimSocket, notBeforeMs: number): void {
    if (this.#pumps.has(to)) return
    const next = to.inbound[0]
    if (next === undefined) return
    const delayMs = Math.max(notBeforeMs, next.atMs - this.timeline.nowMs)
    this.#pumps.set(
      to,
      this.timeline.after(delayMs, () => {
        this.#pumps.delete(to)
        if (this.#isBlocked(to.other.local.host, to.local.host)) return // its end pumps again
        const passage = to.inbound.shift()
        if (passage !== undefined) to.arrived(passage.what)
        this.#pump(to, 0)
      }),
    )
  }

  *#cut(bytes: Buffer): Generator<Buffer> {
    let rest = bytes
    if (bytes.length > 1 && this.#random.is(0.2)) {
      for (let parts = 1 + this.#random.int(partsMax - 1); parts > 0 && rest.length > 1; parts--) {
        const length = 1 + this.#random.int(rest.length - 1)
        yield rest.subarray(0, length)
        rest = rest.subarray(length)
      }
    }
    yield rest
  }

  #latency(): number {
    return this.#random.scaled(...this.latencyMs)
  }

  #isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from}>${to}`)
  }

  #dropListeners(user: NetworkUser): void {
    for (const [key, listener] of this.#listeners) if (listener.user === user) this.#listeners.delete(key)
  }
}

/** Arrivals of a moment come in one turn of the event loop, as they do at a busy machine. */
function roundUp(ms: number): number {
  return Math.ceil(ms * 10) / 10
}
