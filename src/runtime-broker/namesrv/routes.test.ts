import { expect, test } from '@jest/globals'
import { topicConfig } from '../../remoting/body/topic-config.ts'
import { Perm } from '../../remoting/codes.ts'
import { type Registration, Routes } from './routes.ts'

const link = { close: () => {} }

interface Given extends Partial<Omit<Registration, 'topics' | 'dataVersion'>> {
  topics?: string[]
  perm?: number
  version?: number
  stateVersion?: number
}

/** A broker's registration: a-0, the master of group a, with topics X and Y. */
function registration({
  topics = ['X', 'Y'],
  perm = 6,
  version = 1,
  stateVersion = 0,
  ...given
}: Given = {}): Registration {
  const brokerId = given.brokerId ?? 0
  return {
    clusterName: 'C',
    brokerName: 'a',
    brokerId,
    brokerAddr: `10.0.0.${brokerId}:10911`,
    haServerAddr: `10.0.0.${brokerId}:10912`,
    enableActingMaster: undefined,
    timeoutMs: undefined,
    dataVersion: { counter: version, stateVersion, timestamp: 0 },
    topics: new Map(topics.map((name) => [name, topicConfig(name, { perm, readQueueNums: 4, writeQueueNums: 4 })])),
    filterServers: [],
    ...given,
  }
}

/** Routes that have heard these registrations, in order, at time 0. */
function routesWith(...given: Given[]): Routes {
  const routes = new Routes()
  for (const each of given) routes.register(registration(each), link, 0)
  return routes
}

function permOf(routes: Routes, topic: string, brokerName = 'a'): number | undefined {
  return routes.routeOf(topic)?.queueDatas.find((queue) => queue.brokerName === brokerName)?.perm
}

test('a registration makes routes', () => {
  const routes = routesWith({})

  expect(routes.routeOf('X')).toEqual({
    brokerDatas: [
      { brokerAddrs: new Map([[0, '10.0.0.0:10911']]), brokerName: 'a', cluster: 'C', enableActingMaster: false },
    ],
    filterServerTable: new Map(),
    queueDatas: [{ brokerName: 'a', perm: 6, readQueueNums: 4, topicSysFlag: 0, writeQueueNums: 4 }],
  })
  expect(routes.routeOf('Z')).toBeUndefined()
  expect(routes.topics()).toEqual(['X', 'Y'])
})

test('a topic of two groups has both in its route', () => {
  const routes = routesWith({}, { brokerName: 'b', brokerAddr: '10.0.1.0:10911', topics: ['X', 'Z'] })

  expect(routes.routeOf('X')?.queueDatas.map(({ brokerName }) => brokerName)).toEqual(['a', 'b'])
  expect(routes.routeOf('Z')?.brokerDatas.map(({ brokerName }) => brokerName)).toEqual(['b'])
})

test('topics are taken when their version changed', () => {
  const routes = routesWith({ perm: 6, version: 1 })

  routes.register(registration({ perm: 4, version: 1 }), link, 0)
  expect(permOf(routes, 'X')).toBe(6)
  routes.register(registration({ perm: 4, version: 2 }), link, 0)
  expect(permOf(routes, 'X')).toBe(4)
})

test('an unknown topic is taken whatever its version', () => {
  const routes = routesWith({}, { topics: ['X', 'Y', 'Z'] })
  expect(permOf(routes, 'Z')).toBe(6)
})

test('a topic that is not named stays, unless the registration is complete', () => {
  const routes = routesWith({}, { topics: ['X', 'Z'], version: 2 })
  expect(routes.topics()).toEqual(['X', 'Y', 'Z'])

  routes.register(registration({ topics: ['X', 'Z'], version: 3 }), link, 0, true)
  expect(routes.topics()).toEqual(['X', 'Z'])
})

test('one topic updates a known broker and makes no new one', () => {
  const routes = new Routes()
  expect(routes.register(registration({ topics: ['X'] }), link, 0).status).toBe('refused')
  expect(routes.brokerCount).toBe(0)
  expect(routes.clusterInfo().clusterAddrTable.size).toBe(0)

  routes.register(registration(), link, 0)
  expect(routes.register(registration({ topics: ['Z'], version: 2 }), link, 0).status).toBe('registered')
  expect(routes.topics()).toEqual(['X', 'Y', 'Z'])
})

test("a slave's topics do not count, and it is told its master", () => {
  const routes = routesWith({})
  const result = routes.register(registration({ brokerId: 1, topics: ['S', 'T'] }), link, 0)

  expect(result).toMatchObject({ master: { brokerAddr: '10.0.0.0:10911', haServerAddr: '10.0.0.0:10912' } })
  expect(routes.topics()).toEqual(['X', 'Y'])
  expect([...routes.membersOf('C', 'a').brokerAddrs.keys()]).toEqual([0, 1])
})

test('a slave that acts for its lost master serves reads only', () => {
  const routes = routesWith({ enableActingMaster: true }, { brokerId: 1, enableActingMaster: true })

  routes.unregister(registration())
  expect(permOf(routes, 'X')).toBe(Perm.READ)
  routes.register(registration({ brokerId: 1, enableActingMaster: true, version: 2 }), link, 0)
  expect(permOf(routes, 'X')).toBe(Perm.READ)
})

