import { expect, test } from '@jest/globals'
import { BrokenRule } from '../../../base/assert.ts'
import { OperatingError } from '../../../base/errors.ts'
import { ResponseCode } from '../../../remoting/codes.ts'
import { errorResponse } from './errors.ts'

test.each([
  [new OperatingError('MESSAGE_ILLEGAL'), ResponseCode.MESSAGE_ILLEGAL],
  [new OperatingError('STORE_FULL'), ResponseCode.SERVICE_NOT_AVAILABLE],
  [new OperatingError('STORE_CLOSED'), ResponseCode.SERVICE_NOT_AVAILABLE],
  [new OperatingError('TOO_MANY_REQUESTS'), ResponseCode.SYSTEM_BUSY],
  [new OperatingError('HEADER_INVALID'), ResponseCode.SYSTEM_ERROR],
  [new TypeError('a bug'), ResponseCode.SYSTEM_ERROR],
])('%s is answered', (error, code) => {
  expect(errorResponse(error)).toEqual({ code, remark: error.message })
})

test('a broken rule is not answered but ends the process', () => {
  expect(() => errorResponse(new BrokenRule('offsets have no gap'))).toThrow(BrokenRule)
})
