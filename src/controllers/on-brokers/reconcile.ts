import { crc32 } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import { messageOf, OperatingError } from '../../base/errors.ts'
import type { KubeObject, Note, ResourceType } from '../../kube/index.ts'
import { isOwn, timeText, verdict } from '../conditions.ts'
import { hasFinalizer, keepFinalizer } from '../finalizer.ts'
import { writeStatus } from '../perform.ts'
import { follow, type Reference } from '../references.ts'
import type { BrokerSet } from '../resources.ts'
import type { Shell } from '../shell.ts'
import { claimOf, type Sight, type World } from '../world.ts'
import type { Asked, Declared, Observed, Place, Words } from './plan.ts'

const driftPollMs = 60_000 // nobody tells when something is changed by hand
const driftPollMsLeast = 1_000
/** How long a deletion waits for brokers that do not answer; then what they have is left where it is. */
const deletionGraceMs = 120_000
const deletionPollMs = 5_000

/**
 * When to look again whether all is as it should be: everything of one BrokerSet at one time, so that its brokers are asked for
 * their tables once a period; other BrokerSets' at other times.
 */
export function driftCheckAfterMs({ metadata, spec }: Declared, clock: Clock): number {
  const phaseMs = crc32(`${metadata.namespace}/${spec.brokerSetRef.name}`) % driftPollMs
  const passedMs = (clock.monotonicMs() + phaseMs) % driftPollMs
  return Math.max(driftPollMsLeast, driftPollMs - passedMs)
}

/** Looks for the BrokerSet and asks each of its brokers that serve, also those that serve readers only and will leave. */
export async function observe<Resource extends Declared, Broker extends Asked<unknown>>(
  desired: Resource,
  sight: Sight<Resource>,
  ask: (place: Place, peerAddrs: readonly string[]) => Promise<Broker>,
  shell: Shell,
): Promise<Observed<Resource, (Broker | (Place & { has: undefined; trouble: string })) & { isLeaving: boolean }>> {
  const reference = brokerSetOf(desired, shell.world)
  const brokerSet = reference.is === 'there' ? reference.object : undefined
  const serving = (brokerSet?.status?.groupStatuses ?? []).filter(
    ({ state }) => state === 'Serving' || state === 'Draining',
  )
  const brokers = await Promise.all(
    serving.flatMap(({ name, state, address }) => {
      if (address === undefined) return []
      const place = { brokerName: name, brokerAddr: address }
      const peers = (brokerSet?.status?.groupStatuses ?? []).filter((group) => group.name !== name)
      const peerAddrs = peers.flatMap((group) => group.address ?? [])
      const asked = ask(place, peerAddrs).catch((error) => ({ ...place, has: undefined, trouble: messageOf(error) }))
      return [asked.then((broker) => ({ ...broker, isLeaving: state === 'Draining' }))]
    }),
  )
  const rival = othersOf(desired, sight, shell.world).find((other) => isOlder(other, desired))
  return { brokerSet, absence: absenceOf(reference), rival, brokers }
}

function brokerSetOf(declared: Declared, world: World): Reference<BrokerSet> {
  return follow(declared, declared.spec.brokerSetRef, world.brokerSets, world)
}

function absenceOf(reference: Reference<BrokerSet>): Observed<Declared, never>['absence'] {
  if (reference.is === 'there') return undefined
  const { is, message } = reference
  return { reason: is === 'notAllowed' ? 'NotAllowed' : 'ClusterNotReady', message }
}

/** The other resources that speak for the same thing of the same brokers, may do so, and stay. */
function othersOf<Resource extends Declared>(desired: Resource, sight: Sight<Resource>, world: World): Resource[] {
  return sight
    .by('claim', claimOf(desired))
    .filter(({ metadata }) => metadata.uid !== desired.metadata.uid && metadata.deletionTimestamp === undefined)
    .filter((other) => brokerSetOf(other, world).is !== 'notAllowed')
}

/** Whether the thing is its own, it may change it, is the oldest of those that speak for it, and stays. */
export function isSpeaker<Resource extends Declared>(
  resource: Resource,
  sight: Sight<Resource>,
  world: World,
): boolean {
  const { metadata, status } = resource
  if (metadata.deletionTimestamp !== undefined || status?.owner !== metadata.uid) return false
  if (brokerSetOf(resource, world).is === 'notAllowed') return false
  return !othersOf(resource, sight, world).some((other) => isOlder(other, resource))
}

/** Which of two resources has what both speak for. */
export function isOlder(one: KubeObject, other: KubeObject): boolean {
  const age = ({ metadata }: KubeObject) => `${metadata.creationTimestamp} ${metadata.uid}`
  return age(one) < age(other)
}

