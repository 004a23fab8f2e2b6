import type { Note } from '../../kube/index.ts'
import { type Readiness, type Verdict, verdict } from '../conditions.ts'
import type { BrokerSet, ConsumerGroup, Topic } from '../resources.ts'
import { isInForce, leavesDrift, type Ownership } from './ownership.ts'

/** A resource for something that every broker of a BrokerSet is to have under one name. */
export type Declared = Topic | ConsumerGroup

/** How it is spoken of. */
export interface Words {
  kind: 'Topic' | 'ConsumerGroup'
  thing: string // "2 of 3 broker groups have the …"
  short: string // "the … was made on"
}

/** A broker, named by its group, and where its master is. */
export interface Place {
  brokerName: string
  brokerAddr: string
}

/** What one broker has of it. */
export interface Asked<Has> extends Place {
  /** Its group is being drained: what it has is kept right, but nothing is made there any more. */
  isLeaving?: boolean
  /** false: the thing is not to be there. */
  isPlaced?: boolean
  /** undefined: it does not have it. */
  has: Has | undefined
  /** Why the broker could not be asked. */
  trouble?: string
}

export interface Observed<Resource, Broker> {
  brokerSet: BrokerSet | undefined
  /** Why there is none, if more is to be said than that it does not exist. */
  absence?: { reason: 'ClusterNotReady' | 'NotAllowed'; message: string } | undefined
  /** Another resource that speaks for the same thing of the same brokers, and is older. */
  rival: Resource | undefined
  brokers: Broker[]
  /** Numbers of the broker groups that are to have it; undefined: all, also those that come. */
  placement?: readonly number[] | undefined
}

/** The name that clients and brokers use. */
export function nameOnBrokers({ metadata, spec }: Pick<Declared, 'metadata' | 'spec'>): string {
  const { topicName, groupName }: { topicName?: string | undefined; groupName?: string | undefined } = spec ?? {}
  return topicName ?? groupName ?? metadata.name
}

/** Brokers that lack what is wanted, or have it otherwise; those that could not be asked are left alone. */
export function unlike<Has>(
  { brokers }: Pick<Observed<Declared, Asked<Has>>, 'brokers'>,
  isSame: (has: Has) => boolean,
): Asked<Has>[] {
  return brokers.filter(({ has, isLeaving, isPlaced = true, trouble }) => {
    if (trouble !== undefined || !isPlaced) return false
    return has === undefined ? !isLeaving : !isSame(has)
  })
}

const failingMax = 8

/** Of a resource that is not being deleted. */
export const notDeferred: Verdict = verdict('DeletionDeferred', false, 'NotDeleted', '')

/** What a pass did: whether a step made the thing, changed it or took it away, and on which broker. */
export interface Done {
  deed: 'make' | 'correct' | 'remove'
  brokerName: string
  /** What the broker had otherwise, as in "perm 4, not 6". */
  what?: string
}

/**
 * What a pass found and did.
 * @param steps also those that failed; of a paused resource: those that were not done
 * @param failures of steps, by brokerName
 * @param moving brokers that give something up, and have not done so yet
 * @returns the common part of the status, how ready it is, and what to tell
 */
export function report(
  desired: Declared,
  { brokerSet, absence, brokers, rival, placement }: Observed<Declared, Asked<unknown>>,
  ownership: Ownership,
  steps: readonly Done[],
  failures: ReadonlyMap<string, string>,
  words: Words,
  moving: readonly string[] = [],
) {
  const staying = brokers.filter(({ isLeaving, isPlaced = true }) => !isLeaving && isPlaced)
  const failing = staying.flatMap(({ brokerName, trouble }) => {
    const reason = trouble ?? failures.get(brokerName)
    return reason === undefined ? [] : [{ broker: brokerName, reason: reason.slice(0, 1024) }]
  })
  const { paused } = desired.spec
  const undone = paused ? steps.filter(({ brokerName }) => staying.some((one) => one.brokerName === brokerName)) : []
  const left = !paused && leavesDrift(desired) ? steps.filter(({ deed }) => deed !== 'make') : []
  const isMoving = ({ brokerName }: Place) => moving.includes(brokerName) && !failures.has(brokerName)
  const isUndone = ({ brokerName }: Place) => [...undone, ...left].some((step) => step.brokerName === brokerName)
  const sated = staying.filter((one) => !isMoving(one) && !isUndone(one)).length
  const synced = ownership.isOwner ? sated - failing.length : 0
  const groups = brokerSet?.spec.groups ?? 0
  const count = placement?.length ?? Math.max(groups, staying.length) // more, where some may not go
  const absent = brokerSet ? (placement ?? []).filter((index) => index >= groups) : []
  const done = paused ? [] : steps.filter((step) => !left.includes(step) && !failures.has(step.brokerName))
  const namesOf = (deed: Done['deed']) => done.filter((step) => step.deed === deed).map(({ brokerName }) => brokerName)
  const movingHere = staying.filter(isMoving).length
  const found = { synced, count, failing, undone, left, moving, movingHere, absent }
  const ready = judge(desired, { brokerSet, absence, rival }, ownership, found, words)
  const { generation } = desired.metadata
  const syncedGeneration = ready.status === 'True' ? generation : desired.status?.syncedGeneration
  return {
    synced,
    status: {
      brokers: { desired: count, synced },
      ...(failing.length > 0 && { failing: failing.slice(0, failingMax) }),
      ...(ownership.owner !== undefined && { owner: ownership.owner }),
      ...(syncedGeneration !== undefined && { syncedGeneration }),
    },
    readiness: ready,
    notes: [
      ...noteOf(namesOf('make'), `${words.kind}Created`, 'made on', words),
      ...noteOf(
        namesOf('correct'),
        isInForce(desired) ? 'DriftCorrected' : `${words.kind}Updated`,
        'changed on',
        words,
      ),
      ...warningOf(desired, ready),
    ],
  }
}

