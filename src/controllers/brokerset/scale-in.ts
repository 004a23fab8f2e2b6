import { annotation, type GroupStatus } from '../../crds/index.ts'
import type { Note, StatefulSet } from '../../kube/index.ts'
import { type Readiness, timeText, type Verdict, verdict } from '../conditions.ts'
import type { BrokerSet } from '../resources.ts'
import { freshText } from '../unread.ts'
import { readOnly } from './objects.ts'
import type { Observed, ObservedGroup } from './observe.ts'

/** Producers learn of stopped writes with their next route poll, every 30 s; until then they may still try. */
export const drainQuietMs = 35_000
const blockersMax = 5

/** Whether producers know that a group takes no more messages, where it was told so at that time. */
export function areProducersTold(drainingSince: string | undefined, nowMs: number): boolean {
  return drainingSince !== undefined && nowMs - Date.parse(drainingSince) >= drainQuietMs
}

/** What becomes of the last group, where there are more than are wanted. */
export type ScaleIn =
  | { does: 'nothing' }
  /**
   * It stays, since no group may go, or since the set was paused before its turn came, or hibernates; or since it was not
   * read in time: `abort` is the moment of that, `stay` later.
   */
  | { does: 'refuse' | 'pause' | 'abort' | 'stay'; group: ObservedGroup }
  /** It is read to its end. Blocked: producers know, and still there is something to read, or nobody can tell. */
  | { does: 'drain'; group: ObservedGroup; isBlocked: boolean; isTimedOut: boolean }
  | { does: 'remove'; group: ObservedGroup; isUnread: boolean; isTimedOut: boolean }

/** What a scale-in that was given up was asked with: another number of groups or another scaleIn is another question. */
export function abortMarkOf({ spec: { groups, scaleIn } }: BrokerSet): string {
  return `${groups} groups, ${scaleIn.policy}, ${scaleIn.timeoutSeconds} s, ${scaleIn.onTimeout}`
}

/**
 * How many groups stay for now, at least.
 * @param last index of the last group
 * @param statefulSet of the last group; without one it is what is left of a group
 */
export function keptGroups(desired: BrokerSet, last: number, statefulSet: StatefulSet | undefined): number {
  const { groups, scaleIn } = desired.spec
  const isAborted = statefulSet?.metadata.annotations?.[annotation.drainAborted] === abortMarkOf(desired)
  const stays = statefulSet !== undefined && (scaleIn.policy === 'Refuse' || isAborted)
  return stays ? Math.max(groups, last + 1) : groups
}

/** Decides about the last group: groups go one at a time, the last first. */
export function planScaleIn(desired: BrokerSet, { groups, kept }: Observed, nowMs: number): ScaleIn {
  const { scaleIn, paused, hibernate } = desired.spec
  const group = groups.at(-1)
  const isHalted = paused && !hibernate && group?.drainingSince !== undefined // whatever is asked now: it takes no messages
  if (group === undefined || (group.index < desired.spec.groups && !isHalted)) return { does: 'nothing' }
  if (group.index < kept && !isHalted) return { does: scaleIn.policy === 'Refuse' ? 'refuse' : 'stay', group }
  if (hibernate || (paused && !isHalted)) return { does: 'pause', group }
  const drainedMs = group.drainingSince === undefined ? 0 : nowMs - Date.parse(group.drainingSince)
  const { drain } = group
  const isAnswering = drain !== undefined && 'permission' in drain
  const isTold = areProducersTold(group.drainingSince, nowMs)
  const isQuiet = isTold && (!isAnswering || (drain.permission === readOnly && !drain.isPartial))
  const isRead = isQuiet && isAnswering && drain.unread.length === 0 && !drain.isFresh
  const isTimedOut = drainedMs >= scaleIn.timeoutSeconds * 1000
  if (paused) return { does: 'drain', group, isBlocked: isQuiet && !isRead && drain !== undefined, isTimedOut: false }
  if (!group.statefulSet || isRead) return { does: 'remove', group, isUnread: false, isTimedOut: false }
  if (isTimedOut && scaleIn.onTimeout === 'Abort' && scaleIn.policy === 'Drain') return { does: 'abort', group }
  const isForced = scaleIn.policy === 'Force' || (isTimedOut && scaleIn.onTimeout === 'Force')
  if (isForced && isQuiet) return { does: 'remove', group, isUnread: true, isTimedOut: scaleIn.policy !== 'Force' }
  return { does: 'drain', group, isBlocked: isQuiet, isTimedOut: isTimedOut && isQuiet }
}

