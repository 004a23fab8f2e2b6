import { deflateSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { OperatingError } from '../base/errors.ts'
import { MessageSysFlag } from '../remoting/message/index.ts'
import { decompressLz4 } from './lz4.ts'

/**
 * Compresses a body as Apache's producer does: zlib (RFC 1950), level 5.
 * @returns the body as it is where that is not shorter
 */
export function compress(body: Buffer): { body: Buffer; sysFlag: number } {
  const compressed = deflateSync(body, { level: 5 })
  if (compressed.length >= body.length) return { body, sysFlag: 0 }
  return { body: compressed, sysFlag: MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB }
}

/**
 * The body that the producer was given.
 * @throws OperatingError BODY_INVALID: an unknown algorithm, bytes that are not of that algorithm, or more than 64 MiB
 */
export function decompress(body: Buffer, sysFlag: number): Buffer {
  if ((sysFlag & MessageSysFlag.COMPRESSED) === 0) return body
  const algorithm = sysFlag & MessageSysFlag.COMPRESSION_MASK
  switch (algorithm) {
    case 0: // from clients that know one only
    case MessageSysFlag.COMPRESSION_ZLIB:
      return reporting('zlib', body, () => inflateSync(body, limits))
    case MessageSysFlag.COMPRESSION_ZSTD:
      return reporting('zstd', body, () => zstdDecompressSync(body, limits))
    case MessageSysFlag.COMPRESSION_LZ4:
      return decompressLz4(body, limits.maxOutputLength)
    default:
      throw new OperatingError('BODY_INVALID', { compression: algorithm, fits: 'zlib, zstd, lz4' })
  }
}

function reporting(compression: string, body: Buffer, decompressed: () => Buffer): Buffer {
  try {
    return decompressed()
  } catch (cause) {
    throw new OperatingError('BODY_INVALID', { compression, bodyBytes: body.length }, cause)
  }
}

const limits = { maxOutputLength: 64 * 1024 * 1024 }
