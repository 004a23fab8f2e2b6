import type { NameServerStatus } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import { type Verdict, verdict } from '../conditions.ts'
import { digest } from '../pods.ts'
import type { RolloutWait } from '../rollout.ts'
import type { ObservedMember } from './observe.ts'

/** The event of a difference that lasts. */
export const routeInconsistent = 'RouteInconsistent'

/**
 * NameServers do not talk to each other: one that began a moment ago knows what brokers have told it since. Brokers of ours
 * tell within 10 s, Apache's within 30, and one that is gone is forgotten after 120. What still differs after all of these
 * differs for another reason, such as a broker that was given the address of one NameServer only.
 */
export const settlingMs = 150_000
/** From then on it is told as something that somebody should look at. */
const worryMs = 60_000
const namedMax = 3

/** A ready NameServer and the brokers that others know and it does not; 'all' when it does not answer. */
interface Gap {
  member: ObservedMember
  lacks: readonly string[] | 'all'
}

function gapsOf(members: readonly ObservedMember[]): Gap[] {
  const known = new Set(members.flatMap(({ brokers }) => [...(brokers ?? [])]))
  return members.flatMap((member): Gap[] => {
    const { isReady, brokers } = member
    if (!isReady) return []
    if (brokers === undefined) return [{ member, lacks: 'all' }]
    const lacks = [...known].filter((broker) => !brokers.has(broker))
    return lacks.length > 0 ? [{ member, lacks: lacks.sort() }] : []
  })
}

/**
 * Tells NameServers that send clients to other brokers from each other. Topics are left out: they would have to be asked for one by
 * one, and each that is made would have the status written.
 */
export function routeHashOf(brokers: ReadonlySet<string>): string {
  return digest([...brokers].sort())
}

/** Whether it knows every broker that one of the others does, or had the time to. */
export function knowsAll(member: ObservedMember, members: readonly ObservedMember[], nowMs: number): boolean {
  const gap = gapsOf(members).find((one) => one.member === member)
  return gap === undefined || (gap.lacks !== 'all' && isSettled(member, nowMs))
}

/** Whether it is ready for so long that every broker had the time to tell it. */
export function isSettled(member: ObservedMember, nowMs: number): boolean {
  return nowMs - readySinceMs(member) >= settlingMs
}

/** Whether it is ready for so long that what it does not know by now is told. */
export function isLate(member: ObservedMember, nowMs: number): boolean {
  return nowMs - readySinceMs(member) >= worryMs
}

function readySinceMs({ pod }: ObservedMember): number {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready')
  return Date.parse(String(ready?.lastTransitionTime ?? pod.metadata.creationTimestamp))
}

/** The condition RoutesConsistent; the event, and what a rollout waits for, when it has been false for long. */
export function routesReport(
  members: readonly ObservedMember[],
  before: NameServerStatus | undefined,
  nowMs: number,
): { verdict: Verdict; notes: Note[]; wait: RolloutWait | undefined } {
  const ready = members.filter(({ isReady }) => isReady)
  const say = (holds: boolean, reason: string, message: string) => verdict('RoutesConsistent', holds, reason, message)
  if (ready.length === 0) {
    // Unknown, so that the time of a difference does not count from here
    const verdict: Verdict = {
      type: 'RoutesConsistent',
      status: 'Unknown',
      reason: 'NotReady',
      message: 'no NameServer is ready',
    }
    return { verdict, notes: [], wait: undefined }
  }
  const gaps = gapsOf(members)
  if (gaps.length === 0) {
    const verdict = say(true, 'Consistent', 'every NameServer knows the same brokers')
    return { verdict, notes: [], wait: undefined }
  }
  const message = gaps.map(textOf).join('; ')
  const last = before?.conditions?.find(({ type }) => type === 'RoutesConsistent')
  const isOld = last?.status === 'False' && (last.reason === 'Registering' || last.reason === 'RoutesDiffer')
  if (!isOld || nowMs - Date.parse(last.lastTransitionTime) < worryMs) {
    return { verdict: say(false, 'Registering', message), notes: [], wait: undefined }
  }
  const isNews = last.reason !== 'RoutesDiffer'
  const notes: Note[] = isNews ? [{ type: 'Warning', reason: routeInconsistent, message }] : []
  const wait = { reason: 'RoutesDiffer', message: `the rollout waits: ${message}. ${remedyOf(gaps)}` }
  return { verdict: say(false, 'RoutesDiffer', message), notes, wait }
}

/** What ends the wait of a rollout. */
function remedyOf(gaps: readonly Gap[]): string {
  const mute = gaps.find(({ lacks }) => lacks === 'all')?.member.pod.metadata.name
  if (mute !== undefined) return `kubectl logs ${mute} may say why; kubectl delete pod ${mute} starts it anew`
  const after = `after ${settlingMs / 1000} s it goes on all the same`
  return `Brokers are to be given every address of status.address; ${after}`
}

function textOf({ member, lacks }: Gap): string {
  const { name } = member.pod.metadata
  if (lacks === 'all') return `${name} does not answer`
  const more = lacks.length > namedMax ? ` and ${lacks.length - namedMax} more` : ''
  return `${name} does not know ${lacks.slice(0, namedMax).join(', ')}${more}`
}
