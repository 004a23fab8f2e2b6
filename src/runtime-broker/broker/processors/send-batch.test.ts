import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ResponseCode } from '../../../remoting/codes.ts'
import { PropertyName, parseProperties, tagsCodeOf } from '../../../remoting/message/index.ts'
import { batchEntry } from '../testing/batch-entry.ts'
import { type BatchEntry, splitBatch } from './send-batch.ts'

const name = '0A0000010000000000000000000000'

test('entries that differ in their names only are read as others are', () => {
  const of = (uniqKey: string, tail = 'KEYS\u0001a b\u0002TAGS\u0001paid\u0002WAIT\u0001false\u0002') =>
    `UNIQ_KEY\u0001${uniqKey}\u0002${tail}`
  const texts = [of(`${name}AA`), of(`${name}AB`), of(`${name}AC`, 'WAIT\u0001true'), of(`${name}ad`), '', of('short')]

  const entries = split(texts)

  expect(entries.map(({ keys }) => keys?.uniqKey)).toEqual([
    ...['AA', 'AB', 'AC', 'ad'].map((end) => name + end),
    undefined,
    'short',
  ])
  expect(entries[1]!.keys).toMatchObject({ keys: 'a b', tag: 'paid' })
  expectAsRead(entries, texts)
})

test('a name that has other characters is read as the text that it is', () => {
  const names = ['A00a', 'A0é', 'A00b', 'éé', 'A 0z', 'A{0z', 'A@0Z', 'A/0:']

  const entries = split(names.map((uniqKey) => `UNIQ_KEY\u0001${uniqKey}`))

  expect(entries.map(({ keys }) => keys?.uniqKey)).toEqual(names)
})

test('a batch goes to no topic whose name its messages could not have', () => {
  const body = batchEntry('one', '')

  expect(splitBatch('t'.repeat(127), '', body)).toHaveLength(1)
  expect(splitBatch('t'.repeat(128), '', body)).toMatchObject({ code: ResponseCode.MESSAGE_ILLEGAL })
})

test('a batch of more messages than its answer can name is refused', () => {
  const whole = Buffer.alloc(22 * 262_144)
  for (let at = 0; at < whole.length; at += 22) whole.writeInt32BE(22, at)

  expect(splitBatch('TheTopic', '', whole)).toHaveLength(262_144)
  expect(splitBatch('TheTopic', '', Buffer.concat([whole, batchEntry('', '')]))).toMatchObject({
    code: ResponseCode.MESSAGE_ILLEGAL,
  })
})

test('whatever the properties, each entry has what a reader of all of them finds', () => {
  const part = fc.constantFrom(
    'UNIQ_KEY\u0001',
    '\u0002UNIQ_KEY\u0001',
    'xUNIQ_KEY\u0001',
    'KEYS\u0001',
    'TAGS\u0001',
    'WAIT\u0001false',
    'k1',
    'k2',
    'é',
    '\u0001',
    '\u0002',
  )
  const anything = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''))
  const before = fc.constantFrom(
    '',
    'a\u0001b\u0002',
    'xUNIQ_KEY\u0001c\u0002',
    'UNIQ_KEY\u0001k8\u0002',
    'ü\u0001\u0002',
  )
  const behind = ['', 'KEYS\u0001k1 k2', 'TAGS\u0001t\u0002', 'UNIQ_KEY\u0001k9', 'xUNIQ_KEY\u0001d', 'UNIQ_KEY']
  const ordinary = fc.tuple(before, fc.stringMatching(/^[0-9a-zA-Z]{1,6}$/), fc.constantFrom(...behind))
  const usual = ordinary.map(([start, uniqKey, end]) => `${start}UNIQ_KEY\u0001${uniqKey}\u0002${end}`)
  // and another, a letter apart: one that a wrong look would take for the same
  const change = fc.tuple(fc.oneof(anything, usual), fc.constantFrom('1', 'é', '\u0001', '\u0002', 'A'), fc.nat(40))
  const pair = change.map(([text, by, at]) => [text, text.slice(0, at) + by + text.slice(at + 1)])
  fc.assert(
    fc.property(fc.array(pair, { minLength: 1, maxLength: 4 }), (pairs) => {
      const texts = pairs.flat()
      expectAsRead(split(texts), texts)
    }),
    { numRuns: 1_000 },
  )
})

function expectAsRead(entries: readonly BatchEntry[], texts: readonly string[]): void {
  expect(entries).toHaveLength(texts.length)
  for (const [index, { body, properties, tagsCode, keys }] of entries.entries()) {
    const all = parseProperties(texts[index]!)
    expect([body.toString(), properties.toString()]).toEqual([String(index), texts[index]])
    expect(tagsCode).toBe(tagsCodeOf(all.get(PropertyName.TAGS)))
    if (keys === undefined) continue
    const [uniqKey, words, tag] = [PropertyName.UNIQ_KEY, PropertyName.KEYS, PropertyName.TAGS].map((of) => all.get(of))
    expect(keys).toMatchObject({ uniqKey, keys: words, tag })
  }
}

/** @returns the entries of a batch of such property texts, whose bodies are 0, 1, … */
function split(texts: readonly string[]): BatchEntry[] {
  const entries = splitBatch('TheTopic', '', Buffer.concat(texts.map((text, index) => batchEntry(String(index), text))))
  if (!Array.isArray(entries)) throw new Error(entries.remark)
  return entries
}
