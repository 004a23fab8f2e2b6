import * as net from 'node:net'
import { nodeClock } from '../../src/base/node/index.ts'
import { isResponse } from '../../src/remoting/command.ts'
import { encodeCommand, FrameDecoder } from '../../src/remoting/frame.ts'

/** A code that nobody answers otherwise than with "not supported". */
const pingCode = 31_999
const connectTimeoutMs = 5_000

/** One connection that writes what it likes. */
export class Peer {
  /** Opaques of the answers so far. */
  readonly answered = new Set<number>()
  readonly #socket: net.Socket
  #pings = 0
  isClosed = false
  /** What came back is no stream of frames. */
  nonsense: Error | undefined

  private constructor(socket: net.Socket) {
    this.#socket = socket
    const decoder = new FrameDecoder()
    socket.on('data', (chunk: Buffer) => {
      if (this.nonsense !== undefined) return
      try {
        decoder.push(chunk, ({ opaque, flag }) => {
          if (isResponse(flag)) this.answered.add(opaque)
        })
      } catch (error) {
        this.nonsense = error as Error
      }
    })
    socket.on('error', () => {})
    const closed = () => {
      this.isClosed = true
      socket.destroy()
    }
    socket.on('end', closed) // the other side never closes half of a connection
    socket.on('close', closed)
  }

  static connect(port: number): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
      const deadline = setTimeout(() => reject(new Error(`no connection in ${connectTimeoutMs} ms`)), connectTimeoutMs)
      socket.once('error', (error) => {
        clearTimeout(deadline)
        reject(error)
      })
      socket.once('connect', () => {
        clearTimeout(deadline)
        resolve(new Peer(socket))
      })
    })
  }

  write(bytes: Buffer): void {
    if (!this.isClosed && this.#socket.writable) this.#socket.write(bytes)
  }

  /** Says that nothing more will come, and goes on reading. */
  endWriting(): void {
    this.#socket.end()
  }

  stopReading(): void {
    this.#socket.pause()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  reset(): void {
    this.#socket.resetAndDestroy()
  }

  /** @returns whether it held within ms */
  async within(ms: number, holds: () => boolean): Promise<boolean> {
    for (const untilMs = nodeClock.monotonicMs() + ms; !holds(); await nodeClock.sleep(5)) {
      if (nodeClock.monotonicMs() > untilMs) return false
    }
    return true
  }

  /** Asks for something after all that was said: whether this connection is served, or was closed. */
  async isServedOrClosed(ms: number): Promise<boolean> {
    const opaque = 0x7000_0000 + ++this.#pings
    const rest = { flag: 0, language: 'JAVA', version: 513, remark: undefined, extFields: {}, body: Buffer.alloc(0) }
    this.write(encodeCommand({ code: pingCode, opaque, ...rest }))
    return this.within(ms, () => this.answered.has(opaque) || this.isClosed)
  }
}
