import { lookup } from 'node:dns'
import * as net from 'node:net'
import { networkInterfaces } from 'node:os'
import { OperatingError } from '../errors.ts'
import type { Address, Listener, ListenerTls, Network, Socket, TlsClientMaterial, TlsMaterial } from '../network.ts'
import { readShared } from './shared-read.ts'
import type { NodeTlsContext } from './tls.ts'
import type { NodeTlsClientContext } from './tls-client.ts'

function plainHost(host: string | undefined): string {
  if (host === undefined) return ''
  return host.startsWith('::ffff:') ? host.slice('::ffff:'.length) : host // an IPv4 peer of a dual-stack listener
}

type Events = Parameters<Socket['handle']>[0]

class NodeSocket implements Socket {
  readonly remote: Address
  readonly local: Address
  readonly #tls: ListenerTls | undefined
  #socket: net.Socket
  #failure: Error | undefined

  constructor(socket: net.Socket, tls?: ListenerTls) {
    this.#tls = tls
    this.#socket = socket
    this.remote = { host: plainHost(socket.remoteAddress), port: socket.remotePort ?? 0 }
    this.local = { host: plainHost(socket.localAddress), port: socket.localPort ?? 0 }
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveMs)
    socket.pause() // until somebody handles it
    this.#endOnError(socket)
  }

  handle(events: Events): void {
    const socket = this.#socket
    if (this.#tls === undefined) this.#readPlain(events)
    else socket.once('data', (first: Buffer) => this.#choose(first, events, this.#tls!))
    socket.on('drain', () => events.drained())
    socket.on('close', () => events.closed(this.#failure))
    if (socket.destroyed) queueMicrotask(() => events.closed(this.#failure))
    else socket.resume()
  }

  #readPlain(events: Events): void {
    const socket = this.#socket
    if (events.borrows) readShared(socket, (chunk) => events.data(chunk))
    socket.on('data', (chunk: Buffer) => events.data(chunk)) // all, or what was read before the buffer was shared
  }

  /** The peer speaks first in this protocol: its first byte says plain or TLS, once for each connection. */
  #choose(first: Buffer, events: Events, tls: ListenerTls): void {
    const socket = this.#socket
    const refuse = (why: string) => {
      tls.refused(this.remote, why)
      socket.destroy()
    }
    if (first[0] !== tlsHandshakeRecord) {
      if (tls.servesPlain) {
        this.#readPlain(events)
        events.data(first)
      } else refuse('plain bytes, and only TLS is served')
      return
    }
    const context = tls.context() as NodeTlsContext | undefined
    if (context === undefined) {
      refuse('a TLS hello, and no certificate is set')
      return
    }
    socket.pause()
    socket.unshift(first)
    context.accept(socket, refuse, (secure) => {
      this.#endOnError(secure)
      secure.on('data', (chunk: Buffer) => events.data(chunk))
      secure.on('drain', () => events.drained())
      this.#socket = secure
    })
  }

  /** Its 'close' follows, and that of what is below it. TLS by itself leaves a session open whose records do not fit. */
  #endOnError(socket: net.Socket): void {
    socket.on('error', (error) => {
      this.#failure = error
      socket.destroy()
    })
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.writable ? this.#socket.write(bytes) : true
  }

  get queuedBytes(): number {
    return this.#socket.writableLength
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

export const nodeNetwork: Network = {
  listen(address, accept, tls) {
    return new Promise<Listener>((resolve, reject) => {
      const server = net.createServer({ allowHalfOpen: false }, (socket) => accept(new NodeSocket(socket, tls)))
      server.once('error', (cause) => reject(new OperatingError('LISTEN_FAILED', { ...address }, cause)))
      server.listen({ host: address.host, port: address.port, backlog: listenBacklog }, () => {
        const bound = server.address() as net.AddressInfo
        resolve({
          address: { host: bound.address, port: bound.port },
          close: () => new Promise((closed) => server.close(() => closed())),
        })
      })
    })
  },
  async tlsContext(material: TlsMaterial, handshakeTimeoutMs: number) {
    const { NodeTlsContext } = await import('./tls.ts') // only who serves TLS pays for it
    return new NodeTlsContext(material, handshakeTimeoutMs)
  },
  async tlsClientContext(material: TlsClientMaterial) {
    const { NodeTlsClientContext } = await import('./tls-client.ts')
    return new NodeTlsClientContext(material)
  },
  connect(address, timeoutMs, tls) {
    if (tls !== undefined) {
      return (tls as NodeTlsClientContext).connect(address, timeoutMs).then((socket) => new NodeSocket(socket))
    }
    return new Promise<Socket>((resolve, reject) => {
      const socket = net.connect({ host: address.host, port: address.port, noDelay: true })
      const fail = (cause?: Error) => {
        clearTimeout(deadline)
        socket.destroy()
        reject(new OperatingError('CONNECT_FAILED', { ...address, timeoutMs }, cause))
      }
      const deadline = setTimeout(() => fail(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
      socket.once('error', fail)
      socket.once('connect', () => {
        clearTimeout(deadline)
        socket.removeListener('error', fail)
        resolve(new NodeSocket(socket))
      })
    })
  },
  resolve(host) {
    if (net.isIP(host) !== 0) return Promise.resolve([host])
    return new Promise((resolve, reject) =>
      lookup(host, { all: true }, (cause, found) =>
        cause
          ? reject(new OperatingError('RESOLVE_FAILED', { host }, cause))
          : resolve(found.map(({ address }) => address)),
      ),
    )
  },
  localAddresses() {
    const outside = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, scopeid }) => !internal && !scopeid) // a link-local address needs a scope: no use to others
    return [
      ...outside.filter(({ family }) => family === 'IPv4'),
      ...outside.filter(({ family }) => family !== 'IPv4'),
    ].map(({ address }) => address)
  },
}

const tlsHandshakeRecord = 0x16
const keepAliveMs = 60_000
const listenBacklog = 1024
