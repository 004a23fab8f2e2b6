import { expect, test } from '@jest/globals'
import { label } from '../../crds/index.ts'
import type { NameServer } from '../resources.ts'
import { nameServer, pod, statefulSet } from '../testing/resources.ts'
import { objectsOf } from './objects.ts'
import type { ObservedMember } from './observe.ts'
import { plan as planPass } from './plan.ts'
import { settlingMs } from './routes.ts'

const image = 'localhost/mq:1'
const address = 'mq-0.mq-headless.shop.svc:9876;mq-1.mq-headless.shop.svc:9876'

const nowMs = Date.parse('2026-01-01T00:00:00Z')
const both = ['b-0:0 at 10.1.0.1:10911', 'b-1:0 at 10.1.0.2:10911']

function member(one: ReturnType<typeof pod>, brokers: readonly string[] | undefined = both): ObservedMember {
  const isReady = one.status?.conditions?.[0]?.status === 'True'
  return { pod: one, isReady, brokers: isReady && brokers ? new Set(brokers) : undefined }
}

function plan(desired: NameServer, members: readonly ObservedMember[], found = statefulSet('mq', hashOf(desired))) {
  const pods = members.map(({ pod }) => pod.metadata.name)
  return planPass(desired, { statefulSet: found, members, pods, users: [] }, image, nowMs)
}

function hashOf(desired = nameServer()): string {
  return objectsOf(desired, undefined, image).podHash
}

function readyOf({ verdicts }: ReturnType<typeof plan>) {
  return verdicts.find(({ type }) => type === 'Ready')
}

test('is ready when every pod is, and then says so once', () => {
  const members = [member(pod('mq-0', { hash: hashOf() })), member(pod('mq-1', { hash: hashOf() }))]

  const planned = plan(nameServer(), members)

  expect(readyOf(planned)).toMatchObject({ status: 'True', reason: 'AllReady' })
  expect(planned.notes).toMatchObject([{ reason: 'NameServersReady' }])
  expect(planned.status).toMatchObject({ replicas: 2, readyReplicas: 2, address })
  expect(planned.status.selector).toBe(`${label.nameServer}=mq`)
})

test('the address is published when every member exists, ready or not', () => {
  const incomplete = plan(nameServer(), [member(pod('mq-0'))])
  const complete = plan(nameServer(), [member(pod('mq-0')), member(pod('mq-1', { ready: false }))])

  expect(incomplete.status.address).toBeUndefined()
  expect(complete.status.address).toBe(address)
})

test('the last whole address stays while a member is replaced', () => {
  const planned = plan(nameServer({}, { address }), [member(pod('mq-1'))])

  expect(planned.status.address).toBe(address)
  expect(readyOf(planned)).toMatchObject({ status: 'False', reason: 'PodsNotReady' })
})

test('a change of settings is not ready before every pod has it', () => {
  const desired = nameServer({ config: { scanNotActiveBrokerInterval: '3000' } })
  const members = [member(pod('mq-0', { hash: hashOf() })), member(pod('mq-1', { hash: hashOf(desired) }))]

  expect(hashOf(desired)).not.toBe(hashOf())
  expect(readyOf(plan(desired, members))).toMatchObject({ status: 'False', reason: 'RollingOut' })
})

test('why a pod does not run is in the message', () => {
  const stuck = pod('mq-1', { ready: false })
  stuck.status = {
    containerStatuses: [
      {
        name: 'namesrv',
        ready: false,
        state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } },
      } as never,
    ],
  }

  expect(readyOf(plan(nameServer(), [member(pod('mq-0')), member(stuck)]))?.message).toBe(
    '1 of 2 NameServers are ready; mq-1: ErrImagePull: no such image',
  )
  expect(readyOf(plan(nameServer(), [member(pod('mq-0'))]))?.message).toBe(
    '1 of 2 NameServers are ready; mq-1: the pod does not exist (kubectl describe statefulset mq says why)',
  )
})

