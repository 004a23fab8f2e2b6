import { type BrokerSetStatus, type GroupState, label } from '../../crds/index.ts'
import {
  configMaps,
  type Note,
  type Pod,
  podDisruptionBudgets,
  pods as podType,
  services,
  statefulSets,
} from '../../kube/index.ts'
import type { BrokerGroup, BrokerTopic } from '../admin.ts'
import { timeText } from '../conditions.ts'
import { asleepVerdicts, type Sleep, sleepNotes, sleepVerdict } from '../hibernation.ts'
import { versionInUse, versionOf } from '../image-version.ts'
import type { KubeStep, Report } from '../perform.ts'
import { readyMsOf } from '../pods.ts'
import type { BrokerSet } from '../resources.ts'
import { type PodRevision, restartText } from '../revision.ts'
import { nextToRestart, type RollGroup } from '../roll.ts'
import { countUpdated, rolloutOf } from '../rollout.ts'
import { diskNotes, diskVerdict } from './disk-pressure.ts'
import { groupStatusOf, stateBefore } from './group-status.ts'
import { isInSync, isWhole, registrationMissing, verdictsOf } from './judge.ts'
import {
  clusterNameOf,
  groupBudget,
  groupObjects,
  liveSettingsOf,
  memberService,
  named,
  peersService,
  readOnly,
  readWrite,
  retiredObjects,
  revisionOf,
  roleOf,
  settingsState,
} from './objects.ts'
import { addressOf, type Observed, type ObservedGroup, type ObservedMember } from './observe.ts'
import { isOlder, isOutdated, registrationWait, rollOf, rolloutMembers } from './rolling.ts'
import {
  abortMarkOf,
  drainProgress,
  planScaleIn,
  type ScaleIn,
  scaleInNotes,
  scaleInStall,
  scaleInVerdict,
} from './scale-in.ts'
import { planVolumes, type ResizeStep, volumesMarkOf } from './volumes.ts'
import { wantedMembers } from './wanted-members.ts'

export type Step =
  | KubeStep
  | { do: 'label'; pod: Pod; role: 'master' | 'slave' }
  | { do: 'setPermission'; brokerName: string; brokerAddr: string; permission: number }
  | FurnishStep
  | { do: 'release'; brokerName: string; brokerAddr: string }
  | ResizeStep
  | { do: 'changeSettings'; brokerAddr: string; settings: Record<string, string> }

/** A new broker is given what it is to serve. */
export interface FurnishStep {
  do: 'furnish'
  brokerName: string
  brokerAddr: string
  topics: readonly BrokerTopic[]
  groups: readonly BrokerGroup[]
}

export interface Plan extends Report<BrokerSetStatus> {
  steps: Step[]
  /** Brokers that run with the settings that they should have once the steps are done. */
  settled: { brokerAddr: string; state: string }[]
  recheckAfterMs: number
}

const registrationPollMs = 1000 // while a broker is expected to register or catch up at any moment: nothing else tells
const drainPollMs = 2000
const copyPollMs = 5000 // while a slave copies what it lacks: for the status
const resizePollMs = 5000 // volumes are not watched
const registrationWorryMs = 60_000 // ours register within 10 s, Apache's within 30
const steadyPollMs = 30_000 // a registration can be lost without Kubernetes noticing

/**
 * Plans one pass. Groups join all at once; they retire one at a time, the last first: no more writes, then read to the
 * end by every consumer group, then gone, master and slaves; spec.scaleIn says when it is not so. Brokers with old settings are restarted one at a time, the
 * others serving, slaves before their master.
 * @param nowMs milliseconds since 1970
 */
