import { expect, test } from '@jest/globals'
import { annotation, type BrokerSetStatus, label } from '../../crds/index.ts'
import type { Pod, StatefulSet } from '../../kube/index.ts'
import type { BrokerGroup, BrokerTopic } from '../admin.ts'
import type { BrokerSet } from '../resources.ts'
import { brokerSet, pod, service, statefulSet } from '../testing/resources.ts'
import { groupObjects, revisionOf } from './objects.ts'
import type { Observed, ObservedGroup, ObservedMember } from './observe.ts'
import { plan } from './plan.ts'
import { abortMarkOf, drainQuietMs, keptGroups } from './scale-in.ts'

const image = 'localhost/mq:1'
const nowMs = Date.parse('2026-01-02T03:04:05Z')
const ip = (index: number, ordinal = 0) => `10.96.${ordinal}.${index + 1}`

const nameServers: Observed['nameServers'] = {
  address: 'mq-0.mq-headless.shop.svc:9876',
  isUsable: true,
  expected: 1,
  answers: [],
  trouble: undefined,
}

const facts = (index: number, desired = brokerSet()) => ({
  brokerIPs: [ip(index)],
  replicas: 1,
  revision: revisionOf(desired, [], image),
  isDataRoots: false,
  isAdmitted: true,
})

function hashOf(desired: BrokerSet): string {
  return revisionOf(desired, [], image).madeFor
}

/** A broker that serves, with the settings of `desired`: the group's master, or a slave that is in sync. */
function member(
  index: number,
  ordinal: number,
  desired: BrokerSet,
  given: Partial<ObservedMember> = {},
): ObservedMember {
  const name = `b-${index}-${ordinal}`
  const role = ordinal === 0 ? 'master' : 'slave'
  return {
    ordinal,
    name,
    service: service(name, ip(index, ordinal)),
    pod: labelled(pod(name, { hash: hashOf(desired) }), role),
    isPodReady: true,
    registeredCount: 1,
    sync: ordinal === 0 ? undefined : { lagBytes: 0 },
    settings: undefined,
    ...given,
  }
}

function labelled(found: Pod, role: string): Pod {
  return { ...found, metadata: { ...found.metadata, labels: { [label.role]: role } } }
}

type Given = Partial<Omit<ObservedGroup, 'members'> & ObservedMember> & { slaves?: Partial<ObservedMember>[] }

/** A group that serves, with the settings of `desired`; what is given of a member is given of its master. */
function group(index: number, desired = brokerSet(), given: Given = {}): ObservedGroup {
  const hash = hashOf(desired)
  const { slaves = [], ...rest } = given
  return {
    index,
    brokerName: `b-${index}`,
    statefulSet: statefulSet(`b-${index}`, hash, { replicas: 1 + slaves.length }),
    drainingSince: undefined,
    drain: undefined,
    isDataRoots: false,
    isAdmitted: true,
    held: undefined,
    ...rest,
    members: [member(index, 0, desired, rest), ...slaves.map((slave, at) => member(index, at + 1, desired, slave))],
  }
}

/** A group of which nothing exists yet. */
function missing(index: number, given: Given = {}): ObservedGroup {
  const nothing = { statefulSet: undefined, service: undefined, pod: undefined, isPodReady: false, registeredCount: 0 }
  return group(index, brokerSet(), { ...nothing, ...given })
}

function look(
  desired: BrokerSet,
  groups: ObservedGroup[],
  given: Partial<Observed['nameServers']> = {},
  budgets: string[] = [],
) {
  const last = groups.at(-1) as ObservedGroup
  const kept = keptGroups(desired, last.index, last.statefulSet)
  const observed = { nameServers: { ...nameServers, ...given }, kept, groups, budgets, volumes: undefined }
  const planned = plan(desired, observed, image, nowMs)
  return {
    ...planned,
    ready: planned.verdicts.find(({ type }) => type === 'Ready'),
    blocked: planned.verdicts.find(({ type }) => type === 'ScaleInBlocked'),
    events: planned.notes.map(({ reason }) => reason).filter((reason) => reason !== 'GroupServing'),
    done: planned.steps.map((step) =>
      step.do === 'setPermission'
        ? `permission ${step.brokerName} ${step.permission}`
        : step.do === 'label'
          ? `label ${step.pod.metadata.name} ${step.role}`
          : step.do !== 'resize' && !('object' in step)
            ? `${step.do} ${'settings' in step ? `${step.brokerAddr} ${Object.entries(step.settings)}` : step.brokerName}`
            : step.do === 'resize'
              ? `resize ${step.claim.metadata.name}`
              : `${step.do} ${step.type.kind} ${step.object.metadata.name}`,
    ),
  }
}

