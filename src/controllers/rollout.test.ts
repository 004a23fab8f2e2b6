import { expect, test } from '@jest/globals'
import { annotation, type Condition, type RolloutStatus } from '../crds/index.ts'
import { type Given, group, hashOf, labelled, look, nowMs } from './testing/broker-set.ts'
import { brokerSet, pod, statefulSet } from './testing/resources.ts'

const desired = brokerSet({ config: { maxMessageSize: '1024' } })
const revision = hashOf(desired)
const slave = { registeredCount: 1 }
const old = (name: string, role: string) => ({ pod: labelled(pod(name, { hash: 'old' }), role) })
const both: Given = { ...old('b-0-0', 'master'), slaves: [old('b-0-1', 'slave')] }
const half: Given = { ...old('b-0-0', 'master'), slaves: [slave] }
const none: Given = { slaves: [slave] }

/** How a set is seen with that group, and this rollout in its status. */
function seen(given: Given, rollout?: RolloutStatus, spec: object = {}, conditions: Condition[] = []) {
  const set = brokerSet(
    { config: desired.spec.config, slavesPerGroup: 1, ...spec },
    { ...(rollout && { rollout }), conditions },
  )
  const { status, notes } = look(set, [group(0, desired, given)])
  const told = notes.filter(({ reason }) => reason.startsWith('Rollout'))
  return { rollout: status.rollout, reasons: told.map(({ reason }) => reason), message: told[0]?.message }
}

/** A pod that has not been ready for so long. */
function down(ms: number, hash = revision, name = 'b-0-1') {
  const found = labelled(pod(name, { ready: false, hash }), name === 'b-0-0' ? 'master' : 'slave')
  const lastTransitionTime = new Date(nowMs - ms).toISOString()
  found.status = { ...found.status, conditions: [{ type: 'Ready', status: 'False', lastTransitionTime } as never] }
  return { pod: found, isPodReady: false }
}

test('a rollout is told when it begins, counted, and told when every broker runs as it should', () => {
  const first = seen(both)
  expect(first).toMatchObject({ reasons: ['RolloutStarted'], rollout: { revision, updated: 0, total: 2 } })
  expect(first.message).toBe('2 of 2 brokers are to restart, one at a time')

  const second = seen(half, first.rollout)
  expect(second).toMatchObject({ reasons: [], rollout: { updated: 1, total: 2 } })

  const gone = seen({ ...none, pod: undefined, isPodReady: false, registeredCount: 0 }, second.rollout)
  expect(gone).toMatchObject({ reasons: [], rollout: { updated: 1, total: 2 } })
  const unregistered = seen({ ...none, registeredCount: 0 }, second.rollout)
  expect(unregistered).toMatchObject({ reasons: [], rollout: { updated: 2, total: 2 } })

  expect(seen(none, second.rollout)).toMatchObject({ reasons: ['RolloutCompleted'], rollout: undefined })
  expect(seen(none)).toMatchObject({ reasons: [], rollout: undefined })
  const lost = { ...none, pod: undefined, isPodReady: false, registeredCount: 0 }
  expect(seen(lost)).toMatchObject({ reasons: [], rollout: undefined }) // nobody wants another one
})

test('how many brokers run as the resource says is counted whether a rollout runs or not', () => {
  const updated = (given: Given, spec: object = {}, others: Given[] = []) => {
    const set = brokerSet({ config: desired.spec.config, slavesPerGroup: 1, groups: 1, ...spec })
    return look(
      set,
      [given, ...others].map((one, index) => group(index, desired, one)),
    ).status.updatedReplicas
  }

  expect([both, half, none].map((given) => updated(given))).toEqual([0, 1, 2])
  expect(updated({ ...none, pod: undefined, isPodReady: false })).toBe(1)
  expect(updated(half, { paused: true })).toBe(1)
  expect(updated(half, {}, [none])).toBe(1) // the second group leaves
  expect(updated(none, { hibernate: true })).toBe(0)
})

test('why it begins is told as far as it is written down', () => {
  const part = (found: ReturnType<typeof pod>, text: string) => {
    Object.assign(found.metadata.annotations ?? {}, { [annotation.madeOf]: text })
    return found
  }
  const given = group(0, desired, { ...old('b-0-0', 'master'), slaves: [slave] })
  part(given.members[0].pod as never, 'image=a,config=b')
  part(given.statefulSet?.spec?.template as never, 'image=x,config=y')

  const { notes } = look(brokerSet({ config: desired.spec.config, slavesPerGroup: 1 }), [given])

  expect(notes.find(({ reason }) => reason === 'RolloutStarted')?.message).toBe(
    '1 of 2 brokers are to restart, one at a time: ImageChanged, StaticConfigChanged',
  )
})

test('what is wanted changes in the middle: another rollout begins', () => {
  expect(seen(half, { revision: 'former', updated: 0, total: 2 }).reasons).toEqual(['RolloutStarted'])
})

