import { isDeepStrictEqual } from 'node:util'
import { subscriptionGroupConfig } from '../../client/index.ts'
import type { ConsumerGroupStatus, LastReset } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import type { BrokerGroup, GroupUse } from '../admin.ts'
import { pausable, readiness, type Verdict, verdict } from '../conditions.ts'
import { type Ownership, ownershipOf } from '../on-brokers/ownership.ts'
import {
  type Asked,
  nameOnBrokers,
  notDeferred,
  type Observed as On,
  type Place,
  report,
  unlike,
  type Words,
} from '../on-brokers/plan.ts'
import type { Report } from '../perform.ts'
import type { ConsumerGroup } from '../resources.ts'

export interface ObservedBroker extends Asked<BrokerGroup> {
  /** Asked for before a reset only. */
  use?: GroupUse | undefined
}
export type Observed = On<ConsumerGroup, ObservedBroker>

export const words: Words = { kind: 'ConsumerGroup', thing: 'consumer group', short: 'group' }

export type Step = {
  do: 'createGroup' | 'correctGroup'
  brokerName: string
  brokerAddr: string
  group: Partial<BrokerGroup> & { groupName: string }
  /** What is otherwise there. */
  what?: string
}

/** What the resource says of the group; a broker keeps more of it, which stays as it is there. */
export function wantedGroup(desired: ConsumerGroup) {
  const { consumeEnabled, broadcastEnabled, orderly, retry, slowConsumeBrokerId } = desired.spec
  return {
    groupName: nameOnBrokers(desired),
    consumeEnable: consumeEnabled,
    consumeBroadcastEnable: broadcastEnabled,
    consumeMessageOrderly: orderly,
    retryMaxTimes: retry.maxTimes,
    retryQueueNums: retry.queues,
    whichBrokerWhenConsumeSlowly: slowConsumeBrokerId,
  } satisfies Partial<BrokerGroup>
}

/** One with the defaults, as a broker makes it when its first consumer comes, is nobody's. */
export function ownerOf(desired: ConsumerGroup, observed: Observed): Ownership {
  const wanted = wantedGroup(desired)
  return ownershipOf<BrokerGroup>(desired, observed, ({ has }) => {
    const isDefault = isSame(has, subscriptionGroupConfig(wanted.groupName))
    const differs = differences(has, wanted)
    return isDefault || differs.length === 0 ? undefined : differs.join(', ')
  })
}

/** Plans one pass: makes the group where it is missing and changes it back where it differs. */
export function plan(desired: ConsumerGroup, observed: Observed): Step[] {
  if (!ownerOf(desired, observed).isOwner) return []
  const wanted = wantedGroup(desired)
  return unlike(observed, (has) => isSame(has, wanted)).map(({ brokerName, brokerAddr, has }) => ({
    do: has ? 'correctGroup' : 'createGroup',
    brokerName,
    brokerAddr,
    group: { ...has, ...wanted },
    ...(has && { what: differences(has, wanted).join(', ') }),
  }))
}

function isSame(has: BrokerGroup, wanted: Partial<BrokerGroup>): boolean {
  return differences(has, wanted).length === 0
}

/** What a broker has otherwise, as in "retryMaxTimes 3, not 16". */
function differences(has: BrokerGroup, wanted: Partial<BrokerGroup>): string[] {
  return Object.entries(wanted).flatMap(([field, value]) => {
    const own = has[field as keyof BrokerGroup]
    return isDeepStrictEqual(own, value) ? [] : [`${field} ${own}, not ${value}`]
  })
}

/** Whether a reset is asked for, or was begun, that has not come to an end. */
export function isResetDue({ spec, status }: ConsumerGroup): boolean {
  const isRunning = status?.lastReset?.result === 'Running'
  return isRunning || (spec.resetOffset !== undefined && status?.lastReset?.requestId !== spec.resetOffset.requestId)
}

/** A broker, and the topics whose queues the group is sent elsewhere in. */
export interface ResetTarget extends Place {
  topics: readonly string[]
}

export type ResetPlan =
  | { do: 'nothing' }
  | { do: 'wait'; reason: string; message: string }
  /** What another process began and left: never again, since consumers may be further by now. */
  | { do: 'giveUp' }
  /** What this process began. */
  | { do: 'goOn' }
  | { do: 'reset'; timestampMs: number; targets: ResetTarget[] }

/**
 * Plans the reset that is asked for, if it is due: on all brokers at once or not at all, and with nobody online.
 * @param steps those of the same pass: a group that is only being made is reset by the next one
 * @param isOurs whether this process began it and has not said yet how it ended
 */
