import { expect, test } from '@jest/globals'
import { annotation, type NameServerStatus, type RolloutStatus } from '../../crds/index.ts'
import type { Pod } from '../../kube/index.ts'
import { nameServer, pod, statefulSet } from '../testing/resources.ts'
import { objectsOf } from './objects.ts'
import { plan } from './plan.ts'

const image = 'localhost/mq:1'
const nowMs = Date.parse('2026-01-01T00:00:00Z')
const both = ['b-0:0 at 10.1.0.1:10911', 'b-1:0 at 10.1.0.2:10911']
const settings = { config: { scanNotActiveBrokerInterval: '3000' } }
const hashOf = (spec: object) => objectsOf(nameServer(spec), undefined, image).podHash
const revision = hashOf(settings)

interface Seen {
  rollout?: RolloutStatus | undefined
  spec?: object
  /** The hash of the StatefulSet's template. */
  template?: string
  conditions?: NameServerStatus['conditions']
  madeOf?: string
}

/** A member, and for how long it has been ready or not. */
function member(hash: string, { ready = true, ms = 10_000, knows = both, isMute = false } = {}) {
  const lastTransitionTime = new Date(nowMs - ms).toISOString()
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime } as never]
  return (name: string) => {
    const found = pod(name, { hash, ready })
    const brokers = ready && !isMute ? new Set(knows) : undefined
    return { pod: { ...found, status: { ...found.status, conditions } } as Pod, isReady: ready, brokers }
  }
}
const old = member(hashOf({}))
const current = member(revision)

/** How two NameServers are seen that are to have other settings; undefined: its pod is not there. */
function seen(given: (ReturnType<typeof member> | undefined)[], seen: Seen = {}) {
  const { rollout, spec = {}, template = revision, conditions, madeOf } = seen
  const status = { ...(rollout && { rollout }), ...(conditions && { conditions }) }
  const desired = nameServer({ ...settings, ...spec }, status)
  const found = statefulSet('mq', template)
  if (madeOf !== undefined)
    Object.assign(found.spec?.template.metadata?.annotations ?? {}, { [annotation.madeOf]: madeOf })
  const members = given.flatMap((make, ordinal) => make?.(`mq-${ordinal}`) ?? [])
  const pods = members.map((one) => one.pod.metadata.name)
  const planned = plan(desired, { statefulSet: found, members, pods, users: [] }, image, nowMs)
  const told = planned.notes.filter(({ reason }) => reason.startsWith('Rollout'))
  return { rollout: planned.status.rollout, reasons: told.map(({ reason }) => reason), message: told[0]?.message }
}

const differs = (ms: number, reason = 'RoutesDiffer'): NameServerStatus['conditions'] => [
  {
    type: 'RoutesConsistent',
    status: 'False',
    reason,
    message: '',
    observedGeneration: 1,
    lastTransitionTime: new Date(nowMs - ms).toISOString(),
  },
]

test('a rollout is told when it begins, counted, and told when every NameServer runs as it should', () => {
  const first = seen([old, old])
  expect(first).toMatchObject({ reasons: ['RolloutStarted'], rollout: { revision, updated: 0, total: 2 } })
  expect(first.message).toBe('2 of 2 NameServers are to restart, one at a time')

  const away = seen([old, undefined], { rollout: first.rollout })
  expect(away).toMatchObject({ reasons: [], rollout: { updated: 0, total: 2 } })
  const half = seen([old, current], { rollout: away.rollout })
  expect(half).toMatchObject({ reasons: [], rollout: { updated: 1, total: 2 } })
  const empty = member(revision, { knows: [] })
  expect(seen([empty, current], half)).toMatchObject({ reasons: [], rollout: { updated: 2 } }) // it is to hear of all brokers

  expect(seen([current, current], half)).toMatchObject({ reasons: ['RolloutCompleted'], rollout: undefined })
  expect(seen([current, current])).toMatchObject({ reasons: [], rollout: undefined })
})

test('why it begins is told', () => {
  const made = (name: string) => {
    const found = old(name)
    Object.assign(found.pod.metadata.annotations ?? {}, { [annotation.madeOf]: 'image=a,config=b' })
    return found
  }
  expect(seen([made, made], { madeOf: 'image=x,config=y' }).message).toBe(
    '2 of 2 NameServers are to restart, one at a time: ImageChanged, StaticConfigChanged',
  )
})

