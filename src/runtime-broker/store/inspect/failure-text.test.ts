import { expect, test } from '@jest/globals'
import { OperatingError } from '../../../base/errors.ts'
import { failureText } from './failure-text.ts'

test('a refusal of the system is said in its words, with the file', () => {
  const failed = (code: string) => new OperatingError('FILE_FAILED', { operation: 'open', path: '/s/x', code })

  expect(failureText('log verify', failed('EACCES'))).toBe('cannot open /s/x: EACCES')
  expect(failureText('log verify', failed('ENOENT'))).toMatch(/^cannot open \/s\/x: it went .*try again$/)
})

test('a mistake of this program is not taken for one of the store', () => {
  const text = failureText('log dump', new TypeError('x is not a function'))

  expect(text).toMatch(
    /^log dump failed by a mistake of this program, .*report it:\nTypeError: x is not a function\n +at /,
  )
})
