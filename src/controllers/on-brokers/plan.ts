import type { Note } from '../../kube/index.ts'
import type { Readiness } from '../conditions.ts'
import type { BrokerSet, ConsumerGroup, Topic } from '../resources.ts'

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
  { rival, brokers }: Observed<Declared, Asked<Has>>,
  isSame: (has: Has) => boolean,
): Asked<Has>[] {
  if (rival) return []
  return brokers.filter(({ has, isLeaving, isPlaced = true, trouble }) => {
    if (trouble !== undefined || !isPlaced) return false
    return has === undefined ? !isLeaving : !isSame(has)
  })
}

const failingMax = 8

/** What a pass did: whether a step made the thing, changed it or took it away, and on which broker. */
export interface Done {
  deed: 'make' | 'correct' | 'remove'
  brokerName: string
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
  { brokerSet, brokers, rival, placement }: Observed<Declared, Asked<unknown>>,
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
  const isMoving = ({ brokerName }: Place) => moving.includes(brokerName) && !failures.has(brokerName)
  const isUndone = ({ brokerName }: Place) => undone.some((step) => step.brokerName === brokerName)
  const sated = staying.filter((one) => !isMoving(one) && !isUndone(one)).length
  const synced = rival ? 0 : sated - failing.length
  const groups = brokerSet?.spec.groups ?? 0
  const count = placement?.length ?? Math.max(groups, staying.length) // more, where some may not go
  const absent = brokerSet ? (placement ?? []).filter((index) => index >= groups) : []
  const done = paused ? [] : steps.filter(({ brokerName }) => !failures.has(brokerName))
  const namesOf = (deed: Done['deed']) => done.filter((step) => step.deed === deed).map(({ brokerName }) => brokerName)
  return {
    synced,
    status: {
      brokers: { desired: count, synced },
      ...(failing.length > 0 && { failing: failing.slice(0, failingMax) }),
    },
    readiness: judge(
      desired,
      { brokerSet, rival },
      { synced, count, failing, undone, moving, movingHere: staying.filter(isMoving).length, absent },
      words,
    ),
    notes: [
      ...noteOf(namesOf('make'), `${words.kind}Created`, 'made on', words),
      ...noteOf(namesOf('correct'), isDrift(desired) ? 'DriftCorrected' : `${words.kind}Updated`, 'changed on', words),
    ],
  }
}

/** Whether all brokers had it as this spec says: then somebody changed it there. */
function isDrift({ status, metadata }: Declared): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  return ready?.status === 'True' && ready.observedGeneration === metadata.generation
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
  /** Brokers that give something up. */
  moving: readonly string[]
  /** How many of them keep the rest. */
  movingHere: number
  /** Groups of the placement that the BrokerSet does not have. */
  absent: readonly number[]
}

function judge(
  desired: Declared,
  { brokerSet, rival }: Pick<Observed<Declared, never>, 'brokerSet' | 'rival'>,
  { synced, count, failing, undone, moving, movingHere, absent }: Findings,
  { kind, thing }: Words,
): Readiness {
  if (rival) {
    const message = `${kind} ${rival.metadata.name} speaks for ${nameOnBrokers(desired)} already: delete one of the two`
    return { status: 'False', reason: 'ResourceConflict', message, isStalled: true }
  }
  if (!brokerSet) {
    const message = `BrokerSet ${desired.spec.brokerSetRef.name} does not exist`
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