test('what is wanted changes in the middle: until its template is there the former rollout is told of, then another begins', () => {
  const former = { revision: 'former', updated: 1, total: 2 }

  const before = seen([old, current], { rollout: former, template: 'former' })
  expect(before).toMatchObject({ reasons: [], rollout: { revision: 'former' } })
  expect(seen([old, current], before)).toMatchObject({ reasons: ['RolloutStarted'], rollout: { revision } })
})

test('what is wanted is again what all are: that is told, also while the resource is paused', () => {
  const rollout = { revision: 'former', updated: 0, total: 2 }

  for (const paused of [false, true])
    expect(seen([current, current], { rollout, spec: { paused } })).toMatchObject({
      reasons: ['RolloutCompleted'],
      rollout: undefined,
    })
})

test('one that does not come back holds up the others: told after a minute, what to do, and once though it crashes on', () => {
  const rollout = { revision, updated: 0, total: 2 }
  const down = (ms: number) => [old, member(revision, { ready: false, ms })]
  expect(seen(down(59_000), { rollout }).reasons).toEqual([])

  const late = seen(down(60_000), { rollout })
  expect(late).toMatchObject({ reasons: ['RolloutWaiting'], rollout: { pausedReason: 'NameServerNotReady' } })
  expect(late.message).toBe(
    '1 of 2 NameServers have restarted; the rollout waits for mq-1, which is not ready: Running, not ready. ' +
      'A corrected spec, or the one before, replaces it first; where the cause is another one, it goes on when the pod is ready',
  )
  const between = seen([old, member(revision, { ms: 1_000, knows: [] })], late)
  expect(between).toMatchObject({ reasons: [], rollout: { pausedReason: 'NameServerNotReady' } })
  expect(seen(down(60_000), between).reasons).toEqual([])
  const well = seen([old, current], between)
  expect(well).toMatchObject({ reasons: [], rollout: { updated: 1 } })
  expect(well.rollout?.pausedReason).toBeUndefined()
  expect(seen(down(60_000), well).reasons).toEqual(['RolloutWaiting'])
})

test('one that does not hear of a broker holds up the others, which is told after a minute, with what to do', () => {
  const rollout = { revision, updated: 0, total: 2 }
  const ignorant = (ms: number) => [old, member(revision, { ms, knows: both.slice(1) })]
  expect(seen(ignorant(59_000), { rollout, conditions: differs(59_000, 'Registering') }).reasons).toEqual([])
  expect(seen(ignorant(5_000), { rollout, conditions: differs(3_600_000) }).reasons).toEqual([]) // it began just now

  const late = seen(ignorant(60_000), { rollout, conditions: differs(60_000, 'Registering') })
  expect(late).toMatchObject({ reasons: ['RolloutWaiting'], rollout: { pausedReason: 'RoutesDiffer' } })
  expect(late.message).toBe(
    '1 of 2 NameServers have restarted; the rollout waits: mq-1 does not know b-0:0 at 10.1.0.1:10911. ' +
      'Brokers are to be given every address of status.address; after 150 s it goes on all the same',
  )
  expect(seen(ignorant(90_000), { ...late, conditions: differs(90_000) }).reasons).toEqual([])
  const mute = seen([old, member(revision, { ms: 90_000, isMute: true })], { rollout, conditions: differs(90_000) })
  expect(mute.message).toContain('mq-1 does not answer. kubectl logs mq-1 may say why; kubectl delete pod mq-1')
})

test('paused in the middle it is told once, and goes on from there', () => {
  const rollout = { revision, updated: 1, total: 2 }
  const spec = { paused: true }

  const halted = seen([old, current], { rollout, spec })
  expect(halted).toMatchObject({ reasons: ['RolloutPaused'], rollout: { ...rollout, pausedReason: 'Paused' } })
  expect(seen([old, current], { ...halted, spec }).reasons).toEqual([])
  expect(seen([old, current], { spec })).toMatchObject({ reasons: [], rollout: undefined })
  expect(seen([old, current], halted)).toMatchObject({ reasons: [], rollout })
})

test('nobody is told of a rollout of NameServers that sleep, or go', () => {
  const rollout = { revision, updated: 1, total: 2 }

  expect(seen([old, current], { rollout, spec: { hibernate: true } })).toMatchObject({
    reasons: [],
    rollout: undefined,
  })
  expect(seen([current, old], { spec: { replicas: 1 } })).toMatchObject({ reasons: [], rollout: undefined })
})
