import { OperatingError } from '../base/errors.ts'
import { languageNames } from './codes.ts'
import type { Command } from './command.ts'

/**
 * Reads a header in the ROCKETMQ serialisation, all big-endian: code int16, language int8, version int16, opaque int32,
 * flag int32, remark (int32 length, UTF-8), extFields (int32 length of all, then each int16 length + key, int32 length +
 * value).
 * @throws OperatingError FRAME_INVALID
 * Source: Apache RocketMQ 5, RocketMQSerializable.
 */
export function decodeBinaryHeader(header: Buffer, body: Buffer): Command {
  const reader = new Reader(header)
  const code = reader.int16()
  const language = languageNames[reader.int8()] ?? 'OTHER'
  const version = reader.int16()
  const opaque = reader.int32()
  const flag = reader.int32()
  const remark = reader.text(reader.int32())
  const extFields: Record<string, string> = {}
  const end = reader.limit(reader.int32())
  while (reader.at < end) {
    const key = reader.text(reader.int16())
    extFields[key] = reader.text(reader.int32())
  }
  if (reader.at !== end) throw new OperatingError('FRAME_INVALID', { what: 'extFields overrun their length' })
  return { code, language, version, opaque, flag, remark: remark === '' ? undefined : remark, extFields, body }
}

/** Writes what decodeBinaryHeader reads. Codes and versions above 32767 do not fit. @throws OperatingError HEADER_INVALID */
export function encodeBinaryHeader(command: Omit<Command, 'body'>): Buffer {
  const { code, version } = command
  if (code > int16Max || version > int16Max)
    throw new OperatingError('HEADER_INVALID', { code, version, max: int16Max })
  const entries = Object.entries(command.extFields).map(
    ([key, value]) => [Buffer.from(key), Buffer.from(value)] as const,
  )
  const remark = Buffer.from(command.remark ?? '')
  const extBytes = entries.reduce((sum, [key, value]) => sum + 2 + key.length + 4 + value.length, 0)
  const header = Buffer.allocUnsafe(fixedBytes + remark.length + extBytes)
  const language = languageNames.indexOf(command.language)
  let at = header.writeInt16BE(code, 0)
  at = header.writeInt8(language === -1 ? languageNames.indexOf('OTHER') : language, at)
  at = header.writeInt16BE(version, at)
  at = header.writeInt32BE(command.opaque, at)
  at = header.writeInt32BE(command.flag, at)
  at = header.writeInt32BE(remark.length, at)
  at += remark.copy(header, at)
  at = header.writeInt32BE(extBytes, at)
  for (const [key, value] of entries) {
    if (key.length > int16Max) throw new OperatingError('HEADER_INVALID', { keyBytes: key.length, max: int16Max })
    at = header.writeInt16BE(key.length, at)
    at += key.copy(header, at)
    at = header.writeInt32BE(value.length, at)
    at += value.copy(header, at)
  }
  return header
}

const int16Max = 0x7fff
const fixedBytes = 2 + 1 + 2 + 4 + 4 + 4 + 4

class Reader {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    return this.#bytes.readInt8(this.#next(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#next(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#next(4))
  }

  text(bytes: number): string {
    const start = this.#next(bytes)
    return this.#bytes.toString('utf8', start, this.at)
  }

  /** The position after so many more bytes. */
  limit(bytes: number): number {
    if (bytes < 0 || bytes > this.#bytes.length - this.at) {
      throw new OperatingError('FRAME_INVALID', { what: 'header ends inside a field', at: this.at, bytes })
    }
    return this.at + bytes
  }

  #next(bytes: number): number {
    const start = this.at
    this.at = this.limit(bytes)
    return start
  }
}
