import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { topicConfig } from '../../remoting/body/topic-config.ts'
import { Perm } from '../../remoting/codes.ts'
import { BrokerRegistry, type RegisterResult, type Registration } from './broker-registry.ts'
import { Routes } from './routes.ts'

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
    zoneName: undefined,
    timeoutMs: undefined,
    dataVersion: { counter: version, stateVersion, timestamp: 0 },
    topics: topics.map((name) => topicConfig(name, { perm, readQueueNums: 4, writeQueueNums: 4 })),
    mappings: new Map(),
    filterServers: [],
    print: { crc32: 7, bytes: 100 },
    ...given,
  }
}

/** Registers in all its steps at once. */
function register(
  brokers: BrokerRegistry,
  registration: Registration,
  by = link,
  nowMs = 0,
  isComplete = false,
): RegisterResult {
  const steps = brokers.registering(registration, by, nowMs, isComplete)
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}

/** Routes that have heard these registrations, in order, at time 0. */
function routesWith(...given: Given[]): { routes: Routes; brokers: BrokerRegistry } {
  const routes = new Routes()
  const brokers = new BrokerRegistry(routes)
  for (const each of given) register(brokers, registration(each))
  return { routes, brokers }
}

function permOf(routes: Routes, topic: string, brokerName = 'a'): number | undefined {
  return routes.routeOf(topic)?.queueDatas.find((queue) => queue.brokerName === brokerName)?.perm
}

test('a registration makes routes', () => {
  const { routes } = routesWith({})

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
  const { routes } = routesWith({}, { brokerName: 'b', brokerAddr: '10.0.1.0:10911', topics: ['X', 'Z'] })

  expect(routes.routeOf('X')?.queueDatas.map(({ brokerName }) => brokerName)).toEqual(['a', 'b'])
  expect(routes.routeOf('Z')?.brokerDatas.map(({ brokerName }) => brokerName)).toEqual(['b'])
})

test('topics are taken when their version changed', () => {
  const { routes, brokers } = routesWith({ perm: 6, version: 1 })

  register(brokers, registration({ perm: 4, version: 1 }))
  expect(permOf(routes, 'X')).toBe(6)
  register(brokers, registration({ perm: 4, version: 2 }))
  expect(permOf(routes, 'X')).toBe(4)
})

test('an unknown topic is taken whatever its version', () => {
  const { routes } = routesWith({}, { topics: ['X', 'Y', 'Z'] })
  expect(permOf(routes, 'Z')).toBe(6)
})

test('a topic that is not named stays, unless the registration is complete', () => {
  const { routes, brokers } = routesWith({}, { topics: ['X', 'Z'], version: 2 })
  expect(routes.topics()).toEqual(['X', 'Y', 'Z'])

  register(brokers, registration({ topics: ['X', 'Z'], version: 3 }), link, 0, true)
  expect(routes.topics()).toEqual(['X', 'Z'])
})

test('one topic updates a known broker and makes no new one', () => {
  const { routes, brokers } = routesWith()
  expect(register(brokers, registration({ topics: ['X'] })).status).toBe('refused')
  expect(brokers.count).toBe(0)
  expect(routes.clusterInfo().clusterAddrTable.size).toBe(0)

  register(brokers, registration())
  expect(register(brokers, registration({ topics: ['Z'], version: 2 })).status).toBe('registered')
  expect(routes.topics()).toEqual(['X', 'Y', 'Z'])
})

test("a slave's topics do not count, and it is told its master", () => {
  const { routes, brokers } = routesWith({})
  const result = register(brokers, registration({ brokerId: 1, topics: ['S', 'T'] }))

  expect(result).toMatchObject({ master: { brokerAddr: '10.0.0.0:10911', haServerAddr: '10.0.0.0:10912' } })
  expect(routes.topics()).toEqual(['X', 'Y'])
  expect([...routes.membersOf('C', 'a').brokerAddrs.keys()]).toEqual([0, 1])
})

test('a slave that acts for its lost master serves reads only', () => {
  const { routes, brokers } = routesWith({ enableActingMaster: true }, { brokerId: 1, enableActingMaster: true })

  brokers.unregister(registration())
  expect(permOf(routes, 'X')).toBe(Perm.READ)
  register(brokers, registration({ brokerId: 1, enableActingMaster: true, version: 2 }))
  expect(permOf(routes, 'X')).toBe(Perm.READ)
})

