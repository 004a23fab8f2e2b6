import { expect, test } from '@jest/globals'
import { annotation } from '../../crds/index.ts'
import type { StatefulSet } from '../../kube/index.ts'
import { timeText } from '../conditions.ts'
import { nameServer, pod, statefulSet } from '../testing/resources.ts'
import { addressOf, objectsOf } from './objects.ts'
import { plan } from './plan.ts'
import { leaveMs } from './scale-in.ts'

const image = 'localhost/mq:1'
const nowMs = Date.parse('2026-01-01T00:00:00Z')
const brokers = ['b-0:0 at 10.1.0.1:10911']

interface Seen {
  live?: number
  /** As the annotation says it: `count since RFC 3339`. */
  mark?: string | undefined
  published?: number
  knows?: (ordinal: number) => readonly string[]
  isReady?: (ordinal: number) => boolean
  /** Of whom it was said that they go. */
  told?: string[]
  /** Whose pods are being replaced, by ordinal. */
  away?: number[]
  spec?: object
}

/** A NameServer that is to have so many, where there are `live`, and clients are given a list of `published`. */
function look(replicas: number, seen: Seen = {}) {
  const {
    live = 3,
    mark,
    published = replicas,
    knows = () => brokers,
    isReady = () => true,
    told = [],
    away = [],
    spec = {},
  } = seen
  const desired = nameServer(
    { replicas, ...spec },
    {
      address: addressOf(nameServer(), published),
      members: told.map((pod) => ({ pod, ready: true, leavesAt: timeText(nowMs) })),
    },
  )
  const hash = objectsOf(desired, undefined, image).podHash
  const found = statefulSet('mq', hash, { replicas: live })
  if (mark !== undefined) Object.assign(found.metadata.annotations ?? {}, { [annotation.leavingSince]: mark })
  const there = [...Array(live).keys()].filter((ordinal) => !away.includes(ordinal))
  const members = there.map((ordinal) => {
    const ready = isReady(ordinal)
    return {
      pod: pod(`mq-${ordinal}`, { hash, ready }),
      isReady: ready,
      brokers: ready ? new Set(knows(ordinal)) : undefined,
    }
  })
  const pods = members.map((member) => member.pod.metadata.name)
  const planned = plan(desired, { statefulSet: found, members, pods, users: [] }, image, nowMs)
  const applied = planned.steps.find(({ type }) => type.kind === 'StatefulSet')?.object as StatefulSet
  return {
    ...planned,
    replicas: applied.spec?.replicas,
    mark: applied.metadata.annotations?.[annotation.leavingSince],
    ready: planned.verdicts.find(({ type }) => type === 'Ready'),
    messages: planned.notes.filter(({ reason }) => reason.startsWith('ScaleIn')).map(({ message }) => message),
    events: planned.notes.map(({ reason }) => reason).filter((reason) => reason.startsWith('ScaleIn')),
  }
}

const since = (ms: number, replicas = 2) => `${replicas} since ${timeText(nowMs - ms)}`

test('the shorter list is published before the time of those that go begins', () => {
  const first = look(2, { published: 3 })
  expect(first.status.address).toBe(addressOf(nameServer(), 2))
  expect(first).toMatchObject({ replicas: 3, mark: undefined, events: [], recheckAfterMs: 1000 })
  expect(first.ready).toMatchObject({ status: 'False', reason: 'ScalingIn' })

  const second = look(2)
  expect(second).toMatchObject({ replicas: 3, mark: since(0), events: ['ScaleInStarted'] })
})

test('says who goes when, and how to keep it', () => {
  const { ready, status, recheckAfterMs, verdicts } = look(2, { mark: since(100_000) })

  const message =
    'mq-2 goes at 2026-01-01T00:00:20Z: until then clients learn the list without it, and a higher spec.replicas keeps it'
  expect(ready).toMatchObject({ status: 'False', reason: 'ScalingIn', message })
  expect(verdicts.find(({ type }) => type === 'Stalled')?.status).toBe('False')
  expect(status.members?.map(({ leavesAt }) => leavesAt)).toEqual([undefined, undefined, '2026-01-01T00:00:20Z'])
  expect(recheckAfterMs).toBe(20_000)
})

test('says it of several, too', () => {
  expect(look(1, { mark: since(100_000, 1) }).ready?.message).toBe(
    'mq-1, mq-2 go at 2026-01-01T00:00:20Z: until then clients learn the list without them, and a higher spec.replicas keeps them',
  )
  expect(look(1, { published: 3 }).ready?.message).toContain('mq-1, mq-2 will go: the list without them is')
  const told = ['mq-1', 'mq-2']
  expect(look(3, { told }).messages).toEqual(['mq-1, mq-2 stay, and are in the list for clients again'])
  expect(look(3, { told: ['mq-2'] }).messages).toEqual(['mq-2 stays, and is in the list for clients again'])
  expect(look(1, { told, live: 1 }).messages).toEqual(['mq-1, mq-2 go: clients know the list without them'])
})

