import type { Clock } from '../../base/clock.ts'
import { OperatingError } from '../../base/errors.ts'
import type { Address } from '../../base/network.ts'
import type { Random } from '../../base/random.ts'
import { decodeHost, ipBytes } from './host.ts'
import { readInt64 } from './int64.ts'

/**
 * The broker's own name of a message: upper-case hexadecimal of storeHost (8 or 20 bytes) and phyOffset (8 bytes), 32
 * or 56 characters. Source: Apache RocketMQ 5, MessageDecoder#createMessageId.
 */
export function offsetMsgIdOf(storeHost: Buffer, phyOffset: number): string {
  if (storeHost !== lastHost) {
    lastHost = storeHost
    lastHostText = storeHost.toString('hex').toUpperCase()
  }
  return lastHostText + phyOffset.toString(16).toUpperCase().padStart(16, '0')
}

let lastHost: Buffer | undefined // a broker stores under one host: its text is made once
let lastHostText = ''

/** @throws OperatingError HEADER_INVALID when id is no offsetMsgId (it may be a UNIQ_KEY, which looks alike) */
export function parseOffsetMsgId(id: string): { storeHost: Address; phyOffset: number } {
  const isIpv6 = id.length === 56
  if (!(isIpv6 || id.length === 32) || !/^[\dA-F]+$/i.test(id)) {
    throw new OperatingError('HEADER_INVALID', { field: 'offsetMsgId', received: id })
  }
  const bytes = Buffer.from(id, 'hex')
  return { storeHost: decodeHost(bytes, 0, isIpv6), phyOffset: readInt64(bytes, bytes.length - 8) }
}

/**
 * Makes UNIQ_KEYs, the producer's own name of a message: upper-case hexadecimal of ip (4 or 16 bytes), pid (2), a
 * number that tells instances apart (4), ms since this month began (4), counter (2).
 * Source: Apache RocketMQ 5, MessageClientIDSetter. Java puts its class loader's hash where we put chance.
 */
export function uniqKeys(ip: string, pid: number, clock: Clock, random: Random): () => string {
  const address = ipBytes(ip) ?? random.bytes(4)
  const fixed = Buffer.alloc(address.length + 6)
  fixed.set(address)
  fixed.writeUInt16BE(pid & 0xffff, address.length)
  random.bytes(4).copy(fixed, address.length + 2)
  const prefix = fixed.toString('hex').toUpperCase()
  let counter = 0
  let monthStart = 0
  let monthEnd = 0
  return () => {
    const now = clock.now()
    if (now < monthStart || now >= monthEnd) {
      const date = new Date(now)
      monthStart = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
      monthEnd = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
    }
    counter = (counter + 1) & 0xffff
    return prefix + hex(now - monthStart, 8) + hex(counter, 4)
  }
}

/** Of ASCII: no other characters has a UNIQ_KEY as clients make it. */
export function isLetterOrDigit(byte: number): boolean {
  const lower = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x7a)
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