test('an address has one id in its group: roles may change', () => {
  const { routes, brokers } = routesWith({}, { brokerId: 1 })
  register(brokers, registration({ brokerId: 0, brokerAddr: '10.0.0.1:10911' }))
  expect(routes.membersOf('C', 'a').brokerAddrs).toEqual(new Map([[0, '10.0.0.1:10911']]))
})

test('a master that comes back as a slave, at its address, is no master any more', () => {
  const { routes, brokers } = routesWith({})
  register(brokers, registration({ brokerId: 1, brokerAddr: '10.0.0.0:10911' }))
  expect(routes.membersOf('C', 'a').brokerAddrs).toEqual(new Map([[1, '10.0.0.0:10911']]))
})

test('a slave that leaves takes no write permission along', () => {
  const { routes, brokers } = routesWith({ enableActingMaster: true }, { brokerId: 1, enableActingMaster: true })
  brokers.unregister(registration({ brokerId: 1 }))
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.WRITE)
})

test('a topic that an admin added has its group’s next registration read', () => {
  const { routes, brokers } = routesWith({})
  const queues = { brokerName: 'a', readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 }
  const { dataVersion, print } = registration()

  expect(routes.registerTopic('Z', [queues])).toBe(true)
  expect(brokers.hasMerged(registration(), false, dataVersion, print)).toBe(false)
})

test('an id goes to a new address, but not back to an older state', () => {
  const { routes, brokers } = routesWith({ stateVersion: 5 })

  const older = register(brokers, registration({ brokerAddr: '10.0.0.9:10911', stateVersion: 4 }))
  expect(older.status).toBe('outdated')
  expect(routes.membersOf('C', 'a').brokerAddrs.get(0)).toBe('10.0.0.0:10911')

  register(brokers, registration({ brokerAddr: '10.0.0.8:10911', stateVersion: 5 }))
  expect(routes.membersOf('C', 'a').brokerAddrs.get(0)).toBe('10.0.0.8:10911')
})

test('an old master that comes back late is forgotten', () => {
  const { brokers } = routesWith({ stateVersion: 4 }, { brokerAddr: '10.0.0.8:10911', stateVersion: 5 })
  expect(brokers.count).toBe(2)

  expect(register(brokers, registration({ stateVersion: 4 })).status).toBe('outdated')
  expect(brokers.count).toBe(1)
  expect(brokers.dataVersionOf(registration())).toBeUndefined()
})

test('a slave that becomes the master is taken at its word, though its version is the one it had', () => {
  const { routes, brokers } = routesWith({ perm: 6 }, { brokerId: 1, perm: 4, version: 9 })
  brokers.unregister(registration())
  expect(permOf(routes, 'X')).toBe(6)

  register(brokers, registration({ brokerId: 0, brokerAddr: '10.0.0.1:10911', perm: 4, version: 9 }))
  expect(permOf(routes, 'X')).toBe(4)
})

test('filter servers that a broker no longer names are gone', () => {
  const { routes } = routesWith({ filterServers: ['10.0.0.9:1'] }, { filterServers: [] })
  expect(routes.routeOf('X')?.filterServerTable).toEqual(new Map())
})

test('the end of an old connection does not take the broker that came back', () => {
  const [old, fresh] = [{ close: () => {} }, { close: () => {} }]
  const { routes, brokers } = routesWith()
  register(brokers, registration(), old)
  register(brokers, registration(), fresh)

  expect(brokers.unregisterLink(old)).toEqual([])
  expect(routes.routeOf('X')).toBeDefined()
  expect(brokers.unregisterLink(fresh)).toHaveLength(1)
  expect(routes.routeOf('X')).toBeUndefined()
})

test('a broker that came back at a new address survives the loss of the old one', () => {
  const [old, fresh] = [{ close: () => {} }, { close: () => {} }]
  const { routes, brokers } = routesWith()
  register(brokers, registration(), old)
  register(brokers, registration({ brokerAddr: '10.0.0.8:10911' }), fresh)

  brokers.unregisterLink(old)

  expect(routes.membersOf('C', 'a').brokerAddrs.get(0)).toBe('10.0.0.8:10911')
  expect(brokers.count).toBe(1)
})

test('a broker that comes back by another name leaves nothing by the old one', () => {
  const { routes, brokers } = routesWith({}, { brokerName: 'b', topics: ['X', 'Z'] })

  expect([...routes.clusterInfo().brokerAddrTable.keys()]).toEqual(['b'])
  expect(routes.topics().sort()).toEqual(['X', 'Z'])
  expect(brokers.count).toBe(1)
})

