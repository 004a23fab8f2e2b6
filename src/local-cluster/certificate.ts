import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** A certificate for one server that is its own authority, and its private key; both PEM. */
export interface Certificate {
  cert: string
  key: string
}

/**
 * Makes a self-signed X.509 certificate (v3, ECDSA P-256 with SHA-256) for a server at these IPv4 addresses and names.
 * Node signs but has no writer for certificates; the few DER values that one needs are written here (docs/adr/0006).
 * @param nowMs valid from an hour before (clocks differ) for validDays
 * Source: RFC 5280 section 4, X.690 (DER).
 */
export function makeCertificate(options: {
  commonName: string
  addresses: readonly string[]
  dnsNames: readonly string[]
  serial: Buffer
  nowMs: number
  validDays: number
  /** What it proves; a server, where nothing is said. */
  purpose?: 'server' | 'client'
}): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(oid('2.5.4.3'), utf8String(options.commonName))))
  const validity = sequence(time(options.nowMs - 3_600_000), time(options.nowMs + options.validDays * 86_400_000))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))), // version 3
    integer(options.serial),
    ecdsaWithSha256,
    name, // issuer
    validity,
    name, // subject
    spki,
    tagged(3, sequence(...extensions(options, publicKey))),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(body, ecdsaWithSha256, bitString(signature))
  return {
    cert: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function extensions(
  options: { addresses: readonly string[]; dnsNames: readonly string[]; purpose?: 'server' | 'client' },
  key: KeyObject,
): Buffer[] {
  const keyId = createHash('sha1')
    .update(createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'der' }))
    .digest()
  const names = [
    ...options.dnsNames.map((name) => value(0x82, Buffer.from(name, 'ascii'))),
    ...options.addresses.map((address) => value(0x87, Buffer.from(address.split('.').map(Number)))),
  ]
  return [
    extension('2.5.29.14', false, value(0x04, keyId)), // subjectKeyIdentifier
    extension('2.5.29.19', true, sequence(boolean(true), integer(Buffer.from([0])))), // basicConstraints: CA, no others below
    extension('2.5.29.15', true, value(0x03, Buffer.from([2, 0x84]))), // keyUsage: digitalSignature, keyCertSign
    extension('2.5.29.37', false, sequence(oid(options.purpose === 'client' ? clientAuth : serverAuth))), // extKeyUsage
    extension('2.5.29.17', false, sequence(...names)), // subjectAltName
  ]
}

const serverAuth = '1.3.6.1.5.5.7.3.1'
const clientAuth = '1.3.6.1.5.5.7.3.2'

function extension(id: string, isCritical: boolean, content: Buffer): Buffer {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), value(0x04, content))
}

function value(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff] // a certificate is below 64 KiB
  return Buffer.concat([Buffer.from([tag, ...bytes]), content])
}

const sequence = (...parts: Buffer[]) => value(0x30, Buffer.concat(parts))
const set = (...parts: Buffer[]) => value(0x31, Buffer.concat(parts))
const tagged = (number: number, content: Buffer) => value(0xa0 + number, content)
const boolean = (is: boolean) => value(0x01, Buffer.from([is ? 0xff : 0]))
const utf8String = (text: string) => value(0x0c, Buffer.from(text))
const bitString = (bytes: Buffer) => value(0x03, Buffer.concat([Buffer.from([0]), bytes]))

/** A positive integer: without leading zero bytes, but one before a set top bit. */
function integer(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const short = bytes.subarray(start)
  return value(0x02, (short[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), short]) : short)
}

/** UTCTime until 2049, as RFC 5280 wants, GeneralizedTime after. */
function time(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')}`
  return digits < '2050' ? value(0x17, Buffer.from(digits.slice(2))) : value(0x18, Buffer.from(digits))
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let more = arc >> 7; more > 0; more >>= 7) groups.unshift((more & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return value(0x06, Buffer.from(bytes))
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
