import { expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { nodeRandom } from '../base/node/random.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { WorkQueue } from './queue.ts'

type Work = (key: string, signal: AbortSignal) => Promise<{ againAfterMs: number | undefined }>

const done = { againAfterMs: undefined }

function start(work: Work, options: { workers?: number; passTimeoutMs?: number } = {}) {
  const clock = new ManualClock()
  const queue = new WorkQueue(
    { workers: 1, passTimeoutMs: 60_000, backoff: { firstMs: 100, mostMs: 1000 }, work, ...options },
    { clock, random: nodeRandom },
  )
  return { clock, queue }
}

/** Work that goes on until it is let go. */
function heldWork() {
  const passes: { key: string; end: () => void }[] = []
  const work: Work = (key) => new Promise((resolve) => passes.push({ key, end: () => resolve(done) }))
  return { passes, work, keys: () => passes.map(({ key }) => key) }
}

test('a key added twice is worked on once', async () => {
  const { passes, work, keys } = heldWork()
  const { clock, queue } = start(work)

  for (const key of ['a', 'b', 'b', 'c']) queue.add(key)
  for (let pass = 0; pass < 3; pass++) {
    await clock.turn()
    passes[pass]?.end()
  }
  await clock.turn()

  expect(keys()).toEqual(['a', 'b', 'c'])
})

test('a key added while it is worked on comes round again, never with two workers', async () => {
  const { passes, work, keys } = heldWork()
  const { clock, queue } = start(work, { workers: 3 })
  queue.add('a')
  await clock.turn()

  queue.add('a')
  queue.add('a')
  await clock.turn()
  expect(keys()).toEqual(['a'])

  passes[0]?.end()
  await clock.turn()
  expect(keys()).toEqual(['a', 'a'])
})

test('the pass that has been under way longest is told', async () => {
  const { passes, work } = heldWork()
  const { clock, queue } = start(work, { workers: 2 })
  expect(queue.longestPass).toBeUndefined()

  queue.add('a')
  await clock.advance(1000)
  queue.add('b')
  await clock.advance(500)
  expect(queue.longestPass).toEqual({ key: 'a', elapsedMs: 1500 })

  passes[0]?.end()
  await clock.turn()
  expect(queue.longestPass).toEqual({ key: 'b', elapsedMs: 500 })
})

test('no more keys are worked on at a time than there are workers', async () => {
  const { passes, work, keys } = heldWork()
  const { clock, queue } = start(work, { workers: 2 })

  for (const key of ['a', 'b', 'c', 'd']) queue.add(key)
  await clock.turn()
  expect(keys()).toEqual(['a', 'b'])
  expect(queue.depth).toBe(2)

  passes[1]?.end()
  await clock.turn()
  expect(keys()).toEqual(['a', 'b', 'c'])
})

test('what has just changed goes before what is only looked at again, which is not forgotten', async () => {
  const { work, keys, passes } = heldWork()
  const { clock, queue } = start(work)
  queue.add('busy')
  await clock.turn()

  queue.add('old', 'resync')
  queue.add('new')
  queue.add('late', 'resync')
  queue.add('late') // now it has changed
  for (let pass = 0; pass < 4; pass++) {
    passes[pass]?.end()
    await clock.turn()
  }

  expect(keys()).toEqual(['busy', 'new', 'late', 'old'])
})

test('keys that wait behind fresh ones have their turn, too', async () => {
  const order: string[] = []
  const { clock, queue } = start(async (key) => {
    order.push(key)
    if (order.length < 40) queue.add(`fresh-${order.length}`)
    return done
  })
  queue.add('first')
  queue.add('old', 'resync')
  for (let turn = 0; turn < 60; turn++) await clock.turn()

  expect(order.indexOf('old')).toBeGreaterThan(0)
  expect(order.indexOf('old')).toBeLessThan(10)
})

test('a failed pass is tried again, each time later, and a success makes it quick again', async () => {
  const startedMs: number[] = []
  const { clock, queue } = start(async () => {
    startedMs.push(clock.monotonicMs())
    if (startedMs.length !== 4) throw new Error('not yet')
    return done
  })

  queue.add('a')
  await clock.advance(2000)
  expect(startedMs).toHaveLength(4)
  const waits = startedMs.slice(1).map((ms, index) => ms - (startedMs[index] as number))
  expect(waits[0]).toBeLessThanOrEqual(100)
  expect(waits[2]).toBeGreaterThanOrEqual(200)

  queue.add('a')
  await clock.advance(100)
  expect(startedMs).toHaveLength(6) // the new pass, and the first short wait after it failed
})

test('a pass that takes too long is told so and counts as failed', async () => {
  const reasons: unknown[] = []
  const { clock, queue } = start(
    (_, signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(reasons.push(signal.reason)), { once: true }),
      ),
    { passTimeoutMs: 500 },
  )

  queue.add('a')
  await clock.advance(499)
  expect(reasons).toEqual([])
  await clock.advance(1)

  expect(reasons).toEqual([expect.objectContaining({ code: 'DEADLINE_EXCEEDED' })])
})

test('of two times to look again the earlier one holds', async () => {
  const startedMs: number[] = []
  const { clock, queue } = start(async () => {
    startedMs.push(clock.monotonicMs())
    return done
  })

  queue.addAfter('a', 500)
  queue.addAfter('a', 200)
  queue.addAfter('a', 900)
  await clock.advance(2000)

  expect(startedMs).toEqual([200])
})

test('stopping waits for the passes under way and starts no more', async () => {
  const { passes, work, keys } = heldWork()
  const { clock, queue } = start(work)
  queue.add('a')
  queue.add('b')
  await clock.turn()

  let isStopped = false
  const stopped = queue.stop().then(() => (isStopped = true))
  await clock.turn()
  expect(isStopped).toBe(false)
  passes[0]?.end()
  await stopped

  queue.add('c')
  await clock.advance(10_000)
  expect(keys()).toEqual(['a'])
})

test('who was told when to come back does not come sooner', async () => {
  let passes = 0
  const { clock, queue } = start(async () => {
    passes++
    throw new OperatingError('KUBE_REFUSED', { status: 429, retryAfterMs: 5000 })
  })
  queue.add('a')
  await clock.advance(4999)
  expect(passes).toBe(1)

  await clock.advance(2)
  expect(passes).toBe(2)
})
