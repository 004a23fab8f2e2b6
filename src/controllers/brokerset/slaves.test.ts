import { expect, test } from '@jest/globals'
import { annotation, label } from '../../crds/index.ts'
import type { Pod, StatefulSet } from '../../kube/index.ts'
import { facts, group, hashOf, ip, look, missing, nowMs } from '../testing/broker-set.ts'
import { brokerSet, pod, service } from '../testing/resources.ts'
import { groupObjects } from './objects.ts'
import type { ObservedMember } from './observe.ts'
import { drainQuietMs } from './scale-in.ts'

const drainedAt = (ms: number) => new Date(ms).toISOString()

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
    'slave b-0-1: the pod does not exist (kubectl describe statefulset b-0 says why)',
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

test('a group that goes takes its slaves with it', () => {
  const desired = brokerSet({ groups: 1, slavesPerGroup: 1 })
  const leaving = group(1, desired, {
    drainingSince: drainedAt(nowMs - drainQuietMs),
    drain: { permission: 4, unread: [], isPartial: false },
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
