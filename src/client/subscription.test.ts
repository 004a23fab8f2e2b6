import { expect, test } from '@jest/globals'
import { PropertyName, type StoredMessage } from '../remoting/message/index.ts'
import { parseNameServers } from './name-servers.ts'
import { subscribe } from './subscription.ts'

function tagged(tag?: string): StoredMessage {
  return { properties: new Map(tag === undefined ? [] : [[PropertyName.TAGS, tag]]) } as unknown as StoredMessage
}

test.each(['*', '', ' * '])('%j wants every message', (expression) => {
  const { data, wants } = subscribe('T', expression, 1)
  expect(data).toMatchObject({ subString: '*', tagsSet: [], codeSet: [] })
  expect([wants(tagged('A')), wants(tagged())]).toEqual([true, true])
})

test('tags are wanted by name, though their hashes are equal', () => {
  const { data, wants } = subscribe('T', 'Aa || C', 1)
  expect(data).toMatchObject({ tagsSet: ['Aa', 'C'], codeSet: [2112, 67] })
  expect([wants(tagged('Aa')), wants(tagged('BB')), wants(tagged('C')), wants(tagged())]).toEqual([
    true,
    false, // as Java hashes, BB is 2112 too
    true,
    false,
  ])
})

test('a missing tag between bars is a mistake', () => {
  expect(() => subscribe('T', 'A || || B', 1)).toThrow(expect.objectContaining({ code: 'SETTING_INVALID' }))
})

test('NameServers are listed with semicolons or commas', () => {
  expect(parseNameServers('a:9876; b:9876,[::1]:9876;')).toEqual(['a:9876', 'b:9876', '[::1]:9876'])
})

test.each(['', ';', 'a', 'a:b', 'a:99999', undefined, 9876])('%j is no list of NameServers', (namesrvAddr) => {
  expect(() => parseNameServers(namesrvAddr as string)).toThrow(expect.objectContaining({ code: 'SETTING_INVALID' }))
})