test('the last broker of a group takes its queues, topics and cluster along', () => {
  const { routes, brokers } = routesWith(
    {},
    { clusterName: 'D', brokerName: 'b', brokerAddr: '10.0.1.0:10911', topics: ['X', 'Z'] },
  )

  brokers.unregister(registration())

  expect(routes.topics()).toEqual(['X', 'Z'])
  expect([...routes.clusterInfo().clusterAddrTable]).toEqual([['D', ['b']]])
  expect([...routes.clusterInfo().brokerAddrTable.keys()]).toEqual(['b'])
})

test('silence beyond its timeout ends a broker; a sign of life does not let it', () => {
  const { brokers } = routesWith()
  register(brokers, registration())
  register(brokers, registration({ brokerName: 'b', brokerAddr: '10.0.1.0:10911', timeoutMs: 10_000 }))

  expect(brokers.unregisterSilent(10_001).map(({ brokerName }) => brokerName)).toEqual(['b'])
  brokers.refresh(registration(), 100_000)
  brokers.refresh(registration({ brokerAddr: '10.9.9.9:1' }), 100_000) // not registered: counts for nothing
  expect(brokers.unregisterSilent(220_000)).toEqual([])
  expect(brokers.unregisterSilent(220_001)).toHaveLength(1)
})

test('write permission is taken and given for a whole group, until topics change', () => {
  const { routes, brokers } = routesWith({ perm: 7 })
  const handedOut = routes.routeOf('X')

  expect(routes.setWritable('a', false)).toBe(2)
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.INHERIT)
  expect(handedOut?.queueDatas[0]?.perm).toBe(7)
  register(brokers, registration({ perm: 7 }))
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.INHERIT)

  expect(routes.setWritable('a', true)).toBe(2)
  expect(permOf(routes, 'X')).toBe(Perm.READ | Perm.WRITE)
  expect(routes.setWritable('nobody', true)).toBe(0)
})

test('a topic is deleted everywhere or in one cluster', () => {
  const { routes } = routesWith({}, { clusterName: 'D', brokerName: 'b', brokerAddr: '10.0.1.0:10911' })

  routes.deleteTopic('X', 'D')
  expect(routes.routeOf('X')?.queueDatas.map(({ brokerName }) => brokerName)).toEqual(['a'])
  expect(routes.topicsOf('D')).toEqual(['Y'])
  routes.deleteTopic('X')
  expect(routes.routeOf('X')).toBeUndefined()
  expect(routes.topicsOf('no such cluster')).toEqual([])
})

test('there is a most of brokers and of topics', () => {
  const routes = new Routes(1)
  const brokers = new BrokerRegistry(routes, 1)
  register(brokers, registration())

  expect(routes.topics()).toEqual(['X'])
  const second = registration({ brokerName: 'b', brokerAddr: '10.0.1.0:10911' })
  expect(register(brokers, second).status).toBe('refused')
  expect(register(brokers, registration()).status).toBe('registered')
})

test('a registration that is the last one again needs no reading, unless topics went since', () => {
  const { routes, brokers } = routesWith({})
  const { dataVersion, print } = registration()
  const again = (given: Given = {}) => {
    const { dataVersion, print } = registration(given)
    return brokers.hasMerged(registration(given), false, dataVersion, print)
  }

  expect(again()).toBe(true)
  expect(again({ version: 2 })).toBe(false)
  expect(again({ stateVersion: 1 })).toBe(false)
  expect(brokers.hasMerged(registration(), false, { ...dataVersion, timestamp: 1 }, print)).toBe(false) // it was set back
  expect(again({ print: { crc32: 8, bytes: 100 } })).toBe(false)
  expect(again({ print: { crc32: 7, bytes: 101 } })).toBe(false)
  expect(again({ brokerName: 'b' })).toBe(false)
  expect(again({ brokerId: 1 })).toBe(false)

  routes.setWritable('a', false) // as in Apache: holds until the version changes
  expect(again()).toBe(true)
  routes.deleteTopic('X')
  expect(again()).toBe(false)
  register(brokers, registration())
  expect(routes.topics().sort()).toEqual(['X', 'Y'])
  expect(brokers.hasMerged(registration(), false, dataVersion, print)).toBe(true)
})

test('a slave whose topics did not count is read once they do', () => {
  const { brokers } = routesWith({}, { brokerId: 1, enableActingMaster: true, topics: ['X', 'Y', 'Z'] })
  const slave = registration({ brokerId: 1 })
  const isMerged = () => brokers.hasMerged(slave, true, slave.dataVersion, slave.print)

  expect(isMerged()).toBe(true)
  brokers.unregister(registration())
  expect(isMerged()).toBe(false)
  register(brokers, { ...slave, enableActingMaster: true })
  expect(isMerged()).toBe(true)
})

