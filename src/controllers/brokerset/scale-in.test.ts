import { expect, test } from '@jest/globals'
import { annotation, type BrokerSetStatus } from '../../crds/index.ts'
import type { StatefulSet } from '../../kube/index.ts'
import { timeText } from '../conditions.ts'
import type { BrokerSet } from '../resources.ts'
import { type Given, group, ip, look, missing, nowMs } from '../testing/broker-set.ts'
import { brokerSet, service } from '../testing/resources.ts'
import type { ObservedGroup } from './observe.ts'
import { abortMarkOf, drainQuietMs } from './scale-in.ts'

const drainedAt = (ms: number) => new Date(ms).toISOString()

const unread = [{ consumerGroup: 'billing', topic: 'orders', count: 3 }]
const billing = 'billing has not read all of orders'
/** Group 1 after it has been drained for so long; its broker takes no messages. */
const drainedFor = (ms: number, desired: BrokerSet, given: Given = {}) =>
  group(1, desired, {
    drainingSince: drainedAt(nowMs - ms),
    drain: { permission: 4, unread, isPartial: false },
    ...given,
  })
const scalingIn = (scaleIn: object, status?: BrokerSetStatus) => brokerSet({ groups: 1, scaleIn }, status)

const hourMs = 3_600_000

function statefulSetOf({ steps }: ReturnType<typeof look>, index = 0): StatefulSet {
  return steps.flatMap((step) => (step.do === 'apply' && step.object.kind === 'StatefulSet' ? [step.object] : []))[
    index
  ] as StatefulSet
}

test('the last group retires first: no more writes, and it stays', () => {
  const desired = brokerSet({ groups: 1 })
  const leaving = group(2, desired, { drain: { permission: 6, unread: [], isPartial: false } })

  const { done, ready, status } = look(desired, [group(0), group(1), leaving])

  expect(done).toContain('permission b-2 4')
  expect(done.filter((step) => step.startsWith('delete'))).toEqual([])
  expect(ready).toMatchObject({ status: 'False', reason: 'ScalingIn' })
  expect(status.groupStatuses?.map(({ state }) => state)).toEqual(['Serving', 'Serving', 'Draining'])
})

test('a retiring group with unread messages is kept, and says who has to read them', () => {
  const desired = brokerSet({ groups: 1 })
  const unread = [{ consumerGroup: 'billing', topic: 'orders', count: 3 }]
  const leaving = group(1, desired, {
    drainingSince: drainedAt(nowMs - 2 * drainQuietMs),
    drain: { permission: 4, unread, isPartial: false },
  })

  const { done, status, recheckAfterMs } = look(desired, [group(0), leaving])

  expect(done).not.toContain('delete StatefulSet b-1')
  expect(status.groupStatuses?.[1]?.draining?.blockers).toEqual(['billing has not read all of orders'])
  expect(recheckAfterMs).toBeLessThan(10_000)
})

test('a retiring group goes when all is read and producers know', () => {
  const desired = brokerSet({ groups: 1 })
  const leaving = (sinceMs: number) =>
    group(1, desired, {
      drainingSince: drainedAt(nowMs - sinceMs),
      drain: { permission: 4, unread: [], isPartial: false },
    })

  expect(look(desired, [group(0), leaving(drainQuietMs - 1000)]).done).not.toContain('delete StatefulSet b-1')
  const { done, status } = look(desired, [group(0), leaving(drainQuietMs)])
  expect(done).toEqual(
    expect.arrayContaining(['delete StatefulSet b-1', 'delete Service b-1-0', 'delete ConfigMap b-1']),
  )
  expect(status.groupStatuses).toHaveLength(1)
})

test('a retiring group whose broker began a moment ago is kept until consumers had the time to come back', () => {
  const desired = brokerSet({ groups: 1 })
  const since = { drainingSince: drainedAt(nowMs - 10 * drainQuietMs) }
  const fresh = group(1, desired, { ...since, drain: { permission: 4, unread: [], isPartial: false, isFresh: true } })

  const { done, status, blocked, events } = look(desired, [group(0), fresh])

  expect(done).not.toContain('delete StatefulSet b-1')
  const why = 'the broker began less than 60 s ago: consumers may not be back yet'
  expect(status.groupStatuses?.[1]?.draining?.blockers).toEqual([why])
  expect(blocked).toMatchObject({ status: 'True', reason: 'BrokerJustStarted', message: `b-1: ${why}` })
  expect(events).toEqual([])
  const forced = brokerSet({ groups: 1, scaleIn: { policy: 'Force' } })
  expect(look(forced, [group(0), fresh]).done).toContain('delete StatefulSet b-1')
})

