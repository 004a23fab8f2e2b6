import { expect, test } from '@jest/globals'
import { subscriptionGroupConfig } from '../../client/index.ts'
import type { LastReset } from '../../crds/index.ts'
import { brokerSet, consumerGroup } from '../testing/resources.ts'
import { type Observed, type ObservedBroker, plan, planReset, reportOf, wantedGroup } from './plan.ts'

function broker(index: number, given: Partial<ObservedBroker> = {}): ObservedBroker {
  const place = { brokerName: `b-${index}`, brokerAddr: `10.96.0.${index + 1}:10911` }
  return { ...place, has: subscriptionGroupConfig('billing'), use: undefined, ...given }
}

function observed(brokers: ObservedBroker[], given: Partial<Observed> = {}): Observed {
  return { brokerSet: brokerSet({ groups: 2 }), rival: undefined, brokers, ...given }
}

function ready(desired = consumerGroup(), seen: Observed, failures: [string, string][] = []) {
  const report = reportOf(desired, seen, plan(desired, seen), new Map(failures), { do: 'nothing' }, undefined)
  return { ...report, ready: report.verdicts.find(({ type }) => type === 'Ready') }
}

test('is made where it is missing and changed back where it differs', () => {
  const changed = broker(1, { has: subscriptionGroupConfig('billing', { retryMaxTimes: 3 }) })

  const steps = plan(consumerGroup(), observed([broker(0, { has: undefined }), changed, broker(2)]))

  expect(steps.map((step) => [step.do, step.brokerName])).toEqual([
    ['createGroup', 'b-0'],
    ['correctGroup', 'b-1'],
  ])
})

test('a broker that is being drained is corrected, but gets nothing new', () => {
  const differs = subscriptionGroupConfig('billing', { retryMaxTimes: 3 })
  const brokers = [broker(0), broker(1), broker(2, { isLeaving: true, has: undefined })]
  const { ready: said, status } = ready(consumerGroup(), observed(brokers))

  expect(plan(consumerGroup(), observed(brokers))).toEqual([])
  expect(plan(consumerGroup(), observed([broker(2, { isLeaving: true, has: differs })]))).toHaveLength(1)
  expect(status.brokers).toEqual({ desired: 2, synced: 2 })
  expect(said).toMatchObject({ status: 'True' })
})

test('what came back late is no drift: only what was there as wanted can have been changed by hand', () => {
  const differs = observed([broker(0), broker(1, { has: subscriptionGroupConfig('billing', { retryMaxTimes: 3 }) })])
  const after = (syncedGeneration: number) =>
    ready(consumerGroup({}, { syncedGeneration }), differs).notes.map(({ reason }) => reason)

  expect(after(1)).toEqual(['DriftCorrected'])
  expect(after(0)).toEqual(['ConsumerGroupUpdated'])
})

test('where no reset is asked for that is said from the first pass on, and no event tells it', () => {
  const done: LastReset = { requestId: 'once', result: 'Done', message: 'went', time: '2026-01-01T00:00:00Z' }
  for (const status of [{}, { lastReset: done }]) {
    const { verdicts, notes } = ready(consumerGroup({}, status), observed([broker(0), broker(1)]))
    expect(verdicts.find(({ type }) => type === 'OffsetReset')).toMatchObject({ status: 'False', reason: 'NotAsked' })
    expect(notes).toEqual([])
  }
})

test('what the resource does not speak of stays as it is on the broker', () => {
  const has = subscriptionGroupConfig('billing', { consumeEnable: false, consumeTimeoutMinute: 45 })

  const [step] = plan(consumerGroup(), observed([broker(0, { has })]))

  expect(step?.group).toMatchObject({ consumeEnable: true, consumeTimeoutMinute: 45 })
})

test('each field of the spec is what the broker gets', () => {
  const desired = consumerGroup({
    groupName: 'Billing',
    consumeEnabled: false,
    broadcastEnabled: false,
    orderly: true,
    retry: { maxTimes: 0, queues: 2 },
    slowConsumeBrokerId: 0,
  })

  expect(wantedGroup(desired)).toEqual({
    groupName: 'Billing',
    consumeEnable: false,
    consumeBroadcastEnable: false,
    consumeMessageOrderly: true,
    retryMaxTimes: 0,
    retryQueueNums: 2,
    whichBrokerWhenConsumeSlowly: 0,
  })
})

test.each([
  ['there is no BrokerSet', observed([], { brokerSet: undefined }), 'Unknown'],
  ['no broker serves yet', observed([]), 'Unknown'],
  ['a broker does not serve yet', observed([broker(0)]), 'False'],
])('waits without an error when %s', (_, seen, status) => {
  expect(ready(consumerGroup(), seen).ready).toMatchObject({ status, reason: 'ClusterNotReady' })
})

