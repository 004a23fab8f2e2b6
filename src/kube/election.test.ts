import { expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { nodeRandom } from '../base/node/random.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { Election } from './election.ts'
import type { KubeObject } from './object.ts'
import { MemoryApi } from './testing/memory-api.ts'

const path = '/apis/coordination.k8s.io/v1/namespaces/mq/leases/operator'

function start() {
  const clock = new ManualClock()
  const api = new MemoryApi()
  const lost: string[] = []

  function contend(identity: string, given: { clock?: ManualClock } = {}) {
    const doors = { clock: given.clock ?? clock, random: nodeRandom, log: silentLog }
    const election = new Election(api.client(identity), { namespace: 'mq', name: 'operator', identity }, doors)
    const stop = new AbortController()
    const leads = election.acquire(stop.signal, (reason) => lost.push(`${identity}: ${reason}`)).catch(() => {})
    return { election, stop, leads }
  }
  const lease = () => (api.objects.get(path) as (KubeObject & { spec: Record<string, unknown> }) | undefined)?.spec
  return { clock, api, contend, lease, lost }
}

test('one leads, the other one waits for as long as the first renews', async () => {
  const { clock, contend, lease, lost } = start()
  const first = contend('a')
  await clock.turn()
  const second = contend('b')
  await clock.advance(120_000)

  expect([first.election.isLeading, second.election.isLeading]).toEqual([true, false])
  expect(lease()).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 })
  expect(String(lease()?.renewTime)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  expect(lost).toEqual([])
})

test('a leader that cannot renew ends before another one begins', async () => {
  const { clock, api, contend, lease, lost } = start()
  const first = contend('a')
  await clock.turn()
  const second = contend('b')
  await clock.advance(6_000)

  api.silentFor.add('a') // its last renewal was within the last two seconds
  await clock.advance(7_900)
  expect(lost).toEqual([])
  await clock.advance(2_100)
  expect(lost).toEqual(['a: it could not be renewed in time'])
  expect([first.election.isLeading, second.election.isLeading]).toEqual([false, false])

  await clock.advance(2_900) // 15 s after the last renewal at the soonest
  expect(second.election.isLeading).toBe(false)
  await clock.advance(6_000)
  expect(second.election.isLeading).toBe(true)
  expect(lease()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
})

test('one answer that never comes does not cost the lease', async () => {
  const { clock, api, contend, lost } = start()
  const first = contend('a')
  await clock.advance(2_900)

  api.silentFor.add('a')
  await clock.advance(1_500) // the renewal at 4 s hangs
  api.silentFor.delete('a')
  await clock.advance(60_000)

  expect(lost).toEqual([])
  expect(first.election.isLeading).toBe(true)
})

test('a lease that was given back is taken at the next try', async () => {
  const { clock, contend, lease } = start()
  const first = contend('a')
  await clock.turn()
  const second = contend('b')
  await clock.advance(5_000)

  first.stop.abort()
  await first.election.release()
  expect(lease()?.holderIdentity).toBe('')
  await clock.advance(2_500)

  expect(second.election.isLeading).toBe(true)
})

test.each(['before', 'while'])(
  'a renewal that was given up and arrives %s the lease is given back does not keep it',
  async (when) => {
    const { clock, api, contend, lease } = start()
    const first = contend('a')
    await clock.turn()
    const second = contend('b')
    await clock.advance(5_000)
    const arrive = () => {
      const live = api.objects.get(path) as KubeObject
      api.objects.set(path, { ...live, metadata: { ...live.metadata, resourceVersion: 'late' } })
    }

    first.stop.abort()
    if (when === 'before') arrive()
    else {
      api.before = ({ method }) => {
        if (method !== 'PATCH') return
        api.before = () => {}
        arrive()
      }
    }
    await first.election.release()
    expect(lease()?.holderIdentity).toBe('')
    await clock.advance(2_500)

    expect(second.election.isLeading).toBe(true)
  },
)

test('whoever sees another holder stops at once', async () => {
  const { clock, api, contend, lost } = start()
  const first = contend('a')
  await clock.turn()

  const live = api.objects.get(path) as KubeObject
  api.objects.set(path, {
    ...live,
    metadata: { ...live.metadata, resourceVersion: 'x' },
    spec: { holderIdentity: 'c' },
  })
  await clock.advance(2_100)

  expect(lost).toEqual(['a: c holds it'])
  expect(first.election.isLeading).toBe(false)
})

test('the wall clock of the holder does not matter', async () => {
  const { clock, api, contend } = start()
  const behind = new ManualClock(0) // decades behind: its renewTime looks long over
  const first = contend('a', { clock: behind })
  await behind.turn()
  const second = contend('b')
  for (let seconds = 0; seconds < 60; seconds++) {
    await behind.advance(1000)
    await clock.advance(1000)
  }

  expect([first.election.isLeading, second.election.isLeading]).toEqual([true, false])
  expect(api.objects.size).toBe(1)
})

test('of two that begin together one leads', async () => {
  const { clock, contend } = start()
  const both = [contend('a'), contend('b')]
  await clock.advance(10_000)

  expect(both.filter(({ election }) => election.isLeading)).toHaveLength(1)
})

test('waiting ends with the process', async () => {
  const { clock, contend } = start()
  contend('a')
  await clock.turn()
  const second = contend('b')
  await clock.advance(3_000)

  second.stop.abort()
  await clock.turn()
  await second.leads
  await second.election.release()

  expect(second.election.isLeading).toBe(false)
})
