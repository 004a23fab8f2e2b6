import { BrokenRule } from '../../../base/assert.ts'
import { type ErrorCode, isOperatingError, messageOf } from '../../../base/errors.ts'
import { ResponseCode } from '../../../remoting/codes.ts'
import { type Response, refuse } from './processor.ts'

/** What a peer is told about an error; SYSTEM_ERROR for all others, bugs too. */
const responseCodes: Partial<Record<ErrorCode, number>> = {
  MESSAGE_ILLEGAL: ResponseCode.MESSAGE_ILLEGAL,
  STORE_FULL: ResponseCode.SERVICE_NOT_AVAILABLE,
  STORE_CLOSED: ResponseCode.SERVICE_NOT_AVAILABLE,
  TOO_MANY_REQUESTS: ResponseCode.SYSTEM_BUSY,
}

/**
 * The one place where errors of processors become answers.
 * @throws BrokenRule: a broker that is wrong must not go on writing, so it ends the process
 */
export function errorResponse(error: unknown): Response {
  if (error instanceof BrokenRule) throw error
  const code = isOperatingError(error) ? responseCodes[error.code] : undefined
  return refuse(code ?? ResponseCode.SYSTEM_ERROR, messageOf(error))
}