/** Does all steps, on all brokers at a time. @returns why those failed that did, by brokerName */
export async function performOnEach<Step extends Place>(
  steps: readonly Step[],
  perform: (step: Step) => Promise<unknown>,
): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>()
  await Promise.all(
    steps.map(async (step) => {
      try {
        await perform(step)
      } catch (error) {
        failures.set(step.brokerName, messageOf(error)) // the other brokers get theirs all the same
      }
    }),
  )
  return failures
}

/** Has a pass that failed somewhere tried again. @throws OperatingError BROKER_FAILED */
export function throwFailing({
  failing,
}: {
  failing?: readonly { broker: string; reason: string }[] | undefined
}): void {
  if (failing?.[0] !== undefined) throw new OperatingError('BROKER_FAILED', failing[0])
}

/**
 * Deletes the thing where its resource wants that, then lets the resource go. It never waits for what will not come: a
 * BrokerSet that is gone took everything with it, and brokers that stay silent are given a while, not for ever. A thing
 * that another resource speaks for, too, is that one's from now on, with all that is in it; one that was never this
 * resource's stays.
 */
export async function cleanUp<Resource extends Declared>(
  type: ResourceType,
  desired: Resource,
  sight: Sight<Resource>,
  deeds: (brokerAddrs: readonly string[], brokerSet: BrokerSet) => Promise<unknown>[],
  { short }: Words,
  shell: Shell,
): Promise<{ recheckAfterMs: number | undefined }> {
  if (!hasFinalizer(desired)) return { recheckAfterMs: undefined }
  const { deletionPolicy } = desired.spec
  const reference = brokerSetOf(desired, shell.world)
  const brokerSet = reference.is === 'there' ? reference.object : undefined
  const isOwner = desired.status?.owner === desired.metadata.uid && othersOf(desired, sight, shell.world).length === 0
  const orphaned = (why: string) => {
    shell.recorder.record(desired, { type: 'Warning', reason: 'Orphaned', message: `the ${short} stays ${why}` })
  }
  if (deletionPolicy === 'Delete' && isOwner && brokerSet && brokerSet.metadata.deletionTimestamp === undefined) {
    if (brokerSet.spec.hibernate) {
      orphaned(`on the volumes of BrokerSet ${brokerSet.metadata.name}, which hibernates`)
    } else {
      // a cache that lags may show one that is gone: what the brokers have may be that of a resource that took its name
      const live = await shell.client.get(type, desired.metadata.namespace ?? '', desired.metadata.name, shell.signal)
      if (live?.metadata.uid !== desired.metadata.uid) return { recheckAfterMs: undefined }
      const brokerAddrs = (brokerSet.status?.groupStatuses ?? []).flatMap(({ address }) => address ?? [])
      const results = await Promise.allSettled(deeds(brokerAddrs, brokerSet))
      const failed = results.find((result) => result.status === 'rejected')
      const untilMs = Date.parse(desired.metadata.deletionTimestamp as string) + deletionGraceMs
      if (failed && shell.clock.now() < untilMs) return defer(type, desired, messageOf(failed.reason), untilMs, shell)
      if (failed) orphaned(`on brokers that do not answer: ${messageOf(failed.reason)}`)
    }
  }
  if (deletionPolicy === 'Delete' && isOwner && reference.is === 'notAllowed') orphaned(`there: ${reference.message}`)
  await keepFinalizer(type, desired, false, shell)
  return { recheckAfterMs: undefined }
}

/** Says why the resource is still there, and until when. */
async function defer<Resource extends Declared>(
  type: ResourceType,
  desired: Resource,
  trouble: string,
  untilMs: number,
  shell: Shell,
): Promise<{ recheckAfterMs: number }> {
  const message = `${trouble}; the resource goes at ${timeText(untilMs)} all the same`
  const deferred = verdict('DeletionDeferred', true, 'BrokerError', message)
  const conditions = desired.status?.conditions ?? []
  const said = conditions.filter(isOwn).map(({ type, status, reason, message }) => ({ type, status, reason, message }))
  const isNews = !said.some((one) => one.type === deferred.type && one.status === 'True')
  const notes: Note[] = isNews ? [{ type: 'Warning', reason: 'DeletionDeferred', message }] : []
  const verdicts = [...said.filter((one) => one.type !== deferred.type), deferred]
  await writeStatus(type, desired, { status: desired.status ?? {}, verdicts, notes }, shell)
  return { recheckAfterMs: Math.min(deletionPollMs, Math.max(0, untilMs - shell.clock.now())) }
}
