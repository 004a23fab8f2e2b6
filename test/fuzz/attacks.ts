import { nodeClock } from '../../src/base/node/index.ts'
import { PullSysFlag, RequestCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { frameBytesMax } from '../../src/remoting/frame.ts'
import type { Chance } from './chance.ts'
import { codes, requestOf } from './corpus.ts'
import { flipped, frameOf, mutateRequest, oddHeaderFrame, rawFrame } from './mutate.ts'
import type { Peer } from './peer.ts'
import { idleSeconds } from './stage.ts'

/** One way to misbehave on one connection. @returns what should not have been, or undefined */
export type Attack = (peer: Peer, chance: Chance) => Promise<string | undefined>

/** How long an answer may take, or the end of a connection that broke a rule. */
const answerMs = 5_000
/** When a connection must have ended that says nothing, or never ends what it says: idle checks are a quarter apart. */
const idleEndMs = idleSeconds * 1_000 * 1.25 + answerMs

const unanswered = async (peer: Peer): Promise<string | undefined> =>
  (await peer.isServedOrClosed(answerMs)) ? undefined : 'the connection is neither answered nor closed'

const unclosed = async (peer: Peer, ms: number): Promise<string | undefined> =>
  (await peer.within(ms, () => peer.isClosed)) ? undefined : `the connection is open after ${ms} ms`

/** Requests of any code with odd headers and bodies, each of which is answered once. */
const oddRequests: Attack = async (peer, chance) => {
  const expected: Command[] = []
  for (let left = 1 + chance.int(6); left > 0; left--) {
    const opaque = chance.int(0x6fff_ffff)
    const request = { ...mutateRequest(requestOf(chance.one(codes), chance), chance), opaque, flag: 0 }
    expected.push(request)
    peer.write(frameOf(request, chance))
  }
  const awaited = expected.filter((request) => !mayBeHeld(request))
  const isAnswered = await peer.within(
    answerMs,
    () => peer.isClosed || awaited.every(({ opaque }) => peer.answered.has(opaque)),
  )
  const silent = awaited.filter(({ opaque }) => !peer.answered.has(opaque))
  return isAnswered ? unanswered(peer) : `no answer to ${silent.map(({ code }) => code)}`
}

/** A pull at the end of a queue waits as long as it says; a running info is asked of a client that may be silent. */
function mayBeHeld({ code, extFields }: Command): boolean {
  const isPull = code === RequestCode.PULL_MESSAGE || code === RequestCode.LITE_PULL_MESSAGE
  return (
    (isPull && (Number(extFields.sysFlag) & PullSysFlag.SUSPEND) !== 0) ||
    code === RequestCode.GET_CONSUMER_RUNNING_INFO
  )
}

/** Flags of every kind: responses that nobody waits for, oneway requests. */
const oddFlags: Attack = async (peer, chance) => {
  for (let left = 1 + chance.int(20); left > 0; left--) {
    const flag = chance.one([1, 2, 3, -1, 0x7fff_ffff, chance.int(0x7fff_ffff)])
    const request = mutateRequest(requestOf(chance.one(codes), chance), chance)
    peer.write(frameOf({ ...request, flag, opaque: chance.int(100) }, chance))
  }
  return unanswered(peer)
}

const oddHeaders: Attack = async (peer, chance) => {
  peer.write(oddHeaderFrame(chance))
  return unanswered(peer)
}

/** A good frame with a few bytes changed, its length aside. */
const flippedFrame: Attack = async (peer, chance) => {
  const frame = frameOf(requestOf(chance.one(codes), chance), chance)
  const changed = flipped(frame.subarray(4), chance)
  peer.write(Buffer.concat([frame.subarray(0, 4), changed]))
  return unanswered(peer)
}

/** Lengths that say too much, too little or less than nothing. */
const oddLengths: Attack = async (peer, chance) => {
  const bytes = chance.bytes(8 + chance.int(64))
  const lengths = [
    0,
    1,
    3,
    -1,
    -2_147_483_648,
    2_147_483_647,
    frameBytesMax - 4,
    frameBytesMax - 3,
    frameBytesMax,
    0x1603_0101,
  ]
  bytes.writeInt32BE(chance.one(lengths), 0)
  peer.write(bytes)
  return unclosed(peer, idleEndMs)
}

const oddHeaderLengths: Attack = async (peer, chance) => {
  peer.write(
    rawFrame(chance.one([0, 1, 2, 255]), chance.one([0, 1, 21, 1_000, 0xff_ffff]), chance.bytes(chance.int(100))),
  )
  return unanswered(peer)
}

const greetings: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
  'SSH-2.0-x\r\n',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  '\u0000\u0000\u0000\u0000',
  '\u0005\u0001\u0000',
  '*1\r\n$4\r\nPING\r\n',
]
/** Another protocol, or none. */
const garbage: Attack = async (peer, chance) => {
  const bytes = chance.is(0.3) ? Buffer.from(chance.one(greetings), 'latin1') : chance.bytes(1 + chance.int(50_000))
  peer.write(bytes)
  return unclosed(peer, idleEndMs)
}

