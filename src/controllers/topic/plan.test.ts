import { expect, test } from '@jest/globals'
import { brokerSet, topic } from '../testing/resources.ts'
import type { ObservedBroker } from './drain.ts'
import { type Observed, plan, reportOf } from './plan.ts'
import { wantedTopic } from './wanted.ts'

const nowMs = Date.parse('2026-01-01T00:00:00Z')

function broker(index: number, has = wantedTopic(topic()) as ObservedBroker['has'], trouble?: string): ObservedBroker {
  const place = { brokerName: `b-${index}`, brokerAddr: `10.96.0.${index + 1}:10911` }
  return { ...place, has, isPlaced: true, ...(trouble !== undefined && { trouble }) }
}

function observed(brokers: ObservedBroker[], given: Partial<Observed> = {}): Observed {
  return { brokerSet: brokerSet({ groups: 2 }), rival: undefined, brokers, ...given }
}

function reported(desired = topic(), seen: Observed, failures: [string, string][] = []) {
  const report = reportOf(desired, seen, plan(desired, seen, nowMs), new Map(failures), nowMs)
  return { ...report, ready: report.verdicts.find(({ type }) => type === 'Ready') }
}

test('is made where it is missing and changed back where it differs', () => {
  const changed = { ...wantedTopic(topic()), writeQueueNums: 1 }

  const steps = plan(topic(), observed([broker(0), broker(2, changed)]), nowMs)
  const onlyMissing = plan(topic(), observed([{ ...broker(1), has: undefined }]), nowMs)

  expect(steps.map((step) => [step.do, step.brokerName])).toEqual([['correctTopic', 'b-2']])
  expect(onlyMissing.map((step) => [step.do, step.brokerName])).toEqual([['createTopic', 'b-1']])
})

test.each([
  [{ queues: { perBroker: 3 } }, { readQueueNums: 3, writeQueueNums: 3 }],
  [{ queues: { write: 2, read: 5 } }, { readQueueNums: 5, writeQueueNums: 2 }],
  [{}, { readQueueNums: 8, writeQueueNums: 8, perm: 6, order: false, attributes: { 'message.type': 'NORMAL' } }],
  [{ permission: 'ReadOnly' }, { perm: 4 }],
  [{ messageType: 'FIFO' }, { order: true, attributes: { 'message.type': 'FIFO' } }],
  [{ messageType: 'FIFO', ordered: false }, { order: false }],
  [{ messageType: 'Mixed' }, { order: false, attributes: { 'message.type': 'MIXED' } }],
  [{ ordered: true }, { order: true }],
  [{ topicName: 'Orders' }, { topicName: 'Orders' }],
])('%j is what the broker gets', (spec, has) => {
  expect(wantedTopic(topic(spec))).toMatchObject(has)
})

test('is ready when every group has it', () => {
  const seen = observed([broker(0), broker(1)])

  expect(reported(topic(), seen).ready).toMatchObject({ status: 'True', reason: 'Synced' })
  expect(reported(topic(), seen).status).toMatchObject({
    brokers: { desired: 2, synced: 2 },
    queues: { write: 16, read: 16 },
  })
})

test.each([
  ['there is no BrokerSet', observed([], { brokerSet: undefined }), 'Unknown'],
  ['no group serves yet', observed([]), 'Unknown'],
  ['a group does not serve yet', observed([broker(0)]), 'False'],
])('waits without an error when %s', (_, seen, status) => {
  const { ready, verdicts } = reported(topic(), seen)

  expect(ready).toMatchObject({ status, reason: 'ClusterNotReady' })
  expect(verdicts).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'False' }))
})

test('a broker that fails is named, and does not count', () => {
  const { status, ready } = reported(topic(), observed([broker(0), { ...broker(1), has: undefined }]), [
    ['b-1', 'disk full'],
  ])

  expect(status).toMatchObject({ brokers: { synced: 1 }, failing: [{ broker: 'b-1', reason: 'disk full' }] })
  expect(ready).toMatchObject({ status: 'False', reason: 'BrokerError', message: expect.stringContaining('disk full') })
})

test('of two that speak for one topic the younger does nothing and says so', () => {
  const seen = observed([{ ...broker(0), has: undefined }], { rival: topic() })

  expect(plan(topic(), seen, nowMs)).toEqual([])
  expect(reported(topic(), seen).verdicts).toContainEqual(
    expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'ResourceConflict' }),
  )
})

test('a placement is what is counted, and a group that the BrokerSet does not have is named', () => {
  const desired = topic({ placement: { groups: [0, 3] } })
  const brokers = [broker(0), { ...broker(1), has: undefined, isPlaced: false }]
  const seen = observed(brokers, { placement: [0, 3] })

  expect(plan(desired, seen, nowMs)).toEqual([])
  expect(reported(desired, seen).status.brokers).toEqual({ desired: 2, synced: 1 })
  expect(reported(desired, seen).ready).toMatchObject({
    reason: 'ClusterNotReady',
    message: expect.stringContaining('BrokerSet b has 2 groups, so none of number 3'),
  })
})
