import { expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { nodeRandom } from '../base/node/random.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { EventRecorder, type Note } from './events.ts'
import type { KubeObject } from './object.ts'
import { MemoryApi } from './testing/memory-api.ts'

const about: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'orders', namespace: 'shop', uid: 'u' },
}

function start() {
  const clock = new ManualClock()
  const api = new MemoryApi()
  const recorder = new EventRecorder(api.client('test'), 'test', { clock, random: nodeRandom, log: silentLog })
  const note = (message: string, reason = 'DrainCompleted', type: Note['type'] = 'Normal') =>
    recorder.record(about, { type, reason, message })
  const events = () => [...api.objects.values()].map(({ reason, message, count }) => `${reason} ${message} ×${count}`)
  return { clock, api, note, events }
}

test('what is said again is counted up, not written anew', async () => {
  const { clock, api, note, events } = start()
  for (let minutes = 0; minutes < 11; minutes++) {
    note('all read')
    await clock.advance(60_000)
  }

  expect(events()).toEqual(['DrainCompleted all read ×11'])
  expect(api.writes).toBe(2)
})

test('an event that the API server has forgotten is made again', async () => {
  const { clock, api, note, events } = start()
  note('all read')
  await clock.turn()
  api.objects.clear()
  await clock.advance(700_000)
  note('all read')
  await clock.turn()

  expect(events()).toEqual(['DrainCompleted all read ×2'])
})

test('different reasons are different events', async () => {
  const { clock, note, events } = start()
  note('b-1 is leaving', 'DrainStarted')
  note('b-1 is gone', 'GroupRemoved')
  await clock.turn()

  expect(events()).toEqual(['DrainStarted b-1 is leaving ×1', 'GroupRemoved b-1 is gone ×1'])
})

test('one reason with ever new messages comes down to one more event', async () => {
  const { clock, note, events } = start()
  for (let at = 0; at < 200; at++) {
    note(`${at} messages left`)
    await clock.advance(100)
  }

  expect(events()).toHaveLength(11)
  expect(events().at(-1)).toMatch(/^DrainCompleted \(combined from similar events\): /)
})

test('of very many events a few are written, and warnings are not kept out by them', async () => {
  const { clock, note, events } = start()
  for (let at = 0; at < 1000; at++) {
    note('made', `Made${at}`)
    await clock.advance(1)
  }
  expect(events()).toHaveLength(101)

  note('all read', 'DrainBlocked', 'Warning')
  await clock.advance(10_000)
  note('made', 'Made1000')
  await clock.turn()
  expect(events()).toHaveLength(103)
})
