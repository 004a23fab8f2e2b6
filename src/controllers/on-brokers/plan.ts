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
  return brokers.filter(({ has, isLeaving, trouble }) => {
    if (trouble !== undefined) return false
    return has === undefined ? !isLeaving : !isSame(has)
  })
}

const failingMax = 8

/** What a pass did: whether a step made the thing or changed it, and on which broker. */
export interface Done {
  isCorrection: boolean
  brokerName: string
}

/**
 * What a pass found and did.
 * @param steps also those that failed; of a paused resource: those that were not done
 * @param failures of steps, by brokerName
 * @returns the common part of the status, how ready it is, and what to tell
 */
export function report(
  desired: Declared,
  { brokerSet, brokers, rival }: Observed<Declared, Asked<unknown>>,
  steps: readonly Done[],
  failures: ReadonlyMap<string, string>,
  words: Words,
) {
  const staying = brokers.filter(({ isLeaving }) => !isLeaving)
  const failing = staying.flatMap(({ brokerName, trouble }) => {
    const reason = trouble ?? failures.get(brokerName)
    return reason === undefined ? [] : [{ broker: brokerName, reason: reason.slice(0, 1024) }]
  })
  const { paused } = desired.spec
  const undone = paused ? steps.filter(({ brokerName }) => staying.some((one) => one.brokerName === brokerName)) : []
  const synced = rival ? 0 : staying.length - failing.length - undone.length
  const count = Math.max(brokerSet?.spec.groups ?? 0, staying.length) // more, where some may not go
  const done = paused ? [] : steps.filter(({ brokerName }) => !failures.has(brokerName))
  const namesOf = (isCorrection: boolean) =>
    done.filter((step) => step.isCorrection === isCorrection).map(({ brokerName }) => brokerName)
  return {
    synced,
    status: {
      brokers: { desired: count, synced },
      ...(failing.length > 0 && { failing: failing.slice(0, failingMax) }),
    },
    readiness: judge(desired, { brokerSet, rival }, { synced, count, failing, undone }, words),
    notes: [
      ...noteOf(namesOf(false), `${words.kind}Created`, 'made on', words),
      ...noteOf(namesOf(true), isDrift(desired) ? 'DriftCorrected' : `${words.kind}Updated`, 'changed on', words),
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
}

function judge(
  desired: Declared,
  { brokerSet, rival }: Pick<Observed<Declared, never>, 'brokerSet' | 'rival'>,
  { synced, count, failing, undone }: Findings,
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
  if (synced < count) {
    const message = `${have}; the others do not serve yet`
    return { status: synced > 0 ? 'False' : 'Unknown', reason: 'ClusterNotReady', message }
  }
  return { status: 'True', reason: 'Synced', message: have }
}
