import { expect, test } from '@jest/globals'
import { ManualClock } from '../../base/testing/clock.ts'
import type { MqAdmin } from '../admin.ts'
import { observeDrain } from './observe.ts'

/** A broker whose answers do not end before the signal says so. */
function start() {
  const clock = new ManualClock()
  const pass = new AbortController()
  const admin = {
    permission: async () => 4,
    unread: (_: string, __: readonly string[], signal: AbortSignal) =>
      new Promise((__, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  } as unknown as MqAdmin
  return { clock, pass, drain: observeDrain('broker', [], false, { admin, clock, signal: pass.signal }) }
}

test('that asking who has to read takes too long is told, while the pass goes on', async () => {
  const { clock, drain } = start()
  await clock.turn()

  await clock.advance(30_000)

  expect(await drain).toMatchObject({ trouble: expect.stringContaining('DEADLINE_EXCEEDED') })
  expect(clock.timers).toBe(0)
})

test('what no group reads is asked when the group may go, and keeps nothing when nobody can tell', async () => {
  const ask = (mayGo: boolean, unclaimed: MqAdmin['unclaimed']) => {
    const admin = { permission: async () => 4, unread: async () => [], unclaimed } as unknown as MqAdmin
    const { signal } = new AbortController()
    return observeDrain('broker', [], mayGo, { admin, clock: new ManualClock(), signal })
  }
  const found = [{ topic: '%DLQ%billing', count: 1 }]

  expect(await ask(false, async () => found)).toEqual({ permission: 4, unread: [] })
  expect(await ask(true, async () => found)).toEqual({ permission: 4, unread: [], unclaimed: found })
  expect(await ask(true, () => Promise.reject(new Error('silent')))).toEqual({ permission: 4, unread: [] })
})

test('asking who has to read ends with its pass', async () => {
  const { clock, pass, drain } = start()
  await clock.turn()

  pass.abort(new Error('the pass is over'))

  await expect(drain).rejects.toThrow('the pass is over')
  expect(clock.timers).toBe(0)
})