test('a broker that fails is named, and does not count', () => {
  const { status, ready: said } = ready(consumerGroup(), observed([broker(0), broker(1, { has: undefined })]), [
    ['b-1', 'disk full'],
  ])

  expect(status).toMatchObject({
    brokers: { desired: 2, synced: 1 },
    failing: [{ broker: 'b-1', reason: 'disk full' }],
  })
  expect(said).toMatchObject({ status: 'False', reason: 'BrokerError' })
})

test('of two that speak for one group the younger does nothing and says so', () => {
  const seen = observed([broker(0, { has: undefined })], { rival: consumerGroup() })

  expect(plan(consumerGroup(), seen)).toEqual([])
  expect(ready(consumerGroup(), seen).verdicts).toContainEqual(
    expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'ResourceConflict' }),
  )
})

const resetOffset = { requestId: 'july', to: 'Earliest' }
const used = (clients = 0, ...topics: string[]) => ({ use: { clients, topics } })
const both = (clients = 0) =>
  observed([broker(0, used(clients, 'orders', '%RETRY%billing')), broker(1, used(clients, 'orders', 'bills'))])
const last = (result: LastReset['result'], requestId = 'july') => ({
  lastReset: { requestId, result, message: '', time: '2026-01-01T00:00:00Z' },
})

test('a reset goes to every topic that the group consumed, on all brokers alike', () => {
  expect(planReset(consumerGroup({ resetOffset }), both(), [])).toMatchObject({
    do: 'reset',
    timestampMs: 0,
    targets: [
      { brokerName: 'b-0', topics: ['bills', 'orders'] },
      { brokerName: 'b-1', topics: ['bills', 'orders'] },
    ],
  })
})

test.each<[string, object, number]>([
  ['the end', { to: 'Latest' }, -1],
  ['a time', { to: 'Timestamp', timestamp: '2026-01-01T00:00:00Z' }, Date.UTC(2026, 0, 1)],
  ['a time before 1970, which is not the end', { to: 'Timestamp', timestamp: '1969-01-01T00:00:00Z' }, 0],
])('a reset goes to %s', (_, given, timestampMs) => {
  const desired = consumerGroup({ resetOffset: { ...resetOffset, ...given } })

  expect(planReset(desired, both(), [])).toMatchObject({ do: 'reset', timestampMs })
})

test.each<[string, object, Observed, object]>([
  ['none is asked for', {}, both(), { do: 'nothing' }],
  ['another one speaks for the group', { resetOffset }, { ...both(), rival: consumerGroup() }, { do: 'nothing' }],
  ['a broker is missing', { resetOffset }, observed([broker(0, used())]), { do: 'wait', reason: 'ClusterNotReady' }],
  ['a broker does not answer', { resetOffset }, observed([broker(0, used()), broker(1)]), { do: 'wait' }],
  ['a consumer is online', { resetOffset }, both(1), { do: 'wait', reason: 'ConsumersOnline' }],
  [
    'the time is none',
    { resetOffset: { ...resetOffset, to: 'Timestamp', timestamp: 'soon' } },
    both(),
    { do: 'wait', reason: 'InvalidSpec' },
  ],
])('there is no reset when %s', (_, spec, seen, result) => {
  expect(planReset(consumerGroup(spec), seen, [])).toMatchObject(result)
})

test('force resets under the consumers', () => {
  expect(planReset(consumerGroup({ resetOffset: { ...resetOffset, force: true } }), both(2), []).do).toBe('reset')
})

test('a broker that is being drained is reset too, and must answer', () => {
  const leaving = { isLeaving: true, has: broker(0).has }
  const draining = (more: object) => observed([...both().brokers, { ...broker(2, more), ...leaving }])

  expect(planReset(consumerGroup({ resetOffset }), draining(used(0)), [])).toMatchObject({
    do: 'reset',
    targets: [{ brokerName: 'b-0' }, { brokerName: 'b-1' }, { brokerName: 'b-2', topics: ['bills', 'orders'] }],
  })
  expect(planReset(consumerGroup({ resetOffset }), draining({}), [])).toMatchObject({ do: 'wait' })
})

test('a reset that this process began goes on; one that nobody asks for any more is closed', () => {
  expect(planReset(consumerGroup({ resetOffset }, last('Running')), both(), [], true).do).toBe('goOn')
  expect(planReset(consumerGroup({}, last('Running')), both(), []).do).toBe('giveUp')
  expect(planReset(consumerGroup({ resetOffset }, last('Running', 'june')), both(), []).do).toBe('giveUp')
})

test.each([
  ['done', last('Done'), 'nothing'],
  ['done in part', last('Failed'), 'nothing'],
  ['begun and not ended', last('Running'), 'giveUp'],
  ['done under another id', last('Done', 'june'), 'reset'],
])('a reset that was %s', (_, status, result) => {
  expect(planReset(consumerGroup({ resetOffset }, status), both(), []).do).toBe(result)
})
