import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ordinaryProperties } from './ordinary-properties.ts'
import { PropertyName, parseProperties, tagsCodeOf } from './properties.ts'

const text = (...pairs: [string, string][]) => pairs.map(([name, value]) => `${name}\u0001${value}`).join('\u0002')

test('an ordinary message has a UNIQ_KEY, and whatever its sender likes', () => {
  expect(ordinaryProperties(text(['UNIQ_KEY', 'K1'], ['WAIT', 'false'], ['TAGS', 'paid'], ['colour', 'grün']))).toEqual(
    {
      uniqKey: 'K1',
      keys: undefined,
      tag: 'paid',
      tagsCode: tagsCodeOf('paid'),
      waitsForFlush: false,
    },
  )
  expect(ordinaryProperties(`${text(['UNIQ_KEY', 'K1'], ['KEYS', 'a b'])}\u0002`)).toEqual({
    uniqKey: 'K1',
    keys: 'a b',
    tag: undefined,
    tagsCode: 0,
    waitsForFlush: true,
  })
})

test.each([
  '',
  text(['KEYS', 'no name of its own']),
  text(['UNIQ_KEY', 'K1'], ['DELAY', '3']),
  text(['UNIQ_KEY', 'K1'], ['TRAN_MSG', 'true']),
  text(['UNIQ_KEY', 'K1'], ['TIMER_DELAY_SEC', '3']),
  text(['UNIQ_KEY', 'K1'], ['CLUSTER', 'of an earlier life']),
  text(['UNIQ_KEY', 'K1'], ['POP_CK', '1']),
  `${text(['UNIQ_KEY', 'K1'])}\u0002no property`,
  text(['UNIQ_KEY', 'K1\u0001K2']),
  `\u0002${text(['UNIQ_KEY', 'K1'])}`,
])('others are not: %j', (properties) => {
  expect(ordinaryProperties(properties)).toBeUndefined()
})

test('what it reads is what a reader of all properties finds', () => {
  const part = fc.constantFrom(
    'UNIQ_KEY',
    'KEYS',
    'TAGS',
    'WAIT',
    'a',
    'b',
    'false',
    '\u0001',
    '\u0002',
    '\u0001',
    '\u0002',
    'é',
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const properties = parts.join('')
      const read = ordinaryProperties(properties)
      if (read === undefined) return
      const all = parseProperties(properties)
      expect(read).toEqual({
        uniqKey: all.get(PropertyName.UNIQ_KEY),
        keys: all.get(PropertyName.KEYS),
        tag: all.get(PropertyName.TAGS),
        tagsCode: tagsCodeOf(all.get(PropertyName.TAGS)),
        waitsForFlush: all.get(PropertyName.WAIT) !== 'false',
      })
    }),
  )
})