test('a broker that crashes again and again while its group retires is told once', () => {
  const seen = (drain: ObservedGroup['drain'], reason: string) => {
    const before = {
      type: 'ScaleInBlocked',
      status: 'True',
      reason,
      message: '',
      observedGeneration: 1,
      lastTransitionTime: '',
    } as const
    const desired = brokerSet({ groups: 1 }, { conditions: [before] })
    const given = { drainingSince: drainedAt(nowMs - 10 * drainQuietMs), drain }
    const { blocked, events } = look(desired, [group(0), group(1, desired, given)])
    return [blocked?.reason, ...events]
  }
  const fresh = { permission: 4, unread: [], isPartial: false, isFresh: true }
  const silent = { trouble: 'no connection' }

  expect(seen(silent, 'Draining')).toEqual(['BrokerNotAnswering', 'DrainBlocked'])
  expect(seen(fresh, 'BrokerNotAnswering')).toEqual(['BrokerNotAnswering'])
  expect(seen(silent, 'BrokerNotAnswering')).toEqual(['BrokerNotAnswering'])
  expect(seen(fresh, 'Draining')).toEqual(['BrokerJustStarted'])
  expect(seen(silent, 'BrokerJustStarted')).toEqual(['BrokerNotAnswering', 'DrainBlocked'])
})

test('a retiring group whose broker restarted, and took messages again, begins its quiet time anew', () => {
  const desired = brokerSet({ groups: 1 })
  const drainingSince = drainedAt(nowMs - 10 * drainQuietMs)
  const leaving = group(1, desired, { drainingSince, drain: { permission: 6, unread: [], isPartial: false } })

  const { done, steps } = look(desired, [group(0), leaving])

  expect(done).toContain('permission b-1 4')
  const applied = steps.flatMap((step) =>
    step.do === 'apply' && step.object.kind === 'StatefulSet' ? [step.object] : [],
  )
  expect(applied.at(-1)?.metadata.annotations).toMatchObject({
    [annotation.drainingSince]: drainedAt(nowMs).replace('.000', ''),
  })
})

test('what an operator that died left of a removed group goes too', () => {
  const { done } = look(brokerSet({ groups: 1 }), [group(0), missing(1, { service: service('b-1-0', ip(1)) })])

  expect(done).toEqual(expect.arrayContaining(['delete Service b-1-0', 'delete ConfigMap b-1']))
})

test('a retiring group whose broker does not answer is kept', () => {
  const desired = brokerSet({ groups: 1 })
  const leaving = group(1, desired, {
    drainingSince: drainedAt(nowMs - 10 * drainQuietMs),
    drain: { trouble: 'no connection' },
  })

  expect(look(desired, [group(0), leaving]).done).not.toContain('delete StatefulSet b-1')
})

test('that a scale-in is blocked is said when producers know and someone still has to read, once', () => {
  const desired = scalingIn({})
  const early = look(desired, [group(0), drainedFor(drainQuietMs - 1000, desired)])
  expect(early.blocked).toMatchObject({ status: 'False', reason: 'Draining' })
  expect(early.events).not.toContain('DrainBlocked')

  const found = look(desired, [group(0), drainedFor(drainQuietMs, desired)])
  expect(found.blocked).toMatchObject({ status: 'True', reason: 'Unread', message: `b-1: ${billing}` })
  expect(found.events).toEqual(['DrainBlocked'])

  const told = scalingIn({}, { conditions: [{ ...found.blocked!, observedGeneration: 1, lastTransitionTime: '' }] })
  expect(look(told, [group(0), drainedFor(drainQuietMs, told)]).events).toEqual([])
})

test('what is still to be read is counted every ten minutes, and told from the second time on', () => {
  const sinceMs = nowMs - 2 * hourMs
  const counted = (agoMs: number, since = sinceMs): BrokerSetStatus => {
    const draining = { since: timeText(since), remaining: 9, countedAt: timeText(nowMs - agoMs) }
    return { groupStatuses: [{ name: 'b-1', state: 'Draining', draining }] }
  }
  const seen = (status?: BrokerSetStatus, given: Given = {}) => {
    const desired = scalingIn({}, status)
    const drainingSince = timeText(sinceMs)
    const { notes, status: now } = look(desired, [group(0), drainedFor(0, desired, { drainingSince, ...given })])
    const { remaining, countedAt } = now.groupStatuses?.[1]?.draining ?? {}
    return [remaining, countedAt, notes.find(({ reason }) => reason === 'DrainProgress')?.message]
  }

  expect(seen()).toEqual([3, timeText(nowMs), undefined])
  expect(seen(counted(599_000))).toEqual([9, timeText(nowMs - 599_000), undefined])
  expect(seen(counted(600_000))).toEqual([
    3,
    timeText(nowMs),
    `broker group b-1: 3 messages to read, 9 at ${timeText(nowMs - 600_000)}; most: billing 3 of orders`,
  ])
  expect(seen(counted(600_000, sinceMs - 1000))).toEqual([3, timeText(nowMs), undefined]) // of an earlier drain
  const partial = { drain: { permission: 4, unread: [], isPartial: true } } // it says nothing that was not counted
  expect(seen(undefined, partial)).toEqual([undefined, undefined, undefined])
  const writable = { drain: { permission: 6, unread: [], isPartial: false } } // its quiet time begins anew
  expect(seen(counted(600_000), writable)).toEqual([
    0,
    timeText(nowMs),
    expect.stringContaining(': 0 messages to read'),
  ])
  const silent = { drain: { trouble: 'no connection' } }
  expect(seen(counted(600_000), silent)).toEqual([9, timeText(nowMs - 600_000), undefined])
})

