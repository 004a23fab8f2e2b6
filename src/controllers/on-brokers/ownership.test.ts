import { expect, test } from '@jest/globals'
import { subscriptionGroupConfig } from '../../client/index.ts'
import type { TopicStatus } from '../../crds/index.ts'
import { ownerOf as groupOwnerOf, plan as planGroup } from '../consumergroup/plan.ts'
import type { Topic } from '../resources.ts'
import { brokerSet, consumerGroup, topic } from '../testing/resources.ts'
import type { ObservedBroker } from '../topic/drain.ts'
import { type Observed, ownerOf, plan, reportOf } from '../topic/plan.ts'
import { wantedTopic } from '../topic/wanted.ts'
import { stepsToDo } from './ownership.ts'

const nowMs = 1_000_000
const as = (change: object) => ({ ...wantedTopic(topic()), ...change })
const place = (index: number) => ({ brokerName: `b-${index}`, brokerAddr: `10.96.0.${index + 1}:10911` })
const broker = (index: number, has: ObservedBroker['has']): ObservedBroker => ({ ...place(index), has, isPlaced: true })

function observed(brokers: ObservedBroker[], given: Partial<Observed> = {}): Observed {
  const groupStatuses = [0, 1].map((index) => ({ name: `b-${index}`, state: 'Serving' as const }))
  return { brokerSet: brokerSet({ groups: 2 }, { groupStatuses }), rival: undefined, brokers, ...given }
}

/** A Topic that does not own its topic yet. */
function fresh(spec: object = {}, status: object = {}): Topic {
  return topic(spec, { owner: undefined, ...status } as unknown as TopicStatus)
}

function ready(desired: Topic, seen: Observed) {
  const report = reportOf(desired, seen, plan(desired, seen, nowMs), new Map(), nowMs)
  const said = report.verdicts.find(({ type }) => type === 'Ready')
  return { ...report, said, notes: report.notes.map(({ reason }) => reason) }
}

test.each([
  ['IfIdentical', as({}), true],
  ['IfIdentical', as({ perm: 4 }), false],
  ['IfIdentical', as({ readQueueNums: 16 }), false],
  ['Always', as({ perm: 4 }), true],
  ['Never', as({}), false],
  ['Never', undefined, true],
  ['IfIdentical', undefined, true],
])('%s: a topic %j that is there becomes its own: %s', (adoptionPolicy, has, isOwner) => {
  const desired = fresh({ adoptionPolicy })
  const seen = observed([broker(0, has), broker(1, undefined)])

  expect(ownerOf(desired, seen).isOwner).toBe(isOwner)
  expect(plan(desired, seen, nowMs).length > 0).toBe(isOwner)
  expect(ready(desired, seen).status.owner).toBe(isOwner ? 'uid-orders' : undefined)
})

test('a conflict names the broker, the difference and the remedy, and is told once', () => {
  const seen = observed([broker(0, undefined), broker(1, as({ perm: 4 }))])
  const first = ready(fresh(), seen)
  const conditions = first.verdicts.map((one) => ({ ...one, observedGeneration: 1, lastTransitionTime: '' }))

  expect(first.said).toMatchObject({ status: 'False', reason: 'AdoptionConflict' })
  expect(first.said?.message).toContain('on b-1 it is otherwise: perm 4, not 6')
  expect(first.said?.message).toContain('spec.adoptionPolicy')
  expect(first.status.brokers?.synced).toBe(0)
  expect(first.notes).toEqual(['AdoptionConflict'])
  expect(ready(fresh({}, { conditions }), seen).notes).toEqual([])
})

test('a broker that the placement leaves out and that has the topic is a difference', () => {
  const outside = { ...broker(1, as({})), isPlaced: false }

  expect(ownerOf(fresh({ placement: { groups: [0] } }), observed([broker(0, as({})), outside])).conflict).toContain(
    'spec.placement leaves this broker out',
  )
})

test('once it is its own it stays so, whatever somebody makes of it', () => {
  const seen = observed([broker(0, as({ perm: 4 })), broker(1, as({}))])

  expect(plan(topic({ adoptionPolicy: 'Never' }), seen, nowMs)).toHaveLength(1)
})

