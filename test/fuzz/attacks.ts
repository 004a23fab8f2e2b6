import { nodeClock } from '../../src/base/node/index.ts'
import type { Chance } from '../../src/base/testing/chance.ts'
import { PullSysFlag, RequestCode } from '../../src/remoting/codes.ts'
import type { Command } from '../../src/remoting/command.ts'
import { frameBytesMax } from '../../src/remoting/frame.ts'
import { codes, requestOf } from './corpus.ts'
import { flipped, frameOf, mutateRequest, oddHeaderFrame, rawFrame } from './mutate.ts'
import {
  isAnswered,
  isClosedAtOnce,
  isClosedInTime,
  isClosedWhenIdle,
  isCutOff,
  isForgotten,
  isOverAfterCut,
  isRefused,
  isServedOrClosed,
  type Outcome,
} from './outcomes.ts'
import { Peer } from './peer.ts'
import { cutOffFrame, floodPull, floodRequest } from './requests.ts'
import { idleSeconds, type Stage } from './stage.ts'

/** One way to misbehave on one connection. */
export type Attack = (peer: Peer, chance: Chance, stage: Stage) => Outcome

/** Good frames, whatever they say. */
function ask(peer: Peer, requests: readonly Command[], chance: Chance, stage: Stage): Outcome {
  for (const request of requests) peer.ask(request, frameOf(request, chance), mayBeHeld(request))
  return isAnswered(peer, stage)
}

/** A pull at the end of a queue waits as long as it says; a running info is asked of a client that may be silent. */
function mayBeHeld({ code, extFields }: Command): boolean {
  const isPull = code === RequestCode.PULL_MESSAGE || code === RequestCode.LITE_PULL_MESSAGE
  return (
    (isPull && (Number(extFields.sysFlag) & PullSysFlag.SUSPEND) !== 0) ||
    code === RequestCode.GET_CONSUMER_RUNNING_INFO
  )
}

const mutated = (chance: Chance) => mutateRequest(requestOf(chance.one(codes), chance), chance)

/** Requests of any code with odd headers and bodies. */
const oddRequests: Attack = (peer, chance, stage) => {
  const requests = Array.from({ length: 1 + chance.int(6) }, () => {
    return { ...mutated(chance), opaque: chance.int(0x6fff_ffff), flag: 0 }
  })
  return ask(peer, requests, chance, stage)
}

/** Flags of every kind, so responses that nobody waits for and oneway requests too; opaques come more than once. */
const oddFlags: Attack = (peer, chance, stage) => {
  const requests = Array.from({ length: 1 + chance.int(20) }, () => {
    const flag = chance.one([0, 1, 2, 3, -1, 0x7fff_ffff, chance.int(0x7fff_ffff)])
    return { ...mutated(chance), flag, opaque: chance.int(100) }
  })
  return ask(peer, requests, chance, stage)
}

/** Oneway requests of which the sender hears nothing. */
const oneways: Attack = (peer, chance, stage) => {
  const requests = Array.from({ length: 1 + chance.int(20) }, (_, opaque) => {
    return { ...requestOf(chance.one(codes), chance), flag: 2, opaque }
  })
  return ask(peer, requests, chance, stage)
}

const oddHeaders: Attack = (peer, chance, stage) => {
  peer.sendWild(oddHeaderFrame(chance))
  return isServedOrClosed(peer, stage)
}

/** A good frame with a few bytes changed, its length aside. */
const flippedFrame: Attack = (peer, chance, stage) => {
  const frame = frameOf(requestOf(chance.one(codes), chance), chance)
  const changed = flipped(frame.subarray(4), chance)
  peer.sendWild(Buffer.concat([frame.subarray(0, 4), changed]))
  return isServedOrClosed(peer, stage)
}

/** Whether bytes can be no frame, are one and more, or the beginning of one. */
function beginningOf(bytes: Buffer): 'broken' | 'whole' | 'cut' {
  if (bytes.length < 4) return 'cut'
  const length = bytes.readInt32BE(0)
  if (length < 4 || length > frameBytesMax - 4) return 'broken'
  return bytes.length < length + 4 ? 'cut' : 'whole'
}

/** Bytes that are no RocketMQ. A whole frame of them has no header that could be read. */
const isEnded = (peer: Peer, bytes: Buffer, stage: Stage): Outcome => {
  peer.sendWild(bytes)
  return beginningOf(bytes) === 'cut' ? isClosedWhenIdle(peer, stage) : isRefused(peer, stage)
}

