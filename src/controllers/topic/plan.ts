import type { TopicDraining, TopicStatus } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import type { BrokerTopic } from '../admin.ts'
import { pausable, readiness, type Verdict } from '../conditions.ts'
import { leavesDrift, type Ownership, ownershipOf, stepsToDo } from '../on-brokers/ownership.ts'
import {
  nameOnBrokers,
  notDeferred,
  type Observed as On,
  type Place,
  report,
  unlike,
  type Words,
} from '../on-brokers/plan.ts'
import type { Report } from '../perform.ts'
import type { Topic } from '../resources.ts'
import { type Drain, drainingOf, drainOf, drainVerdict, type ObservedBroker, whatGoes } from './drain.ts'
import { differences, isSame, wantedTopic } from './wanted.ts'

export type Observed = On<Topic, ObservedBroker>

export const words: Words = { kind: 'Topic', thing: 'topic', short: 'topic' }

export interface Step extends Place {
  do: 'createTopic' | 'correctTopic' | 'deleteTopic'
  /** As it is to be; of a topic that goes: as it is. */
  topic: BrokerTopic
  /** Begins to give something up, or ends it. */
  drain?: { drain: Drain; does: 'begin' | 'end' }
  /** What is otherwise there. */
  what?: string
}

const drainPollMs = 5_000 // nobody tells when a message is read

export function ownerOf(desired: Topic, observed: Observed): Ownership {
  const wanted = wantedTopic(desired)
  return ownershipOf<BrokerTopic>(desired, observed, ({ has, isPlaced }) => {
    if (!isPlaced) return 'spec.placement leaves this broker out'
    return isSame(has, wanted) ? undefined : differences(has, wanted).join(', ')
  })
}

/**
 * Plans one pass: makes the topic where it is missing and changes it back where it differs. What a broker is to give up
 * takes no more messages first, and goes when all are read.
 */
export function plan(desired: Topic, observed: Observed, nowMs: number): Step[] {
  if (!ownerOf(desired, observed).isOwner) return []
  if (leavesDrift(desired)) return driftOf(desired, observed)
  const wanted = wantedTopic(desired)
  const drains = drainsOf(desired, observed, nowMs)
  const stepsOfDrains = observed.brokers.flatMap(({ brokerName, brokerAddr, has }): Step[] => {
    const drain = drains.find((one) => one.brokerName === brokerName)
    if (!drain || !has) return []
    const place = { brokerName, brokerAddr }
    if (drain.isOver) {
      const ends = { drain, does: 'end' } as const
      if (drain.gives === 'Topic') return [{ do: 'deleteTopic', ...place, topic: has, drain: ends }]
      return [{ do: 'correctTopic', ...place, topic: wanted, drain: ends }]
    }
    if (drain.sinceMs !== undefined) return []
    return [{ do: 'correctTopic', ...place, topic: drain.meanwhile, drain: { drain, does: 'begin' } }]
  })
  const others = unlike(observed, (has) => isSame(has, targetOn(has, wanted))).filter(
    ({ brokerName }) => !drains.some((drain) => drain.brokerName === brokerName),
  )
  const plainSteps = others.map(
    ({ brokerName, brokerAddr, has }): Step => ({
      do: has ? 'correctTopic' : 'createTopic',
      brokerName,
      brokerAddr,
      topic: has ? targetOn(has, wanted) : wanted,
    }),
  )
  return [...plainSteps, ...stepsOfDrains]
}

/** What would make it right again. Of these steps those alone are done that make what is missing: see stepsToDo. */
function driftOf(desired: Topic, { brokers }: Observed): Step[] {
  const wanted = wantedTopic(desired)
  return brokers.flatMap(({ brokerName, brokerAddr, has, isLeaving, isPlaced, trouble }): Step[] => {
    if (trouble !== undefined || isLeaving) return []
    const place = { brokerName, brokerAddr }
    if (!isPlaced) return has ? [{ do: 'deleteTopic', ...place, topic: has, what: 'it has the topic' }] : []
    if (!has) return [{ do: 'createTopic', ...place, topic: wanted }]
    const what = differences(has, wanted).join(', ')
    return what === '' ? [] : [{ do: 'correctTopic', ...place, topic: wanted, what }]
  })
}

/** Queues that are there go by a drain alone: a group that leaves its BrokerSet keeps them. */
function targetOn(has: BrokerTopic, wanted: BrokerTopic): BrokerTopic {
  return { ...wanted, readQueueNums: Math.max(has.readQueueNums, wanted.readQueueNums) }
}

function drainsOf(desired: Topic, observed: Observed, nowMs: number): Drain[] {
  if (!ownerOf(desired, observed).isOwner || leavesDrift(desired)) return []
  return observed.brokers.flatMap((broker) => drainOf(desired, broker, nowMs) ?? [])
}

