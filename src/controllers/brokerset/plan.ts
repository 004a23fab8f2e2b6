import { type BrokerSetStatus, type GroupState, type GroupStatus, label } from '../../crds/index.ts'
import { configMaps, type Note, type Pod, pods, type Service, services, statefulSets } from '../../kube/index.ts'
import type { BrokerGroup, BrokerTopic } from '../admin.ts'
import { type Readiness, readiness, timeText, verdict } from '../conditions.ts'
import type { KubeStep, Report } from '../perform.ts'
import { podHashOf, podTrouble } from '../pods.ts'
import type { BrokerSet } from '../resources.ts'
import { hasTemplate, type PodRevision } from '../revision.ts'
import { clusterNameOf, groupObjects, masterService, retiredObjects, revisionOf, sharedObjects } from './objects.ts'
import { addressOf, type Observed, type ObservedGroup } from './observe.ts'

export type Step =
  | KubeStep
  | { do: 'setPermission'; brokerName: string; brokerAddr: string; permission: number }
  | { do: 'createTopic'; brokerName: string; brokerAddr: string; topic: BrokerTopic }
  | { do: 'createGroup'; brokerName: string; brokerAddr: string; group: BrokerGroup }
  | { do: 'release'; brokerName: string; brokerAddr: string }

export interface Plan extends Report<BrokerSetStatus> {
  steps: Step[]
  recheckAfterMs: number
}

const readOnly = 4
const readWrite = 6
const registrationPollMs = 1000 // while a broker is expected to register at any moment: nothing else tells
const drainPollMs = 2000
const steadyPollMs = 30_000 // a registration can be lost without Kubernetes noticing
/** Producers learn of stopped writes with their next route poll, every 30 s; until then they may still try. */
export const drainQuietMs = 35_000
const blockersMax = 5

/**
 * Plans one pass. Groups join all at once; they retire one at a time, the last first: no more writes, then read to the
 * end by every consumer group, then gone. Brokers with old settings are restarted one at a time, the others serving.
 * @param nowMs milliseconds since 1970
 */
export function plan(desired: BrokerSet, observed: Observed, runtimeImage: string, nowMs: number): Plan {
  const { groups: wanted } = desired.spec
  const { nameServers } = observed
  const leaving = observed.groups.filter(({ index }) => index >= wanted).at(-1)
  const isGone = leaving !== undefined && mayGo(leaving, nowMs)
  const groups = observed.groups.filter((group) => group !== leaving || !isGone)

  const steps: Step[] = sharedObjects(desired).map(([type, object]) => ({ do: 'apply', type, object }))
  const notes: Note[] = []
  const hashes = new Map<number, string>()
  const present = groups.flatMap(({ statefulSet }) => statefulSet ?? [])
  const revision = revisionOf(desired, present, runtimeImage)
  for (const group of groups) {
    const since = group === leaving ? quietSince(group, nowMs) : undefined
    const kept = keep(desired, group, since, nameServers.isUsable, revision)
    steps.push(...kept.steps)
    notes.push(...kept.notes)
    if (kept.podHash !== undefined) hashes.set(group.index, kept.podHash)
  }
  if (leaving) {
    const left = isGone ? remove(desired, leaving) : stopWrites(leaving)
    steps.push(...left.steps)
    notes.push(...left.notes)
  }

  const statuses = groups.map((group) => groupStatusOf(desired, group, nameServers.expected, group === leaving, nowMs))
  for (const { name, state } of statuses) {
    if (state === 'Serving' && stateBefore(desired, name) !== 'Serving') {
      notes.push(note('GroupServing', `broker group ${name} is registered everywhere`))
    }
  }
  const outdated = nextToRestart(groups, hashes, statuses)
  if (outdated.restart) {
    steps.push({ do: 'delete', type: pods, object: outdated.restart })
    const { name } = outdated.restart.metadata
    notes.push(note('BrokerRestarted', `restarting ${name}: its settings or its template changed`))
  }

  const judged = judge(desired, observed, statuses, outdated.count)
  const countOf = (...states: GroupState[]) => statuses.filter(({ state }) => states.includes(state)).length
  const serving = countOf('Serving')
  const staying = groups.filter((group) => group !== leaving)
  const known = staying.filter(({ registeredCount }) => registeredCount > 0).length
  const isRegistering =
    nameServers.isUsable &&
    staying.some(
      ({ isPodReady, isAdmitted, pod, registeredCount }) =>
        registeredCount < nameServers.expected && (isPodReady || (!isAdmitted && pod?.status?.phase === 'Running')),
    )
  const registered = `${serving} of ${wanted} groups are registered everywhere`
  return {
    steps,
    status: {
      selector: `${label.brokerSet}=${desired.metadata.name},${label.role}=master`,
      clusterName: clusterNameOf(desired),
      groups: countOf('Serving', 'Degraded'), // a short absence must not make an autoscaler add one
      readyGroups: serving,
      ...(nameServers.address !== undefined && { nameServers: nameServers.address }),
      groupStatuses: statuses,
    },
    verdicts: [
      ...readiness(judged),
      verdict('Available', known > 0, judged.reason, `${known} brokers take messages`),
      verdict('Registered', serving >= wanted, judged.reason, registered),
    ],
    notes,
    recheckAfterMs: leaving ? drainPollMs : isRegistering ? registrationPollMs : steadyPollMs,
  }
}

