import type { ConsumerGroupStatus, LastReset } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import type { BrokerGroup, GroupUse } from '../admin.ts'
import { type Readiness, readiness, type Verdict } from '../conditions.ts'
import type { Report } from '../perform.ts'
import type { BrokerSet, ConsumerGroup } from '../resources.ts'

/** A broker that should have the group, and what it has. */
export interface ObservedBroker {
  brokerName: string
  brokerAddr: string
  /** undefined: it does not have the group. */
  has: BrokerGroup | undefined
  /** Asked for before a reset only. */
  use: GroupUse | undefined
  /** Why the broker could not be asked. */
  trouble?: string
}

export interface Observed {
  brokerSet: BrokerSet | undefined
  /** Another ConsumerGroup that speaks for the same group of the same brokers, and is older. */
  rival: ConsumerGroup | undefined
  brokers: ObservedBroker[]
}

export type Step = {
  do: 'createGroup' | 'correctGroup'
  brokerName: string
  brokerAddr: string
  group: Partial<BrokerGroup> & { groupName: string }
}

export function groupNameOf({ metadata, spec }: ConsumerGroup): string {
  return spec.groupName ?? metadata.name
}

/** What the resource says of the group; a broker keeps more of it, which stays as it is there. */
export function wantedGroup(desired: ConsumerGroup) {
  const { consumeEnabled, broadcastEnabled, orderly, retry, slowConsumeBrokerId } = desired.spec
  return {
    groupName: groupNameOf(desired),
    consumeEnable: consumeEnabled,
    consumeBroadcastEnable: broadcastEnabled,
    consumeMessageOrderly: orderly,
    retryMaxTimes: retry.maxTimes,
    retryQueueNums: retry.queues,
    whichBrokerWhenConsumeSlowly: slowConsumeBrokerId,
  } satisfies Partial<BrokerGroup>
}

/** Plans one pass: makes the group where it is missing and changes it back where it differs. */
export function plan(desired: ConsumerGroup, observed: Observed): Step[] {
  if (observed.rival) return []
  const wanted = wantedGroup(desired)
  return observed.brokers.flatMap(({ brokerName, brokerAddr, has, trouble }): Step[] => {
    if (trouble !== undefined || (has && isSame(has, wanted))) return []
    return [{ do: has ? 'correctGroup' : 'createGroup', brokerName, brokerAddr, group: { ...has, ...wanted } }]
  })
}

function isSame(has: BrokerGroup, wanted: Partial<BrokerGroup>): boolean {
  return Object.entries(wanted).every(([field, value]) => has[field as keyof BrokerGroup] === value)
}

/** Whether a reset is asked for that has not come to an end. */
export function isResetDue({ spec, status }: ConsumerGroup): boolean {
  const asked = spec.resetOffset
  if (!asked) return false
  return status?.lastReset?.requestId !== asked.requestId || status.lastReset.result === 'Running'
}

export type ResetPlan =
  | { do: 'nothing' }
  | { do: 'wait'; reason: string; message: string }
  /** What was begun by a pass that did not come to its end: never again, since consumers may be further by now. */
  | { do: 'giveUp' }
  | { do: 'reset'; timestampMs: number; targets: { brokerName: string; brokerAddr: string; topics: string[] }[] }

/**
 * Plans the reset that is asked for, if it is due: on all brokers at once or not at all, and with nobody online.
 * @param steps those of the same pass: a group that is only being made is reset by the next one
 */
export function planReset(desired: ConsumerGroup, observed: Observed, steps: readonly Step[]): ResetPlan {
  const asked = desired.spec.resetOffset
  if (!asked || !isResetDue(desired) || observed.rival) return { do: 'nothing' }
  if (desired.status?.lastReset?.requestId === asked.requestId) return { do: 'giveUp' }
  const count = observed.brokerSet?.spec.groups ?? 0
  const able = observed.brokers.filter(({ use }) => use !== undefined)
  if (able.length < count || count === 0 || steps.length > 0) {
    const message = `waits for all brokers: ${able.length} of ${count} have the group and answer`
    return { do: 'wait', reason: 'ClusterNotReady', message }
  }
  const clients = Math.max(...able.map(({ use }) => use?.clients ?? 0)) // each of them is connected to every broker
  if (clients > 0 && !asked.force) {
    const message = `waits for consumers to stop: ${clients > 1 ? 'some are' : 'one is'} online; or set resetOffset.force`
    return { do: 'wait', reason: 'ConsumersOnline', message }
  }
  const targets = able.map(({ brokerName, brokerAddr, use }) => {
    const consumed = (use?.topics ?? []).filter((topic) => !topic.startsWith('%RETRY%'))
    return { brokerName, brokerAddr, topics: asked.topics ?? consumed.sort() }
  })
  const timestampMs = { Earliest: 0, Latest: -1, Timestamp: Date.parse(asked.timestamp ?? '') }[asked.to]
  if (Number.isNaN(timestampMs)) {
    return { do: 'wait', reason: 'InvalidSpec', message: `spec.resetOffset.timestamp: ${asked.timestamp} is no time` }
  }
  return { do: 'reset', timestampMs: asked.to === 'Timestamp' ? Math.max(0, timestampMs) : timestampMs, targets }
}

