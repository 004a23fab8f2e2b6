import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { OperatingError } from '../base/errors.ts'
import { silentLog } from '../base/log.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { writeTopicRouteData } from '../remoting/body/route.ts'
import { ResponseCode } from '../remoting/codes.ts'
import type { CommandContent } from '../remoting/command.ts'
import type { NameServers } from './name-servers.ts'
import { type Route, Routes } from './routes.ts'

type Groups = Record<string, { addrs: [number, string][]; perm?: number; read?: number; write?: number }>

let clock: ManualClock
let routes: Routes
let topics: Map<string, Groups>
let asked: number
let failure: OperatingError | undefined
let changed: Route[]

beforeEach(() => {
  clock = new ManualClock()
  topics = new Map()
  asked = 0
  failure = undefined
  changed = []
  const nameServers: Pick<NameServers, 'call'> = { call: answer }
  routes = new Routes(nameServers as NameServers, { refreshMs: 30_000, timeoutMs: 3_000 }, { clock, log: silentLog })
  routes.onChange = (route) => changed.push(route)
})

afterEach(() => routes.close())

async function answer({ extFields }: CommandContent) {
  asked++
  if (failure !== undefined) throw failure
  const groups = topics.get(extFields?.topic ?? '')
  if (groups === undefined) throw new OperatingError('REQUEST_REFUSED', { responseCode: ResponseCode.TOPIC_NOT_EXIST })
  const brokers = Object.entries(groups)
  const json = writeTopicRouteData(
    {
      queueDatas: brokers.map(([brokerName, { perm = 6, read = 2, write = 2 }]) => ({
        brokerName,
        perm,
        readQueueNums: read,
        writeQueueNums: write,
        topicSysFlag: 0,
      })),
      brokerDatas: brokers.map(([brokerName, { addrs }]) => ({
        cluster: 'C',
        brokerName,
        brokerAddrs: new Map(addrs),
        enableActingMaster: false,
      })),
      filterServerTable: new Map(),
    },
    true,
  )
  const frame = { code: 0, language: 'JAVA', version: 513, opaque: 1, flag: 1, remark: undefined, extFields: {} }
  return { ...frame, body: Buffer.from(json) }
}

test('queues are read where they are readable, and written where there is a master that may be written to', async () => {
  topics.set('T', {
    b: { addrs: [[0, 'b:1']], read: 3, write: 2 },
    a: { addrs: [[1, 'a:2']] }, // the master is gone
    c: { addrs: [[0, 'c:1']], perm: 4 }, // draining
    d: { addrs: [[0, 'd:1']], perm: 2 },
  })
  const route = await routes.get('T')
  const names = (queues: Route['readQueues']) => queues.map(({ brokerName, queueId }) => `${brokerName}${queueId}`)
  expect(names(route.writeQueues)).toEqual(['b0', 'b1', 'd0', 'd1'])
  expect(names(route.readQueues)).toEqual(['a0', 'a1', 'b0', 'b1', 'b2', 'c0', 'c1'])
  expect([route.brokerOf('a', 0), route.brokerOf('b', 1), route.brokerOf('x', 0)]).toEqual(['a:2', 'b:1', undefined])
})

test('a route is asked for once, however many want it', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] } })
  await Promise.all([routes.get('T'), routes.get('T'), routes.get('T')])
  await routes.get('T')
  expect(asked).toBe(1)
})

test('a change is found within refreshMs and told once', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] } })
  await routes.get('T')
  await clock.advance(30_000)
  expect(changed).toHaveLength(0)
  topics.set('T', { a: { addrs: [[0, 'a:9']] } })
  await clock.advance(60_000)
  expect(changed.map((route) => route.masterOf('a'))).toEqual(['a:9'])
  expect(routes.known('T')?.masterOf('a')).toBe('a:9')
})

test('the order in which brokers are listed is no change', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] }, b: { addrs: [[0, 'b:1']] } })
  await routes.get('T')
  topics.set('T', { b: { addrs: [[0, 'b:1']] }, a: { addrs: [[0, 'a:1']] } })
  await clock.advance(30_000)
  expect(changed).toHaveLength(0)
})

test('a topic that nobody knows is not found', async () => {
  await expect(routes.get('T')).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND', facts: { topic: 'T' } })
})

test('a known route outlasts NameServers that just started, but not for ever', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] } })
  await routes.get('T')
  topics.clear()
  await clock.advance(90_000)
  expect(routes.known('T')).toBeDefined()
  await clock.advance(60_000)
  expect(routes.known('T')).toBeUndefined()
})

test('a known route outlasts NameServers that are gone', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] } })
  await routes.get('T')
  failure = new OperatingError('CONNECT_FAILED')
  for (let minute = 0; minute < 20; minute++) {
    await clock.advance(60_000)
    expect(routes.known('T')).toBeDefined()
  }
})

test('what goes wrong again and again asks at most once a second', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] } })
  await routes.get('T')
  failure = new OperatingError('CONNECT_FAILED')
  for (let ms = 0; ms < 5_000; ms += 10) {
    routes.refreshSoon('T')
    await clock.advance(10)
  }
  expect(asked).toBeLessThanOrEqual(6)
})

test('a route that nobody uses is forgotten', async () => {
  topics.set('T', { a: { addrs: [[0, 'a:1']] } })
  await routes.get('T')
  await clock.advance(640_000)
  const before = asked
  await clock.advance(60_000)
  expect(asked).toBe(before)
})

test('a master that is away is found within a second of its return, in all topics, with one question a second', async () => {
  const names = ['T1', 'T2', 'T3']
  const both: Groups = { a: { addrs: [[0, 'a:1']] }, b: { addrs: [[0, 'b:1']] } }
  for (const name of names) topics.set(name, both)
  await Promise.all(names.map((name) => routes.get(name)))
  for (const name of names) topics.set(name, { a: { addrs: [[1, 'a:2']] } }) // b is gone whole, a's slave is left
  await clock.advance(30_000)
  const before = asked
  await clock.advance(9_000)
  expect(asked - before).toBeLessThanOrEqual(2 * 9)
  for (const name of names) topics.set(name, both)
  await clock.advance(1_000)
  expect(names.map((name) => [routes.known(name)?.masterOf('a'), routes.known(name)?.masterOf('b')])).toEqual(
    names.map(() => ['a:1', 'b:1']),
  )
  const after = asked
  await clock.advance(10_000)
  expect(asked).toBe(after)
})

test('a master that stays away is looked for as often as all routes are, in the end', async () => {
  topics.set('T', { a: { addrs: [[1, 'a:2']] } })
  await routes.get('T')
  await clock.advance(180_000)
  const before = asked
  await clock.advance(60_000)
  expect(asked - before).toBe(2)
})
