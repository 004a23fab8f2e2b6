import { expect, test } from '@jest/globals'
import { DelayLevels } from './delay-levels.ts'
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
