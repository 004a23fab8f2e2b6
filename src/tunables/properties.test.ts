import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readProperties, writeProperties } from './properties.ts'

function values(text: string): Record<string, string> {
  return Object.fromEntries([...readProperties(text, 'file')].map(([key, { value }]) => [key, value]))
}

// Expectations are what java.util.Properties#load answers.
test.each([
  ['a=1', { a: '1' }],
  ['  a  =  1  ', { a: '1  ' }],
  ['a:1', { a: '1' }],
  ['a 1', { a: '1' }],
  ['a', { a: '' }],
  ['a==1', { a: '=1' }],
  ['a = : 1', { a: ': 1' }],
  ['# a=1\n! b=2\n\n   # c=3', {}],
  ['a=1\r\nb=2\rc=3', { a: '1', b: '2', c: '3' }],
  ['a=1\\\n   2\\\n3\nb=4', { a: '123', b: '4' }],
  ['a=c:\\\\dir', { a: 'c:\\dir' }],
  ['a=ends\\\\\nb=2', { a: 'ends\\', b: '2' }],
  ['a\\ b\\=c=1', { 'a b=c': '1' }],
  ['a=\\u00e4\\t\\n\\z', { a: 'ä\t\nz' }],
  ['a=1#2', { a: '1#2' }],
  ['a=1\na=2', { a: '2' }],
  ['a=1\\', { a: '1' }],
])('reads %j', (text, expected) => {
  expect(values(text)).toEqual(expected)
})

test('an entry knows its line, also after continued ones', () => {
  const properties = readProperties('a=1\\\n2\n\nb=3', 'broker.conf')
  expect(properties.get('a')?.from).toBe('broker.conf:1')
  expect(properties.get('b')?.from).toBe('broker.conf:4')
})

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.string()), (entries) => {
      expect(values(writeProperties(Object.entries(entries)))).toEqual(entries)
    }),
  )
})

test('plain values are written plain', () => {
  expect(
    writeProperties([
      ['namesrvAddr', 'a:1;b:2'],
      ['storePathRootDir', '/data/store'],
    ]),
  ).toBe('namesrvAddr=a:1;b:2\nstorePathRootDir=/data/store\n')
})
