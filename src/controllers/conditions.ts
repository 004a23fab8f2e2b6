import type { Condition } from '../crds/index.ts'

/** The conditions that this operator writes, on one kind or another. Those of other types are somebody else's, and stay. */
const conditionTypes = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Available',
  'Registered',
  'InSync',
  'RoutesConsistent',
  'ScaleInBlocked',
  'VolumesResized',
  'DiskPressure',
  'Draining',
  'DeletionDeferred',
  'OffsetReset',
  'ConfigIgnored',
  'Hibernated',
  'Paused',
] as const
export type ConditionType = (typeof conditionTypes)[number]

/** What a plan says of a resource, before the times of change are known. */
export interface Verdict extends Pick<Condition, 'status' | 'reason' | 'message'> {
  type: ConditionType
}

export interface Readiness {
  status: Condition['status']
  reason: string
  message: string
  /** Only a person can help; time or events will not. */
  isStalled?: boolean
}

/** Ready, and the two that tell kstatus (kubectl wait, Flux, Argo CD) how to read it when it is not True. */
export function readiness({ status, reason, message, isStalled = false }: Readiness): Verdict[] {
  const isReconciling = status !== 'True' && !isStalled
  return [
    { type: 'Ready', status, reason, message },
    { type: 'Reconciling', status: isReconciling ? 'True' : 'False', reason, message: isReconciling ? message : '' },
    { type: 'Stalled', status: isStalled ? 'True' : 'False', reason, message: isStalled ? message : '' },
  ]
}

export function verdict(type: ConditionType, holds: boolean, reason: string, message: string): Verdict {
  return { type, status: holds ? 'True' : 'False', reason, message }
}

/** What is said of a resource that can be paused: the operator is not at work on one that is. */
export function pausable(isPaused: boolean, verdicts: readonly Verdict[]): Verdict[] {
  if (!isPaused) return [...verdicts, verdict('Paused', false, 'NotPaused', '')]
  const said = verdicts.map((one) => {
    if (one.type === 'Reconciling') return { ...one, status: 'False' as const, message: '' }
    if (one.type !== 'Ready' || one.status === 'True') return one
    return { ...one, message: `${one.message}; spec.paused: nothing is done about it` }
  })
  return [...said, verdict('Paused', true, 'Asked', 'spec.paused: nothing is changed, what runs goes on running')]
}

/**
 * Turns verdicts into conditions: a time of change stays for as long as the status does, and what others say stays as it is.
 * @param nowMs milliseconds since 1970
 */
export function conditionsOf(
  verdicts: readonly Verdict[],
  before: readonly Condition[] | undefined,
  generation: number,
  nowMs: number,
): Condition[] {
  const own = verdicts.map((verdict) => {
    const last = before?.find(({ type }) => type === verdict.type)
    return {
      ...verdict,
      observedGeneration: generation,
      lastTransitionTime: last?.status === verdict.status ? last.lastTransitionTime : timeText(nowMs),
    }
  })
  return [...own, ...(before ?? []).filter((condition) => !isOwn(condition))]
}

export function isOwn<C extends { type: string }>(condition: C): condition is C & { type: ConditionType } {
  return conditionTypes.some((type) => type === condition.type)
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
