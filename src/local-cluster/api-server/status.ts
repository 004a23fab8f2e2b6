import type { OperatingError } from '../../base/errors.ts'

/** The meta/v1 Status that tells a client what was refused and why. */
export function statusOf({ facts }: OperatingError): { code: number; [field: string]: unknown } {
  const { status, reason, message, name, group, kind, causes, retryAfterSeconds } = facts
  const details = {
    ...(name !== undefined && name !== '' && { name }),
    ...(group !== undefined && group !== '' && { group }),
    ...(kind !== undefined && { kind }),
    ...(causes !== undefined && { causes }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(Object.keys(details).length > 0 && { details }),
    code: Number(status),
  }
}