export function plan(asked: BrokerSet, observed: Observed, runtimeImage: string, nowMs: number): Plan {
  const { nameServers } = observed
  const scaleIn = planScaleIn(asked, observed, nowMs)
  // a group that may not go is one like the others
  const wanted = scaleIn.does === 'abort' || scaleIn.does === 'pause' ? scaleIn.group.index + 1 : observed.kept
  const desired = { ...asked, spec: { ...asked.spec, groups: wanted } }
  const leaving = scaleIn.does === 'drain' || scaleIn.does === 'remove' ? scaleIn.group : undefined
  const isGone = scaleIn.does === 'remove'
  const groups = observed.groups.filter((group) => group !== leaving || !isGone)

  const steps: Step[] = [{ do: 'apply', type: services, object: peersService(desired) }]
  const isAsleep = asked.spec.hibernate
  const pods = observed.groups.flatMap((group) => group.members.flatMap(({ pod }) => pod?.metadata.name ?? []))
  const sleep: Sleep = isAsleep ? { is: 'asleep', pods, what: 'no broker runs, all volumes are kept' } : { is: 'awake' }
  const notes: Note[] = sleepNotes(sleep, asked.status?.conditions)
  const kept = observed.groups.map(({ index }) => index).filter((index) => index < wanted)
  const volumes = planVolumes(desired, kept, observed.volumes)
  const settled: Plan['settled'] = []
  const changed: SettingsChange[] = []
  const present = groups.flatMap(({ statefulSet }) => statefulSet ?? [])
  const revision = revisionOf(desired, present, runtimeImage)
  for (const group of groups) {
    const since = group === leaving ? quietSince(group, nowMs) : undefined
    const drainAborted = isAborted(scaleIn, group) ? abortMarkOf(asked) : undefined
    const mayStart = nameServers.isUsable
    const areVolumesSettled = volumes.settled(group.index)
    const kept = keep(desired, group, { drainingSince: since, drainAborted, mayStart, revision, areVolumesSettled })
    steps.push(...kept.steps)
    notes.push(...kept.notes)
    settled.push(...kept.settled)
    changed.push(...kept.changed)
  }
  notes.push(...settingsNotes(desired, changed))
  if (leaving) {
    const left = scaleIn.does === 'remove' ? remove(desired, leaving, scaleIn.isUnread) : stopWrites(leaving)
    steps.push(...left.steps)
    notes.push(...scaleInNotes(asked, scaleIn), ...left.notes)
  } else notes.push(...scaleInNotes(asked, scaleIn))
  const names = observed.groups.map(({ brokerName }) => brokerName)
  for (const budget of observed.budgets.filter((name) => !names.includes(name))) {
    const [type, object] = named(desired, podDisruptionBudgets, budget) // two for one pod would stop every eviction
    steps.push({ do: 'delete', type, object })
  }

  const progress = leaving && !isGone ? drainProgress(asked, leaving, nowMs) : { draining: undefined, notes: [] }
  notes.push(...progress.notes)
  const statuses = groups.map((group) =>
    groupStatusOf(desired, group, nameServers.expected, group === leaving ? progress.draining : undefined),
  )
  for (const { name, state } of statuses) {
    if (state === 'Serving' && stateBefore(desired, name) !== 'Serving') {
      notes.push(note('GroupServing', `broker group ${name} is registered everywhere`))
    }
  }
  notes.push(...diskNotes(asked, statuses))
  const rolling = groups.map((group) => rollOf(desired, group, nameServers.expected, revision, nowMs))
  const next = nameServers.isUsable && !isAsleep ? nextToRestart(rolling) : undefined // without them nobody is ready, whoever works
  const restarting = groups.find(({ index }) => index === next?.index)
  const { pod: restart, service } = restarting?.members.find(({ ordinal }) => ordinal === next?.ordinal) ?? {}
  if (restart) {
    steps.push({ do: 'delete', type: podType, object: restart })
    const moved = isOlder(restart, service) ? ['AddressChanged'] : []
    notes.push(note('BrokerRestarted', restartText(restart, restarting?.statefulSet, moved)))
  }

  steps.push(...volumes.steps) // last: what refuses them holds up nothing else
  notes.push(...volumes.notes)

  const outdated = rolling.flatMap(({ members }) => members).filter(({ isOutdated }) => isOutdated).length
  const staying = groups.filter((group) => group !== leaving)
  const missing = isAsleep ? [] : missingOf(desired, staying, nameServers, nowMs)
  if (missing.length > 0 && registeredBefore(desired)?.reason !== registrationMissing) {
    const message = `for a minute not known to all NameServers that answer: ${missing.join(', ')}`
    notes.push({ type: 'Warning', reason: registrationMissing, message })
  }
  const rolled = groups.flatMap((group, at) =>
    group === leaving ? [] : rolloutMembers(group, rolling[at] as RollGroup),
  )
  const { rollout, notes: rolloutNotes } = isAsleep
    ? { rollout: undefined, notes: [] }
    : rolloutOf({
        kind: 'Broker',
        before: asked.status?.rollout,
        revision: revision.madeFor,
        members: rolled,
        trouble: registrationWait(missing),
        paused: asked.spec.paused,
      })
  notes.push(...rolloutNotes)
  const countOf = (...states: GroupState[]) => statuses.filter(({ state }) => states.includes(state)).length
  const isWholeGroup = (group: ObservedGroup) =>
    wantedMembers(desired, group).every((member) => isWhole(member, nameServers.expected))
  const isMasterWhole = ({ members: [master] }: ObservedGroup) => isWhole(master, nameServers.expected)
  return {
    steps,
    settled,
    status: {
      selector: `${label.brokerSet}=${desired.metadata.name},${label.role}=master`,
      clusterName: clusterNameOf(desired),
      ...podsOf(asked, observed, runtimeImage),
      ...(!asked.spec.storage.ephemeral && { storageSize: String(asked.spec.storage.size) }),
      readyMasters: isAsleep ? 0 : staying.filter(isMasterWhole).length,
      groups: countOf('Serving', 'Degraded'), // a short absence must not make an autoscaler add one
      readyGroups: isAsleep ? 0 : staying.filter(isWholeGroup).length,
      updatedReplicas: isAsleep ? 0 : countUpdated(rolled),
      ...(nameServers.address !== undefined && { nameServers: nameServers.address }),
      ...(rollout && { rollout }),
      groupStatuses: statuses,
    },
    verdicts: [
      ...(sleep.is === 'asleep'
        ? asleepVerdicts(sleep, ['Available', 'Registered', 'InSync'])
        : verdictsOf({
            wanted,
            nameServers,
            statuses,
            outdated,
            staying: staying.map((group) => ({ ...group, members: wantedMembers(desired, group) })),
            surplus: staying.flatMap((group) => surplusMembers(desired, group)),
            missing,
            unsettled: desired.spec.paused ? changed : [],
            stall: scaleInStall(asked, scaleIn),
          })),
      scaleInVerdict(asked, scaleIn),
      sleepVerdict(sleep),
      volumes.verdict,
      diskVerdict(asked, statuses),
    ],
    notes,
    recheckAfterMs: Math.min(
      leaving ? drainPollMs : recheckAfterMs(desired, observed.nameServers, staying),
      volumes.verdict.reason === 'Resizing' ? resizePollMs : steadyPollMs,
    ),
  }
}

