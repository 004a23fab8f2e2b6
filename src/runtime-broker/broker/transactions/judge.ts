import type { StoredMessage } from '../../../remoting/message/index.ts'
import { checkTimesOf, immunityMsOf } from './half-message.ts'

/**
 * fresh: it is too young to be asked about, and so is what lies behind it. immune: it is too young by its own wish, others
 * behind it are not. ask: its producer is to say how the transaction ended. giveUp: it was asked often enough.
 */
export type Verdict = 'fresh' | 'immune' | 'ask' | 'giveUp'

export interface Rules {
  now: number // ms since 1970
  passStartedAt: number // what was stored since waits for the next pass
  timeOutMs: number // transactionTimeOut
  checkMax: number // transactionCheckMax
  reservedMs: number // fileReservedTime
}

/** What a pass does with a half message that nothing ended. Source: Apache RocketMQ 5, TransactionalMessageServiceImpl#check. */
export function judge(half: StoredMessage, rules: Rules): Verdict {
  const { now, passStartedAt, timeOutMs, checkMax, reservedMs } = rules
  if (checkTimesOf(half) >= checkMax || now - half.bornTimestamp > reservedMs) return 'giveUp'
  if (half.storeTimestamp >= passStartedAt) return 'fresh'
  // The producer's clock may be ahead of ours: then the message is as old as we have it.
  const ageMs = now - Math.min(half.bornTimestamp, half.storeTimestamp)
  const immunityMs = immunityMsOf(half, timeOutMs)
  if (immunityMs !== undefined) return ageMs <= immunityMs ? 'immune' : 'ask'
  return ageMs <= timeOutMs ? 'fresh' : 'ask'
}
