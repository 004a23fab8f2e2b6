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
    unread: (_: string, __: readonly string[], ___: boolean, signal: AbortSignal) =>
      new Promise((____, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  } as unknown as MqAdmin
  return {
    clock,
    pass,
    drain: observeDrain('broker', [], { isPartial: true, paused: false }, { admin, clock, signal: pass.signal }),
  }
}

test('that asking who has to read takes too long is told, while the pass goes on', async () => {
  const { clock, drain } = start()
  await clock.turn()

  await clock.advance(30_000)

  expect(await drain).toMatchObject({ trouble: expect.stringContaining('DEADLINE_EXCEEDED') })
  expect(clock.timers).toBe(0)
})

test('what no group reads is asked when the group goes, and keeps nothing when nobody can tell', async () => {
  const ask = (when: { isPartial: boolean; paused: boolean }, unclaimed: MqAdmin['unclaimed'], upMs = 60_000) => {
    const uptimeMs = async () => upMs
    const admin = { permission: async () => 4, unread: async () => [], uptimeMs, unclaimed } as unknown as MqAdmin
    const { signal } = new AbortController()
    return observeDrain('broker', [], when, { admin, clock: new ManualClock(), signal })
  }
  const found = [{ topic: '%DLQ%billing', count: 1 }]
  const [early, paused, due] = [
    { isPartial: true, paused: false },
    { isPartial: false, paused: true },
    { isPartial: false, paused: false },
  ]
  const read = { permission: 4, unread: [] }

  expect(await ask(early, async () => found)).toEqual({ ...read, isPartial: true })
  expect(await ask(paused, async () => found)).toEqual({ ...read, isPartial: false })
  expect(await ask(due, async () => found)).toEqual({ ...read, isPartial: false, unclaimed: found })
  expect(await ask(due, async () => found, 59_000)).toEqual({ ...read, isPartial: false, isFresh: true })
  expect(await ask(early, async () => found, 0)).toEqual({ ...read, isPartial: true })
  expect(await ask(due, () => Promise.reject(new Error('silent')))).toEqual({ ...read, isPartial: false })
})

test('asking who has to read ends with its pass', async () => {
  const { clock, pass, drain } = start()
  await clock.turn()

  pass.abort(new Error('the pass is over'))

  await expect(drain).rejects.toThrow('the pass is over')
  expect(clock.timers).toBe(0)
})