export function planReset(
  desired: ConsumerGroup,
  observed: Observed,
  steps: readonly Step[],
  isOurs = false,
): ResetPlan {
  const asked = desired.spec.resetOffset
  const last = desired.status?.lastReset
  if (!isResetDue(desired) || observed.rival) return { do: 'nothing' }
  const { conflict } = ownerOf(desired, observed)
  if (conflict !== undefined) return waits('AdoptionConflict', 'the group is not that of this resource: see Ready')
  if (last?.result === 'Running' && last.requestId !== asked?.requestId) return { do: 'giveUp' }
  if (!asked) return { do: 'nothing' }
  if (last?.requestId === asked.requestId) return { do: isOurs ? 'goOn' : 'giveUp' }
  if (desired.spec.paused) return waits('Paused', 'spec.paused: it is done when that is gone')

  const timestampMs = { Earliest: 0, Latest: -1, Timestamp: Date.parse(asked.timestamp ?? '') }[asked.to]
  if (Number.isNaN(timestampMs))
    return waits('InvalidSpec', `spec.resetOffset.timestamp: ${asked.timestamp} is no time`)
  const count = observed.brokerSet?.spec.groups ?? 0
  // one that leaves goes when the group has read it to its end: a reset is to reach it, unless it does not know the group
  const places = observed.brokers.filter(({ isLeaving, has, trouble }) => !isLeaving || has || trouble !== undefined)
  const able = places.filter(({ use }) => use !== undefined)
  const wanted = places.filter(({ isLeaving }) => isLeaving).length + count
  if (able.length < wanted || count === 0) {
    return waits('ClusterNotReady', `waits for all brokers: ${able.length} of ${wanted} have the group and answer`)
  }
  if (steps.length > 0) return waits('ClusterNotReady', 'waits until all brokers have the group as wanted')
  const clients = Math.max(...able.map(({ use }) => use?.clients ?? 0)) // each of them is connected to every broker
  if (clients > 0 && !asked.force) {
    const who = clients > 1 ? 'some are' : 'one is'
    return waits('ConsumersOnline', `waits for consumers to stop: ${who} online; or set resetOffset.force`)
  }
  // everywhere alike: a broker that the group has not read from yet would go by the rule of each consumer instead
  const consumed = new Set(able.flatMap(({ use }) => use?.topics ?? []).filter((topic) => !topic.startsWith('%RETRY%')))
  const topics = asked.topics ?? [...consumed].sort()
  const targets = able.map(({ brokerName, brokerAddr }) => ({ brokerName, brokerAddr, topics }))
  return { do: 'reset', timestampMs: asked.to === 'Timestamp' ? Math.max(0, timestampMs) : timestampMs, targets }
}

function waits(reason: string, message: string): ResetPlan {
  return { do: 'wait', reason, message }
}

/**
 * What a pass found and did.
 * @param steps of a paused resource: those that were not done
 * @param failures of steps, by brokerName
 * @param lastReset as it is after the pass
 */
export function reportOf(
  desired: ConsumerGroup,
  observed: Observed,
  steps: readonly Step[],
  failures: ReadonlyMap<string, string>,
  reset: ResetPlan,
  lastReset: LastReset | undefined,
): Report<ConsumerGroupStatus> {
  const done = steps.map(({ do: deed, brokerName, what }) => ({
    deed: deed === 'correctGroup' ? ('correct' as const) : ('make' as const),
    brokerName,
    ...(what !== undefined && { what }),
  }))
  const ownership = ownerOf(desired, observed)
  const { status, readiness: ready, notes } = report(desired, observed, ownership, done, failures, words)
  const resetSaid = judgeReset(desired, reset, lastReset)
  return {
    status: { groupName: nameOnBrokers(desired), ...status, ...(lastReset && { lastReset }) },
    verdicts: pausable(desired.spec.paused, [...readiness(ready), resetSaid, notDeferred]),
    notes: [...notes, ...resetNote(desired, resetSaid, lastReset)],
  }
}

/** Reason of OffsetReset where the spec has none. */
const notAsked = 'NotAsked'

function judgeReset({ spec }: ConsumerGroup, reset: ResetPlan, lastReset: LastReset | undefined): Verdict {
  const type = 'OffsetReset'
  if (!spec.resetOffset) return verdict(type, false, notAsked, '')
  if (reset.do === 'wait') return verdict(type, false, reset.reason, reset.message)
  if (lastReset?.requestId !== spec.resetOffset.requestId && reset.do === 'giveUp') {
    return { type, status: 'Unknown', reason: 'Interrupted', message: 'the reset before it is closed first' }
  }
  if (lastReset?.requestId !== spec.resetOffset.requestId) {
    return { type, status: 'Unknown', reason: 'ResourceConflict', message: 'another resource speaks for the group' }
  }
  return verdict(type, lastReset.result === 'Done', lastReset.result, lastReset.message)
}

/** Tells of a reset when there is news. */
function resetNote(desired: ConsumerGroup, verdict: Verdict, lastReset: LastReset | undefined): Note[] {
  const before = desired.status?.conditions?.find(({ type }) => type === verdict.type)
  const isNews = before?.reason !== verdict.reason || desired.status?.lastReset?.requestId !== lastReset?.requestId
  if (!isNews || verdict.reason === 'ClusterNotReady' || verdict.reason === notAsked) return []
  if (verdict.status === 'True') return [{ type: 'Normal', reason: 'OffsetReset', message: verdict.message }]
  const reason = lastReset?.requestId === desired.spec.resetOffset?.requestId ? 'OffsetResetFailed' : 'OffsetResetWaits'
  return [{ type: 'Warning', reason, message: verdict.message }]
}