test('goes when clients have had the time to learn it, and not a moment sooner', () => {
  const told = ['mq-2']
  expect(look(2, { told, mark: since(leaveMs - 1000) })).toMatchObject({ replicas: 3, events: [] })
  const goes = look(2, { told, mark: since(leaveMs) })
  expect(goes).toMatchObject({ replicas: 2, mark: undefined, events: [] })
  expect(goes.status.members?.[2]?.leavesAt).toBeDefined() // so that it is told also when this pass is the operator's last
  expect(look(2, { told, live: 2 })).toMatchObject({ replicas: 2, events: ['ScaleInCompleted'] })
  expect(look(2, { live: 2 }).events).toEqual([])
})

test('one whose pod is replaced while it leaves is told of once, and its end is told', () => {
  const away = [2]
  const named = ({ status }: ReturnType<typeof look>) =>
    (status.members ?? []).flatMap(({ pod, leavesAt }) => (leavesAt === undefined ? [] : [pod]))

  const first = look(2, { away })
  expect(first.events).toEqual(['ScaleInStarted'])
  const replaced = look(2, { told: named(first), away, mark: since(60_000) })
  expect(replaced.status.members?.at(-1)).toEqual({ pod: 'mq-2', ready: false, leavesAt: '2026-01-01T00:01:00Z' })
  const again = look(2, { told: named(replaced), mark: since(60_000) })
  expect([...replaced.events, ...again.events]).toEqual([])
  const goes = look(2, { told: named(again), away, mark: since(leaveMs) })
  expect(goes.replicas).toBe(2)
  expect(look(2, { told: named(goes), live: 2 }).events).toEqual(['ScaleInCompleted'])
})

test('stays as long as the others cannot do without it', () => {
  const mark = since(leaveMs)
  expect(look(2, { mark, isReady: (ordinal) => ordinal !== 1 })).toMatchObject({ replicas: 3, mark })
  const ignorant = look(2, { mark, knows: (ordinal) => (ordinal === 1 ? [] : brokers) })
  expect(ignorant).toMatchObject({ replicas: 3, mark })
  expect(ignorant.ready?.message).toContain('mq-1 is not ready, or does not know all brokers')
})

test('a higher number keeps it', () => {
  const told = ['mq-2']
  expect(look(3, { told, mark: since(60_000) })).toMatchObject({ mark: undefined, events: ['ScaleInCancelled'] })
  expect(look(3, { told }).events).toEqual(['ScaleInCancelled']) // whoever took the mark away could not tell
  expect(look(3)).toMatchObject({ replicas: 3, events: [] })
})

test('when even fewer are wanted, those that were in the list get their time; when more are, nobody gets it twice', () => {
  expect(look(1, { mark: since(leaveMs, 2) })).toMatchObject({ replicas: 3, mark: since(0, 1) })
  expect(look(2, { mark: since(leaveMs - 1000, 1) })).toMatchObject({ replicas: 3, mark: since(leaveMs - 1000, 2) })
  expect(look(2, { mark: since(leaveMs, 1) })).toMatchObject({ replicas: 2 })
  expect(look(2, { mark: since(0, 1), told: ['mq-1', 'mq-2'] }).events).toEqual(['ScaleInCancelled']) // mq-1 stays
})

test('paused, the list stays as long as the NameServers do, and nothing is told', () => {
  const { status, notes, recheckAfterMs } = look(2, { published: 3, spec: { paused: true } })
  expect(status.address).toBe(addressOf(nameServer(), 3))
  expect(notes).toEqual([])
  expect(recheckAfterMs).toBeGreaterThan(5_000)
})

test.each([
  ['before its time began', undefined],
  ['when its time is over', since(leaveMs)],
])('paused %s, nobody says that it goes', (_, mark) => {
  const { ready, status } = look(2, { mark, told: ['mq-2'], spec: { paused: true } })
  expect(status.members?.[2]?.leavesAt).toBeUndefined()
  expect(ready).toMatchObject({ reason: 'ScalingIn', message: 'mq-2 stays while nothing is changed' })
})

test('what was given in the list again meanwhile has its time anew', () => {
  const again = look(2, { mark: since(leaveMs), published: 3 })
  expect(again).toMatchObject({ replicas: 3, mark: undefined })
  expect(again.status.address).toBe(addressOf(nameServer(), 2))
})

test('a clock that was set back keeps it no longer than usual', () => {
  expect(look(2, { mark: since(-3_600_000) }).mark).toBe(since(0))
})

test('hibernating, nobody waits', () => {
  expect(look(2, { mark: since(0), spec: { hibernate: true } })).toMatchObject({
    replicas: 0,
    mark: undefined,
    events: [],
  })
})