test('before any broker of the set has served it owns the topic; while all are only away nobody can tell', () => {
  const states = (...all: ('Registering' | 'Degraded' | 'Hibernated')[]) => {
    const groupStatuses = all.map((state, index) => ({ name: `b-${index}`, state }))
    return observed([], { brokerSet: brokerSet({}, { groupStatuses }) })
  }

  expect(ownerOf(fresh(), observed([], { brokerSet: undefined })).isOwner).toBe(true)
  expect(ownerOf(fresh(), states('Registering', 'Registering')).isOwner).toBe(true)
  expect(ownerOf(fresh(), states('Degraded', 'Registering')).isOwner).toBe(false)
  expect(ownerOf(fresh(), states('Hibernated')).isOwner).toBe(false)
})

test('the heir of a resource that owned the topic owns it, as different as it may be', () => {
  const rival = { ...topic({}, { owner: 'uid-first' }), metadata: { name: 'first', uid: 'uid-first' } }
  const seen = observed([broker(0, as({ perm: 4 }))], { rival })
  const { status, said } = ready(fresh(), seen)
  expect([said?.reason, status.owner]).toEqual(['ResourceConflict', 'uid-first'])

  const after = topic({}, status)
  expect(ready(after, { ...seen, rival: undefined }).status.owner).toBe('uid-orders')
  expect(plan(after, { ...seen, rival: undefined }, nowMs)).toHaveLength(1)
})

test('a resource that never owned the topic has no heir', () => {
  const rival = { ...fresh(), metadata: { name: 'first', uid: 'uid-first' } }

  expect(ready(fresh(), observed([broker(0, as({ perm: 4 }))], { rival })).status.owner).toBeUndefined()
})

test('with Report, changes by hand are told and left, what is missing is made, and a new spec is in force everywhere', () => {
  const seen = observed([broker(0, as({ perm: 4 })), broker(1, undefined)])
  const settled = topic({ driftPolicy: 'Report' }, { syncedGeneration: 1 })
  const steps = plan(settled, seen, nowMs)

  expect(stepsToDo(settled, steps).map(({ brokerName }) => brokerName)).toEqual(['b-1'])
  expect(ready(settled, seen).said).toMatchObject({ status: 'False', reason: 'Drifted' })
  expect(ready(settled, seen).said?.message).toContain('b-0: perm 4, not 6')
  expect(ready(settled, seen).notes).toEqual(['TopicCreated', 'Drifted'])

  const changed = topic({ driftPolicy: 'Report' }, { syncedGeneration: 0 })
  expect(stepsToDo(changed, plan(changed, seen, nowMs))).toHaveLength(2)
})

test('with Report, neither more queues nor a topic elsewhere begin a drain', () => {
  const settled = topic({ driftPolicy: 'Report', placement: { groups: [0] } }, { syncedGeneration: 1 })
  const seen = observed([broker(0, as({ readQueueNums: 16 })), { ...broker(1, as({})), isPlaced: false }], {
    placement: [0],
  })

  expect(stepsToDo(settled, plan(settled, seen, nowMs))).toEqual([])
  expect(ready(settled, seen).status.draining).toBeUndefined()
  expect(ready(settled, seen).said?.message).toContain('readQueueNums 16, not 8 (and 1 more)')
})

test('what all brokers had as wanted was changed by hand; else the spec was', () => {
  const seen = observed([broker(0, as({ perm: 4 })), broker(1, as({}))])

  expect(ready(topic({}, { syncedGeneration: 1 }), seen).notes).toEqual(['DriftCorrected'])
  expect(ready(topic({}, { syncedGeneration: 0 }), seen).notes).toEqual(['TopicUpdated'])
})

test('a group as its first consumer made it is nobody’s, but for Never', () => {
  const spec = { retry: { maxTimes: 3 } }
  const none = { owner: undefined } as never
  const seen = (has: object) => ({
    ...observed([]),
    rival: undefined,
    brokers: [{ ...place(0), has: subscriptionGroupConfig('billing', has) }],
  })

  expect(planGroup(consumerGroup(spec, none), seen({}))).toHaveLength(1)
  expect(groupOwnerOf(consumerGroup(spec, none), seen({ retryMaxTimes: 5 })).conflict).toContain(
    'retryMaxTimes 5, not 3',
  )
  expect(groupOwnerOf(consumerGroup({ ...spec, adoptionPolicy: 'Never' }, none), seen({})).isOwner).toBe(false)
})
