import { Buffer } from 'node:buffer' // the global one is a getter, which costs each frame a tenth of a microsecond
import { BrokenRule } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { isOperatingError, messageOf, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Address, Socket } from '../base/network.ts'
import type { Warnings } from '../base/warnings.ts'
import { formatAddress } from './address.ts'
import { Calls } from './calls.ts'
import { FrameFlag, ourLanguage, ResponseCode } from './codes.ts'
import { type Command, type CommandContent, isResponse } from './command.ts'
import { FrameDecoder, frameParts, type LateFrame, reservedBytes } from './frame.ts'
import { jsonHeader } from './json-header.ts'
import type { KnownHeaders } from './known-headers.ts'
import { type Handler, Request } from './request.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { ourVersion } from './version.ts'

/** A connection to a peer, as processors see it. */
export interface Connection {
  readonly id: number
  readonly remote: Address
  readonly local: Address
  readonly isOpen: boolean
  /** Of the peer, as its last request said: ordinals of version.ts. 0 before the first. */
  readonly version: number
  readonly language: string
  /**
   * Sends a request to the peer. Any response code resolves.
   * @throws OperatingError REQUEST_TIMEOUT, CONNECTION_CLOSED, TOO_MANY_REQUESTS, FRAME_TOO_LARGE
   */
  call(command: CommandContent, timeoutMs: number): Promise<Command>
  /**
   * Sends a request that nobody answers. It is dropped when the connection is closed, or more than queuedBytesHigh waits
   * for the peer to read. @throws OperatingError FRAME_TOO_LARGE
   */
  oneway(command: CommandContent): void
  /** Runs task once, when the connection closed (at once if it has). */
  onClose(task: () => void): void
  /** Sends what is queued, then closes. */
  close(): void
}

export interface ConnectionLimits {
  frameBytesMax: number
  /**
   * Bytes waiting for the peer to read, above which it gets no more requests and a server handles no more of its own: until
   * the socket says `drained`, so more than its own mark (64 KiB).
   */
  queuedBytesHigh: number
  /** Bytes waiting for the peer to read, above which it is cut off. */
  queuedBytesMax: number
  /** Requests of the peer without an answer yet, above which it is told SYSTEM_BUSY. */
  requestsMax: number
  /** Our requests to the peer without an answer yet. */
  callsMax: number
}

export const connectionLimits = {
  queuedBytesHigh: 8 * 1024 * 1024,
  queuedBytesMax: 64 * 1024 * 1024,
  requestsMax: 65_535,
  callsMax: 65_535,
} as const

interface Parts {
  id: number
  socket: Socket
  clock: Clock
  log: Log
  /** Of all connections of one server or client. */
  warnings: Warnings
  limits: ConnectionLimits
  handle: Handler
  /**
   * A server stops reading from a peer that does not read. Were clients to do it too, both could wait for each other; a
   * client makes no more requests instead.
   * A client closes a connection on which a call ended without an answer and nothing else came meanwhile. A server does
   * not: its peer need not answer what it is asked.
   */
  side: 'server' | 'client'
  /** Of all connections of one server; undefined: sends do not come here. */
  knownHeaders?: KnownHeaders
  /** Told of bytes that came or were queued: what all connections together hold has a limit. */
  moved?: (bytes: number) => void
  /** What it may mean that a server closes without ever having said a word. */
  silentCloseHint?: string
}

const silentMsMin = 1_000 // a peer that paused for less is not silent
const refusalMsMax = 1_000 // a server that minds how it is spoken to closes at the first bytes; one that dies, at any time

/**
 * What a frame has to come at, once it took as long as a server waits in silence: slower than any link that people send
 * over (a 2G modem has about twice that), yet 16 MiB are through, or given up, after little more than an hour.
 */
const frameBytesPerSecondMin = 4 * 1024

/** Both ends of RocketMQ's protocol on one socket: answers the peer's requests and sends ours. */
export class RemotingConnection implements Connection {
  readonly id: number
  version = 0
  language = ''
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #log: Log
  readonly #warnings: Warnings
  readonly #limits: ConnectionLimits
  readonly #handle: Handler
  readonly #side: 'server' | 'client'
  readonly #decoder: FrameDecoder
  readonly #calls: Calls
  readonly #closeTasks: (() => void)[] = []
  readonly #moved: (bytes: number) => void
  readonly #silentCloseHint: string | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'
  #isPaused = false
  #deferred: Command[] = [] // requests that had come when it paused
  #requests = 0
  #frames: (Buffer | LateFrame)[] = [] // of this turn, not yet written
  #frameBytes = 0
  #lastActiveMs: number
  #lastReadMs: number
  readonly #madeAtMs: number
  #hasRead = false
  #frameBeganMs = 0 // the frame under way, if there is one

