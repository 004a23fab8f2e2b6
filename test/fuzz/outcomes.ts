import { nodeClock } from '../../src/base/node/index.ts'
import type { Chance } from '../../src/base/testing/chance.ts'
import { connectionLimits } from '../../src/remoting/connection.ts'
import type { Peer } from './peer.ts'
import { idleSeconds, type Stage } from './stage.ts'
import type { Look } from './target.ts'

const idleMs = idleSeconds * 1_000
/** How long an answer may take, while 64 do their worst. */
const answerMs = 2_500
/** What a timer may be late by. */
const lateMs = 2_000
/** The end of what broke a rule comes before this: well before that of what is merely silent. */
const atOnceMs = idleMs / 2
/** Silence ends at the next of four checks in each idle time. */
const idleEndMs = idleMs * 1.25 + lateMs
/**
 * What may wait for a peer that does not read: more than queuedBytesHigh stops its requests, as much again may come in one turn,
 * and then there is the one answer that is the straw.
 */
const unreadBytesMax = 3 * connectionLimits.queuedBytesHigh
const patienceMs = 60_000
const pollMs = 25

/** What a busy machine can be the reason of, if it was one. */
export class Late {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What should not have been, or undefined. What came that should not have is among the peer's problems. */
export type Outcome = Promise<string | Late | undefined>

/** The answers that are due come, each once, and the connection goes on: nothing that was said is against the rules. */
export async function isAnswered(peer: Peer, stage: Stage): Outcome {
  let end = await answers(peer, stage)
  if (end === 'all') {
    peer.ping() // what comes too much has come by then
    end = await answers(peer, stage)
  }
  if (end !== 'closed') return end === 'all' ? undefined : end
  const look = await stage.look(peer)
  const text = 'the connection was closed'
  const isIdle = look === undefined || look.silentWallMs >= idleMs // it, or the peer, had no time to go on
  return isIdle ? new Late(text) : `${text}: ${problemOf(look)}`
}

/** What was said is whole, and may or may not be against the rules. */
export async function isServedOrClosed(peer: Peer, stage: Stage): Outcome {
  peer.ping()
  const end = await answers(peer, stage)
  if (end === 'closed') return isRefused(peer, stage)
  return end === 'all' ? undefined : end
}

/** What was said is against the rules: the server closes when it reads that, and not at some later time. */
export async function isRefused(peer: Peer, stage: Stage): Outcome {
  const beganMs = (await stage.look(peer))?.openMs ?? 0
  const end = await endOf(peer, stage, ({ openMs }) => openMs - beganMs < atOnceMs)
  if (end.isOpen) return problemOf(end)
  if (end.isClosedByData) return undefined
  const text = `${problemOf(end)}, and not for what came`
  return end.takenBytes < peer.writtenBytes ? new Late(text) : text // silent, to a server that had no time to read on
}

/** Waits for what the peer wants to hear. @returns that it came, that the connection ended, or what is missing */
async function answers(peer: Peer, stage: Stage): Promise<'all' | 'closed' | string> {
  const beganMs = (await stage.look(peer))?.openMs ?? 0
  for (const untilMs = nodeClock.monotonicMs() + patienceMs; ; await nodeClock.sleep(pollMs)) {
    const look = await stage.look(peer)
    if (peer.unanswered.length === 0) return 'all'
    if (peer.isClosed) return 'closed'
    const ms = look === undefined ? 0 : look.openMs - beganMs
    if (ms > answerMs) return `no answer to ${peer.unanswered} in ${Math.round(ms)} ms`
    if (nodeClock.monotonicMs() > untilMs) throw new Error(`not accepted, or not answered, in ${patienceMs} ms`)
  }
}

/** The peer is gone, or broke a rule of TLS. */
export async function isClosedAtOnce(peer: Peer, stage: Stage): Outcome {
  const beganMs = (await stage.look(peer))?.openMs ?? 0
  const end = await endOf(peer, stage, ({ openMs }) => openMs - beganMs < atOnceMs)
  if (end.openMs - beganMs >= atOnceMs) return problemOf(end)
  // on a busy machine its time is so short that it may have been closed as a silent one is
  return end.silentWallMs < idleMs ? undefined : new Late(problemOf(end))
}

/** What was said is the beginning of something: it is waited for, but not for ever. */
export async function isClosedWhenIdle(peer: Peer, stage: Stage): Outcome {
  const end = await endOf(peer, stage, ({ silentMs }) => silentMs < idleEndMs)
  return end.silentWallMs >= idleMs && end.silentMs < idleEndMs ? undefined : problemOf(end)
}

/** Nothing comes to an end here, whatever else does. */
export async function isClosedInTime(peer: Peer, stage: Stage): Outcome {
  const end = await endOf(peer, stage, ({ openMs }) => openMs < idleEndMs)
  return end.openMs < idleEndMs ? undefined : problemOf(end)
}

/** The peer is gone, perhaps before the server saw it. */
export async function isForgotten(peer: Peer, stage: Stage): Outcome {
  return (await stage.look(peer)) === undefined ? undefined : isClosedAtOnce(peer, stage)
}

/** What a peer began it never ends: it falls silent, ends, or resets. */
export function isOverAfterCut(peer: Peer, chance: Chance, stage: Stage): Outcome {
  const end = chance.int(3)
  if (end === 0) return isClosedWhenIdle(peer, stage)
  if (end === 1) {
    peer.endWriting()
    return isClosedAtOnce(peer, stage)
  }
  peer.reset()
  return isForgotten(peer, stage)
}

/** Many answers wait for the peer, which reads none of them: few of them do, and not for long. */
export async function isCutOff(peer: Peer, stage: Stage): Outcome {
  const end = await endOf(peer, stage, ({ silentMs, queuedBytesMost }) => {
    return silentMs < idleEndMs && queuedBytesMost <= unreadBytesMax
  })
  if (end.queuedBytesMost > unreadBytesMax) return `${end.queuedBytesMost} bytes waited for it`
  return end.silentMs < idleEndMs ? undefined : problemOf(end)
}

function problemOf({ isOpen, openMs, silentMs }: Look): string {
  const ms = `${Math.round(openMs)} ms, the last ${Math.round(silentMs)} of them in silence`
  return isOpen ? `open after ${ms}` : `closed after ${ms}`
}

/** The server's end of a connection, once it is closed or isGood holds no more. @throws Error after patienceMs */
async function endOf(peer: Peer, stage: Stage, isGood: (look: Look) => boolean): Promise<Look> {
  for (const untilMs = nodeClock.monotonicMs() + patienceMs; ; await nodeClock.sleep(pollMs)) {
    const look = await stage.look(peer)
    if (look !== undefined && !(look.isOpen && isGood(look))) return look
    if (nodeClock.monotonicMs() > untilMs) throw new Error(`not accepted, or open, after ${patienceMs} ms`)
  }
}
