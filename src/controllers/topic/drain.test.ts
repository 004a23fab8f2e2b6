import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { TopicStatus } from '../../crds/index.ts'
import type { BrokerTopic, TopicUnread } from '../admin.ts'
import { conditionsOf } from '../conditions.ts'
import type { Topic } from '../resources.ts'
import { brokerSet, topic } from '../testing/resources.ts'
import { type ObservedBroker, quietMs } from './drain.ts'
import { mayBeOver, plan, reportOf, type Step } from './plan.ts'
import { isPlacedOn, wantedTopic } from './wanted.ts'

const startMs = Date.parse('2026-01-01T00:00:00Z')
const nothing: TopicUnread = { groups: [], delayedMs: 0 }

/** A Topic on one broker, b-0, over several passes. */
class World {
  nowMs = startMs
  has: BrokerTopic | undefined
  unread: TopicUnread = nothing
  trouble: string | undefined
  status: TopicStatus | undefined
  steps: Step[] = []
  notes: string[] = []
  spec: object

  constructor(spec: object, has: BrokerTopic | undefined = wantedTopic(topic())) {
    this.spec = spec
    this.has = has
  }

  get desired(): Topic {
    return topic(this.spec, this.status)
  }

  pass({ afterMs = 0, isAnswering = true } = {}): this {
    this.nowMs += afterMs
    const { desired, nowMs } = this
    const place = { brokerName: 'b-0', brokerAddr: '10.96.0.1:10911' }
    const plain: ObservedBroker = { ...place, has: this.has, isPlaced: isPlacedOn(desired, 'b-0') }
    const asked = mayBeOver(desired, plain, nowMs) ? { ...plain, unread: this.unread } : plain
    const status = { groupStatuses: [{ name: 'b-0', state: 'Serving' as const }] }
    const observed = {
      brokerSet: brokerSet({}, status),
      rival: undefined,
      brokers: isAnswering ? [asked] : [],
      placement: desired.spec.placement?.groups,
    }
    this.steps = plan(desired, observed, nowMs)
    const failures = new Map(this.trouble === undefined ? [] : this.steps.map((one) => [one.brokerName, this.trouble!]))
    if (this.trouble === undefined) {
      for (const step of this.steps) this.has = step.do === 'deleteTopic' ? undefined : step.topic
    }
    const report = reportOf(desired, observed, this.steps, failures, nowMs)
    const conditions = conditionsOf(report.verdicts, desired.status?.conditions, 1, nowMs)
    this.status = { ...report.status, conditions }
    this.notes = report.notes.map(({ reason }) => reason)
    return this
  }

  condition(type: string) {
    return this.status?.conditions?.find((one) => one.type === type)
  }

  get queues() {
    return this.has && [this.has.writeQueueNums, this.has.readQueueNums]
  }
}

test('queues that are too many take no more messages first, and go when producers know and all is read', () => {
  const world = new World({ queues: { perBroker: 2 } }).pass()
  expect(world.queues).toEqual([2, 8])
  expect(world.notes).toEqual(['DrainStarted'])
  expect(world.condition('Draining')).toMatchObject({ status: 'True', reason: 'Quieting' })
  expect(world.condition('Ready')).toMatchObject({ status: 'False', reason: 'Draining' })

  world.unread = { groups: ['billing'], delayedMs: 0 }
  world.pass({ afterMs: quietMs - 1 })
  expect([world.steps, world.condition('Draining')?.reason]).toEqual([[], 'Quieting'])
  world.pass({ afterMs: 1 })
  expect(world.steps).toEqual([])
  expect(world.notes).toEqual(['DrainBlocked'])
  expect(world.condition('Draining')).toMatchObject({
    reason: 'Unread',
    message: 'the queues from 2 on of b-0: billing has not read all of it',
  })

  world.unread = nothing
  world.pass({ afterMs: 5_000 })
  expect(world.queues).toEqual([2, 2])
  expect(world.notes).toEqual(['DrainCompleted'])
  expect(world.condition('Ready')?.status).toBe('True')
  expect(world.condition('Draining')?.status).toBe('False')
  expect(world.status?.draining).toBeUndefined()
})

test('raising the number again cancels', () => {
  const world = new World({ queues: { perBroker: 2 } }).pass().pass({ afterMs: 10_000 })

  world.spec = { queues: { perBroker: 8 } }
  world.pass()

  expect(world.queues).toEqual([8, 8])
  expect(world.notes).toContain('DrainCancelled')
  expect(world.condition('Ready')?.status).toBe('True')
})

test('whoever lowers the number once more is quiet for the whole time again', () => {
  const world = new World({ queues: { perBroker: 4 } }).pass().pass({ afterMs: quietMs - 1_000 })

  world.spec = { queues: { perBroker: 2 } }
  world.pass().pass({ afterMs: quietMs - 1 })
  expect(world.queues).toEqual([2, 8])
  world.pass({ afterMs: 1 })
  expect(world.queues).toEqual([2, 2])
})