test('paused with too many groups it waits as asked, and nothing is wrong with it', () => {
  const { ready, verdicts } = look(brokerSet({ groups: 1, paused: true }), [group(0), group(1)])

  expect(ready).toMatchObject({ status: 'False', reason: 'ScaleInPaused' })
  expect(verdicts).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'False' }))
})

test('Refuse: all groups stay as they are, and the resource says that this is not what it asks for', () => {
  const desired = scalingIn({ policy: 'Refuse' })

  const { done, ready, blocked, events, status, verdicts } = look(desired, [group(0), group(1)])

  expect(done.filter((step) => step.startsWith('delete') || step.startsWith('permission'))).toEqual([])
  expect(ready).toMatchObject({ status: 'False', reason: 'ScaleInRefused' })
  expect(verdicts).toContainEqual(expect.objectContaining({ type: 'Stalled', status: 'True' }))
  expect(blocked).toMatchObject({ status: 'True', reason: 'Refused' })
  expect(events).toContain('ScaleInRefused')
  expect(status.groupStatuses?.map(({ state }) => state)).toEqual(['Serving', 'Serving'])
})

test('an answer that is not whole lets no group go, and blocks nothing', () => {
  const desired = scalingIn({})
  const asked = (isPartial: boolean) =>
    look(desired, [group(0), drainedFor(2 * hourMs, desired, { drain: { permission: 4, unread: [], isPartial } })])

  expect(asked(true).done).not.toContain('delete StatefulSet b-1')
  expect(asked(true).events).not.toContain('DrainBlocked')
  expect(asked(false).done).toContain('delete StatefulSet b-1')
})

test('Refuse takes back a drain, and does not bring back what is left of a removed group', () => {
  const desired = scalingIn({ policy: 'Refuse' })

  const draining = look(desired, [group(0), drainedFor(1000, desired)])
  expect(draining.done).toContain('permission b-1 6')
  expect(draining.events).toEqual(expect.arrayContaining(['DrainCancelled', 'ScaleInRefused']))
  const leftover = look(desired, [group(0), missing(1, { service: service('b-1-0', ip(1)) })])
  expect(leftover.done).toContain('delete Service b-1-0')
  expect(leftover.ready).toMatchObject({ status: 'True' })
})

test.each<[string, Given]>([
  ['with unread messages', {}],
  ['whose broker does not answer', { drain: { trouble: 'no connection' } }],
])('Force: a group %s stops writes first, and goes when producers know', (_, given) => {
  const desired = scalingIn({ policy: 'Force' })
  const taking = drainedFor(drainQuietMs, desired, { drain: { permission: 6, unread, isPartial: false } })
  expect(look(desired, [group(0), taking]).done).toContain('permission b-1 4')
  expect(look(desired, [group(0), taking]).done).not.toContain('delete StatefulSet b-1')
  expect(look(desired, [group(0), drainedFor(drainQuietMs - 1, desired, given)]).done).not.toContain(
    'delete StatefulSet b-1',
  )

  const { done, notes } = look(desired, [group(0), drainedFor(drainQuietMs, desired, given)])

  expect(done).toContain('delete StatefulSet b-1')
  expect(notes[0]).toMatchObject({ reason: 'GroupRemoved', message: expect.stringContaining('nobody had read') })
})

test('Pause: after the timeout it goes on draining, says so, and goes when it is read', () => {
  const desired = scalingIn({ timeoutSeconds: 3600 })
  expect(look(desired, [group(0), drainedFor(hourMs - 1, desired)]).blocked).toMatchObject({ reason: 'Unread' })

  const { blocked, events, done, status } = look(desired, [group(0), drainedFor(hourMs, desired)])

  expect(blocked).toMatchObject({ status: 'True', reason: 'DrainTimedOut', message: expect.stringContaining(billing) })
  expect(events).toEqual(['DrainTimedOut'])
  expect(done).not.toContain('permission b-1 6')
  expect(status.groupStatuses?.[1]).toMatchObject({ state: 'Draining', draining: { blockers: [billing] } })
  const read = drainedFor(2 * hourMs, desired, { drain: { permission: 4, unread: [], isPartial: false } })
  expect(look(desired, [group(0), read]).events).toEqual(['DrainCompleted', 'GroupRemoved'])
})