/** How many pods there are and what they run. */
function podsOf({ spec, status }: BrokerSet, { groups }: Observed, runtimeImage: string) {
  const members = groups.flatMap((group) => group.members)
  const pods = members.flatMap(({ pod }) => pod ?? [])
  const targetVersion = versionOf(spec.image ?? runtimeImage)
  // all may be away for a moment
  const currentVersion = versionInUse(pods, targetVersion) ?? (spec.hibernate ? undefined : status?.currentVersion)
  return {
    replicas: pods.length,
    readyReplicas: members.filter(({ isPodReady }) => isPodReady).length,
    ...(currentVersion !== undefined && { currentVersion }),
    targetVersion,
  }
}

function recheckAfterMs(
  desired: BrokerSet,
  { isUsable, expected }: Observed['nameServers'],
  staying: readonly ObservedGroup[],
): number {
  if (!isUsable || desired.spec.hibernate) return steadyPollMs
  const isMoving = staying.some((group) => {
    const [master] = group.members
    const isHeld = !group.isAdmitted && master.pod?.status?.phase === 'Running'
    const mayBecomeWhole = (member: ObservedMember) => member.isPodReady && !isWhole(member, expected)
    const isLeaving = surplusMembers(desired, group).some(({ pod }) => pod === undefined) // NameServers still know it
    return isHeld || isLeaving || wantedMembers(desired, group).some(mayBecomeWhole)
  })
  if (isMoving) return registrationPollMs
  const members = staying.flatMap((group) => wantedMembers(desired, group))
  return members.some((member) => member.sync && !isInSync(member)) ? copyPollMs : steadyPollMs
}

/** Slaves that are to go, and are not gone: their pod is there, or a NameServer knows them. */
function surplusMembers(desired: BrokerSet, group: ObservedGroup): ObservedMember[] {
  const wanted = wantedMembers(desired, group)
  return group.members.filter(
    (member) => !wanted.includes(member) && (member.pod !== undefined || member.registeredCount > 0),
  )
}

function registeredBefore({ status }: BrokerSet) {
  return status?.conditions?.find(({ type }) => type === 'Registered')
}

/**
 * Brokers that are ready and free to register, and that not all NameServers know which answer, where that has been so for
 * registrationWorryMs. A NameServer that is not there is nothing that a broker lacks.
 */