const failingMax = 8

/**
 * What a pass found and did.
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
  const { brokers, brokerSet } = observed
  const failing = brokers.flatMap(({ brokerName, trouble }) => {
    const reason = trouble ?? failures.get(brokerName)
    return reason === undefined ? [] : [{ broker: brokerName, reason: reason.slice(0, 1024) }]
  })
  const synced = observed.rival ? 0 : brokers.length - failing.length
  const count = brokerSet?.spec.groups ?? 0
  const done = steps.filter(({ brokerName }) => !failures.has(brokerName))
  const resetVerdicts = judgeReset(desired, reset, lastReset)
  return {
    status: {
      groupName: groupNameOf(desired),
      brokers: { desired: count, synced },
      ...(failing.length > 0 && { failing: failing.slice(0, failingMax) }),
      ...(lastReset && { lastReset }),
    },
    verdicts: [...readiness(judge(desired, observed, synced, count, failing)), ...resetVerdicts],
    notes: [
      ...noteOf(done, 'createGroup', 'ConsumerGroupCreated', 'made on'),
      ...noteOf(done, 'correctGroup', isDrift(desired) ? 'DriftCorrected' : 'ConsumerGroupUpdated', 'changed on'),
      ...resetVerdicts.flatMap((verdict) => resetNote(desired, verdict, lastReset)),
    ],
  }
}

/** Whether the resource has not changed since it was last true: then somebody changed the group on the broker. */
function isDrift(desired: ConsumerGroup): boolean {
  return desired.status?.observedGeneration === desired.metadata.generation
}

function noteOf(done: readonly Step[], kind: Step['do'], reason: string, verb: string): Note[] {
  const names = done.filter((step) => step.do === kind).map(({ brokerName }) => brokerName)
  return names.length === 0 ? [] : [{ type: 'Normal', reason, message: `the group was ${verb} ${names.join(', ')}` }]
}

function judgeReset({ spec }: ConsumerGroup, reset: ResetPlan, lastReset: LastReset | undefined): Verdict[] {
  if (!spec.resetOffset) return []
  const type = 'OffsetReset'
  if (reset.do === 'wait') return [{ type, status: 'False', reason: reset.reason, message: reset.message }]
  if (lastReset?.requestId !== spec.resetOffset.requestId) {
    return [{ type, status: 'Unknown', reason: 'ResourceConflict', message: 'another resource speaks for the group' }]
  }
  return [
    {
      type,
      status: lastReset.result === 'Done' ? 'True' : 'False',
      reason: lastReset.result,
      message: lastReset.message,
    },
  ]
}

/** Tells of a reset when there is news. */
function resetNote(desired: ConsumerGroup, verdict: Verdict, lastReset: LastReset | undefined): Note[] {
  const before = desired.status?.conditions?.find(({ type }) => type === verdict.type)
  const isNews = before?.reason !== verdict.reason || desired.status?.lastReset?.requestId !== lastReset?.requestId
  if (!isNews || verdict.reason === 'ClusterNotReady') return []
  if (verdict.status === 'True') return [{ type: 'Normal', reason: 'OffsetReset', message: verdict.message }]
  const reason = lastReset?.requestId === desired.spec.resetOffset?.requestId ? 'OffsetResetFailed' : 'OffsetResetWaits'
  return [{ type: 'Warning', reason, message: verdict.message }]
}

function judge(
  desired: ConsumerGroup,
  { brokerSet, rival }: Observed,
  synced: number,
  count: number,
  failing: readonly { broker: string; reason: string }[],
): Readiness {
  const { name } = desired.spec.brokerSetRef
  if (rival) {
    const message = `ConsumerGroup ${rival.metadata.name} speaks for ${groupNameOf(desired)} already: delete one of the two`
    return { status: 'False', reason: 'ResourceConflict', message, isStalled: true }
  }
  if (!brokerSet) return { status: 'Unknown', reason: 'ClusterNotReady', message: `BrokerSet ${name} does not exist` }
  const [first] = failing
  if (first) {
    const message = `${failing.length} brokers failed; ${first.broker}: ${first.reason}`
    return { status: 'False', reason: 'BrokerError', message }
  }
  if (synced < count) {
    const message = `${synced} of ${count} broker groups have the consumer group; the others do not serve yet`
    return { status: synced > 0 ? 'False' : 'Unknown', reason: 'ClusterNotReady', message }
  }
  return { status: 'True', reason: 'Synced', message: `${synced} of ${count} broker groups have the consumer group` }
}
