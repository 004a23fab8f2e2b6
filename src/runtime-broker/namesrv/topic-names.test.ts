import { expect, test } from '@jest/globals'
import { TopicNames } from './topic-names.ts'

test('a name is there as long as a group has it', () => {
  const names = new TopicNames(10)
  names.acquire('a')
  names.acquire('a')
  names.acquire('')

  expect([names.size, names.groupsOf('a'), names.groupsOf('b')]).toEqual([2, 2, 0])
  names.release('a')
  expect(names.list().sort()).toEqual(['', 'a'])
  names.release('a')
  names.release('a') // harmless
  expect([names.size, names.groupsOf('a')]).toEqual([1, 0])
})

test('there is a most of names; those that are known are shared beyond it', () => {
  const names = new TopicNames(1)
  expect(names.acquire('a')).toBe('a')
  expect(names.acquire('b')).toBeUndefined()
  expect(names.acquire('a')).toBe('a')
})
