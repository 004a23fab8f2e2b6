import { expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { encodeHost } from '../../remoting/message/index.ts'
import { message, StoreBench } from '../store/testing/bench.ts'
import { DelayLevels } from './delay-levels.ts'
import { Schedule, toSchedule } from './schedule.ts'
import { startTestBroker } from './testing/test-broker.ts'

test('a delayed message is delivered once, over two clean restarts', async () => {
  const broker = await startTestBroker({ messageDelayLevel: '1s' })
  try {
    await broker.client.send('later', { body: 'late', properties: { DELAY: '7', TAGS: 'a' } }) // clamped to level 1
    await broker.restart()

    const pulled = await broker.client.pull('later', { holdMs: 5_000, subscription: 'a' })

    expect(pulled.bodies).toEqual(['late'])
    await broker.restart()
    await broker.client.send('later', { body: 'after', properties: { DELAY: '1' } })
    const next = await broker.client.pull('later', { queueOffset: 1, holdMs: 5_000 })
    expect(next).toMatchObject({ bodies: ['after'], nextBeginOffset: 2 }) // so `late` came once
  } finally {
    await broker.stop()
  }
})

test('delay levels are read as Apache writes them', () => {
  const levels = new DelayLevels(' 1s 5m  2h 1d ')

  expect(levels.delaysMs).toEqual([1_000, 300_000, 7_200_000, 86_400_000])
  expect(levels.clamp(9)).toBe(4)
  expect(() => new DelayLevels('1s soon')).toThrow(/SETTING_INVALID.*soon/)
})

test('however much is due, others have their turns meanwhile', async () => {
  const sizes = { segmentBytes: 4_194_304, consumeQueueFileBytes: 20 * 1024, maxMessageBytes: 8192 }
  const { clock, store } = await new StoreBench(sizes).open()
  const levels = new DelayLevels('1s')
  const large = message({ topic: 'later', body: Buffer.alloc(4096) })
  for (let count = 0; count < 200; count++)
    store.append(toSchedule(large, 1, levels, clock.now()), { settle: () => {} })
  await clock.advance(1_000)
  const storage = { load: () => undefined, save: () => {} }
  const schedule = new Schedule(levels, store, encodeHost({ host: '10.0.0.1', port: 10911 }), {
    storage,
    clock,
    log: silentLog,
  })

  schedule.start()
  await clock.turn()
  const afterOneTurn = store.maxOffset('later', 0)
  for (let turn = 0; turn < 60; turn++) await clock.turn()
  schedule.close()

  expect(afterOneTurn).toBeGreaterThan(0)
  expect(afterOneTurn).toBeLessThanOrEqual(64)
  expect(store.maxOffset('later', 0)).toBe(200)
})