const settings = { config: { scanNotActiveBrokerInterval: '3000' } }
const desired = nameServer(settings)
const old = (name: string) => pod(name, { hash: hashOf() })
const current = (name: string) => pod(name, { hash: hashOf(desired) })
const deleted = ({ steps }: ReturnType<typeof plan>) =>
  steps.flatMap((step) => (step.do === 'delete' ? [step.object.metadata.name] : []))

test('new settings restart the last NameServer first, then the others, one at a time', () => {
  expect(deleted(plan(desired, [member(old('mq-0')), member(old('mq-1'))]))).toEqual(['mq-1'])
  expect(deleted(plan(desired, [member(old('mq-0'))]))).toEqual([]) // mq-1 is being made
  expect(deleted(plan(desired, [member(old('mq-0')), member(current('mq-1'))]))).toEqual(['mq-0'])
  expect(deleted(plan(desired, [member(current('mq-0')), member(current('mq-1'))]))).toEqual([])
})

test('how many have the new settings is counted, and none that is away is', () => {
  const updated = (...pods: ReturnType<typeof pod>[]) =>
    plan(
      desired,
      pods.map((one) => member(one)),
    ).status.updatedReplicas

  expect(updated(old('mq-0'), old('mq-1'))).toBe(0)
  expect(updated(old('mq-0'), current('mq-1'))).toBe(1)
  expect(updated(old('mq-0'))).toBe(0)
  expect(updated(current('mq-0'), current('mq-1'))).toBe(2)
  expect(updated(current('mq-0'), current('mq-1'), current('mq-2'))).toBe(2) // one too many
})

test('one that is too many is named while it stops, and so are several', () => {
  const stopping = (count: number) =>
    readyOf(
      plan(
        desired,
        Array.from({ length: 2 + count }, (_, at) => member(current(`mq-${at}`))),
      ),
    )?.message

  expect(stopping(1)).toBe('mq-2 is being stopped')
  expect(stopping(2)).toBe('mq-2, mq-3 are being stopped')
})

test('the digest of one that sends clients elsewhere differs, whatever the order in which brokers came', () => {
  const hashes = (...known: (readonly string[])[]) => {
    const members = known.map((brokers, at) => member(old(`mq-${at}`), brokers))
    return plan(nameServer(), members).status.members?.map(({ routeHash }) => routeHash)
  }

  const [one, other] = hashes(both, both.toReversed()) ?? []
  expect(one).toMatch(/^[0-9a-f]{16}$/)
  expect(other).toBe(one)
  const moved = both.map((broker) => broker.replace('10.1.0.2', '10.1.0.3'))
  expect(hashes(both, moved)).toEqual([one, expect.not.stringMatching(one ?? '')])
  const mute = [member(old('mq-0')), { ...member(old('mq-1')), brokers: undefined }]
  expect(plan(nameServer(), mute).status.members?.[1]).toEqual({ pod: 'mq-1', ready: true })
})

test('the version is what pods run: the former one until the last has the other, and none of those that sleep', () => {
  const running = (name: string, image: string) => ({
    ...current(name),
    spec: { containers: [{ name: 'namesrv', image } as never] },
  })
  const version = (images: string[], spec: object = {}, known?: string) =>
    plan(
      nameServer({ image: 'mq:2', ...spec }, known === undefined ? undefined : { version: known }),
      images.map((image, at) => member(running(`mq-${at}`, image))),
    ).status.version

  expect(version(['mq:1', 'mq:1'])).toBe('1')
  expect(version(['mq:1', 'mq:2'])).toBe('1')
  expect(version(['mq:2', 'mq:2'])).toBe('2')
  expect(version([])).toBeUndefined()
  expect(version([], {}, '1')).toBe('1') // all are away for a moment
  expect(version(['mq:2'], { hibernate: true }, '2')).toBeUndefined()
})

test('one that knows all brokers stays until the others know them too', () => {
  const knows = (brokers: string[] | undefined) => [member(old('mq-0')), member(current('mq-1'), brokers)]

  expect(deleted(plan(desired, knows(both.slice(1))))).toEqual([])
  expect(deleted(plan(desired, [member(old('mq-0')), { ...member(current('mq-1')), brokers: undefined }]))).toEqual([])
  expect(plan(desired, knows(both.slice(1))).recheckAfterMs).toBeLessThan(5_000)
  expect(deleted(plan(desired, knows(both)))).toEqual(['mq-0'])
})