test('a group starts when its address is known and a NameServer answers', () => {
  const desired = brokerSet({ groups: 1 })

  const first = look(desired, [missing(0)])
  expect(first.done).toContain('apply Service b-0-0')
  expect(first.done).not.toContain('apply StatefulSet b-0')
  expect(first.ready).toMatchObject({ status: 'False', reason: 'WaitingForAddress' })

  const withAddress = missing(0, { service: service('b-0-0', ip(0)) })
  expect(look(desired, [withAddress], { isUsable: false }).done).not.toContain('apply StatefulSet b-0')
  expect(look(desired, [withAddress]).done).toEqual(
    expect.arrayContaining(['apply ConfigMap b-0', 'apply StatefulSet b-0']),
  )
})

test('the broker is told its name, its address and where the NameServers are', () => {
  const { config } = groupObjects(brokerSet({ flush: 'Sync', config: { maxMessageSize: '1024' } }), 2, facts(2))

  expect(config.data?.['b-2-0.conf']?.split('\n')).toEqual(
    expect.arrayContaining([
      'maxMessageSize=1024',
      'brokerClusterName=b',
      'brokerName=b-2',
      'brokerId=0',
      'brokerIP1=10.96.0.3',
      'namesrvAddr=mq-headless.shop.svc:9876',
      'flushDiskType=SYNC_FLUSH',
    ]),
  )
})

test('a new broker gets its topics and groups, then the mark, and is let go last', () => {
  const topic = { topicName: 'orders' } as BrokerTopic
  const consumerGroup = { groupName: 'billing' } as BrokerGroup
  const held = group(0, brokerSet(), { isAdmitted: false, held: { topics: [topic], groups: [consumerGroup] } })

  const { done, steps } = look(brokerSet(), [held])

  expect(done.slice(-5)).toEqual([
    'createTopic b-0',
    'createGroup b-0',
    'apply ConfigMap b-0',
    'apply StatefulSet b-0',
    'release b-0',
  ])
  expect(JSON.stringify(steps)).toContain('registrationHeld=false')
})

test('a broker that has not been asked yet is held back, also when it restarts', () => {
  const { steps, done } = look(brokerSet(), [group(0, brokerSet(), { isAdmitted: false, registeredCount: 0 })])

  expect(JSON.stringify(steps)).toContain('registrationHeld=true')
  expect(done).not.toContain('release b-0')
})

test('being let go restarts no broker', () => {
  const made = (isAdmitted: boolean) => groupObjects(brokerSet(), 0, { ...facts(0), isAdmitted })

  expect(made(false).config).not.toEqual(made(true).config)
  expect(made(false).statefulSet.spec).toEqual(made(true).statefulSet.spec)
})

test('an operator with another default image changes no template, and new groups get the image of the others', () => {
  const { steps, ready } = look(brokerSet({ groups: 2 }), [
    group(0, brokerSet(), { statefulSet: statefulSet('b-0', hashOf(brokerSet()), { image: 'localhost/mq:0' }) }),
    missing(1, { service: service('b-1-0', ip(1)) }),
  ])

  const images = steps.flatMap((step) =>
    step.do === 'apply' && step.object.kind === 'StatefulSet'
      ? [(step.object as StatefulSet).spec?.template.spec?.containers[0]?.image]
      : [],
  )
  expect(images).toEqual(['localhost/mq:0', 'localhost/mq:0'])
  expect(ready?.reason).not.toBe('RollingOut')
})

test('a broker whose Service was made again under another address is restarted', () => {
  const again = service('b-0-0', '10.96.0.9')
  again.metadata.creationTimestamp = '2026-01-02T03:00:00Z' as never
  const before = pod('b-0-0', { hash: hashOf(brokerSet()) })
  before.metadata.creationTimestamp = '2026-01-02T02:00:00Z' as never
  const found = group(0, brokerSet(), { service: again, pod: before, isPodReady: false })

  const { done } = look(brokerSet(), [found])

  expect(done.indexOf('delete Pod b-0-0')).toBeGreaterThan(done.indexOf('apply ConfigMap b-0'))
})