test('what is wanted changes in the middle: until its template is there the former rollout is told of', () => {
  const former = { revision: 'former', updated: 1, total: 2 }
  const noTemplate = { statefulSet: statefulSet('b-0', 'former', { replicas: 2 }) }

  expect(seen({ ...both, ...noTemplate }, former)).toMatchObject({
    reasons: [],
    rollout: { revision: 'former', updated: 0 },
  })
})

test('what is wanted is again what all brokers are: that is told, also while the resource is paused', () => {
  const former = { revision: 'former', updated: 0, total: 2 }

  for (const paused of [false, true])
    expect(seen(none, former, { paused })).toMatchObject({ reasons: ['RolloutCompleted'], rollout: undefined })
})

test('a broker that crashes again and again is told once, until all are well', () => {
  const waiting = { revision, updated: 1, total: 2, pausedReason: 'BrokerNotReady' }
  const up = { ...both, slaves: [{ registeredCount: 0 }] }

  const between = seen(up, waiting)
  expect(between).toMatchObject({ reasons: [], rollout: { pausedReason: 'BrokerNotReady' } })
  expect(seen({ ...both, slaves: [down(60_000)] }, between.rollout).reasons).toEqual([])
  const well = seen(half, waiting)
  expect(well.rollout).toEqual({ revision, updated: 1, total: 2 })
  expect(seen({ ...both, slaves: [down(60_000)] }, well.rollout).reasons).toEqual(['RolloutWaiting'])
})

test('a broker that was restarted and does not come back holds up the others, which is told after a minute, once', () => {
  const begun = { revision, updated: 0, total: 2 }
  expect(seen({ ...both, slaves: [down(59_000)] }, begun)).toMatchObject({ reasons: [] })

  const late = seen({ ...both, slaves: [down(60_000)] }, begun)
  expect(late).toMatchObject({ reasons: ['RolloutWaiting'], rollout: { pausedReason: 'BrokerNotReady' } })
  expect(late.message).toBe(
    '1 of 2 brokers have restarted; the rollout waits for b-0-1, which is not ready: Running, not ready. ' +
      'A corrected spec, or the one before, replaces it first; where the cause is another one, it goes on when the pod is ready',
  )
  expect(seen({ ...both, slaves: [down(90_000)] }, late.rollout).reasons).toEqual([])
  expect(seen({ ...both, slaves: [down(90_000, 'old')] }, begun).reasons).toEqual([]) // it is the next one
})

test('a broker that does not register holds up the others, which is told after a minute, with what to do', () => {
  const begun = { revision, updated: 0, total: 2 }
  const waiting = (ms: number) => {
    const lastTransitionTime = new Date(nowMs - ms).toISOString()
    const found = labelled(pod('b-0-1', { hash: revision }), 'slave')
    found.status = { ...found.status, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime } as never] }
    const registered = { type: 'Registered', status: 'False', reason: 'NotRegistered', message: '' } as const
    const given = { ...both, slaves: [{ pod: found, registeredCount: 0 }] }
    return seen(given, begun, {}, [{ ...registered, observedGeneration: 1, lastTransitionTime }])
  }
  expect(waiting(59_000)).toMatchObject({ reasons: [], rollout: { updated: 1 } })

  const late = waiting(60_000)
  expect(late).toMatchObject({ reasons: ['RolloutWaiting'], rollout: { pausedReason: 'RegistrationMissing' } })
  expect(late.message).toBe(
    '1 of 2 brokers have restarted; the rollout waits for b-0-1, which does not register at every NameServer. ' +
      'The condition Registered names those that do not know it, kubectl logs b-0-1 says why; kubectl delete pod b-0-1 starts it anew',
  )
})

test('of a set of one broker nothing is said of others', () => {
  const begun = { revision, updated: 0, total: 1 }
  const spec = { slavesPerGroup: 0 }

  expect(seen(down(60_000, revision, 'b-0-0'), begun, spec).message).toMatch(
    /^1 of 1 brokers have restarted; the rollout waits for b-0-0,/,
  )
  expect(seen({}, begun, spec).message).toBe('every broker runs as the resource says')
})

test('paused in the middle it is told once, and goes on from there', () => {
  const begun = { revision, updated: 1, total: 2 }

  const halted = seen(half, begun, { paused: true })
  expect(halted).toMatchObject({ reasons: ['RolloutPaused'], rollout: { ...begun, pausedReason: 'Paused' } })
  expect(halted.message).toBe(
    '1 of 2 brokers have restarted; no other one is restarted while spec.paused is set, or the spec is refused',
  )
  expect(seen(half, halted.rollout, { paused: true }).reasons).toEqual([])
  expect(seen(half, undefined, { paused: true })).toMatchObject({ reasons: [], rollout: undefined })
  const resumed = seen(half, halted.rollout)
  expect(resumed.reasons).toEqual([])
  expect(resumed.rollout).toEqual(begun)
})
