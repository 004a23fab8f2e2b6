import type { Condition } from '../crds/index.ts'
import type { Note } from '../kube/index.ts'
import { type ConditionType, readiness, type Verdict, verdict } from './conditions.ts'

/** What a resource that may hibernate is about. */
export type Sleep =
  | { is: 'awake' }
  /** Its pods go; those that are still there. */
  | { is: 'asleep'; pods: readonly string[]; what: string }
  /** It may not, as long as these need it. */
  | { is: 'refused'; message: string }

/** The condition Hibernated. */
export function sleepVerdict(sleep: Sleep): Verdict {
  if (sleep.is === 'awake') return verdict('Hibernated', false, 'Awake', '')
  if (sleep.is === 'refused') return verdict('Hibernated', false, 'InUse', sleep.message)
  const { pods, what } = sleep
  if (pods.length > 0) return verdict('Hibernated', false, 'Stopping', `still there: ${pods.slice(0, 3).join(', ')}`)
  return verdict('Hibernated', true, 'Asked', `spec.hibernate: ${what}`)
}

/** How ready it is then: not, and at work only until the last pod is gone. @param types conditions that hold of running pods alone */
export function asleepVerdicts(sleep: Extract<Sleep, { is: 'asleep' }>, types: readonly ConditionType[]): Verdict[] {
  const { reason, message, status } = sleepVerdict(sleep)
  const isOver = status === 'True'
  const said = { status: 'False', reason: isOver ? 'Hibernated' : reason, message } as const
  return [
    ...readiness(said).map((one) =>
      one.type === 'Reconciling' && isOver ? { ...one, status: 'False' as const, message: '' } : one,
    ),
    ...types.map((type) => verdict(type, false, said.reason, message)),
  ]
}

/** What there is to tell, when it is news. */
export function sleepNotes(sleep: Sleep, conditions: readonly Condition[] | undefined): Note[] {
  const before = conditions?.find(({ type }) => type === 'Hibernated')
  const { status, reason, message } = sleepVerdict(sleep)
  if (before?.status === status && before.reason === reason) return []
  if (sleep.is === 'refused') return [{ type: 'Warning', reason: 'HibernationRefused', message }]
  if (status === 'True') return [{ type: 'Normal', reason: 'Hibernated', message }]
  if (before?.status === 'True') return [{ type: 'Normal', reason: 'Woken', message: 'its pods are being started' }]
  return []
}