test('a broker that registers at one NameServer only holds up no restart for ever', () => {
  const since = (ms: number) => {
    const one = current('mq-1')
    const lastTransitionTime = new Date(nowMs - ms).toISOString()
    one.status = { ...one.status, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime } as never] }
    return [member(old('mq-0')), member(one, both.slice(1))]
  }

  expect(deleted(plan(desired, since(settlingMs - 1_000)))).toEqual([])
  expect(deleted(plan(desired, since(settlingMs)))).toEqual(['mq-0'])
})

test('one that is ready and does not answer is replaced when the others know all brokers for long', () => {
  const since = (ms: number) => {
    const one = old('mq-0')
    const lastTransitionTime = new Date(nowMs - ms).toISOString()
    one.status = { ...one.status, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime } as never] }
    return [member(one), { ...member(old('mq-1')), brokers: undefined }]
  }

  expect(deleted(plan(desired, since(settlingMs - 1_000)))).toEqual([]) // maybe it knows what the other does not
  expect(deleted(plan(desired, since(settlingMs)))).toEqual(['mq-1'])
  expect(deleted(plan(nameServer(), since(settlingMs)))).toEqual([]) // one that is made anew would be the same
  expect(readyOf(plan(desired, since(0)))?.message).toBe(
    '0 of 2 NameServers have the new settings; the next waits: mq-1 does not answer',
  )
})

test('nothing restarts while it is paused, or before the StatefulSet would make the pod as wanted', () => {
  const members = [member(old('mq-0')), member(old('mq-1'))]

  const paused = plan(nameServer({ ...settings, paused: true }), members)
  expect(deleted(paused)).toEqual([])
  expect(paused.recheckAfterMs).toBeGreaterThan(5_000)
  expect(deleted(plan(desired, members, statefulSet('mq', hashOf())))).toEqual([])
})

test('says who knows which brokers, and complains of a difference that stays', () => {
  const members = [member(old('mq-0')), member(old('mq-1'), both.slice(1))]
  const routes = ({ verdicts }: ReturnType<typeof plan>) => verdicts.find(({ type }) => type === 'RoutesConsistent')
  const before = (reason: string, ms: number) =>
    nameServer(
      {},
      {
        conditions: [
          {
            type: 'RoutesConsistent',
            status: 'False',
            reason,
            message: '',
            observedGeneration: 1,
            lastTransitionTime: new Date(nowMs - ms).toISOString(),
          },
        ],
      },
    )

  const first = plan(nameServer(), members)
  expect(first.status.members).toMatchObject([
    { pod: 'mq-0', ready: true, brokers: 2 },
    { pod: 'mq-1', ready: true, brokers: 1 },
  ])
  expect(first.status.registered).toEqual({ brokerSets: 0, brokers: 2 })
  expect(routes(first)).toMatchObject({ status: 'False', reason: 'Registering' })
  expect(routes(first)?.message).toBe('mq-1 does not know b-0:0 at 10.1.0.1:10911')
  expect(routes(plan(before('Registering', 59_000), members))).toMatchObject({ reason: 'Registering' })

  expect(routes(plan(before('Hibernated', 90_000), members))).toMatchObject({ reason: 'Registering' })
  const none = [member(pod('mq-0', { ready: false })), member(pod('mq-1', { ready: false }))]
  expect(routes(plan(nameServer(), none))).toMatchObject({ status: 'Unknown', reason: 'NotReady' })

  const late = plan(before('Registering', 60_000), members)
  expect(routes(late)).toMatchObject({ status: 'False', reason: 'RoutesDiffer' })
  const warnings = ({ notes }: ReturnType<typeof plan>) => notes.filter(({ type }) => type === 'Warning')
  expect(warnings(late)).toMatchObject([{ reason: 'RouteInconsistent' }])
  expect(warnings(plan(before('RoutesDiffer', 90_000), members))).toEqual([])
  expect(routes(plan(nameServer(), [member(old('mq-0')), member(old('mq-1'))]))).toMatchObject({ status: 'True' })
})
