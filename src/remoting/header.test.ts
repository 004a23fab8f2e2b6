import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isOperatingError } from '../base/errors.ts'
import { bool, headerCodec, int32, int64, named, optional, text, wideInt64, withDefault } from './header.ts'

const codec = headerCodec('TestHeader', {
  topic: named('b', text),
  queueId: int32,
  queueOffset: int64,
  subVersion: optional(wideInt64),
  batch: withDefault(bool, false),
})
const least = { b: 'T', queueId: '1', queueOffset: '2' }

function refusedField(extFields: Record<string, string>): unknown {
  try {
    codec.decode(extFields)
  } catch (error) {
    return isOperatingError(error, 'HEADER_INVALID') ? error.facts.field : error
  }
  return undefined
}

test('what is encoded is decoded', () => {
  const headers = fc.record({
    topic: fc.string(),
    queueId: fc.integer(),
    queueOffset: fc.maxSafeInteger(),
    subVersion: fc.oneof(
      fc.constant(undefined),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
    ),
    batch: fc.boolean(),
  })
  fc.assert(fc.property(headers, (header) => expect(codec.decode(codec.encode(header))).toEqual(header)))
})

test('wire names, defaults and absent fields', () => {
  expect(codec.decode({ ...least, unknown: 'x' })).toEqual({ topic: 'T', queueId: 1, queueOffset: 2, batch: false })
  expect(codec.encode({ topic: 'T', queueId: 1, queueOffset: 2 })).toEqual(least)
})

test.each([
  ['queueId', ''],
  ['queueId', '1.0'],
  ['queueId', '1x'],
  ['queueId', ' 1'],
  ['queueId', '-'],
  ['queueId', '2147483648'],
  ['queueId', '-2147483649'],
  ['queueOffset', '9007199254740992'],
  ['queueOffset', '0x10'],
  ['queueOffset', '1e3'],
  ['subVersion', '9223372036854775808'],
  ['subVersion', '12345678901234567890123'],
])('%s=%j is refused', (field, value) => {
  expect(refusedField({ ...least, [field]: value })).toBe(field)
})

test('a missing required field is named', () => {
  expect(refusedField({ b: 'T', queueId: '1' })).toBe('queueOffset')
})

test('integers are read as Java reads them', () => {
  expect(codec.decode({ ...least, queueId: '+7', queueOffset: '-1' })).toMatchObject({ queueId: 7, queueOffset: -1 })
  expect(codec.decode({ ...least, queueId: '-2147483648' }).queueId).toBe(-2147483648)
  expect(Object.is(codec.decode({ ...least, queueId: '-0' }).queueId, 0)).toBe(true)
  expect(codec.decode({ ...least, subVersion: '1795411641097123456' }).subVersion).toBe(1795411641097123456n)
})

test('booleans are read as Java reads them', () => {
  const read = (batch: string) => codec.decode({ ...least, batch }).batch
  expect([read('true'), read('TRUE'), read('false'), read('1'), read('')]).toEqual([true, true, false, false, false])
})
