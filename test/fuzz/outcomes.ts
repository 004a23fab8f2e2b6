import { nodeClock } from '../../src/base/node/index.ts'
import type { Peer } from './peer.ts'
import { idleSeconds, type Stage } from './stage.ts'
import type { Look } from './target.ts'

const idleMs = idleSeconds * 1_000
/** How long an answer may take on a busy machine. How long it does take is what the good clients tell. */
const answerMs = 10_000
/** What a timer may be late by. */
const lateMs = 2_000
/** The end of what broke a rule comes before this: well before that of what is merely silent. */
const atOnceMs = idleMs / 2
/** Silence ends at the next of four checks in each idle time. */
const idleEndMs = idleMs * 1.25 + lateMs
const patienceMs = idleEndMs + 10_000
const pollMs = 25

/**
 * What should not have been, or undefined. Times are the server's own, but where other processes take the machine for seconds
 * they are nevertheless not to be judged; what came that should not is among the peer's problems.
 */
export type Outcome = Promise<string | undefined>

/** The answers that are due come, each once, and the connection goes on: nothing that was said is against the rules. */
export async function isAnswered(peer: Peer): Outcome {
  await peer.within(answerMs, () => peer.isClosed || peer.unanswered.length === 0)
  if (!peer.isClosed && peer.unanswered.length > 0) return `no answer to ${peer.unanswered} in ${answerMs} ms`
  const end = await peer.ping(answerMs) // what comes too much has come by then
  return end === 'served' ? undefined : end === 'closed' ? 'the connection was closed' : `no answer in ${answerMs} ms`
}

/** What was said is whole, and may or may not be against the rules. */
export async function isServedOrClosed(peer: Peer, stage: Stage): Outcome {
  return (await peer.ping(answerMs)) === 'served' ? undefined : isClosedAtOnce(peer, stage)
}

/** What was said is against the rules, or the peer is gone. */
export async function isClosedAtOnce(peer: Peer, stage: Stage): Outcome {
  const end = await endOf(peer, stage)
  if (typeof end === 'string') return end
  return end.silentMs < atOnceMs ? undefined : `closed only after ${Math.round(end.silentMs)} ms`
}

/** What was said is the beginning of something: it is waited for, but not for ever. */
export async function isClosedWhenIdle(peer: Peer, stage: Stage): Outcome {
  const end = await endOf(peer, stage)
  if (typeof end === 'string') return end
  const { silentMs } = end
  return silentMs >= idleMs && silentMs < idleEndMs ? undefined : `closed after ${Math.round(silentMs)} ms of silence`
}

/** Nothing comes to an end here, whatever else does. */
export async function isClosedInTime(peer: Peer, stage: Stage): Outcome {
  const end = await endOf(peer, stage)
  if (typeof end === 'string') return end
  return end.openMs < idleEndMs ? undefined : `closed only after ${Math.round(end.openMs)} ms`
}

/** The peer is gone, perhaps before the server saw it. */
export async function isForgotten(peer: Peer, stage: Stage): Outcome {
  return (await stage.look(peer)) === undefined ? undefined : isClosedAtOnce(peer, stage)
}

/** @param isGood whether to go on waiting for its end */
export async function endOf(
  peer: Peer,
  stage: Stage,
  isGood: (look: Look) => boolean = () => true,
): Promise<Look | string> {
  for (const untilMs = nodeClock.monotonicMs() + patienceMs; ; await nodeClock.sleep(pollMs)) {
    const look = await stage.look(peer)
    if (look !== undefined && (!look.isOpen || !isGood(look))) return look
    if (nodeClock.monotonicMs() > untilMs) return `still open after ${patienceMs} ms`
  }
}
