import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { encodeRecord, layoutOf, parseProperties } from '../../../remoting/message/index.ts'
import { message } from '../testing/bench.ts'
import { collectKeyHashes, hashKeys, keyHash, tagIndexType } from './keys.ts'

function hashesOf(topic: string, properties: string): number[] {
  const into = Buffer.alloc(8192)
  encodeRecord(into, 0, message({ properties }), Buffer.from(topic), 0, 0, 0)
  const hashes: number[] = []
  const count = collectKeyHashes(into, layoutOf(into, 0)!, hashes)
  return hashes.slice(0, count)
}

test('hashes are those of Java', () => {
  expect(keyHash('TopicTest', 'OrderID001')).toBe(1_231_272_886)
  expect(keyHash('t', 'k')).toBe(112_668) // "t#k"
  expect(keyHash('t', 'k', 'K')).toBe(112_668)
  expect(keyHash('t', 'k', tagIndexType)).toBe(108_253_037) // "t#T#k"
})

test('the hash that Java cannot make positive is 0', () => {
  expect(keyHash('orders', 'objcdfidg')).toBe(0)
  expect(hashesOf('orders', 'KEYS\u0001objcdfidg\u0002')).toEqual([0])
})

test('a record has its unique key, each word of its keys, and its tag', () => {
  const properties = 'UNIQ_KEY\u0001A1\u0002KEYS\u0001k1  k2\u0002TAGS\u0001red\u0002'

  expect(hashesOf('orders', properties)).toEqual([
    keyHash('orders', 'A1'),
    keyHash('orders', 'k1'),
    keyHash('orders', 'k2'),
    keyHash('orders', 'red', tagIndexType),
  ])
  expect(hashesOf('orders', '')).toEqual([])
  expect(hashesOf('orders', 'KEY\u0001a\u0002XKEYS\u0001b\u0002TAGS\u0001\u0002')).toEqual([])
})

const piece = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !/[\0\u0001\u0002]/.test(text))
const pair = fc.tuple(
  fc.oneof(fc.constantFrom('UNIQ_KEY', 'KEYS', 'TAGS', 'WAIT'), piece),
  fc.oneof(piece, fc.constantFrom('a b', 'é ü')),
)

test('bytes give the same keys as the text that they are', () => {
  fc.assert(
    fc.property(fc.constantFrom('orders', 'größe'), fc.array(pair, { maxLength: 6 }), (topic, pairs) => {
      const text = pairs.map(([name, value]) => `${name}\u0001${value}\u0002`).join('')
      const properties = parseProperties(text)
      const expected: number[] = []
      const uniqKey = properties.get('UNIQ_KEY')
      if (uniqKey !== undefined) expected.push(keyHash(topic, uniqKey))
      for (const word of (properties.get('KEYS') ?? '').split(' ')) if (word !== '') expected.push(keyHash(topic, word))
      const tag = properties.get('TAGS')
      if (tag) expected.push(keyHash(topic, tag, tagIndexType))

      expect(hashesOf(topic, text)).toEqual(expected)
      if (uniqKey === undefined) return
      const into: number[] = []
      const count = hashKeys(topic, { uniqKey, keys: properties.get('KEYS'), tag }, into)
      expect(into.slice(0, count)).toEqual(expected)
    }),
  )
})