test('an address has one id in its group: roles may change', () => {
  const routes = routesWith({}, { brokerId: 1 })
  routes.register(registration({ brokerId: 0, brokerAddr: '10.0.0.1:10911' }), link, 0)
  expect(routes.membersOf('C', 'a').brokerAddrs).toEqual(new Map([[0, '10.0.0.1:10911']]))
})

test('an id goes to a new address, but not back to an older state', () => {
  const routes = routesWith({ stateVersion: 5 })

  const older = routes.register(registration({ brokerAddr: '10.0.0.9:10911', stateVersion: 4 }), link, 0)
  expect(older.status).toBe('outdated')
  expect(routes.membersOf('C', 'a').brokerAddrs.get(0)).toBe('10.0.0.0:10911')

  routes.register(registration({ brokerAddr: '10.0.0.8:10911', stateVersion: 5 }), link, 0)
  expect(routes.membersOf('C', 'a').brokerAddrs.get(0)).toBe('10.0.0.8:10911')
})

test('the end of an old connection does not take the broker that came back', () => {
  const [old, fresh] = [{ close: () => {} }, { close: () => {} }]
  const routes = new Routes()
  routes.register(registration(), old, 0)
  routes.register(registration(), fresh, 0)

  expect(routes.unregisterLink(old)).toEqual([])
  expect(routes.routeOf('X')).toBeDefined()
  expect(routes.unregisterLink(fresh)).toHaveLength(1)
  expect(routes.routeOf('X')).toBeUndefined()
})

test('a broker that came back at a new address survives the loss of the old one', () => {
  const [old, fresh] = [{ close: () => {} }, { close: () => {} }]
  const routes = new Routes()
  routes.register(registration(), old, 0)
  routes.register(registration({ brokerAddr: '10.0.0.8:10911' }), fresh, 0)

  routes.unregisterLink(old)

  expect(routes.membersOf('C', 'a').brokerAddrs.get(0)).toBe('10.0.0.8:10911')
  expect(routes.brokerCount).toBe(1)
})

test('the last broker of a group takes its queues, topics and cluster along', () => {
  const routes = routesWith({}, { clusterName: 'D', brokerName: 'b', brokerAddr: '10.0.1.0:10911', topics: ['X', 'Z'] })

  routes.unregister(registration())

  expect(routes.topics()).toEqual(['X', 'Z'])
  expect([...routes.clusterInfo().clusterAddrTable]).toEqual([['D', ['b']]])
  expect([...routes.clusterInfo().brokerAddrTable.keys()]).toEqual(['b'])
})

test('silence beyond its timeout ends a broker; a sign of life does not let it', () => {
  const routes = new Routes()
  routes.register(registration(), link, 0)
  routes.register(registration({ brokerName: 'b', brokerAddr: '10.0.1.0:10911', timeoutMs: 10_000 }), link, 0)

  expect(routes.unregisterSilent(10_001).map(({ brokerName }) => brokerName)).toEqual(['b'])
  routes.refresh(registration(), 100_000)
  routes.refresh(registration({ brokerAddr: '10.9.9.9:1' }), 100_000) // not registered: counts for nothing
  expect(routes.unregisterSilent(220_000)).toEqual([])
  expect(routes.unregisterSilent(220_001)).toHaveLength(1)
})

test('write permission is taken and given for a whole group, until topics change', () => {
  const routes = routesWith({ perm: 7 })
  const handedOut = routes.routeOf('X')

  expect(routes.setWritable('a', false)).toBe(2)
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.INHERIT)
  expect(handedOut?.queueDatas[0]?.perm).toBe(7)
  routes.register(registration({ perm: 7 }), link, 0)
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.INHERIT)

  expect(routes.setWritable('a', true)).toBe(2)
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.WRITE)
  expect(routes.setWritable('nobody', true)).toBe(0)
})

test('a topic is deleted everywhere or in one cluster', () => {
  const routes = routesWith({}, { clusterName: 'D', brokerName: 'b', brokerAddr: '10.0.1.0:10911' })

  routes.deleteTopic('X', 'D')
  expect(routes.routeOf('X')?.queueDatas.map(({ brokerName }) => brokerName)).toEqual(['a'])
  expect(routes.topicsOf('D')).toEqual(['Y'])
  routes.deleteTopic('X')
  expect(routes.routeOf('X')).toBeUndefined()
  expect(routes.topicsOf('no such cluster')).toEqual([])
})

test('there is a most of brokers and of topics', () => {
  const routes = new Routes({ brokersMax: 1, topicsMax: 1 })
  routes.register(registration(), link, 0)

  expect(routes.topics()).toEqual(['X'])
  const second = registration({ brokerName: 'b', brokerAddr: '10.0.1.0:10911' })
  expect(routes.register(second, link, 0).status).toBe('refused')
  expect(routes.register(registration(), link, 0).status).toBe('registered')
})
