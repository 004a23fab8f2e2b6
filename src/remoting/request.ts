import { assert } from '../base/assert.ts'
import { isOperatingError } from '../base/errors.ts'
import { ResponseCode } from './codes.ts'
import { type Command, isOneway } from './command.ts'
import type { Connection } from './connection.ts'
import { frameParts, type LateFrame, responseHeader, SpareBodyFrame } from './frame.ts'
import type { KnownSend } from './known-send.ts'
import type { SpareBuffers } from './spare-buffers.ts'

export interface Response {
  code: number // of ResponseCode
  remark?: string | undefined
  extFields?: Record<string, string> | undefined
  /** Large ones may be written as they are, without a copy: they must not change afterwards. */
  body?: Buffer | readonly Buffer[] | undefined
  /** Whose buffer a body that is a single one lies in: it is given back once the body has left. */
  spare?: SpareBuffers | undefined
}

/**
 * Answers one request. undefined: the handler keeps the request and answers it itself, later. What it throws, or rejects
 * with, becomes SYSTEM_ERROR with the error's message as remark.
 */
export type Handler = (request: Request) => Response | Promise<Response> | undefined

/** What a request needs of its connection to be answered. */
export interface AnswerPath extends Connection {
  send(frame: Buffer | LateFrame): void
  answered(): void
}

/** One received request. */
export class Request {
  readonly code: number
  readonly opaque: number
  readonly version: number
  readonly language: string
  /** SEND_MESSAGE_V2: its header, where that was read already. */
  readonly send: KnownSend | undefined
  /** A view on received bytes, which are others once the handler returned, or came to its first await: copy what it needs then. */
  readonly body: Buffer
  readonly isOneway: boolean
  readonly receivedAtMs: number // monotonic
  readonly #command: Command
  readonly #path: AnswerPath
  #isAnswered = false

  constructor(path: AnswerPath, command: Command, receivedAtMs: number) {
    this.code = command.code
    this.opaque = command.opaque
    this.version = command.version
    this.language = command.language
    this.send = command.send
    this.body = command.body
    this.isOneway = isOneway(command.flag)
    this.receivedAtMs = receivedAtMs
    this.#command = command
    this.#path = path
  }

  get extFields(): Record<string, string> {
    return this.#command.extFields
  }

  get connection(): Connection {
    return this.#path
  }

  get isAnswered(): boolean {
    return this.#isAnswered
  }

  /** Must be called once; nothing is sent when the request is oneway or its connection gone. */
  answer(response: Response): void {
    if (!this.#finish()) return
    const { code, remark, extFields, body = [], spare } = response
    const header = responseHeader(this.opaque, code, extFields && JSON.stringify(extFields), remark)
    const bodies = Buffer.isBuffer(body) ? [body] : body
    const [first] = bodies
    if (spare !== undefined && first !== undefined && bodies.length === 1 && first.length <= spare.bytesMax)
      this.#path.send(new SpareBodyFrame(header, first, spare))
    else for (const part of this.#parts(header, bodies)) this.#path.send(part)
  }

  /** As answer, with a whole frame made by hand (frame.ts, responseFrame), or one that is made when it leaves. */
  answerEncoded(frame: Buffer | LateFrame): void {
    if (this.#finish()) this.#path.send(frame)
  }

  #finish(): boolean {
    assert(!this.#isAnswered, 'a request is answered once')
    this.#isAnswered = true
    if (this.isOneway) return false
    this.#path.answered()
    return true
  }

  #parts(header: string, bodies: readonly Buffer[]): Buffer[] {
    try {
      return frameParts(header, bodies)
    } catch (error) {
      if (!isOperatingError(error, 'FRAME_TOO_LARGE')) throw error
      return frameParts(responseHeader(this.opaque, ResponseCode.SYSTEM_ERROR, undefined, error.message), [])
    }
  }
}
