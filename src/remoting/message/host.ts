import { OperatingError } from '../../base/errors.ts'
import type { Address } from '../../base/network.ts'

/** Bytes of a host in a record or an offsetMsgId: address and int32 port. */
export const ipv4HostBytes = 8
export const ipv6HostBytes = 20

/**
 * A host as records carry it: 4 or 16 address bytes, then the port as int32. An IPv4 address that wears IPv6 clothes
 * (`::ffff:10.0.0.1`, what a dual-stack socket says) is stored as the IPv4 address it is.
 * @throws OperatingError SETTING_INVALID when host is a name and not an IP address
 */
export function encodeHost({ host, port }: Address): Buffer {
  const ip = ipBytes(host)
  if (ip === undefined) throw new OperatingError('SETTING_INVALID', { host, fits: 'an IPv4 or IPv6 address' })
  const bytes = Buffer.allocUnsafe(ip.length + 4)
  bytes.set(ip)
  bytes.writeInt32BE(port, ip.length)
  return bytes
}

/** Reads the host at position: 20 bytes when isIpv6, else 8. */
export function decodeHost(from: Buffer, position: number, isIpv6: boolean): Address {
  const ipLength = isIpv6 ? 16 : 4
  return { host: ipText(from.subarray(position, position + ipLength)), port: from.readInt32BE(position + ipLength) }
}

/** The 4 or 16 bytes of an IP address; undefined when text is none. */
export function ipBytes(text: string): Uint8Array | undefined {
  const address = text.replace(/%.*$/, '') // fe80::1%eth0: the zone means nothing to others
  if (!address.includes(':')) return ipv4Bytes(address)
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)
  if (mapped) return ipv4Bytes(mapped[1]!)
  return ipv6Bytes(address)
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined
  return Uint8Array.from(parts, Number)
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[] | undefined]
  const gap = 8 - head.length - (tail?.length ?? 0)
  if (tail === undefined ? gap !== 0 : gap < 1) return undefined
  const groups = [...head, ...new Array<string>(gap).fill('0'), ...(tail ?? [])]
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return undefined
  return Uint8Array.from(groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]))
}

/** 4 bytes as `10.0.0.1`, 16 bytes as eight hexadecimal groups. */
function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16))
  return groups.join(':')
}
