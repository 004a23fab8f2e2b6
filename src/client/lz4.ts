import { OperatingError } from '../base/errors.ts'

/**
 * Decompresses LZ4 frames, as Apache's producers send them: magic | descriptor | blocks | end mark, all little-endian. Own
 * checksums of a frame are passed over: the record's CRC covers its bytes already.
 * @param bytesMax of the result
 * @throws OperatingError BODY_INVALID: bytes that are no LZ4 frame, or a longer result
 * Source: LZ4 Frame Format 1.6.4 and LZ4 Block Format (github.com/lz4/lz4/doc).
 */
export function decompressLz4(bytes: Buffer, bytesMax: number): Buffer {
  const out = new Output(bytesMax)
  let at = 0
  do at = readFrame(bytes, at, out)
  while (at < bytes.length)
  return out.bytes()
}

/** @returns where the next frame begins */
function readFrame(bytes: Buffer, start: number, out: Output): number {
  const magic = u32(bytes, start)
  if (magic >>> 4 === skippableMagic) return start + 8 + u32(bytes, start + 4)
  if (magic !== frameMagic) throw invalid('no LZ4 frame')
  const flags = u8(bytes, start + 4)
  if (flags >>> 6 !== frameVersion) throw invalid('another version of LZ4 frames')
  if ((flags & Flag.DICTIONARY) !== 0) throw invalid('a dictionary')
  // magic, flags, block size, length of the content, checksum of the descriptor
  let at = start + 6 + ((flags & Flag.CONTENT_SIZE) !== 0 ? 8 : 0) + 1
  const areLinked = (flags & Flag.INDEPENDENT_BLOCKS) === 0
  const frameStart = out.length
  for (;;) {
    const sizeWord = u32(bytes, at)
    at += 4
    if (sizeWord === 0) return at + ((flags & Flag.CONTENT_CHECKSUM) !== 0 ? 4 : 0)
    const end = at + (sizeWord & 0x7fff_ffff)
    if (end > bytes.length) throw invalid('it is cut short')
    if (sizeWord >>> 31 === 1) out.append(bytes, at, end)
    else readBlock(bytes, at, end, out, areLinked ? frameStart : out.length)
    at = end + ((flags & Flag.BLOCK_CHECKSUM) !== 0 ? 4 : 0)
  }
}

/**
 * Sequences of literals and a match each; the last has literals alone.
 * @param windowStart how far back matches may reach
 */
function readBlock(bytes: Buffer, start: number, end: number, out: Output, windowStart: number): void {
  let at = start
  const readLength = (nibble: number) => {
    let length = nibble
    for (let more = nibble === 15; more; ) {
      if (at >= end) throw invalid('it is cut short')
      const byte = bytes[at++]!
      length += byte
      more = byte === 255
    }
    return length
  }
  while (at < end) {
    const token = bytes[at++]!
    const literalsEnd = readLength(token >>> 4) + at
    if (literalsEnd > end) throw invalid('it is cut short')
    out.append(bytes, at, literalsEnd)
    at = literalsEnd
    if (at === end) return
    if (at + 2 > end) throw invalid('it is cut short')
    const distance = bytes.readUInt16LE(at)
    at += 2
    if (distance === 0 || distance > out.length - windowStart) throw invalid('a match before its beginning')
    out.repeat(distance, readLength(token & 0xf) + matchBytesMin)
  }
}

/** Grows with what is written, up to a limit. */
class Output {
  readonly #bytesMax: number
  #buffer = Buffer.allocUnsafe(0)
  length = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  append(from: Buffer, start: number, end: number): void {
    this.#reserve(end - start)
    from.copy(this.#buffer, this.length, start, end)
    this.length += end - start
  }

  /** Writes again what begins so far back; it may reach into what it writes. */
  repeat(distance: number, count: number): void {
    this.#reserve(count)
    const from = this.length - distance
    for (let left = count; left > 0; ) {
      const part = Math.min(left, this.length - from) // twice as much each time
      this.#buffer.copy(this.#buffer, this.length, from, from + part)
      this.length += part
      left -= part
    }
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.length)
  }

  #reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.#buffer.length) return
    if (needed > this.#bytesMax) throw invalid(`more than ${this.#bytesMax} bytes`)
    const grown = Buffer.allocUnsafe(Math.min(this.#bytesMax, Math.max(needed, 2 * this.#buffer.length, bytesMin)))
    this.#buffer.copy(grown, 0, 0, this.length)
    this.#buffer = grown
  }
}

function u8(bytes: Buffer, at: number): number {
  if (at >= bytes.length) throw invalid('it is cut short')
  return bytes[at]!
}

function u32(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw invalid('it is cut short')
  return bytes.readUInt32LE(at)
}

function invalid(why: string): OperatingError {
  return new OperatingError('BODY_INVALID', { compression: 'lz4', why })
}

/** Bits of a frame's first flags. */
const Flag = {
  DICTIONARY: 0x01,
  CONTENT_CHECKSUM: 0x04,
  CONTENT_SIZE: 0x08,
  BLOCK_CHECKSUM: 0x10,
  INDEPENDENT_BLOCKS: 0x20,
} as const
const frameMagic = 0x184d2204
const skippableMagic = 0x184d2a5 // and any last nibble
const frameVersion = 1
const matchBytesMin = 4
const bytesMin = 4_096