test('also when the operator ended before it wrote down that it goes further', () => {
  const world = new World({ queues: { perBroker: 4 } }).pass().pass({ afterMs: quietMs - 1_000 })
  const { status } = world

  world.spec = { queues: { perBroker: 2 } }
  world.pass()
  world.status = status
  world.pass().pass({ afterMs: quietMs - 1 })
  expect(world.queues).toEqual([2, 8])
  world.pass({ afterMs: 1 })
  expect(world.queues).toEqual([2, 2])
})

test('delayed messages that wait may belong to the queues that go', () => {
  const world = new World({ queues: { perBroker: 2 } }).pass()
  world.unread = { groups: [], delayedMs: 600_000 }

  world.pass({ afterMs: quietMs })
  expect(world.condition('Draining')?.message).toContain(
    'delayed messages, or those of transactions, may come until 2026-01-01T00:11:35Z',
  )
  world.pass({ afterMs: 660_000 - 1 })
  expect(world.queues).toEqual([2, 8])
  world.pass({ afterMs: 1 })
  expect(world.queues).toEqual([2, 2])
})

test('queues of a broker that began a moment ago stay until consumers had the time to come back', () => {
  const world = new World({ queues: { perBroker: 2 } }).pass()
  world.unread = { ...nothing, isFresh: true }

  world.pass({ afterMs: quietMs })
  expect(world.queues).toEqual([2, 8])
  expect(world.condition('Draining')?.message).toContain('the broker began less than 60 s ago')

  world.unread = nothing
  expect(world.pass().queues).toEqual([2, 2])
})

test('a broker that the placement leaves out serves readers only, then loses the topic', () => {
  const world = new World({ placement: { groups: [1] } }).pass()
  expect(world.has?.perm).toBe(4)
  world.unread = { groups: ['billing'], delayedMs: 0 }
  world.pass({ afterMs: quietMs })
  expect(world.condition('Draining')?.message).toBe('the topic on b-0: billing has not read all of it')

  world.unread = nothing
  world.pass({ afterMs: 5_000 })
  expect(world.has).toBeUndefined()
})

test('a broker that does not serve for a while goes on where it was', () => {
  const world = new World({ placement: { groups: [1] } }).pass()

  world.pass({ afterMs: 10_000, isAnswering: false })
  expect(world.condition('Draining')).toMatchObject({ status: 'True', reason: 'BrokerNotServing' })
  world.pass({ afterMs: quietMs })

  expect(world.has).toBeUndefined()
})

test('a step that failed has begun nothing', () => {
  const world = new World({ queues: { perBroker: 2 } })
  world.trouble = 'disk full'
  world.pass()
  expect(world.status?.draining).toBeUndefined()

  world.trouble = undefined
  world.pass({ afterMs: quietMs }).pass({ afterMs: quietMs - 1 })
  expect(world.queues).toEqual([2, 8])
})

const queues = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }))
  .map(([one, other]) => ({ write: Math.min(one, other), read: Math.max(one, other) }))
const wish = fc.record({
  spec: fc.record({ queues, placement: fc.constantFrom({ groups: [0] }, { groups: [1] }) }),
  unread: fc.constantFrom(
    nothing,
    { ...nothing, isFresh: true },
    { groups: ['billing'], delayedMs: 0 },
    { groups: [], delayedMs: 60_000 },
  ),
  afterMs: fc.integer({ min: 0, max: 60_000 }),
  trouble: fc.constantFrom(undefined, undefined, 'silent'),
  isAnswering: fc.constantFrom(true, true, true, false),
})

test('whatever is asked for, no queue goes that took messages lately or is unread; in the end all is as asked', () => {
  fc.assert(
    fc.property(fc.array(wish, { minLength: 1, maxLength: 30 }), (wishes) => {
      const world = new World({})
      const tookAtMs = new Map<number, number>() // by queue: when it last took messages
      const note = () => {
        const writes = (world.has?.perm ?? 0) & 2 ? (world.has?.writeQueueNums ?? 0) : 0
        for (let queue = 0; queue < writes; queue++) tookAtMs.set(queue, world.nowMs)
      }
      note()
      for (const { spec, unread, afterMs, trouble, isAnswering } of wishes) {
        Object.assign(world, { spec, unread, trouble })
        world.nowMs += afterMs
        note() // until the pass began
        const before = world.has?.readQueueNums ?? 0
        world.pass({ isAnswering })
        for (let queue = world.has?.readQueueNums ?? 0; queue < before; queue++) {
          expect(world.nowMs - (tookAtMs.get(queue) ?? 0)).toBeGreaterThanOrEqual(quietMs)
          expect(unread.groups).toEqual([])
        }
      }
      Object.assign(world, { unread: nothing, trouble: undefined })
      world.pass().pass({ afterMs: quietMs }).pass({ afterMs: 5_000 })
      const { queues: asked, placement } = wishes.at(-1)!.spec
      expect(world.queues).toEqual(placement.groups[0] === 0 ? [asked.write, asked.read] : undefined)
      expect(world.pass().steps).toEqual([])
    }),
  )
})