test('a broker that registers again as before stays with its topics', () => {
  const { routes, brokers } = routesWith({ filterServers: ['10.0.0.9:1'] })

  const again = register(brokers, { ...registration(), topics: undefined }, link, 100_000)

  expect(again).toMatchObject({ status: 'registered', isNew: false })
  expect(routes.routeOf('X')?.filterServerTable).toEqual(new Map([['10.0.0.0:10911', ['10.0.0.9:1']]]))
  expect(brokers.unregisterSilent(150_000)).toEqual([])
})

test('a registration is merged in steps; a broker that leaves meanwhile is gone', () => {
  const topics = Array.from({ length: 1000 }, (_, index) => `T${index}`)
  const { routes, brokers } = routesWith()
  const steps = brokers.registering(registration({ topics }), link, 0)

  expect(steps.next().done).toBe(false)
  expect([routes.topicCount > 0, routes.topicCount < 1000]).toEqual([true, true])
  brokers.unregisterLink(link)

  expect(steps.next().done).toBe(true)
  expect([routes.topicCount, brokers.count]).toEqual([0, 0])
})

test('with supportActingMaster a slave that acts stands in the place of its master', () => {
  const members = 'rmq_sys_SYNC_BROKER_MEMBER_a'
  const { routes, brokers } = routesWith(
    { enableActingMaster: true, topics: ['X', members] },
    { brokerId: 2, enableActingMaster: true },
    { brokerId: 1, enableActingMaster: true },
  )
  const idsOf = (topic: string, supports: boolean) => [
    ...(routes.routeOf(topic, supports)?.brokerDatas[0]?.brokerAddrs ?? []),
  ]
  expect(idsOf('X', true).map(([id]) => id)).toEqual([0, 1, 2])

  brokers.unregister(registration())

  const asTheyAre = [
    [1, '10.0.0.1:10911'],
    [2, '10.0.0.2:10911'],
  ]
  expect(idsOf('X', true)).toEqual([
    [0, '10.0.0.1:10911'],
    [2, '10.0.0.2:10911'],
  ])
  expect(idsOf('X', false)).toEqual(asTheyAre)
  expect(idsOf(members, true)).toEqual(asTheyAre)
  expect([...routes.membersOf('C', 'a').brokerAddrs]).toEqual(asTheyAre)
})

test('a group hears of its smallest id: of one that came, and with acting masters of one that left', () => {
  const { brokers } = routesWith({ brokerId: 2, enableActingMaster: true })
  const come = (brokerId: number) => {
    const result = register(brokers, registration({ brokerId, enableActingMaster: true }))
    return result.status === 'registered' ? result.change : result
  }

  expect(come(3)).toBeUndefined()
  expect(come(1)).toEqual({
    minBrokerId: 1,
    minBrokerAddr: '10.0.0.1:10911',
    offlineBrokerAddr: undefined,
    haBrokerAddr: '10.0.0.1:10912',
    brokerAddrs: ['10.0.0.2:10911', '10.0.0.3:10911'],
  })
  expect(brokers.unregister(registration({ brokerId: 2 }))).toBeUndefined()
  expect(brokers.unregister(registration({ brokerId: 1 }))).toEqual({
    minBrokerId: 3,
    minBrokerAddr: '10.0.0.3:10911',
    offlineBrokerAddr: '10.0.0.1:10911',
    haBrokerAddr: undefined,
    brokerAddrs: ['10.0.0.3:10911'],
  })
  expect(brokers.unregister(registration({ brokerId: 3 }))).toBeUndefined()
})

test('what is deleted while a registration is merged comes back with the next one', () => {
  const topics = Array.from({ length: 1000 }, (_, index) => `T${index}`)
  const { routes, brokers } = routesWith()
  const long = registration({ topics })
  const steps = brokers.registering(long, link, 0)
  steps.next()
  routes.deleteTopic('T0')
  while (!steps.next().done);

  expect(routes.routeOf('T0')).toBeUndefined()
  expect(brokers.hasMerged(long, false, long.dataVersion, long.print)).toBe(false)
})