test('is ready when every group is registered at every NameServer', () => {
  const desired = brokerSet({ groups: 2 })

  const all = look(desired, [group(0), group(1)])
  expect(all.ready).toMatchObject({ status: 'True', reason: 'AllServing' })
  expect(all.status).toMatchObject({ groups: 2, readyGroups: 2 })

  const half = look(desired, [group(0), group(1)], { expected: 2 })
  expect(half.ready).toMatchObject({ status: 'False', reason: 'NotRegistered' })
  expect(half.verdicts).toContainEqual(expect.objectContaining({ type: 'Available', status: 'True' }))
})

test('a group that served and lost its pod is degraded, not new', () => {
  const served: BrokerSetStatus = { groupStatuses: [{ name: 'b-0', state: 'Serving' }] }

  const { status, ready } = look(brokerSet({ groups: 1 }, served), [
    group(0, brokerSet(), { pod: undefined, isPodReady: false }),
  ])

  expect(status.groupStatuses).toMatchObject([{ name: 'b-0', state: 'Degraded' }])
  expect(status.groups).toBe(1) // an autoscaler must not take it for a group less
  expect(ready).toMatchObject({ reason: 'PodsNotReady' })
})

test('new settings restart one broker, and the next only when that one serves again', () => {
  const desired = brokerSet({ groups: 2, config: { maxMessageSize: '1024' } })
  const old = (index: number) =>
    group(index, desired, { pod: labelled(pod(`b-${index}-0`, { hash: 'old' }), 'master') })

  const first = look(desired, [old(0), old(1)])
  expect(first.done.filter((step) => step.startsWith('delete'))).toEqual(['delete Pod b-0-0'])
  expect(first.ready).toMatchObject({ status: 'False', reason: 'RollingOut' })

  const back = group(0, desired, { pod: pod('b-0-0', { hash: hashOf(desired) }), registeredCount: 0 })
  expect(look(desired, [back, old(1)]).done.filter((step) => step.startsWith('delete'))).toEqual([])
  expect(look(desired, [group(0, desired), old(1)]).done).toContain('delete Pod b-1-0')
})

test('no broker is restarted before its StatefulSet has the new template', () => {
  const desired = brokerSet({ groups: 1, config: { maxMessageSize: '1024' } })

  const { done } = look(desired, [group(0, brokerSet())])

  expect(done).toContain('apply StatefulSet b-0')
  expect(done).not.toContain('delete Pod b-0-0')
})

test('a broker that does not come up with old settings is replaced although others do not serve', () => {
  const desired = brokerSet({ groups: 2 })
  const broken = group(0, desired, { pod: pod('b-0-0', { hash: 'old', ready: false }), isPodReady: false })

  expect(look(desired, [broken, missing(1)]).done).toContain('delete Pod b-0-0')
})

const drainedAt = (ms: number) => new Date(ms).toISOString()

test('the last group retires first: no more writes, and it stays', () => {
  const desired = brokerSet({ groups: 1 })
  const leaving = group(2, desired, { drain: { permission: 6, unread: [] } })

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
    drain: { permission: 4, unread },
  })

  const { done, status, recheckAfterMs } = look(desired, [group(0), leaving])

  expect(done).not.toContain('delete StatefulSet b-1')
  expect(status.groupStatuses?.[1]?.draining?.blockers).toEqual(['billing has not read all of orders'])
  expect(recheckAfterMs).toBeLessThan(10_000)
})

test('a retiring group goes when all is read and producers know', () => {
  const desired = brokerSet({ groups: 1 })
  const leaving = (sinceMs: number) =>
    group(1, desired, { drainingSince: drainedAt(nowMs - sinceMs), drain: { permission: 4, unread: [] } })

  expect(look(desired, [group(0), leaving(drainQuietMs - 1000)]).done).not.toContain('delete StatefulSet b-1')
  const { done, status } = look(desired, [group(0), leaving(drainQuietMs)])
  expect(done).toEqual(
    expect.arrayContaining(['delete StatefulSet b-1', 'delete Service b-1-0', 'delete ConfigMap b-1']),
  )
  expect(status.groupStatuses).toHaveLength(1)
})

