import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { JoinedRows } from './joined-rows.ts'

function joined(table: ReadonlyMap<string, string>): JoinedRows {
  const rows = new JoinedRows((name) => {
    const value = table.get(name)
    return value === undefined ? undefined : `${JSON.stringify(name)}:${JSON.stringify(value)}`
  })
  for (const name of table.keys()) rows.changed(name)
  return rows
}

test('after any changes the rows are those of a map, and few bytes are blank', () => {
  const name = fc.constantFrom('a', 'bb', 'ü', 'd"d', 'e')
  const change = fc.record({
    name,
    value: fc.option(fc.string({ maxLength: 300 }), { nil: undefined }),
    isSaved: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const wanted = new Map<string, string>()
      const rows = joined(wanted)
      for (const { name, value, isSaved } of changes) {
        if (value === undefined) wanted.delete(name)
        else wanted.set(name, value)
        rows.changed(name)
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
  const table = new Map(Object.entries({ a: '1', b: '1', c: '1' }))
  const rows = joined(table)
  rows.between('{', '}')
  table.set('b', '2')
  rows.changed('b')

  expect(rows.between('{', '}').toString()).toBe('{"a":"1","b":"2","c":"1"}')
})

test('what a row leaves behind goes once it is much', () => {
  const table = new Map(Array.from({ length: 100 }, (_, index) => [`n${index}`, 'x'.repeat(100)]))
  const rows = joined(table)
  rows.between('{', '}')
  for (let index = 1; index < 99; index++) {
    table.delete(`n${index}`)
    rows.changed(`n${index}`)
  }

  expect(rows.between('{', '}').toString()).toBe(JSON.stringify(Object.fromEntries(table)))
})
