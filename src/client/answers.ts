import { OperatingError } from '../base/errors.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import type { Command } from '../remoting/command.ts'

/** @throws OperatingError REQUEST_REFUSED unless the answer says success; facts: request, address, responseCode, remark */
export function expectSuccess(answer: Command, requestCode: number, address: string): Command {
  if (answer.code === ResponseCode.SUCCESS) return answer
  throw refused(answer, requestCode, address)
}

export function refused(answer: Command, requestCode: number, address: string): OperatingError {
  return new OperatingError('REQUEST_REFUSED', {
    request: requestName(requestCode),
    address,
    responseCode: answer.code,
    remark: answer.remark?.slice(0, remarkLengthMax),
  })
}

/** The word for a request code; the code itself where there is none. */
export function requestName(requestCode: number): string | number {
  return requestNames.get(requestCode) ?? requestCode
}

/** Whether error is a peer's refusal with this response code. */
export function isRefusal(error: unknown, responseCode: number): boolean {
  return (
    error instanceof OperatingError && error.code === 'REQUEST_REFUSED' && error.facts.responseCode === responseCode
  )
}

const requestNames = new Map<number, string>(Object.entries(RequestCode).map(([name, code]) => [code, name]))
const remarkLengthMax = 500