test('a retiring group whose broker restarted, and took messages again, begins its quiet time anew', () => {
  const desired = brokerSet({ groups: 1 })
  const drainingSince = drainedAt(nowMs - 10 * drainQuietMs)
  const leaving = group(1, desired, { drainingSince, drain: { permission: 6, unread: [] } })

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

const unread = [{ consumerGroup: 'billing', topic: 'orders', count: 3 }]
const billing = 'billing has not read all of orders'
/** Group 1 after it has been drained for so long; its broker takes no messages. */
const drainedFor = (ms: number, desired: BrokerSet, given: Given = {}) =>
  group(1, desired, { drainingSince: drainedAt(nowMs - ms), drain: { permission: 4, unread }, ...given })
const scalingIn = (scaleIn: object, status?: BrokerSetStatus) => brokerSet({ groups: 1, scaleIn }, status)

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
  const taking = drainedFor(drainQuietMs, desired, { drain: { permission: 6, unread } })
  expect(look(desired, [group(0), taking]).done).toContain('permission b-1 4')
  expect(look(desired, [group(0), taking]).done).not.toContain('delete StatefulSet b-1')
  expect(look(desired, [group(0), drainedFor(drainQuietMs - 1, desired, given)]).done).not.toContain(
    'delete StatefulSet b-1',
  )

  const { done, notes } = look(desired, [group(0), drainedFor(drainQuietMs, desired, given)])

  expect(done).toContain('delete StatefulSet b-1')
  expect(notes[0]).toMatchObject({ reason: 'GroupRemoved', message: expect.stringContaining('nobody had read') })
})

const hourMs = 3_600_000

