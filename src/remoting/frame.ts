import { BrokenRule } from '../base/assert.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import { FrameFlag, ourLanguage } from './codes.ts'
import type { Command } from './command.ts'
import { decodeJsonHeader, jsonHeader } from './json-header.ts'
import type { KnownHeaders } from './known-headers.ts'
import { decodeBinaryHeader, encodeBinaryHeader } from './rocketmq-header.ts'
import type { SpareBuffers } from './spare-buffers.ts'
import { ourVersion } from './version.ts'

/** Apache's com.rocketmq.remoting.frameMaxLength; a peer that gets more closes the connection. */
export const frameBytesMax = 16 * 1024 * 1024

const lengthBytes = 4 // the length field, which does not count itself
const markBytes = 4 // serialisation type and header length
/** What of a large frame is reserved before its bytes are there. */
export const reservedBytes = 64 * 1024
const jsonType = 0
const rocketmqType = 1
/** Smaller bodies are part of their frame's buffer. Larger ones are joined when they leave, if at all. */
export const joinedBytesMax = 16 * 1024

const nothing = Buffer.alloc(0)

/**
 * Cuts a TCP stream into frames: length | mark | header | body, all big-endian.
 * - length: int32, the bytes after itself; above frameBytesMax the connection is to be closed.
 * - mark: 1 byte serialisation type (0 JSON, 1 ROCKETMQ), then 3 bytes header length.
 *
 * A frame that lies in one chunk is not copied, a cut one is copied into a buffer that doubles up to the frame's length:
 * no cut of the stream makes the work quadratic, or the memory more than twice what was received.
 * Source: Apache RocketMQ 5, RemotingCommand#encode and NettyDecoder.
 */
export class FrameDecoder {
  readonly #bytesMax: number
  readonly #spare: SpareBuffers | undefined
  readonly #known: KnownHeaders | undefined
  #partial: Buffer = nothing // the frame under way, valid up to #partialBytes
  #partialBytes = 0

  /**
   * @param spare where frames that come in pieces grow together; they are done with once take returned. Without them each has bytes of its own
   * @param known headers of sends that came before, over all connections that share them; without them each is parsed
   */
  constructor(bytesMax = frameBytesMax, spare?: SpareBuffers, known?: KnownHeaders) {
    this.#bytesMax = bytesMax
    this.#spare = spare
    this.#known = known
  }

  /** Bytes that are here of the frame under way; 0 between two frames. */
  get partialBytes(): number {
    return this.#partialBytes
  }

