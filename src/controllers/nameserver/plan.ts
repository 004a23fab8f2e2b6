import { label, type NameServerStatus } from '../../crds/index.ts'
import { type Note, pods as podType } from '../../kube/index.ts'
import { type Readiness, readiness, timeText, type Verdict, verdict } from '../conditions.ts'
import { asleepVerdicts, type Sleep, sleepNotes, sleepVerdict } from '../hibernation.ts'
import { versionInUse, versionOf } from '../image-version.ts'
import type { KubeStep } from '../perform.ts'
import { podTrouble } from '../pod-trouble.ts'
import { downMsOf, podHashOf } from '../pods.ts'
import type { NameServer } from '../resources.ts'
import { restartText } from '../revision.ts'
import { nextToRestart } from '../roll.ts'
import { countUpdated, rolloutOf } from '../rollout.ts'
import { ofOne } from '../words.ts'
import { addressOf, objectsOf } from './objects.ts'
import { type Observed, type ObservedMember, ordinalOf } from './observe.ts'
import { isLate, isSettled, knowsAll, routeHashOf, routesReport } from './routes.ts'
import { planScaleIn, type ScaleIn } from './scale-in.ts'

export interface Plan {
  steps: KubeStep[]
  status: NameServerStatus
  verdicts: Verdict[]
  notes: Note[]
  recheckAfterMs: number | undefined
}

const movingPollMs = 1000 // brokers register with whoever is new at any moment: nothing else tells
const steadyPollMs = 30_000

/**
 * Plans one pass: the objects as they should be, what the pods say, and which of them is to restart. One at a time does, the
 * last first, and only when each of the others knows all brokers: clients always find somebody who can tell them. Those that are
 * too many go when clients know the list without them.
 * @param nowMs milliseconds since 1970
 */
export function plan(desired: NameServer, observed: Observed, runtimeImage: string, nowMs: number): Plan {
  const { spec, status: before } = desired
  const { name } = desired.metadata
  const { statefulSet, members, users } = observed
  const sleep = sleepOf(desired, observed)
  const isAsleep = sleep.is === 'asleep'
  const wanted = Array.from({ length: spec.replicas }, (_, ordinal) =>
    members.find(({ pod }) => ordinalOf(pod) === ordinal),
  )
  const ready = members.filter(({ isReady }) => isReady)
  const isComplete = wanted.every((member) => member?.pod.status?.podIP !== undefined)
  // an address list that leaves members out would split the cluster: the last whole one stays
  const isMeant = isComplete && !isAsleep && !(spec.paused && (statefulSet?.spec?.replicas ?? 0) > spec.replicas)
  const address = isMeant ? addressOf(desired, spec.replicas) : before?.address
  const isWhole = (member: ObservedMember) => member.isReady && knowsAll(member, members, nowMs)
  const lacking = wanted.findIndex((member) => !member || !isWhole(member))
  const staying = {
    isPublished: before?.address !== undefined && addressOf(desired, spec.replicas).startsWith(before.address),
    trouble: lacking < 0 ? undefined : `${name}-${lacking} is not ready, or does not know all brokers`,
  }
  const scaleIn = planScaleIn(desired, isAsleep ? undefined : statefulSet, staying, nowMs)
  const replicas = isAsleep ? 0 : scaleIn.replicas
  const made = objectsOf(desired, statefulSet, runtimeImage, replicas, scaleIn.mark)
  const { children, podHash, hasTemplate } = made

  const wasReady = before?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  const routes = routesReport(members, before, nowMs)
  const judged = judge(desired, wanted, members, podHash, sleep, routes.verdict, scaleIn.readiness)
  const rolling = wanted.map((member, ordinal) => ({
    ordinal,
    name: `${name}-${ordinal}`,
    pod: member?.pod,
    statefulSet,
    hasTemplate,
    isPresent: member !== undefined,
    isReady: member?.isReady ?? false,
    isWhole: member !== undefined && isWhole(member),
    isOutdated: member !== undefined && podHashOf(member.pod) !== podHash,
    downMs: downMsOf(member?.pod, nowMs),
  }))
  /** One that is ready and does not answer is never whole: it may go when the others had the time to hear of all brokers. */
  const nextMute = () =>
    rolling.findLast(({ ordinal, isOutdated, isReady }) => {
      const others = wanted.filter((_, other) => other !== ordinal)
      const isSpared = !others.every((other) => other && isWhole(other) && isSettled(other, nowMs))
      return hasTemplate && isOutdated && isReady && wanted[ordinal]?.brokers === undefined && !isSpared
    })
  const group = { index: 0, members: rolling, isLeaving: false, hasTemplate }
  const next = isAsleep || spec.paused ? undefined : (nextToRestart([group]) ?? nextMute())
  const restart = next && wanted[next.ordinal]?.pod
  // one that began a moment ago has its time, also where a difference is old
  const isIgnorant = wanted.some((member) => member?.isReady && !isWhole(member) && isLate(member, nowMs))
  const { rollout, notes: rolloutNotes } = isAsleep
    ? { rollout: undefined, notes: [] }
    : rolloutOf({
        kind: 'NameServer',
        before: before?.rollout,
        revision: made.madeFor,
        members: rolling,
        trouble: isIgnorant ? routes.wait : undefined,
        paused: spec.paused,
      })
  const isMoving =
    members.length > 0 &&
    rolling.some(({ isReady, isWhole, isOutdated }) => (isOutdated && !spec.paused) || (isReady && !isWhole))
  const isLeft = scaleIn.leaving.length === 0 || spec.paused
  const leaveInMs = isLeft ? steadyPollMs : Math.max(movingPollMs, (scaleIn.dueMs ?? nowMs) - nowMs)
  const running = members.map(({ pod }) => pod)
  // one of one is away while it restarts: what it ran is what is known
  const version = isAsleep ? undefined : (versionInUse(running, versionOf(made.image)) ?? before?.version)
  const known = new Set(members.flatMap(({ brokers }) => [...(brokers ?? [])]))
  return {
    steps: [
      ...children.map(([type, object]): KubeStep => ({ do: 'apply', type, object })),
      ...(restart ? [{ do: 'delete' as const, type: podType, object: restart }] : []),
    ],
    status: {
      replicas: members.length,
      readyReplicas: ready.length,
      updatedReplicas: isAsleep ? 0 : countUpdated(rolling),
      selector: `${label.nameServer}=${name}`,
      ...(version !== undefined && { version }),
      ...(address !== undefined && { address }),
      ...(rollout && { rollout }),
      registered: { brokerSets: users.length, brokers: known.size },
      members: memberStatuses(members, scaleIn),
    },
    verdicts: [
      ...(sleep.is === 'asleep'
        ? asleepVerdicts(sleep, ['Available', 'RoutesConsistent'])
        : [
            ...readiness(judged),
            verdict(
              'Available',
              ready.length > 0,
              judged.reason,
              `${ready.length} of ${Math.max(replicas, spec.replicas)} answer`,
            ),
            routes.verdict,
          ]),
      sleepVerdict(sleep),
    ],
    notes: [
      ...sleepNotes(sleep, before?.conditions),
      ...(isAsleep ? [] : [...routes.notes, ...scaleIn.notes]),
      ...(judged.status === 'True' && !wasReady && !isAsleep ? [note('NameServersReady', judged.message)] : []),
      ...rolloutNotes,
      ...(restart ? [note('NameServerRestarted', restartText(restart, statefulSet))] : []),
    ],
    recheckAfterMs: isAsleep ? undefined : isMoving ? movingPollMs : Math.min(steadyPollMs, leaveInMs),
  }
}