test('Pause: after the timeout it goes on draining, says so, and goes when it is read', () => {
  const desired = scalingIn({ timeoutSeconds: 3600 })
  expect(look(desired, [group(0), drainedFor(hourMs - 1, desired)]).blocked).toMatchObject({ reason: 'Unread' })

  const { blocked, events, done, status } = look(desired, [group(0), drainedFor(hourMs, desired)])

  expect(blocked).toMatchObject({ status: 'True', reason: 'DrainTimedOut', message: expect.stringContaining(billing) })
  expect(events).toEqual(['DrainTimedOut'])
  expect(done).not.toContain('permission b-1 6')
  expect(status.groupStatuses?.[1]).toMatchObject({ state: 'Draining', draining: { blockers: [billing] } })
  const read = drainedFor(2 * hourMs, desired, { drain: { permission: 4, unread: [] } })
  expect(look(desired, [group(0), read]).events).toEqual(['Drained', 'GroupRemoved'])
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

const behind = (lagBytes: number) => ({ sync: { lagBytes } })
const mebibyte = 2 ** 20

function statefulSetOf({ steps }: ReturnType<typeof look>, index = 0): StatefulSet {
  return steps.flatMap((step) => (step.do === 'apply' && step.object.kind === 'StatefulSet' ? [step.object] : []))[
    index
  ] as StatefulSet
}

test('a group starts with as many slaves as have an address, each with a configuration of its own', () => {
  const desired = brokerSet({ slavesPerGroup: 2, replication: { mode: 'Sync' } })
  const none = { service: undefined, pod: undefined, isPodReady: false, registeredCount: 0, sync: undefined }
  const known = { ...none, service: service('b-0-1', ip(0, 1)) }
  const starting = missing(0, { service: service('b-0-0', ip(0)), slaves: [known, none] })

  const found = look(desired, [starting])

  expect(found.done).toEqual(expect.arrayContaining(['apply Service b-0-1', 'apply Service b-0-2']))
  expect(statefulSetOf(found).spec).toMatchObject({ replicas: 2, podManagementPolicy: 'Parallel' })
  const config = found.steps.flatMap((step) =>
    step.do === 'apply' && step.object.kind === 'ConfigMap' ? [step.object] : [],
  )
  const { data } = config[0] as unknown as { data: Record<string, string> }
  expect(data['b-0-0.conf']?.split('\n')).toEqual(
    expect.arrayContaining(['brokerId=0', 'brokerRole=SYNC_MASTER', 'inSyncReplicas=2', 'brokerIP1=10.96.0.1']),
  )
  expect(data['b-0-1.conf']?.split('\n')).toEqual(
    expect.arrayContaining(['brokerId=1', 'brokerRole=SLAVE', 'brokerIP1=10.96.1.1', 'brokerName=b-0']),
  )
  expect(data['b-0-1.conf']).not.toContain('registrationHeld') // its master may be held: it has what that has
})

test.each<[string, Partial<ObservedMember>, string, string]>([
  ['is far behind', behind(70 * mebibyte), 'NotInSync', "slave b-0-1: it lacks at least 64MiB of its master's log"],
  ['does not follow', { sync: { trouble: 'why' } }, 'NotInSync', 'slave b-0-1: why'],
  [
    'has no pod',
    { pod: undefined, isPodReady: false, sync: undefined },
    'PodsNotReady',
    'slave b-0-1: the pod does not exist yet',
  ],
  ['is unknown', { registeredCount: 0 }, 'NotRegistered', 'slave b-0-1: known to 0 of 1 NameServers'],
])('a set whose slave %s serves, but is not ready, and says which and why', (_, slave, reason, message) => {
  const { ready, status, verdicts } = look(brokerSet({ slavesPerGroup: 1 }), [
    group(0, brokerSet(), { slaves: [slave] }),
  ])

  expect(ready).toMatchObject({ status: 'False', reason, message: `1 of 1 groups serve; ${message}` })
  expect(status).toMatchObject({ groups: 1, readyGroups: 0, groupStatuses: [{ state: 'Serving' }] })
  expect(verdicts).toContainEqual(expect.objectContaining({ type: 'Available', status: 'True' }))
})

test('who is in sync, and who is how far behind, is in the status and in a condition', () => {
  const found = look(brokerSet({ slavesPerGroup: 2 }), [
    group(0, brokerSet(), { slaves: [behind(mebibyte), behind(3 * 1024 * mebibyte)] }),
  ])

  expect(found.status.groupStatuses?.[0]?.members).toEqual([
    { pod: 'b-0-0', role: 'Master', ready: true },
    { pod: 'b-0-1', role: 'Slave', ready: true, inSync: true },
    { pod: 'b-0-2', role: 'Slave', ready: true, inSync: false, lag: '2GiB' },
  ])
  expect(found.verdicts).toContainEqual({
    type: 'InSync',
    status: 'False',
    reason: 'NotInSync',
    message: "1 of 2 slaves have what their masters have; b-0-2: it lacks at least 2GiB of its master's log",
  })
  expect(found.recheckAfterMs).toBe(1000)
})

test('which NameServer does not know which broker is said', () => {
  const answers = [
    { namesrvAddr: '10.0.0.8:9876', brokers: new Map([['b-0 0', '10.96.0.1:10911']]) },
    { namesrvAddr: '10.0.0.9:9876', brokers: new Map<string, string>() },
  ]

  const { verdicts } = look(brokerSet(), [group(0)], { expected: 2, answers })

  expect(verdicts.find(({ type }) => type === 'Registered')).toMatchObject({
    status: 'False',
    message: '0 of 1 brokers are registered everywhere; b-0-0 is known to 1 of 2 NameServers, not to 10.0.0.9:9876',
  })
})

test('new settings restart the slave first, and its master when the slave is in sync again', () => {
  const desired = brokerSet({ slavesPerGroup: 1, config: { maxMessageSize: '1024' } })
  const old = (ordinal: number) => pod(`b-0-${ordinal}`, { hash: 'old' })
  const deleted = (slave: Partial<ObservedMember>) =>
    look(desired, [group(0, desired, { pod: old(0), slaves: [slave] })]).done.filter((step) =>
      step.startsWith('delete'),
    )

  expect(deleted({ pod: old(1) })).toEqual(['delete Pod b-0-1'])
  expect(deleted({ isPodReady: false })).toEqual([])
  expect(deleted(behind(20 * mebibyte))).toEqual([])
  expect(deleted({})).toEqual(['delete Pod b-0-0'])
})

test('while no NameServer answers nobody is restarted: nobody is ready then, whoever works', () => {
  const desired = brokerSet()
  const lost = group(0, desired, { pod: pod('b-0-0', { hash: 'old', ready: false }), isPodReady: false })

  expect(look(desired, [lost], { isUsable: false }).done).not.toContain('delete Pod b-0-0')
})

test('each pod is labelled with its role', () => {
  const unlabelled = (ordinal: number) => ({ pod: pod(`b-0-${ordinal}`, { hash: hashOf(brokerSet()) }) })

  const { done } = look(brokerSet({ slavesPerGroup: 1 }), [
    group(0, brokerSet(), { ...unlabelled(0), slaves: [unlabelled(1)] }),
  ])

  expect(done.filter((step) => step.startsWith('label'))).toEqual(['label b-0-0 master', 'label b-0-1 slave'])
})

test('more slaves restart nobody; a template of before there were slaves is rendered anew', () => {
  const before = group(0, brokerSet(), { slaves: [{ pod: undefined, isPodReady: false, registeredCount: 0 }] })
  const [container] = before.statefulSet!.spec!.template.spec!.containers
  container!.args = ['broker', '-c', '/etc/rocketmq/broker.conf']
  before.statefulSet!.spec!.replicas = 1

  const found = look(brokerSet({ slavesPerGroup: 1 }), [before])

  expect(found.done.filter((step) => step.startsWith('delete'))).toEqual([])
  const { spec } = statefulSetOf(found)
  expect(spec?.replicas).toBe(2)
  expect(spec?.template.metadata?.annotations?.[annotation.podHash]).toBe(hashOf(brokerSet()))
  expect(spec?.template.spec?.containers[0]?.args).toContain('/etc/rocketmq/$(POD_NAME).conf')
})

test('fewer slaves: the last goes, its Service when nobody knows it any more, and the master stays', () => {
  const desired = brokerSet({ slavesPerGroup: 1 })
  const withLast = (last: Partial<ObservedMember>) => look(desired, [group(0, desired, { slaves: [{}, last] })])

  const leaving = withLast({})
  expect(statefulSetOf(leaving).spec?.replicas).toBe(2)
  expect(leaving.done).not.toContain('delete Service b-0-2')
  expect(leaving.ready).toMatchObject({ reason: 'ScalingIn', message: 'b-0-2 is leaving' })
  expect(withLast({ pod: undefined, isPodReady: false }).done).not.toContain('delete Service b-0-2')
  const gone = withLast({ pod: undefined, isPodReady: false, registeredCount: 0, sync: undefined })
  expect(gone.done).toContain('delete Service b-0-2')
  expect(gone.ready).toMatchObject({ status: 'True' })
})

test('a slave that the master still waits for does not go before the master waits for fewer', () => {
  const desired = brokerSet({ slavesPerGroup: 1, replication: { mode: 'Sync', minInSync: 2 } })
  const before = group(0, desired, { pod: pod('b-0-0', { hash: 'waits for three' }), slaves: [{}, {}] })

  const found = look(desired, [before])

  expect(statefulSetOf(found).spec?.replicas).toBe(3)
  expect(found.done).toContain('delete Pod b-0-0')
})

test('each group has a budget for disruptions; one for them all together goes', () => {
  const { done } = look(brokerSet({ groups: 2 }), [group(0), group(1)], {}, ['b-0', 'b-1', 'b-brokers'])

  expect(done.filter((step) => step.includes('PodDisruptionBudget'))).toEqual([
    'apply PodDisruptionBudget b-0',
    'apply PodDisruptionBudget b-1',
    'delete PodDisruptionBudget b-brokers',
  ])
})

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

  expect(ready).toMatchObject({ status: 'False', reason: 'SettingsDiffer', message: 'b-0-0 run with other settings' })
})

