import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { JoinedRows } from './joined-rows.ts'

const row = (name: string, value: string) => `${JSON.stringify(name)}:${JSON.stringify(value)}`

test('after any changes the rows are those of a map, and few bytes are blank', () => {
  const name = fc.constantFrom('a', 'bb', 'ü', 'd"d', 'e')
  const change = fc.record({
    name,
    value: fc.option(fc.string({ maxLength: 300 }), { nil: undefined }),
    isSaved: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const [rows, wanted] = [new JoinedRows(), new Map<string, string>()]
      for (const { name, value, isSaved } of changes) {
        if (value === undefined) {
          rows.delete(name)
          wanted.delete(name)
        } else {
          rows.set(name, row(name, value))
          wanted.set(name, value)
        }
        if (!isSaved) continue
        const json = rows.between(`{"version":${wanted.size},"rows":{`, '}}').toString()

        expect(JSON.parse(json)).toEqual({ version: wanted.size, rows: Object.fromEntries(wanted) })
        const leastBytes = Buffer.byteLength(JSON.stringify({ version: wanted.size, rows: Object.fromEntries(wanted) }))
        expect(Buffer.byteLength(json)).toBeLessThanOrEqual((leastBytes * 4) / 3 + 2)
      }
    }),
    { numRuns: 300 },
  )
})

test('a row that keeps its length stays where it is', () => {
  const rows = new JoinedRows()
  for (const name of ['a', 'b', 'c']) rows.set(name, row(name, '1'))
  rows.set('b', row('b', '2'))

  expect(rows.between('{', '}').toString()).toBe('{"a":"1","b":"2","c":"1"}')
})

test('what a row leaves behind goes once it is much', () => {
  const rows = new JoinedRows()
  for (let index = 0; index < 100; index++) rows.set(`${index}`, row(`${index}`, 'x'.repeat(100)))
  for (let index = 0; index < 99; index++) rows.delete(`${index}`)

  expect(rows.between('{', '}').toString()).toBe(`{${row('99', 'x'.repeat(100))}}`)
})