  constructor({ id, socket, clock, log, warnings, limits, handle, side, knownHeaders, moved, silentCloseHint }: Parts) {
    this.id = id
    this.#socket = socket
    this.#clock = clock
    const remote = formatAddress(socket.remote)
    this.#log = log.with({ remote, connection: id })
    this.#warnings = warnings
    this.#limits = limits
    this.#handle = handle
    this.#decoder = new FrameDecoder(limits.frameBytesMax, side === 'server' ? requestBuffers : undefined, knownHeaders)
    this.#side = side
    this.#moved = moved ?? (() => {})
    this.#silentCloseHint = silentCloseHint
    this.#calls = new Calls(clock, limits.callsMax, remote, (sinceMs) => this.#expired(sinceMs))
    this.#madeAtMs = clock.monotonicMs()
    this.#lastActiveMs = this.#madeAtMs
    this.#lastReadMs = this.#madeAtMs
  }

  /** Begins to read. */
  start(): void {
    const receive = (command: Command) => {
      this.#frameBeganMs = this.#lastReadMs // what is left of this chunk begins the next one
      this.#receive(command)
    }
    this.#socket.handle({
      borrows: this.#side === 'server', // a client has answers whose bodies outlive the read
      data: (chunk) => {
        this.#lastReadMs = this.#clock.monotonicMs()
        this.#lastActiveMs = this.#lastReadMs
        this.#hasRead = true
        if (this.#decoder.partialBytes === 0) this.#frameBeganMs = this.#lastReadMs
        try {
          this.#decoder.push(chunk, receive)
          this.#moved(chunk.length)
        } catch (error) {
          if (!isOperatingError(error)) throw error
          this.#warnings.warn(this.#log, { err: error }, 'closing a connection that sent no RocketMQ frame')
          this.destroy()
        }
      },
      drained: () => this.#drained(),
      closed: (error) => this.#closed(error),
    })
  }

  get remote(): Address {
    return this.#socket.remote
  }

  get local(): Address {
    return this.#socket.local
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Requests of the peer without an answer yet. */
  get requests(): number {
    return this.#requests
  }

  /** Of frames under way, of requests that are not handled yet, and of what waits for the peer to read it. */
  get heldBytes(): number {
    if (!this.isOpen) return 0
    let bytes = this.#decoder.partialBytes + this.#frameBytes + this.#socket.queuedBytes
    for (const { body } of this.#deferred) bytes += body.length
    return bytes
  }

  /** Closes where bytes have moved neither way for so long, or come so slowly that they would keep it for ever. */
  closeIfIdle(idleMs: number): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#lastActiveMs < nowMs - idleMs) this.destroy()
    const { partialBytes } = this.#decoder
    if (partialBytes === 0 || this.#isPaused || !this.isOpen) return
    const frameMs = nowMs - this.#frameBeganMs
    if (frameMs <= idleMs + (partialBytes * 1000) / frameBytesPerSecondMin) return
    const facts = { bytes: partialBytes, frameMs: Math.round(frameMs) }
    this.#warnings.warn(this.#log, facts, 'closing a connection whose frame comes too slowly')
    this.destroy()
  }

  async call(command: CommandContent, timeoutMs: number): Promise<Command> {
    if (!this.isOpen) throw this.#closedError(command.code)
    if (this.#isCongested()) {
      const { queuedBytes } = this.#socket
      throw new OperatingError('TOO_MANY_REQUESTS', { remote: formatAddress(this.remote), queuedBytes })
    }
    const opaque = this.#calls.nextOpaque()
    const frame = requestParts(command, opaque, 0)
    const response = this.#calls.wait(opaque, command.code, timeoutMs)
    for (const part of frame) this.send(part)
    return response
  }

  oneway(command: CommandContent): void {
    if (this.#isCongested()) {
      this.#log.debug({ code: command.code }, 'dropped a oneway request to a peer that does not read')
      return
    }
    for (const part of requestParts(command, this.#calls.nextOpaque(), FrameFlag.ONEWAY)) this.send(part)
  }

  onClose(task: () => void): void {
    if (this.#state === 'closed') task()
    else this.#closeTasks.push(task)
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#flush()
    this.#state = 'closing'
    this.#socket.end()
  }

  /** Closes at once. */
  destroy(): void {
    if (this.#state === 'closed') return
    this.#state = 'closing'
    this.#socket.destroy()
  }

  /** Queues one frame; those of one turn leave in one write, unless they are large. Nothing happens when it is closed. */
  send(frame: Buffer | LateFrame): void {
    if (!this.isOpen) return
    if (this.#frames.length === 0) queueMicrotask(this.#flushLater)
    this.#frames.push(frame)
    this.#frameBytes += bytesMaxOf(frame)
    if (this.#frameBytes > this.#limits.queuedBytesHigh) this.#flush()
  }

  /** The request got its answer: one less of requestsMax. */
  answered(): void {
    this.#requests--
  }

  #isCongested(): boolean {
    return this.#frameBytes + this.#socket.queuedBytes > this.#limits.queuedBytesHigh
  }

  #receive(command: Command): void {
    if (!this.isOpen) return
    if (isResponse(command.flag)) {
      if (!this.#calls.settle(this.#kept(command)))
        this.#log.debug({ opaque: command.opaque }, 'a response came that nobody waits for')
      return
    }
    if (this.#isPaused) {
      this.#deferred.push(this.#kept(command)) // no more of them than one read brought
      return
    }
    this.version = command.version
    this.language = command.language
    const request = new Request(this, command, this.#lastReadMs)
    if (!request.isOneway) {
      if (this.#requests >= this.#limits.requestsMax) {
        this.#requests++
        request.answer({
          code: ResponseCode.SYSTEM_BUSY,
          remark: '[OVERLOAD]system busy, start flow control for a while',
        })
        return
      }
      this.#requests++
    }
    try {
      const response = this.#handle(request)
      if (response === undefined) return
      if ('then' in response)
        response.then((value) => request.answer(value)).catch((error) => this.#failed(request, error))
      else request.answer(response)
    } catch (error) {
      this.#failed(request, error)
    }
  }

  /** A command that outlives the read that brought it. */
  #kept(command: Command): Command {
    if (this.#side === 'client') return command
    return { ...command, extFields: command.extFields, send: undefined, body: Buffer.from(command.body) }
  }

  /** A peer's request must never end the process, but a broken rule must: who is wrong stops writing. */
  #failed(request: Request, error: unknown): void {
    if (error instanceof BrokenRule) throw error
    const fields = { err: error, code: request.code }
    if (isOperatingError(error)) this.#warnings.warn(this.#log, fields, 'a request failed')
    else this.#log.error(fields, 'a request met a bug')
    if (!request.isAnswered) request.answer({ code: ResponseCode.SYSTEM_ERROR, remark: messageOf(error) })
  }

  readonly #flushLater = (): void => this.#flush()

  #flush(): void {
    const frames = this.#frames
    if (frames.length === 0 || this.#state !== 'open') return
    this.#frames = []
    this.#frameBytes = 0
    this.#writeJoined(frames)
    const { queuedBytes } = this.#socket
    if (queuedBytes > this.#limits.queuedBytesMax) {
      this.#warnings.warn(this.#log, { queuedBytes }, 'closing a connection whose peer does not read')
      this.destroy()
    } else if (queuedBytes > this.#limits.queuedBytesHigh && this.#side === 'server' && !this.#isPaused) {
      this.#isPaused = true
      this.#socket.pause()
    }
  }

  /** Neighbours leave in one write, but for those that are large. */
  #writeJoined(frames: readonly (Buffer | LateFrame)[]): void {
    for (let from = 0; from < frames.length; ) {
      let bytesMax = 0
      let to = from
      for (; to < frames.length; to++) {
        const frame = frames[to]!
        const more = bytesMaxOf(frame)
        if (Buffer.isBuffer(frame) && more > copiedBytesMax) break
        if (to > from && bytesMax + more > joinedBytesMax) break
        bytesMax += more
      }
      const first = frames[from]!
      if (to > from + 1 || !Buffer.isBuffer(first)) this.#writeShared(join(frames, from, to, bytesMax))
      else this.#write(first)
      from = Math.max(to, from + 1)
    }
  }

  /** A few bytes that wait would keep the whole chunk they lie in, of which nobody takes count: those that will wait move out. */
  #writeShared(bytes: Buffer): void {
    if (this.#socket.queuedBytes === 0) {
      this.#write(bytes)
      if (this.#socket.queuedBytes > 0) return
    } else {
      const own = Buffer.allocUnsafeSlow(bytes.length)
      own.set(bytes)
      this.#write(own)
    }
    for (const outgoing of outgoings) outgoing.takeBack(bytes)
  }

  #write(bytes: Buffer): void {
    if (this.#socket.write(bytes)) this.#lastActiveMs = this.#clock.monotonicMs()
    this.#moved(bytes.length)
  }

  #drained(): void {
    this.#lastActiveMs = this.#clock.monotonicMs()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#frameBeganMs = this.#lastActiveMs // that nothing came meanwhile was our doing
    for (const command of this.#deferred.splice(0)) this.#receive(command)
    if (!this.#isPaused) this.#socket.resume()
  }

  /** A machine that lost its power, or an address that is no more, says nothing: TCP alone takes minutes to notice. */
  #expired(sinceMs: number): void {
    const isSilent = this.#lastReadMs <= sinceMs && this.#clock.monotonicMs() - sinceMs >= silentMsMin
    if (this.#side === 'server' || !isSilent || !this.isOpen) return
    this.#log.warn(
      { silentMs: Math.round(this.#clock.monotonicMs() - this.#lastReadMs) },
      'closing a silent connection',
    )
    this.destroy()
  }

  #closed(error: Error | undefined): void {
    const byPeer = this.#state === 'open'
    const isRefusal = byPeer && !this.#hasRead && this.#clock.monotonicMs() - this.#madeAtMs < refusalMsMax
    const hint = isRefusal ? this.#silentCloseHint : undefined
    this.#state = 'closed'
    this.#frames = []
    this.#deferred = []
    if (error !== undefined) this.#log.debug({ err: error }, 'a connection broke')
    this.#calls.fail((code) => this.#closedError(code, error, hint))
    for (const task of this.#closeTasks.splice(0)) task()
  }

  #closedError(code: number, cause?: Error, hint?: string): OperatingError {
    return new OperatingError(
      'CONNECTION_CLOSED',
      { remote: formatAddress(this.remote), code, ...(hint !== undefined && { hint }) },
      cause,
    )
  }
}

function bytesMaxOf(frame: Buffer | LateFrame): number {
  return Buffer.isBuffer(frame) ? frame.length : frame.bytesMax
}

/** A write more, and a peer that is woken once more, cost what copying so much does. An answer to a pull is no longer. */
const copiedBytesMax = 257 * 1024
const joinedBytesMax = 512 * 1024

/**
 * Joins frames that leave together. One chunk serves many writes; what waits to be sent stays in it, and others follow behind. A
 * fresh chunk for each write would have the garbage collector at work all the time.
 */
class Outgoing {
  readonly chunkBytes: number
  #chunk = Buffer.alloc(0)
  #used = 0

  constructor(chunkBytes: number) {
    this.chunkBytes = chunkBytes
  }

  /** frames[from, to) as one; together they are no longer than bytesMax. */
  join(frames: readonly (Buffer | LateFrame)[], from: number, to: number, bytesMax: number): Buffer {
    if (bytesMax > this.#chunk.length - this.#used) {
      this.#chunk = Buffer.allocUnsafeSlow(this.chunkBytes)
      this.#used = 0
    }
    const start = this.#used
    this.#used = writeAll(frames, from, to, this.#chunk, start)
    return this.#chunk.subarray(start, this.#used)
  }

  /** What was joined last is sent, or was copied: its room is free again. */
  takeBack({ buffer, byteOffset }: Buffer): void {
    if (buffer === this.#chunk.buffer) this.#used = byteOffset - this.#chunk.byteOffset
  }
}

/** Of all connections of the process. By what they are for: a few bytes that wait keep the chunk they lie in, and that is not counted. */
const outgoings = [64, 128, 256, 512].map((kib) => new Outgoing(kib * 1024))

function join(frames: readonly (Buffer | LateFrame)[], from: number, to: number, bytesMax: number): Buffer {
  for (const outgoing of outgoings)
    if (bytesMax <= outgoing.chunkBytes) return outgoing.join(frames, from, to, bytesMax)
  const own = Buffer.allocUnsafe(bytesMax)
  return own.subarray(0, writeAll(frames, from, to, own, 0))
}

function writeAll(
  frames: readonly (Buffer | LateFrame)[],
  from: number,
  to: number,
  into: Buffer,
  start: number,
): number {
  let at = start
  for (let index = from; index < to; index++) {
    const frame = frames[index]!
    if (Buffer.isBuffer(frame)) {
      into.set(frame, at)
      at += frame.length
    } else at = frame.writeTo(into, at)
  }
  return at
}

const requestBuffers = new SpareBuffers(reservedBytes, 8 * reservedBytes) // of all servers: what a request holds is borrowed

function requestParts({ code, extFields, body }: CommandContent, opaque: number, flag: number): Buffer[] {
  const header = { code, flag, opaque, language: ourLanguage, version: ourVersion, remark: undefined }
  const ext = extFields === undefined ? undefined : JSON.stringify(extFields)
  return frameParts(jsonHeader(header, ext), body === undefined ? [] : [body])
}
