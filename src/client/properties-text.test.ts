import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readPropertiesText, writePropertiesText } from './properties-text.ts'

test('lines of settings are read, comments are not', () => {
  const text = '# comment\nbrokerName=broker-a\n\nnamesrvAddr = a:1;b:2 \nempty=\nurl=x=y\r\n!no=1\n'
  expect([...readPropertiesText(text)]).toEqual([
    ['brokerName', 'broker-a'],
    ['namesrvAddr', 'a:1;b:2 '],
    ['empty', ''],
    ['url', 'x=y'],
  ])
})

test('what is written is read again', () => {
  const value = fc.string().map((text) => text.replace(/[\r\n]/g, '').trimStart())
  fc.assert(
    fc.property(value, (value) => {
      expect(readPropertiesText(writePropertiesText([['key', value]]))).toEqual(new Map([['key', value]]))
    }),
  )
})
