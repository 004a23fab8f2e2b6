import { deflateSync, inflateSync } from 'node:zlib'
import { OperatingError } from '../base/errors.ts'
import { MessageSysFlag } from '../remoting/message/index.ts'

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
 * @throws OperatingError BODY_INVALID: an algorithm other than zlib, bytes that are not zlib's, or more than 64 MiB
 */
export function decompress(body: Buffer, sysFlag: number): Buffer {
  if ((sysFlag & MessageSysFlag.COMPRESSED) === 0) return body
  const algorithm = sysFlag & MessageSysFlag.COMPRESSION_MASK
  if (algorithm !== 0 && algorithm !== MessageSysFlag.COMPRESSION_ZLIB) {
    throw new OperatingError('BODY_INVALID', { compression: algorithm, fits: 'zlib' })
  }
  try {
    return inflateSync(body, { maxOutputLength: inflatedBytesMax })
  } catch (cause) {
    throw new OperatingError('BODY_INVALID', { compression: 'zlib', bodyBytes: body.length }, cause)
  }
}

const inflatedBytesMax = 64 * 1024 * 1024