function note(reason: string, message: string): Note {
  return { type: 'Normal', reason, message }
}

/**
 * The objects of a group that stays or still stays.
 * @param drainingSince set for the one that leaves; one that was to leave and may stay takes messages again
 */
function keep(
  desired: BrokerSet,
  group: ObservedGroup,
  drainingSince: string | undefined,
  mayStart: boolean,
  revision: PodRevision,
): { steps: Step[]; notes: Note[]; podHash?: string } {
  const { index, brokerName, isDataRoots, held } = group
  const steps: Step[] = [{ do: 'apply', type: services, object: masterService(desired, index) }]
  const brokerAddr = addressOf(group.service)
  const brokerIP = group.service?.spec?.clusterIP
  const isHeld = brokerAddr === undefined || brokerIP === undefined || (!mayStart && !group.statefulSet)
  if (isHeld) return { steps, notes: [] } // the Service's address, or a NameServer, comes with an event

  if (group.drainingSince !== undefined && drainingSince === undefined) {
    steps.push({ do: 'setPermission', brokerName, brokerAddr, permission: readWrite })
  }
  // a broker registers when it has what it is to serve: first the deeds at the broker, then the mark, then it is let go
  for (const topic of held?.topics ?? []) steps.push({ do: 'createTopic', brokerName, brokerAddr, topic })
  for (const one of held?.groups ?? []) steps.push({ do: 'createGroup', brokerName, brokerAddr, group: one })
  const isAdmitted = group.isAdmitted || held !== undefined
  const facts = { brokerIP, revision, live: group.statefulSet, isDataRoots, isAdmitted, drainingSince }
  const { config, statefulSet, podHash } = groupObjects(desired, index, facts)
  steps.push(
    { do: 'apply', type: configMaps, object: config },
    { do: 'apply', type: statefulSets, object: statefulSet },
  )
  if (held) steps.push({ do: 'release', brokerName, brokerAddr })
  const notes = group.statefulSet ? [] : [note('GroupCreated', `broker group ${brokerName} is being started`)]
  return { steps, notes, podHash }
}

function remove(desired: BrokerSet, { index, brokerName }: ObservedGroup): { steps: Step[]; notes: Note[] } {
  const message = `broker group ${brokerName} had nothing left to read and was removed; its volume is kept`
  return {
    steps: retiredObjects(desired, index).map(([type, object]) => ({ do: 'delete', type, object })),
    notes: [note('GroupRemoved', message)],
  }
}

/** Since when nobody may write to the group that leaves: from now on, if its broker takes messages (again). */
function quietSince({ drain, drainingSince }: ObservedGroup, nowMs: number): string {
  const takesMessages = drain !== undefined && 'permission' in drain && drain.permission !== readOnly
  return drainingSince === undefined || takesMessages ? timeText(nowMs) : drainingSince
}

/** Looked at in each pass: a broker that restarted while it drains takes messages again. */
function stopWrites({ brokerName, service, drain }: ObservedGroup): { steps: Step[]; notes: Note[] } {
  const brokerAddr = addressOf(service)
  const isStopped = !drain || !('permission' in drain) || drain.permission === readOnly
  if (isStopped || brokerAddr === undefined) return { steps: [], notes: [] }
  return {
    steps: [{ do: 'setPermission', brokerName, brokerAddr, permission: readOnly }],
    notes: [note('DrainStarted', `broker group ${brokerName} takes no more messages; it goes when all are read`)],
  }
}

/** Whether the group that leaves has been read to its end, and nobody can still be writing to it. */
function mayGo({ drain, drainingSince, statefulSet }: ObservedGroup, nowMs: number): boolean {
  if (!statefulSet) return true
  if (!drain || !('permission' in drain) || drain.permission !== readOnly || drainingSince === undefined) return false
  return drain.unread.length === 0 && nowMs - Date.parse(drainingSince) >= drainQuietMs
}