/** What still has to be read, and by whom: without counts, which change by the second. */
function blockersOf({ drain }: ObservedGroup): string[] {
  if (!drain) return []
  if ('trouble' in drain) return [`a broker does not say who has to read: ${drain.trouble}`.slice(0, 512)]
  return [...drain.unread]
    .sort((a, b) => b.count - a.count)
    .slice(0, blockersMax)
    .map(({ consumerGroup, topic }) => `${consumerGroup} has not read all of ${topic}`)
    .concat(drain.isFresh ? [freshText] : [])
}

/** Why a drain is blocked. */
function blockedReason(desired: BrokerSet, { drain }: ObservedGroup): string {
  if (drain && 'trouble' in drain) return notAnswering
  if (!drain?.isFresh) return 'Unread'
  // a broker that crashes again and again answers in between: it is told once
  return blockedBefore(desired)?.reason === notAnswering ? notAnswering : justStarted
}

const notAnswering = 'BrokerNotAnswering'
const justStarted = 'BrokerJustStarted'

function blockedBefore({ status }: BrokerSet) {
  return status?.conditions?.find(({ type }) => type === 'ScaleInBlocked')
}

/** The condition ScaleInBlocked. */
export function scaleInVerdict(desired: BrokerSet, scaleIn: ScaleIn): Verdict {
  const say = (holds: boolean, reason: string, message: string) => verdict('ScaleInBlocked', holds, reason, message)
  if (scaleIn.does === 'nothing') return say(false, 'NotScalingIn', 'no group is to go')
  const { groups, scaleIn: asked } = desired.spec
  const { brokerName } = scaleIn.group
  const blockers = blockersOf(scaleIn.group).join('; ')
  switch (scaleIn.does) {
    case 'refuse':
      return say(true, 'Refused', `spec.groups is ${groups}, and scaleIn.policy Refuse keeps all up to ${brokerName}`)
    case 'pause':
      return say(
        true,
        desired.spec.hibernate ? 'Hibernated' : 'Paused',
        `spec.groups is ${groups}, and nothing is changed now: all up to ${brokerName} stay`,
      )
    case 'abort':
    case 'stay':
      return say(
        true,
        'Aborted',
        `${brokerName} was not read to its end within ${asked.timeoutSeconds} s and takes messages again; ` +
          'to try again change spec.groups or spec.scaleIn',
      )
    case 'remove':
      return say(false, 'Removing', `${brokerName} is being removed`)
    case 'drain': {
      if (!scaleIn.isBlocked) return say(false, 'Draining', `${brokerName} takes no more messages and is being read`)
      if (!scaleIn.isTimedOut) return say(true, blockedReason(desired, scaleIn.group), `${brokerName}: ${blockers}`)
      const late = `${brokerName} was not read to its end within ${asked.timeoutSeconds} s: ${blockers}`
      return say(
        true,
        'DrainTimedOut',
        `${late}; scaleIn.policy Force takes it away unread, a higher spec.groups keeps it`,
      )
    }
  }
}

/** Why a set that is well otherwise is not as it was asked for, and will not be by itself. */
export function scaleInStall(desired: BrokerSet, scaleIn: ScaleIn): Readiness | undefined {
  if (scaleIn.does === 'nothing' || scaleIn.does === 'drain' || scaleIn.does === 'remove') return undefined
  const { reason, message } = scaleInVerdict(desired, scaleIn)
  // one that is paused waits as asked: nothing is wrong with it
  return { status: 'False', reason: `ScaleIn${reason}`, message, isStalled: scaleIn.does !== 'pause' }
}

