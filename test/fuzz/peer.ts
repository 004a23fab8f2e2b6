import * as net from 'node:net'
import * as tls from 'node:tls'
import { messageOf } from '../../src/base/errors.ts'
import { nodeClock } from '../../src/base/node/index.ts'
import { type Command, isOneway, isResponse } from '../../src/remoting/command.ts'
import { encodeCommand, FrameDecoder } from '../../src/remoting/frame.ts'

/** A code that nobody answers otherwise than with "not supported". */
const pingCode = 31_999
const connectTimeoutMs = 15_000

/** plain and tls speak RocketMQ; raw writes what it likes to a port of TLS, and does not look at what comes back. */
export type Kind = 'plain' | 'tls' | 'raw'

interface Asked {
  code: number
  /** The answer may wait for longer than anybody here does. */
  mayWait: boolean
  wanted: number
  answers: number
}

/** One connection that writes what it likes, and knows which answers it may get. */
export class Peer {
  readonly serverPort: number
  readonly clientPort: number
  /** What came that should not have. */
  readonly problems: string[] = []
  isClosed = false
  /** Of what the server should be given. */
  writtenBytes = 0
  readonly #tcp: net.Socket
  readonly #socket: net.Socket // the same, or TLS on it
  readonly #asked = new Map<number, Asked>() // by opaque
  #wildFrames = 0 // which may have got any opaque
  #pings = 0

  private constructor(serverPort: number, tcp: net.Socket, socket: net.Socket, kind: Kind) {
    this.serverPort = serverPort
    this.clientPort = tcp.localPort!
    this.#tcp = tcp
    this.#socket = socket
    const decoder = new FrameDecoder()
    socket.on('data', (chunk: Buffer) => {
      if (kind === 'raw' || this.problems.length > 0) return
      try {
        decoder.push(chunk, (command) => this.#receive(command))
      } catch (error) {
        this.problems.push(`what came back is no frame: ${messageOf(error)}`)
      }
    })
    const closed = () => {
      this.isClosed = true
      socket.destroy()
      tcp.destroy()
    }
    for (const each of new Set([socket, tcp])) {
      each.on('error', () => {})
      each.on('end', closed) // the other side never closes half of a connection
      each.on('close', closed)
    }
  }

  static async connect(port: number, kind: Kind, options: tls.ConnectionOptions = {}): Promise<Peer> {
    const tcp = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    await happens(tcp, 'connect')
    if (kind !== 'tls') return new Peer(port, tcp, tcp, kind)
    const secure = tls.connect({ socket: tcp, rejectUnauthorized: false, ...options })
    await happens(secure, 'secureConnect')
    return new Peer(port, tcp, secure, kind)
  }

  /** Sends a request; what its flag says decides whether an answer is wanted. */
  ask(request: Command, frame: Buffer, mayWait = false): void {
    const { code, opaque, flag } = request
    const before = this.#asked.get(opaque) ?? { code, mayWait, wanted: 0, answers: 0 }
    const wanted = before.wanted + (isResponse(flag) || isOneway(flag) ? 0 : 1)
    this.#asked.set(opaque, { ...before, code, wanted, mayWait: before.mayWait || mayWait })
    this.write(frame)
  }

  /** Sends a frame of which nobody knows how it will be read: one answer at most, whatever its opaque. */
  sendWild(frame: Buffer): void {
    this.#wildFrames++
    this.write(frame)
  }

  /** Codes of requests that should have been answered by now. */
  get unanswered(): number[] {
    const missing = [...this.#asked.values()].filter(({ mayWait, wanted, answers }) => !mayWait && answers < wanted)
    return missing.map(({ code }) => code)
  }

  write(bytes: Buffer): void {
    if (this.isClosed || !this.#socket.writable) return
    this.writtenBytes += bytes.length
    this.#socket.write(bytes)
  }

  /** Past TLS, to the connection below. */
  writeBelow(bytes: Buffer): void {
    this.#tcp.write(bytes)
  }

  /** Makes the handshake of TLS again, one time after the other. @returns how often that went well within ms */
  async renegotiate(countMax: number, ms: number): Promise<number> {
    const socket = this.#socket as tls.TLSSocket
    let count = 0
    let isOver = false
    const again = (): void => {
      isOver = count === countMax || !socket.renegotiate({}, next)
    }
    const next = (error: Error | null): void => {
      isOver = error !== null
      if (isOver) return
      count++
      again()
    }
    again()
    await this.within(ms, () => isOver || this.isClosed)
    return count
  }

  /** Says that nothing more will come, and goes on reading. */
  endWriting(): void {
    this.#socket.end()
  }

  stopReading(): void {
    this.#socket.pause()
  }

  readAgain(): void {
    this.#socket.resume()
  }

  destroy(): void {
    this.#tcp.destroy()
  }

  reset(): void {
    this.#tcp.resetAndDestroy()
  }

  /** @returns whether it held within ms */
  async within(ms: number, holds: () => boolean): Promise<boolean> {
    for (const untilMs = nodeClock.monotonicMs() + ms; !holds(); await nodeClock.sleep(5)) {
      if (nodeClock.monotonicMs() > untilMs) return false
    }
    return true
  }

  /** Asks for something that every server answers, at once. */
  ping(): void {
    const opaque = 0x7000_0000 + ++this.#pings
    const rest = { flag: 0, language: 'JAVA', version: 513, remark: undefined, extFields: {}, body: Buffer.alloc(0) }
    const request = { code: pingCode, opaque, ...rest }
    this.ask(request, encodeCommand(request))
  }

  #receive({ opaque, flag, code }: Command): void {
    if (!isResponse(flag)) return // servers ask too
    const asked = this.#asked.get(opaque)
    if (asked !== undefined && asked.answers < asked.wanted) asked.answers++
    else if (this.#wildFrames > 0) this.#wildFrames--
    else if (asked === undefined) this.problems.push(`an answer ${code} came to opaque ${opaque}, which nobody asked`)
    else if (asked.wanted === 0) this.problems.push(`code ${asked.code} was answered, and no answer was wanted`)
    else this.problems.push(`code ${asked.code} was answered more than once`)
  }
}

async function happens(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => {
      clearTimeout(deadline)
      socket.destroy()
      reject(new Error(`no ${event}: ${error.message}`))
    }
    const deadline = setTimeout(() => failed(new Error(`not in ${connectTimeoutMs} ms`)), connectTimeoutMs)
    socket.once('error', failed)
    socket.once(event, () => {
      clearTimeout(deadline)
      socket.removeListener('error', failed)
      resolve()
    })
  })
}