/** Of all that are there, and of those that leave also while their pod is replaced: of whom it was said is told by this. */
function memberStatuses(
  members: readonly ObservedMember[],
  { leaving, dueMs }: ScaleIn,
): NonNullable<NameServerStatus['members']> {
  const leavesAt = dueMs === undefined ? undefined : timeText(dueMs)
  const there = members.map(({ pod, isReady, brokers }) => ({
    pod: pod.metadata.name,
    ready: isReady,
    ...(brokers && { brokers: brokers.size, routeHash: routeHashOf(brokers) }),
    ...(leavesAt !== undefined && leaving.includes(pod.metadata.name) && { leavesAt }),
  }))
  if (leavesAt === undefined) return there
  const away = leaving.filter((name) => !there.some(({ pod }) => pod === name))
  return [...there, ...away.map((pod) => ({ pod, ready: false, leavesAt }))]
}

function note(reason: string, message: string): Note {
  return { type: 'Normal', reason, message }
}

function sleepOf({ spec }: NameServer, { pods, users }: Observed): Sleep {
  if (!spec.hibernate) return { is: 'awake' }
  if (users.length > 0) {
    const message = `awake and registered here: BrokerSet ${users.slice(0, 3).join(', ')}; set their spec.hibernate first`
    return { is: 'refused', message }
  }
  return { is: 'asleep', pods, what: 'no NameServer runs' }
}

function judge(
  { metadata, spec: { replicas } }: NameServer,
  wanted: readonly (ObservedMember | undefined)[],
  alive: readonly ObservedMember[],
  podHash: string,
  sleep: Sleep,
  routes: Verdict,
  scalingIn: Readiness | undefined,
): Readiness {
  const notReady = wanted.findIndex((member) => !member?.isReady)
  if (notReady >= 0) {
    const readyCount = wanted.filter((member) => member?.isReady).length
    const name = `${metadata.name}-${notReady}`
    const message = `${readyCount} of ${replicas} NameServers are ready; ${name}: ${podTrouble(wanted[notReady]?.pod, name)}`
    return { status: 'False', reason: 'PodsNotReady', message }
  }
  const current = wanted.filter((member) => podHashOf(member?.pod) === podHash).length
  if (current < replicas) {
    const waits = routes.status === 'False' ? `; the next waits: ${routes.message}` : ''
    const message = `${current} of ${replicas} NameServers have the new settings${waits}`
    return { status: 'False', reason: 'RollingOut', message }
  }
  if (scalingIn) return scalingIn
  if (alive.length > replicas) {
    const going = alive.filter(({ pod }) => ordinalOf(pod) >= replicas).map(({ pod }) => pod.metadata.name)
    const message = `${going.join(', ')} ${ofOne(going.length, 'is', 'are')} being stopped`
    return { status: 'False', reason: 'ScalingIn', message }
  }
  if (sleep.is === 'refused') {
    return { status: 'False', reason: 'HibernationRefused', message: sleep.message, isStalled: true }
  }
  return { status: 'True', reason: 'AllReady', message: `${replicas} of ${replicas} NameServers are ready` }
}
