import { expect, test } from '@jest/globals'
import { ManualClock } from '../../base/testing/clock.ts'
import type { Pod } from '../../kube/index.ts'
import { settingsState } from './objects.ts'
import { SettledBrokers, settledMs } from './settled.ts'

test('a broker is asked again when it should have something else, is another process, or was asked long ago', async () => {
  const clock = new ManualClock()
  const settled = new SettledBrokers(clock)
  settled.add('10.96.0.1:10911', 'as it should be')

  expect(settled.has('10.96.0.1:10911', 'as it should be')).toBe(true)
  expect(settled.has('10.96.0.1:10911', 'otherwise')).toBe(false)
  expect(settled.has('10.96.0.2:10911', 'as it should be')).toBe(false)
  await clock.advance(settledMs)
  expect(settled.has('10.96.0.1:10911', 'as it should be')).toBe(false)
})

test('a broker that began anew is in another state, also where another container stands before it', () => {
  const state = (proxyRestarts: number, brokerRestarts: number) =>
    settingsState({}, {
      metadata: { name: 'b-0-0', namespace: 'shop', uid: '1' },
      status: {
        containerStatuses: [
          { name: 'proxy', restartCount: proxyRestarts },
          { name: 'broker', restartCount: brokerRestarts },
        ],
      },
    } as Pod)

  expect(state(1, 0)).toBe(state(0, 0))
  expect(state(0, 1)).not.toBe(state(0, 0))
})
