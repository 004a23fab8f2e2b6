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

test.each([
  ['large', 4096],
  ['small', 40],
])('however many %s messages are due, others have their turns meanwhile', async (_, bodyBytes) => {
  const sizes = { segmentBytes: 4_194_304, consumeQueueFileBytes: 20 * 1024, maxMessageBytes: 8192 }
  const { clock, store } = await new StoreBench(sizes).open()
  const levels = new DelayLevels('1s')
  const delayed = message({ topic: 'later', body: Buffer.alloc(bodyBytes) })
  for (let count = 0; count < 200; count++)
    store.append(toSchedule(delayed, 1, levels, clock.now()), { settle: () => {} })
  await clock.advance(1_000)
  const storage = { load: () => undefined, save: () => {} }
  const doors = { storage, clock, log: silentLog }
  const schedule = new Schedule(levels, store, encodeHost({ host: '10.0.0.1', port: 10911 }), doors)
  const after: number[] = []

  schedule.start()
  for (let turn = 0; turn < 8; turn++) {
    await clock.turn()
    after.push(store.maxOffset('later', 0))
  }
  schedule.close()

  expect(Math.max(...after.map((count, turn) => count - (after[turn - 1] ?? 0)))).toBeLessThanOrEqual(64) // two batches
  expect(after[6]).toBe(200) // a batch a turn
})
