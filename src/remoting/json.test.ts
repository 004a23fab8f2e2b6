import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isOperatingError } from '../base/errors.ts'
import { readJson, writeJson } from './json.ts'

/** A reviver: integers of 2^53 and above keep their digits. */
function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source ?? ''
  return typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value
}

test('strict JSON is read as JSON.parse reads it', () => {
  const values = fc.jsonValue({ noUnicodeString: false })
  fc.assert(
    fc.property(values, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
      const json = JSON.stringify(value, undefined, space)
      const wide = `[${json},1234567890123456789]` // a wide integer takes the lenient reader
      const expected = JSON.parse(json, exact)
      expect(readJson(json)).toEqual(expected)
      expect(readJson(wide)).toEqual([expected, 1234567890123456789n])
    }),
  )
})

test.each([
  ['{0:"a",1:"b"}', { 0: 'a', 1: 'b' }],
  ['{{"brokerName":"b","queueId":0}:{"maxOffset":7}}', { '{"brokerName":"b","queueId":0}': { maxOffset: 7 } }],
  ['{"subVersion":1795411641097123456}', { subVersion: 1795411641097123456n }],
  ['{"big":9007199254740991,"bigger":9007199254740992}', { big: 9007199254740991, bigger: 9007199254740992n }],
  ["{key:'it\\'s',n:null}", { key: "it's", n: null }],
  ['{0:"\\u00fc\\n\\"\\\\"}', { 0: 'ü\n"\\' }],
  ['{0:[1,-2.5e3,true,false]}', { 0: [1, -2500, true, false] }],
  [' { 0 : 1 , } ', { 0: 1 }],
])('%s is read', (json, value) => {
  expect(readJson(json)).toEqual(value)
})

test.each(['', '{', '{0:', '{0:1', '[1', '{0 1}', '{0:"a}', '{0:1}}', '{,}', '{0:tru}', '{0:"\\x"}', '{0:-}', 'x'])(
  '%j is refused',
  (json) => {
    expect(() => readJson(json)).toThrow(expect.objectContaining({ code: 'BODY_INVALID' }))
  },
)

test('what is nested beyond reason is refused, not a stack overflow', () => {
  expect(() => readJson(`{0:${'['.repeat(100_000)}`)).toThrow(expect.objectContaining({ code: 'BODY_INVALID' }))
})

test('a key that names a built-in property is only a key', () => {
  const read = readJson('{__proto__:{"polluted":1},constructor:2}') as object

  expect(Object.keys(read)).toEqual(['__proto__', 'constructor'])
  expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
})

test('any text is read or refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]:,"\'\\0129ae-+. tfn') }), (text) => {
      try {
        readJson(text)
      } catch (error) {
        expect(isOperatingError(error, 'BODY_INVALID')).toBe(true)
      }
    }),
    { numRuns: 1000 },
  )
})

test('what is written is read', () => {
  const value = { b: [1, 'x', null, true], a: { c: 2n ** 60n }, none: undefined }

  expect(writeJson(value)).toBe('{"a":{"c":1152921504606846976},"b":[1,"x",null,true]}')
  expect(readJson(writeJson(value))).toEqual({ b: value.b, a: value.a })
})

test('Maps keep the type of their keys', () => {
  const addrs = new Map([[0, 'a:1']])
  const offsets = new Map([[{ topic: 'T', brokerName: 'b', queueId: 0 }, 7]])

  expect(writeJson({ addrs })).toBe('{"addrs":{"0":"a:1"}}')
  expect(writeJson({ addrs }, { unquotedIntegerKeys: true })).toBe('{"addrs":{0:"a:1"}}')
  expect(writeJson({ offsets })).toBe('{"offsets":{{"brokerName":"b","queueId":0,"topic":"T"}:7}}')
  expect(writeJson(new Map([['0', 1]]), { unquotedIntegerKeys: true })).toBe('{"0":1}')
})
