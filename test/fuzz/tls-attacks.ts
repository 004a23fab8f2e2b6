import { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import { nodeClock } from '../../src/base/node/index.ts'
import type { Chance } from '../../src/base/testing/chance.ts'
import type { Attack } from './attacks.ts'
import { requestOf } from './corpus.ts'
import { flipped, frameOf } from './mutate.ts'
import { isAnswered, isClosedAtOnce, isClosedInTime, isOverAfterCut } from './outcomes.ts'
import { Peer } from './peer.ts'

const handshakeRecord = 0x16
const renegotiationsAsked = 20
const renegotiationMs = 2_000
const versions = ['TLSv1.2', 'TLSv1.3'] as const

/** What a connection with TLS is made with: nobody here is to be trusted, and both versions are spoken. */
export function anyVersion(chance: Chance): tls.ConnectionOptions {
  return { maxVersion: chance.one(versions) }
}

/** What a client of TLS says first. */
function hello(chance: Chance): Promise<Buffer> {
  const version = chance.one(versions)
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        resolve(chunk)
        done()
        setImmediate(() => client.destroy())
      },
    })
    const client = tls.connect({ socket: wire, minVersion: version, maxVersion: version })
    client.on('error', () => {})
  })
}

/** A first byte of TLS, and then nothing of it. */
const noHello: Attack = (peer, chance, stage) => {
  const bytes = chance.bytes(12 + chance.int(2_000))
  bytes[0] = handshakeRecord
  if (bytes[1] === 3) bytes[1] = 4 // there is no such version, and none to come
  peer.write(bytes)
  return isClosedAtOnce(peer, stage)
}

/** A handshake that ends within its first message: in silence, with the end, or with a reset. */
const cutHello: Attack = async (peer, chance, stage) => {
  const bytes = await hello(chance)
  peer.write(bytes.subarray(0, 1 + chance.int(bytes.length - 1)))
  return isOverAfterCut(peer, chance, stage)
}

/** Whatever it is taken for, it is not waited for without end. */
const flippedHello: Attack = async (peer, chance, stage) => {
  const bytes = flipped(await hello(chance), chance)
  bytes[0] = handshakeRecord
  peer.write(bytes)
  return isClosedInTime(peer, stage)
}

/** A byte now and then, and never the end: the handshake is what is waited for, not the next byte. */
const drippingHello: Attack = async (peer, chance, stage) => {
  const bytes = await hello(chance)
  let sent = 0
  const drip = nodeClock.every(50, () => {
    if (sent < bytes.length - 1) peer.write(bytes.subarray(sent, ++sent))
  })
  try {
    return await isClosedInTime(peer, stage)
  } finally {
    drip.cancel()
  }
}

/** Many who are answered, and say no more. The good clients make new connections meanwhile. */
const halfOpen: Attack = async (peer, chance, stage) => {
  const bytes = await hello(chance)
  const others = Array.from({ length: 100 }, () => Peer.connect(peer.serverPort, 'raw'))
  const peers = [peer, ...(await Promise.all(others))]
  try {
    for (const each of peers) each.write(bytes)
    const ends = await Promise.all(peers.map((each) => isClosedInTime(each, stage)))
    return ends.find((problem) => problem !== undefined)
  } finally {
    for (const each of peers) each.destroy()
  }
}

/** A record that this key did not make. */
const brokenRecord: Attack = (peer, chance, stage) => {
  const bytes = chance.bytes(40)
  const record = Buffer.concat([Buffer.from([0x17, 3, 3, 0, bytes.length]), bytes])
  peer.writeBelow(record)
  return isClosedAtOnce(peer, stage)
}

/** Half of what was encrypted is lost on the way. */
const garbageBelow: Attack = (peer, chance, stage) => {
  peer.writeBelow(chance.bytes(20 + chance.int(2_000)))
  return isClosedInTime(peer, stage)
}

/** Handshakes cost the server more than the client: it does not make as many as the client likes. */
const renegotiation: Attack = async (peer) => {
  const done = await peer.renegotiate(renegotiationsAsked, renegotiationMs)
  return done === renegotiationsAsked ? `${done} handshakes were made on one connection` : undefined
}

/** A good client of either version, so that the other attacks mean something. */
const goodClient: Attack = (peer, chance, stage) => {
  const request = { ...requestOf(0, chance), opaque: 1, flag: 0 }
  peer.ask(request, frameOf(request, chance))
  return isAnswered(peer, stage)
}

/** Bytes that do not begin a handshake, where TLS alone is served. */
const plainBytes: Attack = (peer, chance, stage) => {
  peer.write(frameOf(requestOf(chance.int(400), chance), chance))
  return isClosedAtOnce(peer, stage)
}

export interface TlsAttack {
  name: string
  weight: number
  attack: Attack
  /** Of the connection that it is given. */
  kind: 'raw' | 'tls'
  /** Of TLS; either, where nothing is said. */
  version?: tls.SecureVersion
  /** Whether it goes to the port that serves TLS alone, and not to any. */
  enforcing?: boolean
}

/** What may come where a handshake is awaited, or below TLS, and how often each does. */
export const tlsAttacks: readonly TlsAttack[] = [
  { name: 'no hello', weight: 3, attack: noHello, kind: 'raw' },
  { name: 'cut hello', weight: 3, attack: cutHello, kind: 'raw' },
  { name: 'flipped hello', weight: 3, attack: flippedHello, kind: 'raw' },
  { name: 'dripping hello', weight: 2, attack: drippingHello, kind: 'raw' },
  { name: 'half open', weight: 1, attack: halfOpen, kind: 'raw' },
  { name: 'broken record', weight: 2, attack: brokenRecord, kind: 'tls' },
  { name: 'garbage below TLS', weight: 2, attack: garbageBelow, kind: 'tls' },
  { name: 'renegotiation', weight: 1, attack: renegotiation, kind: 'tls', version: 'TLSv1.2' },
  { name: 'good TLS client', weight: 1, attack: goodClient, kind: 'tls' },
  { name: 'plain bytes', weight: 2, attack: plainBytes, kind: 'raw', enforcing: true },
]
