import { isOperatingError, messageOf } from '../base/errors.ts'
import { ResponseCode } from '../client/index.ts'
import { type Readiness, readiness, type Verdict } from './conditions.ts'

/** Answers that only a person can change: the request is wrong, not permitted, or the object not valid. */
const stallingStatuses = [400, 403, 422]

/** Refusals of a broker that may take the same a moment later. */
const momentaryRefusals: ReadonlySet<unknown> = new Set([ResponseCode.SYSTEM_BUSY, ResponseCode.SERVICE_NOT_AVAILABLE])

/** Whether a broker refused what it was asked, and not because it is too busy now, or stops. */
export function isRefusedForGood(error: unknown): boolean {
  return isOperatingError(error, 'REQUEST_REFUSED') && !momentaryRefusals.has(error.facts.responseCode)
}

/** What a plan said, corrected by the failure of one of its steps, if any. */
export function verdictsAfter(failure: unknown, planned: readonly Verdict[]): readonly Verdict[] {
  if (failure === undefined) return planned
  return corrected(readinessAfter(failure), planned)
}

/** A setting that pods would not start with. Nothing is done until it is mended: some of it would be done to pods that cannot start again. */
export function invalidSetting(misfit: string): Readiness {
  return { status: 'False', reason: 'InvalidSpec', message: `spec.config.${misfit}`, isStalled: true }
}

/** The same with another readiness. */
export function corrected(ready: Readiness, planned: readonly Verdict[]): readonly Verdict[] {
  const better = readiness(ready)
  return [...better, ...planned.filter(({ type }) => better.every((verdict) => verdict.type !== type))]
}

function readinessAfter(failure: unknown): Readiness {
  const message = messageOf(failure)
  if (isOperatingError(failure, 'NAME_TAKEN')) {
    return { status: 'False', reason: 'NameTaken', message, isStalled: true }
  }
  if (isOperatingError(failure, 'KUBE_REFUSED')) {
    const status = failure.facts.status as number
    const said = String(failure.facts.message || failure.facts.reason)
    return { status: 'False', reason: 'KubernetesRefused', message: said, isStalled: stallingStatuses.includes(status) }
  }
  return { status: 'False', reason: 'StepFailed', message }
}