test('a complete registration with static topics takes none away', () => {
  const mapping = { bname: 'a', currIdMap: new Map(), dirty: false, epoch: 1, scope: '', topic: 'X', totalQueues: 1 }
  const { routes, brokers } = routesWith({})

  const next = registration({ topics: ['X'], mappings: new Map([['X', mapping]]), version: 2 })
  register(brokers, next, link, 0, true)
  expect(routes.topics()).toEqual(['X', 'Y'])
})

test('a static topic has the mappings of its groups in its route, until it is deleted', () => {
  const mapping = {
    bname: 'a',
    currIdMap: new Map([[0, 1]]),
    dirty: false,
    epoch: 1,
    scope: '__global__',
    topic: 'X',
    totalQueues: 1,
  }
  const { routes, brokers } = routesWith({ mappings: new Map([['X', mapping]]) })

  expect(routes.routeOf('X')?.topicQueueMappingByBroker).toEqual(new Map([['a', mapping]]))
  expect(routes.routeOf('Y')?.topicQueueMappingByBroker).toBeUndefined()
  routes.deleteTopic('X')
  register(brokers, registration())
  expect(routes.routeOf('X')?.topicQueueMappingByBroker).toBeUndefined()
})

test('topics that are too many are counted', () => {
  const routes = new Routes(1)
  const brokers = new BrokerRegistry(routes, 1)
  expect(register(brokers, registration())).toMatchObject({ refusedTopics: 1 })
  expect(
    routes.registerTopic('Z', [{ brokerName: 'a', perm: 6, readQueueNums: 1, writeQueueNums: 1, topicSysFlag: 0 }]),
  ).toBe(false)
})

test('a group remembers but so many different queues', () => {
  const { routes } = routesWith({})
  for (let writeQueueNums = 0; writeQueueNums < 3000; writeQueueNums++) {
    routes.registerTopic('Z', [{ brokerName: 'a', perm: 6, readQueueNums: 1, writeQueueNums, topicSysFlag: 0 }])
  }
  expect(routes.routeOf('Z')?.queueDatas[0]?.writeQueueNums).toBe(2999)
})

/** What a NameServer has to know, kept the plain way. */
class Model {
  readonly topics = new Map<string, Map<string, number>>() // perm by topic, by brokerName

  route(topic: string): [string, number][] {
    return [...this.topics].flatMap(([brokerName, topics]): [string, number][] => {
      const perm = topics.get(topic)
      return perm === undefined ? [] : [[brokerName, perm]]
    })
  }
}

test('whatever brokers and admins do, routes are what a plain table says', () => {
  const brokerName = fc.constantFrom('a', 'b', 'c')
  const topic = fc.constantFrom('X', 'Y', 'Z', 'W')
  const step = fc.oneof(
    fc.record({
      do: fc.constant('register' as const),
      brokerName,
      topics: fc.uniqueArray(topic, { minLength: 2 }),
      perm: fc.integer({ min: 0, max: 7 }),
    }),
    fc.record({ do: fc.constant('unregister' as const), brokerName }),
    fc.record({ do: fc.constant('delete' as const), topic }),
    fc.record({ do: fc.constant('wipe' as const), brokerName }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { routes, brokers } = routesWith()
      const model = new Model()
      let version = 0
      for (const each of steps) {
        if (each.do === 'delete') {
          routes.deleteTopic(each.topic)
          for (const topics of model.topics.values()) topics.delete(each.topic)
          continue
        }
        const { brokerName } = each
        const broker = { brokerName, brokerAddr: `${brokerName}:1`, version: ++version }
        const known = model.topics.get(brokerName)
        if (each.do === 'register') {
          register(brokers, registration({ ...broker, topics: each.topics, perm: each.perm }))
          model.topics.set(
            brokerName,
            new Map([...(known ?? []), ...each.topics.map((name) => [name, each.perm] as const)]),
          )
        } else if (each.do === 'unregister') {
          brokers.unregister(registration(broker))
          model.topics.delete(brokerName)
        } else {
          routes.setWritable(brokerName, false)
          for (const [name, perm] of known ?? []) known!.set(name, perm & ~Perm.WRITE)
        }
      }
      for (const name of ['X', 'Y', 'Z', 'W']) {
        const queues = (routes.routeOf(name)?.queueDatas ?? []).map(({ brokerName, perm }) => [brokerName, perm])
        expect(queues.sort()).toEqual(model.route(name).sort())
      }
      const all = new Set([...model.topics.values()].flatMap((topics) => [...topics.keys()]))
      expect(routes.topics().sort()).toEqual([...all].sort())
      expect(routes.topicCount).toBe(all.size)
    }),
  )
})