/**
 * What a pass found and did.
 * @param steps of a paused resource: those that were not done
 * @param failures by brokerName
 */
export function reportOf(
  desired: Topic,
  observed: Observed,
  steps: readonly Step[],
  failures: ReadonlyMap<string, string>,
  nowMs: number,
): Report<TopicStatus> & { recheckAfterMs: number | undefined } {
  const wanted = wantedTopic(desired)
  const performed = stepsToDo(desired, steps).filter(({ brokerName }) => !failures.has(brokerName))
  const ended = performed.filter((step) => step.drain?.does === 'end').map(({ brokerName }) => brokerName)
  const drains = drainsOf(desired, observed, nowMs).filter(({ brokerName }) => !ended.includes(brokerName))
  const silent = silentOf(desired, observed)
  const done = steps.map(({ do: deed, brokerName, drain, what }) => ({
    deed: drain ? ('remove' as const) : deed === 'createTopic' ? ('make' as const) : ('correct' as const),
    brokerName,
    ...(what !== undefined && { what }),
  }))
  const moving = [...drains.map(({ brokerName }) => brokerName), ...silent.map(({ broker }) => broker)]
  const {
    synced,
    status,
    readiness: ready,
    notes,
  } = report(desired, observed, ownerOf(desired, observed), done, failures, words, moving)
  const begun = performed.filter((step) => step.drain?.does === 'begin').map(({ brokerName }) => brokerName)
  const draining = [
    ...drains
      .filter(({ brokerName, sinceMs }) => sinceMs !== undefined || begun.includes(brokerName))
      .map((drain) => drainingOf(drain, nowMs)),
    ...silent,
  ]
  const drainSaid = drainVerdict(drains, silent)
  return {
    status: {
      topicName: nameOnBrokers(desired),
      queues: { write: synced * wanted.writeQueueNums, read: synced * wanted.readQueueNums },
      ...status,
      ...(draining.length > 0 && { draining }),
    },
    verdicts: pausable(desired.spec.paused, [...readiness(ready), drainSaid, notDeferred]),
    notes: [...notes, ...drainNotes(desired, performed, drainSaid, drains)],
    recheckAfterMs: moving.length > 0 ? drainPollMs : undefined,
  }
}

/** Brokers that were giving something up and cannot be asked now: their group is still there, so nothing is over. */
function silentOf(desired: Topic, observed: Observed): TopicDraining[] {
  const { brokerSet, brokers } = observed
  if (!ownerOf(desired, observed).isOwner) return []
  const isThere = (name: string) => brokerSet?.status?.groupStatuses?.some((group) => group.name === name) ?? false
  const isAnswering = (name: string) => brokers.some((one) => one.brokerName === name && one.trouble === undefined)
  return (desired.status?.draining ?? []).filter(({ broker }) => isThere(broker) && !isAnswering(broker))
}

function drainNotes(desired: Topic, steps: readonly Step[], said: Verdict, drains: readonly Drain[]): Note[] {
  const of = (does: 'begin' | 'end') => steps.flatMap((step) => (step.drain?.does === does ? step.drain.drain : []))
  const note = (
    reason: string,
    some: readonly Pick<Drain, 'brokerName' | 'gives' | 'firstQueue'>[],
    says: string,
  ): Note[] =>
    some.length > 0 ? [{ type: 'Normal', reason, message: `${some.map(whatGoes).join(', ')} ${says}` }] : []
  const before = desired.status?.conditions?.find(({ type }) => type === 'Draining')
  const isBlocked = said.reason === 'Unread' && before?.reason !== said.reason
  const isGivenUp = (name: string) => drains.some((one) => one.brokerName === name)
  const isEnded = (name: string) => of('end').some((one) => one.brokerName === name)
  const cancelled = (desired.status?.draining ?? []).filter(
    ({ broker }) => !isGivenUp(broker) && !isEnded(broker) && said.reason === 'NotDraining',
  )
  return [
    ...note('DrainStarted', of('begin'), 'take no more messages and go when all are read'),
    ...note('DrainCompleted', of('end'), 'have been read to their end and are gone'),
    ...(isBlocked ? [{ type: 'Warning' as const, reason: 'DrainBlocked', message: said.message }] : []),
    ...(cancelled.length > 0
      ? [
          {
            type: 'Normal' as const,
            reason: 'DrainCancelled',
            message: `${cancelled.map(({ broker }) => broker).join(', ')} keep what they were to give up`,
          },
        ]
      : []),
  ]
}

/** Of which brokers it is asked what is unread: those where no more messages come. */
export function mayBeOver(desired: Topic, broker: ObservedBroker, nowMs: number): Drain | undefined {
  const drain = drainOf(desired, broker, nowMs)
  return drain?.isQuiet ? drain : undefined
}