function missingOf(
  desired: BrokerSet,
  staying: readonly ObservedGroup[],
  { isUsable, answers }: Observed['nameServers'],
  nowMs: number,
): string[] {
  const before = registeredBefore(desired)
  const isOld = before?.status === 'False' && nowMs - Date.parse(before.lastTransitionTime) >= registrationWorryMs
  if (!isUsable || !isOld || desired.spec.paused) return [] // paused, it could not be told
  const free = staying.filter(({ isAdmitted }) => isAdmitted).flatMap((group) => wantedMembers(desired, group))
  return free
    .filter(
      ({ pod, registeredCount }) => registeredCount < answers.length && readyMsOf(pod, nowMs) >= registrationWorryMs,
    )
    .map(({ name }) => name)
}

function note(reason: string, message: string): Note {
  return { type: 'Normal', reason, message }
}

/** Whether it was to go, and stays because nobody read it to its end in time. */
function isAborted(scaleIn: ScaleIn, group: ObservedGroup): boolean {
  return (scaleIn.does === 'abort' || scaleIn.does === 'stay') && scaleIn.group === group
}

interface Keeping {
  /** Set for the group that leaves; one that was to leave and may stay takes messages again. */
  drainingSince: string | undefined
  /** See abortMarkOf. */
  drainAborted: string | undefined
  mayStart: boolean
  revision: PodRevision
  areVolumesSettled: boolean
}

/** The objects of a group that stays or still stays. */
function keep(desired: BrokerSet, group: ObservedGroup, keeping: Keeping) {
  const { drainingSince, drainAborted, mayStart, revision, areVolumesSettled } = keeping
  const { index, brokerName, isDataRoots, members, statefulSet: live } = group
  const [master] = members
  const wanted = wantedMembers(desired, group)
  const steps: Step[] = [{ do: 'apply', type: podDisruptionBudgets, object: groupBudget(desired, index) }]
  for (const { ordinal } of wanted) {
    steps.push({ do: 'apply', type: services, object: memberService(desired, index, ordinal) })
  }
  const surplus = surplusMembers(desired, group)
  for (const member of members) {
    if (wanted.includes(member) || surplus.includes(member)) continue
    const [type, object] = named(desired, services, member.name)
    steps.push({ do: 'delete', type, object })
  }
  const brokerAddr = addressOf(master.service)
  const isAsleep = desired.spec.hibernate
  const isHeld = brokerAddr === undefined || ((!mayStart || isAsleep) && !live)
  if (isHeld) return { steps, notes: [], settled: [], changed: [] } // the Service's address, or a NameServer, comes with an event

  const notes = live ? [] : [note('GroupCreated', `broker group ${brokerName} is being started`)]
  if (group.drainingSince !== undefined && drainingSince === undefined) {
    const then = isAsleep ? 'is drained anew when it wakes' : 'takes messages again'
    if (!isAsleep) steps.push({ do: 'setPermission', brokerName, brokerAddr, permission: readWrite })
    notes.push(note('DrainCancelled', `broker group ${brokerName} ${then}`))
  }
  // a master registers when it has what it is to serve: first the deeds at the broker, then the mark, then it is let go
  const { held } = isAsleep ? {} : group
  if (held && held.topics.length + held.groups.length > 0)
    steps.push({ do: 'furnish', brokerName, brokerAddr, ...held })
  const isAdmitted = group.isAdmitted || held !== undefined
  const count = replicasOf(group, wanted, revision)
  const ipOf = (wantedOrdinal: number) =>
    members.find(({ ordinal }) => ordinal === wantedOrdinal)?.service?.spec?.clusterIP
  const brokerIPs = Array.from({ length: count }, (_, ordinal) => ipOf(ordinal))
  const facts = {
    brokerIPs,
    replicas: isAsleep ? 0 : count,
    revision,
    live,
    isDataRoots,
    isAdmitted,
    drainingSince,
    drainAborted,
    volumes: areVolumesSettled ? volumesMarkOf(desired) : undefined,
  }
  const { config, statefulSet } = groupObjects(desired, index, facts)
  steps.push(
    { do: 'apply', type: configMaps, object: config },
    { do: 'apply', type: statefulSets, object: statefulSet },
  )
  const { settled, changed } = settle(desired, isAsleep ? [] : wanted, group.drainingSince, drainingSince)
  for (const { brokerAddr, settings } of changed) steps.push({ do: 'changeSettings', brokerAddr, settings })
  if (held) steps.push({ do: 'release', brokerName, brokerAddr })
  for (const { ordinal, pod } of members) {
    const role = roleOf(ordinal)
    const isLabelled = pod === undefined || pod.metadata.labels?.[label.role] === role
    if (!isLabelled && pod.metadata.deletionTimestamp === undefined) steps.push({ do: 'label', pod, role })
  }
  return { steps, notes, settled, changed }
}