/** What there is to tell of a scale-in, when it is news. */
export function scaleInNotes(desired: BrokerSet, scaleIn: ScaleIn): Note[] {
  if (scaleIn.does === 'nothing') return []
  const { brokerName } = scaleIn.group
  const { timeoutSeconds } = desired.spec.scaleIn
  const { reason, message } = scaleInVerdict(desired, scaleIn)
  const isNews = blockedBefore(desired)?.reason !== reason
  const late = (then: string): Note => {
    const blockers = blockersOf(scaleIn.group).join('; ')
    const unread = `${brokerName} was not read to its end within ${timeoutSeconds} s (${blockers}) and ${then}`
    return { type: 'Warning', reason: 'DrainTimedOut', message: unread }
  }
  switch (scaleIn.does) {
    case 'refuse':
      return isNews ? [{ type: 'Warning', reason: 'ScaleInRefused', message }] : []
    case 'abort':
      return [late('takes messages again')]
    case 'pause':
    case 'stay':
      return []
    case 'remove':
      if (!scaleIn.group.statefulSet) return [] // what is left of a group that went before
      if (scaleIn.isUnread) return scaleIn.isTimedOut ? [late('is removed all the same')] : []
      return [{ type: 'Normal', reason: 'DrainCompleted', message: drainedMessage(desired, scaleIn.group) }]
    case 'drain':
      if (!scaleIn.isBlocked || !isNews || reason === justStarted) return [] // over in a minute
      if (scaleIn.isTimedOut) return [late('goes on draining')]
      return [{ type: 'Warning', reason: 'DrainBlocked', message }]
  }
}

const countedEveryMs = 600_000

/** What the status says of a group that leaves. How much it has still to be read is counted every ten minutes: more often it would be written all the time. */
export function drainProgress(
  { status }: BrokerSet,
  group: ObservedGroup,
  nowMs: number,
): { draining: GroupStatus['draining']; notes: Note[] } {
  const { brokerName, drain, drainingSince: since = timeText(nowMs) } = group
  const said = { since, blockers: blockersOf(group) }
  const before = status?.groupStatuses?.find(({ name }) => name === brokerName)?.draining
  const last = before?.since === since && before.countedAt !== undefined ? before : undefined
  const { remaining: lastCount = 0, countedAt = '' } = last ?? {}
  const isDue = last === undefined || Math.abs(nowMs - Date.parse(countedAt)) >= countedEveryMs // a clock may be set back
  if (!isDue || drain === undefined || 'trouble' in drain || drain.isPartial)
    return { draining: { ...said, ...(last && { remaining: lastCount, countedAt }) }, notes: [] }
  const remaining = drain.unread.reduce((sum, { count }) => sum + count, 0)
  const most = [...drain.unread].sort((a, b) => b.count - a.count).slice(0, blockersMax)
  const groups = most.map(({ consumerGroup, topic, count }) => `${consumerGroup} ${count} of ${topic}`)
  const message = `broker group ${brokerName}: ${remaining} messages to read, ${lastCount} at ${countedAt}`
  const text = groups.length > 0 ? `${message}; most: ${groups.join(', ')}` : message
  const notes: Note[] = last ? [{ type: 'Normal', reason: 'DrainProgress', message: text }] : []
  return { draining: { ...said, remaining, countedAt: timeText(nowMs) }, notes }
}

/** That a group was read, with what nobody was to read there. */
function drainedMessage({ spec }: BrokerSet, { brokerName, drain }: ObservedGroup): string {
  const message = `broker group ${brokerName} has been read to its end`
  const unclaimed = (drain && 'permission' in drain && drain.unclaimed) || []
  if (unclaimed.length === 0) return message
  const count = unclaimed.reduce((sum, one) => sum + one.count, 0)
  const most = unclaimed.slice(0, blockersMax).map((one) => `${one.topic} ${one.count}`)
  const topics = [...most, ...(unclaimed.length > most.length ? ['…'] : [])].join(', ')
  const fate = spec.storage.ephemeral ? 'are lost' : 'stay on its volumes'
  return `${message}; messages that no consumer group reads ${fate}: ${count} (${topics})`
}
