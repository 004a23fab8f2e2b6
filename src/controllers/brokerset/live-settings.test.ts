import { expect, test } from '@jest/globals'
import type { StatefulSet } from '../../kube/index.ts'
import type { BrokerSet } from '../resources.ts'
import { type Given, group, hashOf, look, nowMs } from '../testing/broker-set.ts'
import { brokerSet } from '../testing/resources.ts'

const drainedAt = (ms: number) => new Date(ms).toISOString()

const unread = [{ consumerGroup: 'billing', topic: 'orders', count: 3 }]
/** Group 1 after it has been drained for so long; its broker takes no messages. */
const drainedFor = (ms: number, desired: BrokerSet, given: Given = {}) =>
  group(1, desired, {
    drainingSince: drainedAt(nowMs - ms),
    drain: { permission: 4, unread, isPartial: false },
    ...given,
  })

function statefulSetOf({ steps }: ReturnType<typeof look>, index = 0): StatefulSet {
  return steps.flatMap((step) => (step.do === 'apply' && step.object.kind === 'StatefulSet' ? [step.object] : []))[
    index
  ] as StatefulSet
}

const runningWith = (settings: Record<string, string>) => ({ settings: new Map(Object.entries(settings)) })
const old = { fileReservedTime: '72', traceOn: 'true', brokerPermission: '6' }

test('a live setting is written down, then given to the brokers that run otherwise, and restarts none', () => {
  const before = brokerSet({ slavesPerGroup: 1 })
  const desired = brokerSet({ slavesPerGroup: 1, config: { fileReservedTime: ' 048 ' } })
  const has = group(0, before, { ...runningWith(old), slaves: [runningWith({ ...old, fileReservedTime: '48' })] })

  const { done, settled, events } = look(desired, [has])

  expect(hashOf(desired)).toBe(hashOf(before))
  const changes = done.filter((step) => step.startsWith('changeSettings'))
  expect(changes).toEqual(['changeSettings 10.96.0.1:10911 fileReservedTime,48'])
  expect(done.indexOf(changes[0]!)).toBeGreaterThan(done.indexOf('apply ConfigMap b-0'))
  expect(done.filter((step) => step.startsWith('delete'))).toEqual([])
  expect(settled.map(({ brokerAddr }) => brokerAddr)).toEqual(['10.96.0.1:10911', '10.96.1.1:10911'])
  expect(events).toEqual(['SettingsChanged'])
})

test('what somebody changed on a broker is changed back, and so is a setting that the resource no longer has', () => {
  const seen = brokerSet({}, { observedGeneration: 1 })

  const { done, notes } = look(seen, [group(0, seen, runningWith({ ...old, traceOn: 'false', brokerPermission: '4' }))])

  expect(done).toContain('changeSettings 10.96.0.1:10911 brokerPermission,6,traceOn,true')
  expect(notes).toContainEqual(expect.objectContaining({ reason: 'DriftCorrected' }))
})

test('a draining broker that restarts takes no messages either, also before it is asked', () => {
  const desired = brokerSet({ groups: 1 })
  const leaving = drainedFor(1000, desired, runningWith({ ...old, brokerPermission: '4' }))

  const { steps, done } = look(desired, [group(0), leaving])

  const configs = steps.flatMap((step) =>
    step.do === 'apply' && step.object.kind === 'ConfigMap' ? [JSON.stringify(step.object)] : [],
  )
  expect(configs.map((text) => text.includes('brokerPermission=4'))).toEqual([false, true])
  expect(done.filter((step) => step.startsWith('changeSettings'))).toEqual([])
  expect(statefulSetOf(look(desired, [group(0), leaving]), 1).spec?.template).toEqual(
    leaving.statefulSet?.spec?.template,
  )
})

test('a paused set whose brokers run with other live settings is not ready', () => {
  const desired = brokerSet({ paused: true, config: { traceOn: 'false' } })

  const { ready } = look(desired, [group(0, desired, runningWith(old))])

  expect(ready).toMatchObject({ status: 'False', reason: 'SettingsDiffer', message: 'b-0-0 runs with other settings' })
})