test('what no consumer group reads is told when a group goes', () => {
  const unclaimed = [
    { topic: '%DLQ%billing', count: 12 },
    { topic: 'audit', count: 3 },
  ]
  const goes = (desired: BrokerSet, given: object) => {
    const read = drainedFor(drainQuietMs, desired, { drain: { permission: 4, unread: [], isPartial: false, ...given } })
    return look(desired, [group(0), read]).notes.find(({ reason }) => reason === 'DrainCompleted')?.message
  }
  const desired = scalingIn({})

  expect(goes(desired, {})).toBe('broker group b-1 has been read to its end')
  expect(goes(desired, { unclaimed })).toBe(
    'broker group b-1 has been read to its end; messages that no consumer group reads stay on its volumes: 15 (%DLQ%billing 12, audit 3)',
  )
  const ephemeral = brokerSet({ groups: 1, storage: { ephemeral: true } })
  expect(goes(ephemeral, { unclaimed })).toContain('are lost: 15')
})

test('Abort: after the timeout the group takes messages again and stays, until something else is asked', () => {
  const scaleIn = { timeoutSeconds: 3600, onTimeout: 'Abort' }
  const desired = scalingIn(scaleIn)

  const aborting = look(desired, [group(0), drainedFor(hourMs, desired)])
  expect(aborting.done).toContain('permission b-1 6')
  expect(aborting.events).toEqual(expect.arrayContaining(['DrainTimedOut', 'DrainCancelled']))
  const { metadata } = statefulSetOf(aborting, 1)
  expect(metadata.annotations?.[annotation.drainAborted]).toBe(abortMarkOf(desired))
  expect(metadata.annotations).not.toHaveProperty([annotation.drainingSince])

  const marked = group(1, desired)
  marked.statefulSet!.metadata.annotations![annotation.drainAborted] = abortMarkOf(desired)
  const later = look(desired, [group(0), marked])
  expect(later.ready).toMatchObject({ status: 'False', reason: 'ScaleInAborted' })
  expect(later.blocked).toMatchObject({ status: 'True', reason: 'Aborted' })
  expect(later.status.groupStatuses?.[1]?.state).toBe('Serving')
  expect(statefulSetOf(later, 1).metadata.annotations?.[annotation.drainAborted]).toBe(abortMarkOf(desired))

  const again = scalingIn({ ...scaleIn, timeoutSeconds: 7200 })
  expect(look(again, [group(0), marked]).status.groupStatuses?.[1]?.state).toBe('Draining')
  const back = brokerSet({ groups: 2, scaleIn })
  const wanted = look(back, [group(0), marked])
  expect(wanted.ready).toMatchObject({ status: 'True' })
  expect(statefulSetOf(wanted, 1).metadata.annotations).not.toHaveProperty([annotation.drainAborted])
})

test('onTimeout Force: after the timeout the group goes unread', () => {
  const desired = scalingIn({ timeoutSeconds: 3600, onTimeout: 'Force' })

  expect(look(desired, [group(0), drainedFor(hourMs - 1, desired)]).done).not.toContain('delete StatefulSet b-1')
  const { done, events } = look(desired, [group(0), drainedFor(hourMs, desired)])
  expect(done).toContain('delete StatefulSet b-1')
  expect(events).toEqual(['DrainTimedOut', 'GroupRemoved'])
})

test('a group that is wanted again takes messages again', () => {
  const desired = brokerSet({ groups: 2 })

  const { done, events } = look(desired, [group(0), group(1, desired, { drainingSince: drainedAt(nowMs) })])

  expect(events).toContain('DrainCancelled')

  expect(done.indexOf('permission b-1 6')).toBeGreaterThan(-1)
  expect(done.indexOf('permission b-1 6')).toBeLessThan(done.indexOf('apply StatefulSet b-1')) // that takes the mark away
})

test.each([
  ['its broker has yet to register', { registeredCount: 0 }, 1000],
  ['its pod does not run', { registeredCount: 0, isPodReady: false }, 30_000],
])('when %s (%j) a set is looked at again after %i ms', (_, given, recheckAfterMs) => {
  const crashing = group(0, brokerSet(), { registeredCount: 0, isPodReady: false })

  const { recheckAfterMs: found } = look(brokerSet({ groups: 2 }), [crashing, group(1, brokerSet(), given)])

  expect(found).toBe(recheckAfterMs)
})
