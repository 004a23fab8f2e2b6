import { expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { askEveryMs, DiskUse } from './disk-use.ts'

test('a broker is asked once in a while, and what it says counts when it says so twice', async () => {
  const clock = new ManualClock()
  const ratios = [0.7, 0.9, 0.91, 0.5]
  let asked = 0
  const diskUse = new DiskUse({ diskUsedRatio: async () => ratios[asked++] }, { clock, log: silentLog })
  const seen: unknown[] = []

  for (const _ of ratios) {
    seen.push(await diskUse.of('10.0.0.1:10911'), await diskUse.of('10.0.0.1:10911'))
    await clock.advance(askEveryMs)
  }

  expect(asked).toBe(ratios.length)
  expect(seen).toEqual([0.7, 0.7, 0.7, 0.7, 0.9, 0.9, 0.5, 0.5])
})

test('of a broker that does not answer nothing is known', async () => {
  const clock = new ManualClock()
  let isUp = true
  const diskUsedRatio = async () => {
    if (!isUp) throw new Error('it is away')
    return 0.7
  }
  const diskUse = new DiskUse({ diskUsedRatio }, { clock, log: silentLog })
  await diskUse.of('10.0.0.1:10911')

  isUp = false
  await clock.advance(askEveryMs)

  expect(await diskUse.of('10.0.0.1:10911')).toBeUndefined()
})
