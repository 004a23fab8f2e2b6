import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeSendMessageV2, sendMessageRequestV2 } from './send-message.ts'

const usual = { a: 'g', b: 't', c: 'TBW102', d: '8', e: '3', f: '0', g: '1700000000000', h: '0', i: 'k\u0001v' }

function outcome(decode: (extFields: Record<string, string>) => unknown, extFields: Record<string, string>): unknown {
  try {
    return decode(extFields)
  } catch (error) {
    return String(error)
  }
}

test('the quick reader of a send reads what the table does', () => {
  const value = fc.constantFrom(
    '0',
    '1',
    '-1',
    '+7',
    'true',
    'TRUE',
    'false',
    '',
    'x',
    '2147483648',
    '9007199254740993',
  )
  const changes = fc.dictionary(fc.constantFrom(...'abcdefghijklmno'), value)
  const missing = fc.array(fc.constantFrom(...'abcdefghi'), { maxLength: 1 })
  fc.assert(
    fc.property(changes, missing, (changed, keys) => {
      const extFields: Record<string, string> = { ...usual, ...changed }
      for (const key of keys) delete extFields[key]
      expect(outcome(decodeSendMessageV2, extFields)).toEqual(outcome(sendMessageRequestV2.decode, extFields))
    }),
    { numRuns: 2000 },
  )
})