function stateBefore(desired: BrokerSet, brokerName: string): GroupState | undefined {
  return desired.status?.groupStatuses?.find(({ name }) => name === brokerName)?.state
}

function groupStatusOf(
  desired: BrokerSet,
  group: ObservedGroup,
  nameServers: number,
  isLeaving: boolean,
  nowMs: number,
): GroupStatus {
  const address = addressOf(group.service)
  const said = { name: group.brokerName, ...(address !== undefined && { address }) }
  if (isLeaving) {
    const since = group.drainingSince ?? timeText(nowMs)
    return { ...said, state: 'Draining', draining: { since, blockers: blockersOf(group) } }
  }
  if (group.isPodReady && nameServers > 0 && group.registeredCount >= nameServers) return { ...said, state: 'Serving' }
  const before = stateBefore(desired, group.brokerName)
  if (before === 'Serving' || before === 'Degraded') return { ...said, state: 'Degraded' }
  return { ...said, state: group.pod?.status?.phase === 'Running' ? 'Registering' : 'Creating' }
}

function blockersOf({ drain }: ObservedGroup): string[] {
  if (!drain) return []
  if ('trouble' in drain) return [`its broker does not answer: ${drain.trouble}`.slice(0, 512)]
  return [...drain.unread]
    .sort((a, b) => b.count - a.count)
    .slice(0, blockersMax)
    .map(({ consumerGroup, topic }) => `${consumerGroup} has not read all of ${topic}`) // no counts: they change by the second
}

/** Whether a broker began before its Service was made (again): it knows itself under another address. */
function isOlder(pod: Pod, service: Service | undefined): boolean {
  const madeMs = ({ metadata }: Pod | Service) => Date.parse(metadata.creationTimestamp ?? '')
  return service !== undefined && madeMs(pod) < madeMs(service)
}

/** The pod to restart now, if one may be: one that serves nobody first, else only while all others serve. */
function nextToRestart(
  groups: readonly ObservedGroup[],
  hashes: ReadonlyMap<number, string>,
  statuses: readonly GroupStatus[],
) {
  const old = groups.filter(({ index, pod, service }) => {
    const hash = hashes.get(index)
    return pod !== undefined && hash !== undefined && (podHashOf(pod) !== hash || isOlder(pod, service))
  })
  const replaceable = old.filter(
    ({ index, pod, statefulSet }) =>
      // the StatefulSet controller must have seen the new template, or it would make the old pod again
      pod?.metadata.deletionTimestamp === undefined && hasTemplate(statefulSet, hashes.get(index) as string),
  )
  const idle = replaceable.find(({ isPodReady }) => !isPodReady)
  const allServe = statuses.every(({ state }) => state === 'Serving' || state === 'Draining')
  return { count: old.length, restart: (idle ?? (allServe ? replaceable[0] : undefined))?.pod }
}

function judge(desired: BrokerSet, observed: Observed, statuses: readonly GroupStatus[], outdated: number): Readiness {
  const { nameServers, groups } = observed
  const { groups: wanted } = desired.spec
  if (!nameServers.isUsable) {
    return { status: 'False', reason: 'NameServerNotReady', message: nameServers.trouble ?? 'no NameServer is ready' }
  }
  const lacking = statuses.find(({ state }) => state !== 'Serving' && state !== 'Draining')
  if (lacking) {
    const group = groups.find(({ brokerName }) => brokerName === lacking.name)
    const serving = statuses.filter(({ state }) => state === 'Serving').length
    const begin = `${serving} of ${wanted} groups serve; ${lacking.name}:`
    if (group?.service === undefined || addressOf(group.service) === undefined) {
      return { status: 'False', reason: 'WaitingForAddress', message: `${begin} its Service has no address yet` }
    }
    if (!group.isPodReady)
      return { status: 'False', reason: 'PodsNotReady', message: `${begin} ${podTrouble(group.pod)}` }
    const where = `known to ${group.registeredCount} of ${nameServers.expected} NameServers`
    const why = nameServers.trouble === undefined ? '' : `; ${nameServers.trouble}`
    return { status: 'False', reason: 'NotRegistered', message: `${begin} ${where}${why}` }
  }
  if (outdated > 0) {
    return {
      status: 'False',
      reason: 'RollingOut',
      message: `${outdated} brokers have yet to restart with new settings`,
    }
  }
  const draining = statuses.find(({ state }) => state === 'Draining')
  if (draining) {
    const blocker = draining.draining?.blockers?.[0]
    return {
      status: 'False',
      reason: 'ScalingIn',
      message: `${draining.name} is leaving${blocker ? `: ${blocker}` : ''}`,
    }
  }
  return { status: 'True', reason: 'AllServing', message: `${wanted} of ${wanted} groups serve` }
}