test('a group that goes takes its slaves with it', () => {
  const desired = brokerSet({ groups: 1, slavesPerGroup: 1 })
  const leaving = group(1, desired, {
    drainingSince: drainedAt(nowMs - drainQuietMs),
    drain: { permission: 4, unread: [] },
    slaves: [{}],
  })

  const { done } = look(desired, [group(0, desired, { slaves: [{}] }), leaving])

  expect(done.filter((step) => step.startsWith('delete'))).toEqual([
    'delete StatefulSet b-1',
    'delete Service b-1-0',
    'delete Service b-1-1',
    'delete PodDisruptionBudget b-1',
    'delete ConfigMap b-1',
  ])
})

test.each<[string, object, object | undefined]>([
  [
    'on different nodes, unless',
    {},
    { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { [label.group]: '0' } } },
  ],
  ['wherever the pod template says otherwise', { podTemplate: { affinity: {} } }, undefined],
])('the brokers of a group run %s', (_, spec, term) => {
  const desired = brokerSet({ slavesPerGroup: 1, ...spec })
  const { statefulSet } = groupObjects(desired, 0, facts(0, desired))

  const { affinity, topologySpreadConstraints } = (statefulSet.spec.template as Pod).spec!
  const [required] = affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  if (term) expect(required).toMatchObject(term)
  else expect(required).toBeUndefined()
  expect(topologySpreadConstraints?.map(({ topologyKey }) => topologyKey)).toEqual([
    'kubernetes.io/hostname',
    'topology.kubernetes.io/zone',
  ])
})