const warned = ['NotAllowed', 'ResourceConflict', 'AdoptionConflict', 'Drifted']

/** What needs a person, when it is news. */
function warningOf({ status }: Declared, { reason, message }: Readiness): Note[] {
  const before = status?.conditions?.find(({ type }) => type === 'Ready')
  return warned.includes(reason) && before?.reason !== reason ? [{ type: 'Warning', reason, message }] : []
}

function noteOf(brokerNames: readonly string[], reason: string, verb: string, { short }: Words): Note[] {
  if (brokerNames.length === 0) return []
  return [{ type: 'Normal', reason, message: `the ${short} was ${verb} ${brokerNames.join(', ')}` }]
}

interface Findings {
  synced: number
  /** How many there should be. */
  count: number
  failing: readonly { broker: string; reason: string }[]
  /** Left as they are since the resource is paused. */
  undone: readonly Done[]
  /** Left as they are since driftPolicy says so. */
  left: readonly Done[]
  /** Brokers that give something up. */
  moving: readonly string[]
  /** How many of them keep the rest. */
  movingHere: number
  /** Groups of the placement that the BrokerSet does not have. */
  absent: readonly number[]
}

function judge(
  desired: Declared,
  { brokerSet, absence, rival }: Pick<Observed<Declared, never>, 'brokerSet' | 'absence' | 'rival'>,
  { conflict }: Ownership,
  { synced, count, failing, undone, left, moving, movingHere, absent }: Findings,
  { kind, thing, short }: Words,
): Readiness {
  if (absence?.reason === 'NotAllowed') return { status: 'False', ...absence, isStalled: true }
  if (rival) {
    const isNear = rival.metadata.namespace === desired.metadata.namespace
    const who = isNear ? `${kind} ${rival.metadata.name}` : `a ${kind} of another namespace` // which is not for all to know
    const message = `${who} speaks for ${nameOnBrokers(desired)} already: delete one of the two`
    return { status: 'False', reason: 'ResourceConflict', message, isStalled: true }
  }
  if (conflict !== undefined) {
    const message =
      `the ${short} ${nameOnBrokers(desired)} was there before this resource; ${conflict}. ` +
      'Nothing is done: let the spec say what is there, or set spec.adoptionPolicy to Always'
    return { status: 'False', reason: 'AdoptionConflict', message, isStalled: true }
  }
  if (!brokerSet) {
    const message = absence?.message ?? `BrokerSet ${desired.spec.brokerSetRef.name} does not exist`
    return { status: 'Unknown', reason: 'ClusterNotReady', message }
  }
  if (brokerSet.spec.hibernate) {
    const message = `BrokerSet ${brokerSet.metadata.name} hibernates`
    return { status: 'Unknown', reason: 'ClusterHibernated', message }
  }
  const [first] = failing
  if (first) {
    const message = `${failing.length} brokers failed; ${first.broker}: ${first.reason}`
    return { status: 'False', reason: 'BrokerError', message }
  }
  const have = `${synced} of ${count} broker groups have the ${thing}`
  const [drifted] = left
  if (drifted) {
    const more = left.length > 1 ? ` (and ${left.length - 1} more)` : ''
    const message =
      `${have} as wanted; ${drifted.brokerName}: ${drifted.what ?? 'it is otherwise'}${more}, ` +
      'and spec.driftPolicy Report leaves it: change it back, or the spec'
    return { status: 'False', reason: 'Drifted', message, isStalled: true }
  }
  if (undone.length > 0) {
    const names = undone.slice(0, failingMax).map(({ brokerName }) => brokerName)
    const message = `${have}; ${names.join(', ')} lack it or have it otherwise`
    return { status: 'False', reason: 'Paused', message }
  }
  if (synced + movingHere < count) {
    const others =
      absent.length > 0
        ? `BrokerSet ${brokerSet.metadata.name} has ${brokerSet.spec.groups} groups, so none of number ${absent.join(', ')}`
        : 'the others do not serve yet'
    return { status: synced > 0 ? 'False' : 'Unknown', reason: 'ClusterNotReady', message: `${have}; ${others}` }
  }
  if (moving.length > 0) {
    const message = `${have} as wanted; ${moving.slice(0, failingMax).join(', ')} give up what is no longer wanted: see Draining`
    return { status: 'False', reason: 'Draining', message }
  }
  return { status: 'True', reason: 'Synced', message: have }
}
