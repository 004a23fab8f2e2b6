import { expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { ConsumerOffsets } from './consumer-offsets.ts'

function offsets() {
  let saves = 0
  const storage = { load: () => undefined, save: () => void saves++ }
  const table = new ConsumerOffsets({ storage, clock: new ManualClock(), log: silentLog })
  return { table, saves: () => saves }
}

const master = (queues: [number, number][], counter = 1) => ({
  dataVersion: { counter, stateVersion: 0, timestamp: 1 },
  offsetTable: new Map([['orders@billing', new Map(queues)]]),
})

test('a slave takes its master’s offsets, whatever their version says', () => {
  const { table } = offsets()
  table.take(master([[0, 5]]))
  table.take(
    master([
      [0, 3], // a consumer went back
      [1, 9],
    ]),
  )
  expect([table.committed('orders', 'billing', 0), table.committed('orders', 'billing', 1)]).toEqual([3, 9])
})

test('offsets that the slave has already are not written again', () => {
  const { table, saves } = offsets()
  table.take(master([[0, 5]]))
  table.saveIfDirty()
  table.take(master([[0, 5]], 2))
  table.saveIfDirty()
  expect(saves()).toBe(1)
  expect(table.toTable().dataVersion.counter).toBe(2)
})

test('what the master does not name stays', () => {
  const { table } = offsets()
  table.commit('refunds', 'billing', 0, 4)
  table.take(master([[0, 5]]))
  expect(table.committed('refunds', 'billing', 0)).toBe(4)
})

test('who has committed offsets of a topic, until topic or group are forgotten', () => {
  const { table } = offsets()
  table.commit('orders', 'billing', 0, 5)
  table.commit('orders', 'audit', 0, 5)
  table.commit('refunds', 'audit', 0, 5)
  table.notePull('orders', 'reader', 0, 5) // has committed nothing
  expect([table.groupsOf('orders'), table.groupsOf('refunds')]).toEqual([['billing', 'audit'], ['audit']])

  table.forgetGroup('audit')
  expect([table.groupsOf('orders'), table.groupsOf('refunds')]).toEqual([['billing'], []])

  table.forgetTopic('orders')
  expect([table.groupsOf('orders'), table.topicsOf('billing')]).toEqual([[], []])
})
