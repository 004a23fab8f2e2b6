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
  const names = fc.constantFrom('UNIQ_KEY', 'KEYS', 'TAGS', 'WAIT', '', 'TAG', 'KEYS2', 'grün')
  const values = fc.constantFrom('', 'a', 'b', 'a b', 'é', 'false', 'true', 'UNIQ_KEY')
  const pairs = fc.array(fc.tuple(names, values), { maxLength: 8 })
  const end = fc.constantFrom('', '\u0002', '\u0002\u0002', '\u0002a', '\u0001a') // only the first two are well formed
  fc.assert(
    fc.property(pairs, end, (pairs, end) => {
      const properties = text(['UNIQ_KEY', 'K1'], ...pairs) + end
      const read = ordinaryProperties(properties)
      expect(read).toEqual(end.length > 1 ? undefined : asParsed(properties))
    }),
  )
})

test('a text of any form is read as a reader of all properties does, or not at all', () => {
  const part = fc.constantFrom(
    'UNIQ_KEY\u0001',
    'KEYS',
    'TAGS',
    'WAIT',
    'a',
    'é',
    '\u0001',
    '\u0002',
    '\u0001',
    '\u0002',
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const properties = parts.join('')
      const read = ordinaryProperties(properties)
      if (read !== undefined) expect(read).toEqual(asParsed(properties))
    }),
  )
})

function asParsed(properties: string) {
  const all = parseProperties(properties)
  return {
    uniqKey: all.get(PropertyName.UNIQ_KEY),
    keys: all.get(PropertyName.KEYS),
    tag: all.get(PropertyName.TAGS),
    tagsCode: tagsCodeOf(all.get(PropertyName.TAGS)),
    waitsForFlush: all.get(PropertyName.WAIT) !== 'false',
  }
}
