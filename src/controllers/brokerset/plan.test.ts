import { expect, test } from '@jest/globals'
import { type BrokerSetStatus, label } from '../../crds/index.ts'
import type { Pod, StatefulSet } from '../../kube/index.ts'
import type { BrokerGroup, BrokerTopic } from '../admin.ts'
import { timeText } from '../conditions.ts'
import { facts, group, hashOf, ip, labelled, look, member, missing, nowMs } from '../testing/broker-set.ts'
import { brokerSet, pod, service, statefulSet } from '../testing/resources.ts'
import { groupObjects } from './objects.ts'
import type { ObservedMember } from './observe.ts'

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

  expect(done.slice(-4)).toEqual(['furnish b-0', 'apply ConfigMap b-0', 'apply StatefulSet b-0', 'release b-0'])
  expect(JSON.stringify(steps)).toContain('registrationHeld=false')
})

test('a new broker without topics gets its groups, and one that lacks nothing is let go', () => {
  const consumerGroup = { groupName: 'billing' } as BrokerGroup
  const doneFor = (groups: BrokerGroup[]) =>
    look(brokerSet(), [group(0, brokerSet(), { isAdmitted: false, held: { topics: [], groups } })]).done

  expect(doneFor([consumerGroup])).toContain('furnish b-0')
  expect(doneFor([])).not.toContain('furnish b-0')
  expect(doneFor([])).toContain('release b-0')
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

test('pods are labelled with their version, unless their template says another one', () => {
  const labelOf = (podTemplate?: object) => {
    const { statefulSet } = groupObjects(brokerSet(podTemplate && { podTemplate }), 0, facts(0))
    return (statefulSet.spec.template as { metadata: { labels: Record<string, string> } }).metadata.labels[
      label.version
    ]
  }

  expect(labelOf()).toBe('1')
  expect(labelOf({ labels: { [label.version]: 'ours' } })).toBe('ours')
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

  const { done, notes } = look(brokerSet(), [found])

  expect(done.indexOf('delete Pod b-0-0')).toBeGreaterThan(done.indexOf('apply ConfigMap b-0'))
  expect(notes).toContainEqual(
    expect.objectContaining({ reason: 'BrokerRestarted', message: 'restarting b-0-0: AddressChanged' }),
  )
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

test('pods, ready ones and masters are counted, those of a group that leaves too', () => {
  const leaving = group(1, brokerSet(), {
    drainingSince: timeText(nowMs),
    drain: { permission: 4, unread: [{ consumerGroup: 'billing', topic: 'orders', count: 1 }], isPartial: false },
    isPodReady: false,
  })
  const desired = brokerSet({ slavesPerGroup: 1 })
  const count = (slave: Partial<ObservedMember>, given = {}) =>
    look(desired, [group(0, desired, { slaves: [slave], ...given }), leaving]).status

  expect(count({})).toMatchObject({ replicas: 3, readyReplicas: 2, readyMasters: 1, readyGroups: 1 })
  expect(count({ isPodReady: false })).toMatchObject({ replicas: 3, readyReplicas: 1, readyMasters: 1, readyGroups: 0 })
  expect(count({ pod: undefined, isPodReady: false })).toMatchObject({ replicas: 2, readyReplicas: 1 })
  expect(count({}, { registeredCount: 0 })).toMatchObject({ readyReplicas: 2, readyMasters: 0 })
  leaving.members[0].isPodReady = true
  expect(count({})).toMatchObject({ replicas: 3, readyReplicas: 3, readyMasters: 1, readyGroups: 1 }) // of those that stay
  const falling = look(brokerSet({ hibernate: true }), [group(0)]).status // its pod is there yet
  expect(falling).toMatchObject({ replicas: 1, readyMasters: 0, readyGroups: 0, updatedReplicas: 0 })
})

test('the version that brokers run is theirs until the last has the other; what they are to run is that of the spec, or of the operator', () => {
  const running = (index: number, ran: string) => {
    const { pod } = member(index, 0, brokerSet())
    return group(index, brokerSet(), { pod: { ...pod, spec: { containers: [{ name: 'broker', image: ran }] } } as Pod })
  }
  const versions = (images: string[], spec: object = {}, before?: BrokerSetStatus) => {
    const groups = images.map((ran, index) => running(index, ran))
    const { currentVersion, targetVersion } = look(brokerSet({ groups: images.length, ...spec }, before), groups).status
    return [currentVersion, targetVersion]
  }

  expect(versions(['mq:0', 'mq:0'])).toEqual(['0', '1']) // that of the operator
  expect(versions(['mq:0', 'mq:2'], { image: 'mq:2' })).toEqual(['0', '2'])
  expect(versions(['mq:2', 'mq:2'], { image: 'mq:2' })).toEqual(['2', '2'])
  const away = look(brokerSet({}, { currentVersion: '0' }), [missing(0)]).status
  expect(away).toMatchObject({ currentVersion: '0', replicas: 0 })
  const asleep = look(brokerSet({ hibernate: true }, { currentVersion: '0' }), [missing(0)]).status
  expect(asleep.currentVersion).toBeUndefined()
})

test('where a broker is, is told', () => {
  const { pod } = member(0, 0, brokerSet())
  const { status } = look(brokerSet(), [
    group(0, brokerSet(), { pod: { ...pod, spec: { nodeName: 'n1', containers: [] } } as Pod }),
  ])

  expect(status.groupStatuses?.[0]?.members).toEqual([{ pod: 'b-0-0', role: 'Master', ready: true, node: 'n1' }])
})

test('the size of volumes is told, whether the spec says it or not', () => {
  const sizeOf = (storage: object) => look(brokerSet({ storage }), [group(0)]).status.storageSize

  expect(sizeOf({})).toBe('20Gi')
  expect(sizeOf({ size: '40Gi' })).toBe('40Gi')
  expect(sizeOf({ ephemeral: true })).toBeUndefined()
})

test('a broker that is ready and does not register is told after a minute, once', () => {
  const ago = (ms: number) => new Date(nowMs - ms).toISOString()
  const seen = (sinceMs: number, reason = 'NotRegistered'): BrokerSetStatus => {
    const lastTransitionTime = ago(sinceMs)
    return {
      conditions: [
        { type: 'Registered', status: 'False', observedGeneration: 1, reason, message: '', lastTransitionTime },
      ],
    }
  }
  const found = (status: BrokerSetStatus, { readyMs = 61_000, given = {}, known = {} } = {}) => {
    const one = pod('b-0-0', { hash: hashOf(brokerSet()) })
    one.status!.conditions![0]!.lastTransitionTime = ago(readyMs) as never
    const groups = [group(0, brokerSet(), { pod: one, registeredCount: 0, ...given })]
    const { events, verdicts } = look(brokerSet({}, status), groups, known)
    return { events, reason: verdicts.find(({ type }) => type === 'Registered')?.reason }
  }
  const untold = { events: [], reason: 'NotRegistered' }

  expect(found(seen(59_000))).toEqual(untold)
  expect(found(seen(61_000))).toEqual({ events: ['RegistrationMissing'], reason: 'RegistrationMissing' })
  expect(found(seen(120_000, 'RegistrationMissing'))).toEqual({ events: [], reason: 'RegistrationMissing' })
  expect(found(seen(600_000), { readyMs: 5_000 })).toEqual(untold) // it has just woken
  expect(found(seen(600_000), { given: { isAdmitted: false } })).toEqual(untold) // it is not to register yet
  // it is a NameServer that lacks
  expect(found(seen(600_000), { given: { registeredCount: 1 }, known: { expected: 2 } })).toEqual(untold)
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

test('a group that wakes has served, unless it was never let go: then nobody has anything there', () => {
  const slept: BrokerSetStatus = { groupStatuses: [{ name: 'b-0', state: 'Hibernated' }] }
  const waking = (isAdmitted: boolean) => {
    const asleep = group(0, brokerSet(), { isAdmitted, pod: undefined, isPodReady: false, registeredCount: 0 })
    return look(brokerSet({ groups: 1 }, slept), [asleep]).status.groupStatuses?.[0]?.state
  }

  expect(waking(true)).toBe('Degraded')
  expect(waking(false)).toBe('Creating')
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