/** A frame that is cut short, and then silence, the end, or a reset. */
const cutFrame: Attack = async (peer, chance) => {
  const frame = frameOf(requestOf(chance.one(codes), chance), chance)
  peer.write(frame.subarray(0, 1 + chance.int(frame.length - 1)))
  const end = chance.int(3)
  if (end === 0) peer.endWriting()
  else if (end === 1) peer.reset()
  return unclosed(peer, idleEndMs)
}

/** One byte at a time is as good as all at once, while it ends. */
const slowFrame: Attack = async (peer, chance) => {
  const opaque = chance.int(0x6fff_ffff)
  const frame = frameOf({ ...requestOf(RequestCode.GET_BROKER_CLUSTER_INFO, chance), opaque, flag: 0 }, chance)
  const pieces = 1 + chance.int(40)
  for (let piece = 0; piece < pieces; piece++) {
    const [from, to] = [piece, piece + 1].map((at) => Math.floor((at * frame.length) / pieces))
    peer.write(frame.subarray(from, to))
    await nodeClock.sleep(chance.int(20))
  }
  return (await peer.within(answerMs, () => peer.answered.has(opaque))) ? undefined : 'a slow request is not answered'
}

/** A frame that drips on for ever. */
const dripping: Attack = async (peer) => {
  peer.write(rawFrame(0, 1_000, Buffer.alloc(0)))
  const prefix = Buffer.alloc(4)
  prefix.writeInt32BE(100_000, 0)
  peer.write(prefix)
  const drip = nodeClock.every(50, () => peer.write(Buffer.from(' ')))
  try {
    return await unclosed(peer, idleEndMs)
  } finally {
    drip.cancel()
  }
}

/** Large frames of which all but the end comes. */
const almostLarge: Attack = async (peer, chance) => {
  const bytes = Buffer.alloc(4 * 1024 * 1024 + chance.int(8 * 1024 * 1024))
  bytes.writeInt32BE(frameBytesMax - 4, 0)
  peer.write(bytes)
  return unclosed(peer, idleEndMs)
}

/** Many requests, whose answers nobody reads. */
const unread: Attack = async (peer, chance) => {
  peer.stopReading()
  const many = 200 + chance.int(2_000)
  const code = chance.one([
    RequestCode.GET_BROKER_CONFIG,
    RequestCode.GET_BROKER_RUNTIME_INFO,
    RequestCode.PULL_MESSAGE,
    0,
  ])
  for (let opaque = 0; opaque < many; opaque++)
    peer.write(frameOf({ ...requestOf(code, chance), opaque, flag: 0 }, chance))
  await nodeClock.sleep(chance.int(idleSeconds * 1_000))
  return undefined
}

const silence: Attack = (peer, chance) => {
  if (chance.is(0.3)) peer.endWriting()
  return unclosed(peer, idleEndMs)
}

const gone: Attack = async (peer, chance) => {
  for (let left = chance.int(10); left > 0; left--) peer.write(frameOf(requestOf(chance.one(codes), chance), chance))
  await nodeClock.sleep(chance.int(10))
  if (chance.is(0.5)) peer.reset()
  else peer.destroy()
  return undefined
}

/** How often each comes. */
export const attacks: readonly { name: string; weight: number; attack: Attack }[] = [
  { name: 'odd requests', weight: 40, attack: oddRequests },
  { name: 'odd flags', weight: 6, attack: oddFlags },
  { name: 'odd headers', weight: 10, attack: oddHeaders },
  { name: 'flipped frame', weight: 10, attack: flippedFrame },
  { name: 'odd lengths', weight: 5, attack: oddLengths },
  { name: 'odd header lengths', weight: 5, attack: oddHeaderLengths },
  { name: 'garbage', weight: 5, attack: garbage },
  { name: 'cut frame', weight: 5, attack: cutFrame },
  { name: 'slow frame', weight: 3, attack: slowFrame },
  { name: 'dripping', weight: 2, attack: dripping },
  { name: 'almost large', weight: 2, attack: almostLarge },
  { name: 'unread', weight: 2, attack: unread },
  { name: 'silence', weight: 2, attack: silence },
  { name: 'gone', weight: 5, attack: gone },
]
