import { createSocket } from 'node:dgram'
import { OperatingError } from '../../base/errors.ts'

/** The IPv4 addresses of a name in lower case, [] for a known name without any, undefined for an unknown one. */
export type Resolve = (name: string) => string[] | undefined

const typeA = 1
const typeAny = 255
const classIn = 1
const ttlSeconds = 1 // pods come and go within seconds
const answersMax = 28 // 12 + 255 + 28 × 16 bytes stay below the 512 or more that any resolver takes

/**
 * Serves A records over UDP, the part of cluster DNS that clients here need.
 * Source: RFC 1035 section 4.
 * @throws OperatingError LISTEN_FAILED
 */
export async function startDnsServer(
  host: string,
  port: number,
  resolve: Resolve,
): Promise<{ close(): Promise<void> }> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { address, port: from }) => {
    const answer = answerTo(query, resolve)
    if (answer !== undefined) socket.send(answer, from, address)
  })
  try {
    await new Promise<void>((listening, failed) => {
      socket.once('error', (cause) => failed(new OperatingError('LISTEN_FAILED', { host, port }, cause)))
      socket.bind({ address: host, port, exclusive: true }, listening)
    })
  } catch (error) {
    socket.close() // a bind that fails leaves it open, and a cluster tries many addresses
    throw error
  }
  return { close: () => new Promise((closed) => socket.close(closed)) }
}

/** @returns undefined for bytes that are no query with one question */
export function answerTo(query: Buffer, resolve: Resolve): Buffer | undefined {
  if (query.length < 17 || (query.readUInt16BE(2) & 0x8000) !== 0 || query.readUInt16BE(4) !== 1) return undefined
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    if (length > 63 || at + 1 + length >= query.length) return undefined
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  if (at + 5 > query.length) return undefined
  const type = query.readUInt16BE(at + 1)
  const found = query.readUInt16BE(at + 3) === classIn ? resolve(labels.join('.').toLowerCase()) : undefined
  const isKnown = found !== undefined
  const addresses = isKnown && (type === typeA || type === typeAny) ? found.slice(0, answersMax) : []

  const question = query.subarray(12, at + 5)
  const header = Buffer.alloc(12)
  header.writeUInt16BE(query.readUInt16BE(0), 0)
  const recursionDesired = query.readUInt16BE(2) & 0x0100
  header.writeUInt16BE(0x8480 | recursionDesired | (isKnown ? 0 : nameError), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(addresses.length, 6)
  return Buffer.concat([header, question, ...addresses.map(record)])
}

const nameError = 3

function record(address: string): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16BE(0xc00c, 0) // the name of the question
  bytes.writeUInt16BE(typeA, 2)
  bytes.writeUInt16BE(classIn, 4)
  bytes.writeUInt32BE(ttlSeconds, 6)
  bytes.writeUInt16BE(4, 10)
  for (const [index, part] of address.split('.').entries()) bytes[12 + index] = Number(part)
  return bytes
}