/** Lengths that say too much, too little or less than nothing. */
const oddLengths: Attack = (peer, chance, stage) => {
  const bytes = chance.bytes(8 + chance.int(64))
  const odd = [0, 1, 3, -1, -2_147_483_648, 2_147_483_647, frameBytesMax - 3, frameBytesMax, 0x1503_0101]
  bytes.writeInt32BE(chance.is(0.8) ? chance.one(odd) : frameBytesMax - 4, 0)
  return isEnded(peer, bytes, stage)
}

const oddHeaderLengths: Attack = (peer, chance, stage) => {
  const [type, headerBytes] = [chance.one([0, 1, 2, 255]), chance.one([0, 1, 21, 1_000, 0xff_ffff])]
  const rest = chance.bytes(chance.int(100))
  peer.sendWild(rawFrame(type, headerBytes, rest))
  return type > 1 || headerBytes > rest.length ? isRefused(peer, stage) : isServedOrClosed(peer, stage)
}

const greetings: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
  'SSH-2.0-x\r\n',
  '\u0000\u0000\u0000\u0000',
  '\u0005\u0001\u0000',
  '*1\r\n$4\r\nPING\r\n',
]
/** Another protocol, or none; TLS has attacks of its own. */
const garbage: Attack = (peer, chance, stage) => {
  const bytes = chance.is(0.3) ? Buffer.from(chance.one(greetings), 'latin1') : chance.bytes(1 + chance.int(50_000))
  if (bytes[0] === 0x16) bytes[0] = 0x17
  return isEnded(peer, bytes, stage)
}

/** A frame that is cut short, and then silence, the end, or a reset. */
const cutFrame: Attack = (peer, chance, stage) => {
  const frame = frameOf(requestOf(chance.one(codes), chance), chance)
  peer.write(frame.subarray(0, 1 + chance.int(frame.length - 1)))
  return isOverAfterCut(peer, chance, stage)
}

/** One piece at a time is as good as all at once, while it ends. */
async function inPieces(
  peer: Peer,
  request: Command,
  chance: Chance,
  pieces: number,
  pauseMs: () => number,
): Promise<void> {
  const frame = frameOf(request, chance)
  peer.ask(request, Buffer.alloc(0))
  for (let piece = 0; piece < pieces; piece++) {
    const [from, to] = [piece, piece + 1].map((at) => Math.floor((at * frame.length) / pieces))
    peer.write(frame.subarray(from, to))
    await nodeClock.sleep(pauseMs())
  }
}

const slowFrame: Attack = async (peer, chance, stage) => {
  const request = { ...requestOf(RequestCode.GET_BROKER_CLUSTER_INFO, chance), opaque: 1, flag: 0 }
  const beganMs = nodeClock.monotonicMs()
  await inPieces(peer, request, chance, 1 + chance.int(40), () => chance.int(20))
  // 800 ms were meant: whom the machine kept from sending for longer may be taken for one that drips
  const wasKept = nodeClock.monotonicMs() - beganMs > (idleSeconds * 1_000) / 2
  return wasKept ? undefined : isAnswered(peer, stage)
}

/** A frame that takes longer than an idle connection has, over a link that is slow but not absurd: 25 KiB a second. */
const slowLink: Attack = async (peer, chance, stage) => {
  const seconds = idleSeconds * 2
  const body = Buffer.alloc(seconds * 25 * 1024)
  const request = { ...requestOf(RequestCode.SEND_MESSAGE_V2, chance), opaque: 1, flag: 0, body }
  await inPieces(peer, request, chance, seconds * 4, () => 250)
  return isAnswered(peer, stage)
}

/** A frame that drips on for ever, never silent for as long as an idle connection. */
const dripping: Attack = async (peer, _, stage) => {
  peer.write(cutOffFrame)
  const drip = nodeClock.every(50, () => peer.write(Buffer.from(' ')))
  try {
    return await isClosedInTime(peer, stage)
  } finally {
    drip.cancel()
  }
}

/** Large frames of which all but the end comes. */
const almostLarge: Attack = (peer, chance, stage) => {
  const bytes = Buffer.alloc(4 * 1024 * 1024 + chance.int(8 * 1024 * 1024))
  bytes.writeInt32BE(frameBytesMax - 4, 0)
  peer.write(bytes)
  return isClosedWhenIdle(peer, stage)
}