interface SettingsChange {
  name: string // of the pod
  brokerAddr: string
  settings: Record<string, string>
}

/** What brokers that answered run with, and should not. The permission of one whose drain begins or ends is seen to already. */
function settle(
  desired: BrokerSet,
  members: readonly ObservedMember[],
  drainedSince: string | undefined,
  drainingSince: string | undefined,
) {
  const settled: Plan['settled'] = []
  const changed: SettingsChange[] = []
  const isDraining = drainingSince !== undefined
  for (const { ordinal, name, pod, service, settings: running } of members) {
    const brokerAddr = addressOf(service)
    if (running === undefined || brokerAddr === undefined) continue
    const wanted = liveSettingsOf(desired, ordinal, isDraining)
    const others = Object.entries(wanted).filter(([key, value]) => {
      if (key === 'brokerPermission' && (isDraining || drainedSince !== undefined)) return false
      return (running.get(key) ?? value) !== value // a setting that it does not name is none of its version
    })
    settled.push({ brokerAddr, state: settingsState(wanted, pod) })
    if (others.length > 0) changed.push({ name, brokerAddr, settings: Object.fromEntries(others) })
  }
  return { settled, changed }
}

function settingsNotes({ status, metadata }: BrokerSet, changed: readonly SettingsChange[]): Note[] {
  if (changed.length === 0) return []
  const keys = [...new Set(changed.flatMap(({ settings }) => Object.keys(settings)))].join(', ')
  const names = changed.map(({ name }) => name).join(', ')
  if (status?.observedGeneration !== metadata.generation) {
    return [note('SettingsChanged', `${names} took ${keys} without a restart`)]
  }
  return [note('DriftCorrected', `${keys} of ${names} had been changed there and are as the resource says again`)]
}

/**
 * How many brokers a group is to have now. More of them when each has an address; fewer when the master no longer waits
 * for those that go.
 */
function replicasOf(group: ObservedGroup, wanted: readonly ObservedMember[], revision: PodRevision): number {
  const now = group.statefulSet?.spec?.replicas ?? 0
  if (now > wanted.length) return isOutdated(group, group.members[0], revision) ? now : wanted.length
  const unaddressed = wanted.findIndex(({ service }) => addressOf(service) === undefined)
  return Math.max(now, unaddressed < 0 ? wanted.length : unaddressed)
}

function remove(
  desired: BrokerSet,
  { index, brokerName, members, statefulSet }: ObservedGroup,
  isUnread: boolean,
): { steps: Step[]; notes: Note[] } {
  const kept = desired.spec.storage.ephemeral ? '' : '; its volumes are kept'
  const message = statefulSet
    ? `broker group ${brokerName} was removed${isUnread ? ' with messages that nobody had read' : ''}${kept}`
    : `what was left of broker group ${brokerName} was removed`
  const ordinals = members.map(({ ordinal }) => ordinal)
  return {
    steps: retiredObjects(desired, index, ordinals).map(([type, object]) => ({ do: 'delete', type, object })),
    notes: [note('GroupRemoved', message)],
  }
}

/** Since when nobody may write to the group that leaves: from now on, if its broker takes messages (again). */
function quietSince({ drain, drainingSince }: ObservedGroup, nowMs: number): string {
  const takesMessages = drain !== undefined && 'permission' in drain && drain.permission !== readOnly
  return drainingSince === undefined || takesMessages ? timeText(nowMs) : drainingSince
}

/** Looked at in each pass: a broker that restarted while it drains takes messages again. */
function stopWrites({ brokerName, members: [{ service }], drain }: ObservedGroup): { steps: Step[]; notes: Note[] } {
  const brokerAddr = addressOf(service)
  const isStopped = !drain || !('permission' in drain) || drain.permission === readOnly
  if (isStopped || brokerAddr === undefined) return { steps: [], notes: [] }
  return {
    steps: [{ do: 'setPermission', brokerName, brokerAddr, permission: readOnly }],
    notes: [note('DrainStarted', `broker group ${brokerName} takes no more messages; it goes when all are read`)],
  }
}
