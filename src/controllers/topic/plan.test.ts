import { expect, test } from '@jest/globals'
import { brokerSet, topic } from '../testing/resources.ts'
import { type Observed, type ObservedBroker, plan, reportOf, wantedTopic } from './plan.ts'

function broker(index: number, has = wantedTopic(topic()) as ObservedBroker['has'], trouble?: string): ObservedBroker {
  const place = { brokerName: `b-${index}`, brokerAddr: `10.96.0.${index + 1}:10911` }
  return { ...place, has, ...(trouble !== undefined && { trouble }) }
}

function observed(brokers: ObservedBroker[], given: Partial<Observed> = {}): Observed {
  return { brokerSet: brokerSet({ groups: 2 }), rival: undefined, brokers, ...given }
}

function reported(desired = topic(), seen: Observed, failures: [string, string][] = []) {
  const report = reportOf(desired, seen, plan(desired, seen), new Map(failures))
  return { ...report, ready: report.verdicts.find(({ type }) => type === 'Ready') }
}

test('is made where it is missing and changed back where it differs', () => {
  const changed = { ...wantedTopic(topic()), writeQueueNums: 1 }

  const steps = plan(topic(), observed([broker(0), broker(2, changed)]))
  const onlyMissing = plan(topic(), observed([{ ...broker(1), has: undefined }]))

  expect(steps.map((step) => [step.do, step.brokerName])).toEqual([['correctTopic', 'b-2']])
  expect(onlyMissing.map((step) => [step.do, step.brokerName])).toEqual([['createTopic', 'b-1']])
})

test('queues, permission, order and message type are what the broker gets', () => {
  const desired = topic({ queues: { perBroker: 3 }, permission: 'ReadOnly', messageType: 'FIFO', topicName: 'Orders' })

  expect(wantedTopic(desired)).toEqual({
    topicName: 'Orders',
    readQueueNums: 3,
    writeQueueNums: 3,
    perm: 4,
    order: true,
    attributes: { 'message.type': 'FIFO' },
  })
})

test('is ready when every group has it', () => {
  const seen = observed([broker(0), broker(1)])

  expect(reported(topic(), seen).ready).toMatchObject({ status: 'True', reason: 'Synced' })
  expect(reported(topic(), seen).status).toMatchObject({ brokers: { desired: 2, synced: 2 }, queues: 16 })
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

  expect(plan(topic(), seen)).toEqual([])
  expect(reported(topic(), seen).verdicts).toContainEqual(
    expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'ResourceConflict' }),
  )
})
