import { expect, test } from '@jest/globals'
import { groupNameFault, isSystemTopic, maySendTo, topicNameFault } from './names.ts'

test.each(['orders', '%RETRY%group', 'a|b', 'a-b_c', 'x'.repeat(127), `%RETRY%${'x'.repeat(200)}`])(
  'a good name: %s',
  (topic) => {
    expect(topicNameFault(topic)).toBeUndefined()
  },
)

test.each([
  ['', 'blank'],
  [' ', 'blank'],
  ['a b', 'The specified topic: a b, contains illegal characters'],
  ['größe', 'illegal characters'],
  ['../x', 'illegal characters'],
  ['x'.repeat(128), 'is longer than topic max length: 127'],
  [`%DLQ%${'x'.repeat(251)}`, 'longer than topic max length: 255'],
])('a bad name: %j', (topic, fault) => {
  expect(topicNameFault(topic)).toContain(fault)
})

test('what belongs to the broker', () => {
  expect(['TBW102', 'rmq_sys_wheel_timer', 'SCHEDULE_TOPIC_XXXX'].every(isSystemTopic)).toBe(true)
  expect(isSystemTopic('orders')).toBe(false)
  expect([maySendTo('SCHEDULE_TOPIC_XXXX'), maySendTo('BenchmarkTest')]).toEqual([false, true])
})

test('names of groups', () => {
  for (const group of ['%a|b', 'x'.repeat(120)]) expect(groupNameFault(group)).toBeUndefined()
  expect(groupNameFault(' ')).toBe('The specified group is blank.')
  expect(groupNameFault('a b')).toContain('The specified group: a b, contains illegal characters')
  expect(groupNameFault('x'.repeat(121))).toContain(', is longer than group max length: 120')
})