  /**
   * @param chunk any cut of the stream: half a frame, or several
   * @param take is given the frames that chunk completed, in order; their bodies are views on received bytes
   * @throws OperatingError FRAME_TOO_LARGE, FRAME_INVALID; nothing may be pushed after that
   */
  push(chunk: Buffer, take: (command: Command) => void): void {
    let at = this.#partialBytes === 0 ? 0 : this.#complete(chunk, take)
    while (chunk.length - at >= lengthBytes) {
      const bytes = this.#frameBytes(chunk, at)
      if (bytes > chunk.length - at) break
      const command = decodeFrame(chunk, at + lengthBytes, at + bytes, this.#known)
      at += bytes
      take(command)
    }
    if (at < chunk.length) this.#keep(chunk, at, chunk.length)
  }

  /** @returns how many bytes of chunk belong to the frame under way */
  #complete(chunk: Buffer, take: (command: Command) => void): number {
    let at = 0
    if (this.#partialBytes < lengthBytes) {
      at = Math.min(lengthBytes - this.#partialBytes, chunk.length)
      this.#keep(chunk, 0, at)
      if (this.#partialBytes < lengthBytes) return at
    }
    const bytes = this.#frameBytes(this.#partial, 0)
    const end = Math.min(at + bytes - this.#partialBytes, chunk.length)
    this.#keep(chunk, at, end)
    if (this.#partialBytes < bytes) return end
    const frame = this.#partial
    this.#partial = nothing
    this.#partialBytes = 0
    take(decodeFrame(frame, lengthBytes, bytes, this.#known))
    this.#spare?.giveBack(frame)
    return end
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    const bytes = this.#partialBytes + end - start
    if (bytes > this.#partial.length) {
      const source = this.#partialBytes >= lengthBytes ? this.#partial : chunk.subarray(start)
      const isLengthKnown = this.#partialBytes >= lengthBytes || (this.#partialBytes === 0 && bytes >= lengthBytes)
      const wanted = isLengthKnown ? this.#frameBytes(source, 0) : lengthBytes
      const room = Math.min(wanted, Math.max(bytes, 2 * this.#partial.length, reservedBytes))
      const larger = this.#spare?.take(room) ?? Buffer.allocUnsafe(room)
      this.#partial.copy(larger, 0, 0, this.#partialBytes)
      this.#spare?.giveBack(this.#partial)
      this.#partial = larger
    }
    chunk.copy(this.#partial, this.#partialBytes, start, end)
    this.#partialBytes = bytes
  }

  /** The length of the whole frame that begins at a position. */
  #frameBytes(buffer: Buffer, at: number): number {
    const length = buffer.readInt32BE(at)
    if (length < markBytes) throw new OperatingError('FRAME_INVALID', { length })
    if (length + lengthBytes > this.#bytesMax) {
      throw new OperatingError('FRAME_TOO_LARGE', { length, frameBytesMax: this.#bytesMax })
    }
    return length + lengthBytes
  }
}

/**
 * Decodes one frame from its mark to its end. Whatever a peer sends, and whatever bug it meets here, is this connection's end
 * and no more.
 */
function decodeFrame(buffer: Buffer, start: number, end: number, known: KnownHeaders | undefined): Command {
  try {
    return readFrame(buffer, start, end, known)
  } catch (cause) {
    if (isOperatingError(cause) || cause instanceof BrokenRule) throw cause
    throw new OperatingError('FRAME_INVALID', { what: 'nobody can read it' }, cause)
  }
}

function readFrame(buffer: Buffer, start: number, end: number, known: KnownHeaders | undefined): Command {
  const mark = buffer.readInt32BE(start)
  const type = mark >>> 24
  const headerStart = start + markBytes
  const headerEnd = headerStart + (mark & 0xff_ffff)
  if (headerEnd > end) throw new OperatingError('FRAME_INVALID', { what: 'header is longer than its frame' })
  const body = headerEnd === end ? nothing : buffer.subarray(headerEnd, end)
  if (type === jsonType) return decodeJson(buffer, headerStart, headerEnd, body, known)
  if (type === rocketmqType) return decodeBinaryHeader(buffer.subarray(headerStart, headerEnd), body)
  throw new OperatingError('FRAME_INVALID', { what: 'unknown serialisation', type })
}

function decodeJson(
  buffer: Buffer,
  start: number,
  end: number,
  body: Buffer,
  knownHeaders: KnownHeaders | undefined,
): Command {
  const known = knownHeaders?.read(buffer, start, end, body)
  if (known !== undefined) return known
  const header = buffer.toString('utf8', start, end)
  const command = decodeJsonHeader(header, body)
  knownHeaders?.learn(buffer, start, end, header, command)
  return command
}

/** One frame with a JSON header. @throws OperatingError FRAME_TOO_LARGE */
export function encodeCommand(command: Command): Buffer {
  return Buffer.concat(frameParts(jsonHeader(command, JSON.stringify(command.extFields)), [command.body]))
}

/** One frame with a header in the ROCKETMQ serialisation. @throws OperatingError FRAME_TOO_LARGE, HEADER_INVALID */
export function encodeRocketmqCommand(command: Command): Buffer {
  const header = encodeBinaryHeader(command)
  const prefix = Buffer.allocUnsafe(lengthBytes + markBytes)
  writePrefix(prefix, rocketmqType, header.length, command.body.length)
  return Buffer.concat([prefix, header, command.body])
}

/**
 * One frame as buffers to be written one after the other: a single one, unless its bodies are worth not copying.
 * @throws OperatingError FRAME_TOO_LARGE
 */
export function frameParts(header: string, bodies: readonly Buffer[]): Buffer[] {
  let bodyBytes = 0
  for (const body of bodies) bodyBytes += body.length
  const isJoined = bodyBytes <= joinedBytesMax
  const headerBytes = Buffer.byteLength(header)
  const first = Buffer.allocUnsafe(lengthBytes + markBytes + headerBytes + (isJoined ? bodyBytes : 0))
  writePrefix(first, jsonType, headerBytes, bodyBytes)
  first.write(header, lengthBytes + markBytes)
  if (!isJoined) return [first, ...bodies]
  let at = lengthBytes + markBytes + headerBytes
  for (const body of bodies) at += body.copy(first, at)
  return [first]
}

function writePrefix(buffer: Buffer, type: number, headerBytes: number, bodyBytes: number, at = 0): void {
  const length = markBytes + headerBytes + bodyBytes
  if (length + lengthBytes > frameBytesMax || headerBytes > 0xff_ffff) {
    throw new OperatingError('FRAME_TOO_LARGE', { length, frameBytesMax })
  }
  buffer.writeInt32BE(length, at)
  buffer.writeInt32BE((type << 24) | headerBytes, at + lengthBytes)
}

/** A frame that is written when it leaves, into one buffer with its neighbours. */
export interface LateFrame {
  /** It is no longer than this. */
  readonly bytesMax: number
  /** @returns where it ends */
  writeTo(into: Buffer, start: number): number
}

/** A frame whose body lies in a spare buffer: it leaves as a copy, then the buffer is free again. */
export class SpareBodyFrame implements LateFrame {
  readonly bytesMax: number
  readonly #header: string
  readonly #body: Buffer
  readonly #spare: SpareBuffers

  /** @param header JSON text */
  constructor(header: string, body: Buffer, spare: SpareBuffers) {
    this.bytesMax = framePrefixBytes + utf8BytesPerCharMax * header.length + body.length
    this.#header = header
    this.#body = body
    this.#spare = spare
  }

  writeTo(into: Buffer, start: number): number {
    const headerAt = start + framePrefixBytes
    const bodyAt = headerAt + into.write(this.#header, headerAt)
    writePrefix(into, jsonType, bodyAt - headerAt, this.#body.length, start)
    const end = bodyAt + this.#body.copy(into, bodyAt)
    this.#spare.giveBack(this.#body)
    return end
  }
}

const utf8BytesPerCharMax = 3

/** What stands before the header of a frame. */
export const framePrefixBytes = lengthBytes + markBytes

/** Completes a frame without a body, whose JSON header lies from start + framePrefixBytes to end. */
export function completeFrame(into: Buffer, start: number, end: number): void {
  writePrefix(into, jsonType, end - start - framePrefixBytes, 0, start)
}

export const responseTail = `,"serializeTypeCurrentRPC":"JSON","version":${ourVersion}}`
/** Between a response's extFields and its opaque. */
export const responseMiddle = `"flag":${FrameFlag.RESPONSE},"language":${JSON.stringify(ourLanguage)},"opaque":`

/** The JSON header of a response, from its pieces; extFieldsJson is an object's JSON text. */
export function responseHeader(opaque: number, code: number, extFieldsJson?: string, remark?: string): string {
  const ext = extFieldsJson === undefined ? '' : `"extFields":${extFieldsJson},`
  const why = remark === undefined ? '' : `,"remark":${JSON.stringify(remark)}`
  return `{"code":${code},${ext}${responseMiddle}${opaque}${why}${responseTail}`
}

/**
 * A whole response without a body, for paths where every microsecond counts: the caller writes its extFields as JSON
 * text by hand and must escape what may need it.
 */
export function responseFrame(opaque: number, code: number, extFieldsJson?: string, remark?: string): Buffer {
  const header = responseHeader(opaque, code, extFieldsJson, remark)
  const headerBytes = Buffer.byteLength(header)
  const frame = Buffer.allocUnsafe(lengthBytes + markBytes + headerBytes)
  writePrefix(frame, jsonType, headerBytes, 0)
  frame.write(header, lengthBytes + markBytes)
  return frame
}