/** Many frames as large as may be, of which hardly anything comes: room for them is made as they come. */
const manyBeginnings: Attack = async (peer, chance, stage) => {
  const bytes = chance.bytes(8 + chance.int(64))
  bytes.writeInt32BE(frameBytesMax - 4, 0)
  const others = Array.from({ length: 100 }, () => Peer.connect(peer.serverPort, 'plain'))
  const peers = [peer, ...(await Promise.all(others))]
  try {
    for (const each of peers) each.write(bytes)
    return await isClosedWhenIdle(peer, stage)
  } finally {
    for (const each of peers) each.destroy()
  }
}

/** Many requests, whose answers nobody reads. */
function unread(peer: Peer, stage: Stage, frames: readonly Buffer[]): Outcome {
  peer.stopReading()
  for (const frame of frames) peer.write(frame)
  return isCutOff(peer, stage)
}

const unreadAnswers: Attack = (peer, chance, stage) => {
  const { GET_BROKER_CONFIG, GET_BROKER_RUNTIME_INFO, PULL_MESSAGE } = RequestCode
  const code = chance.one([GET_BROKER_CONFIG, GET_BROKER_RUNTIME_INFO, PULL_MESSAGE, 0])
  const frames = Array.from({ length: 200 + chance.int(2_000) }, (_, opaque) =>
    frameOf({ ...requestOf(code, chance), opaque, flag: 0 }, chance),
  )
  return unread(peer, stage, frames)
}

/** Small requests with large answers, all at once. */
const unreadFlood: Attack = (peer, _, stage) => {
  return unread(peer, stage, [Buffer.concat(Array.from({ length: 400 }, (_, opaque) => floodPull(opaque)))])
}

/** A peer that reads late, but does: its requests, which came at once, had to wait, and none of them is forgotten. */
const lateReader: Attack = async (peer, chance, stage) => {
  peer.stopReading()
  const opaques = Array.from({ length: 20 }, (_, opaque) => opaque)
  for (const opaque of opaques) peer.ask(floodRequest(opaque), Buffer.alloc(0))
  peer.write(Buffer.concat(opaques.map(floodPull)))
  await nodeClock.sleep(chance.int((idleSeconds * 1_000) / 4))
  peer.readAgain()
  return isAnswered(peer, stage)
}

const silence: Attack = (peer, chance, stage) => {
  if (chance.is(0.7)) return isClosedWhenIdle(peer, stage)
  peer.endWriting()
  return isClosedAtOnce(peer, stage)
}

const gone: Attack = async (peer, chance, stage) => {
  for (let left = chance.int(10); left > 0; left--) peer.sendWild(frameOf(requestOf(chance.one(codes), chance), chance))
  await nodeClock.sleep(chance.int(10))
  if (chance.is(0.5)) peer.reset()
  else peer.destroy()
  return isForgotten(peer, stage)
}

/** What may come over a connection that speaks RocketMQ, plain or in TLS, and how often each does. */
export const attacks: readonly { name: string; weight: number; attack: Attack }[] = [
  { name: 'odd requests', weight: 40, attack: oddRequests },
  { name: 'odd flags', weight: 6, attack: oddFlags },
  { name: 'oneways', weight: 3, attack: oneways },
  { name: 'odd headers', weight: 10, attack: oddHeaders },
  { name: 'flipped frame', weight: 10, attack: flippedFrame },
  { name: 'odd lengths', weight: 8, attack: oddLengths },
  { name: 'odd header lengths', weight: 5, attack: oddHeaderLengths },
  { name: 'garbage', weight: 5, attack: garbage },
  { name: 'cut frame', weight: 5, attack: cutFrame },
  { name: 'slow frame', weight: 3, attack: slowFrame },
  { name: 'slow link', weight: 1, attack: slowLink },
  { name: 'dripping', weight: 2, attack: dripping },
  { name: 'almost large', weight: 2, attack: almostLarge },
  { name: 'many beginnings', weight: 1, attack: manyBeginnings },
  { name: 'unread answers', weight: 2, attack: unreadAnswers },
  { name: 'unread flood', weight: 1, attack: unreadFlood },
  { name: 'late reader', weight: 1, attack: lateReader },
  { name: 'silence', weight: 2, attack: silence },
  { name: 'gone', weight: 5, attack: gone },
]
