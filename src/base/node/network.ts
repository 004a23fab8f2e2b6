import { lookup } from 'node:dns'
import * as net from 'node:net'
import { networkInterfaces } from 'node:os'
import { OperatingError } from '../errors.ts'
import type { Address, Listener, Network, Socket } from '../network.ts'

function plainHost(host: string | undefined): string {
  if (host === undefined) return ''
  return host.startsWith('::ffff:') ? host.slice('::ffff:'.length) : host // an IPv4 peer of a dual-stack listener
}

class NodeSocket implements Socket {
  readonly remote: Address
  readonly local: Address
  readonly #socket: net.Socket
  #failure: Error | undefined

  constructor(socket: net.Socket) {
    this.#socket = socket
    this.remote = { host: plainHost(socket.remoteAddress), port: socket.remotePort ?? 0 }
    this.local = { host: plainHost(socket.localAddress), port: socket.localPort ?? 0 }
    socket.setNoDelay(true)
    socket.setKeepAlive(true, keepAliveMs)
    socket.pause() // until somebody handles it
    socket.on('error', (error) => {
      this.#failure = error // 'close' follows
    })
  }

  handle(events: { data(chunk: Buffer): void; drained(): void; closed(error?: Error): void }): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => events.data(chunk))
    socket.on('drain', () => events.drained())
    socket.on('close', () => events.closed(this.#failure))
    if (socket.destroyed) queueMicrotask(() => events.closed(this.#failure))
    else socket.resume()
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
  listen(address, accept) {
    return new Promise<Listener>((resolve, reject) => {
      const server = net.createServer({ allowHalfOpen: false }, (socket) => accept(new NodeSocket(socket)))
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
  connect(address, timeoutMs) {
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

const keepAliveMs = 60_000
const listenBacklog = 1024
