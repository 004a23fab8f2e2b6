import { expect, test } from '@jest/globals'
import { ManualClock } from '../base/testing/clock.ts'
import { Progress, tableLines } from './progress.ts'

function collector(isTTY: boolean) {
  const texts: string[] = []
  return { output: { write: (text: string) => texts.push(text), isTTY, columns: 40 }, texts }
}

test('a table sets numbers to the right and words to the left', () => {
  const lines = tableLines([
    ['broker', 'sent'],
    ['b-0', 1_250],
    ['broker-long', 0],
  ])

  expect(lines).toEqual(['broker         sent', 'b-0           1,250', 'broker-long       0'])
})

test('without a terminal each step is one line, when it is done', async () => {
  const { output, texts } = collector(false)
  const progress = new Progress(output, new ManualClock())
  await progress.step(
    'send',
    async (tell) => tell('half'),
    () => 'all',
  )
  await expect(progress.step('receive', () => Promise.reject(new Error('no')))).rejects.toThrow('no')

  expect(texts).toHaveLength(2)
  expect(texts[0]).toMatch(/^ {2}✓ send: all +0\.0 s\n$/)
  expect(texts[1]).toBe('  ✗ receive\n')
})

test('on a terminal the step under way is drawn over itself and never wider than that', async () => {
  const { output, texts } = collector(true)
  const clock = new ManualClock()
  const progress = new Progress(output, clock)
  await progress.step('wait', async (tell) => {
    tell('x'.repeat(100))
    await clock.advance(100)
  })

  const drawn = texts.find((text) => text.includes('⠋')) ?? ''
  expect(drawn).toMatch(/^\r\x1b\[K/)
  expect(drawn.replace('\r\x1b[K', '').length).toBeLessThan(40)
  expect(clock.timers).toBe(0)
})
