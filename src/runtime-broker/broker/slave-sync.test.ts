import { expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { ManualClock } from '../../base/testing/clock.ts'
import { MemoryNetwork } from '../../base/testing/network.ts'
import { topicConfig } from '../../remoting/body/topic-config.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { writeJson } from '../../remoting/json.ts'
import { type Request, type Response, startServer } from '../../remoting/server.ts'
import type { ConsumerOffsets } from './consumer-offsets.ts'
import { Groups } from './groups.ts'
import type { Replication } from './replication.ts'
import type { Schedule } from './schedule.ts'
import { SlaveSync } from './slave-sync.ts'
import { Topics } from './topics.ts'

const defaults = {
  clusterName: 'c',
  brokerName: 'broker-a',
  autoCreateTopicEnable: true,
  defaultTopicQueueNums: 8,
  clusterTopicEnable: true,
  brokerTopicEnable: true,
  traceTopicEnable: false,
  msgTraceTopicName: 'trace',
  delayLevelMax: 18,
}

/** A slave's tables, and a master of which the test says what it answers to GET_ALL_TOPIC_CONFIG. */
async function follow(topicPage: (request: Request) => Response) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  const doors = { clock, network, log: silentLog }
  const other = { dataVersion: { counter: 0, stateVersion: 0, timestamp: 0 }, offsetTable: {} }
  await startServer(
    {
      listen: { host: '127.0.0.1', port: 10_911 },
      handle: (request) =>
        request.code === RequestCode.GET_ALL_TOPIC_CONFIG
          ? topicPage(request)
          : { code: 0, body: Buffer.from(writeJson(other)) },
    },
    doors,
  )
  const tableDoors = { storage: { load: () => undefined, save: () => {} }, clock, log: silentLog }
  const topics = new Topics(defaults, tableDoors)
  const groups = new Groups(() => true, tableDoors)
  const consumerOffsets = { take: () => {} } as unknown as ConsumerOffsets
  const schedule = { take: () => {} } as unknown as Schedule
  const sync = new SlaveSync({ topics, groups, consumerOffsets, schedule }, {} as Replication, doors)
  sync.start(() => {})
  sync.follow('127.0.0.1:10911')
  for (let turn = 0; turn < 30; turn++) await clock.turn()
  return { topics, pass: (ms: number) => clock.advance(ms) }
}

function page(names: string[], counter: number, totalTopicNum?: number): Response {
  const topicConfigTable = Object.fromEntries(names.map((name) => [name, topicConfig(name)]))
  const dataVersion = { counter, stateVersion: 0, timestamp: 1 }
  return {
    code: 0,
    body: Buffer.from(writeJson({ dataVersion, topicConfigTable })),
    ...(totalTopicNum !== undefined && { extFields: { totalTopicNum: String(totalTopicNum) } }),
  }
}

const namesOf = (topics: Topics) => [...topics.all()].map(({ config }) => config.topicName).sort()

test('the slave’s topics become the master’s, version and all: what the master has not goes', async () => {
  let names = ['orders', 'refunds']
  let counter = 7
  const { topics, pass } = await follow(() => page(names, counter))
  expect(namesOf(topics)).toEqual(['orders', 'refunds'])
  expect(topics.dataVersion).toEqual({ counter: 7, stateVersion: 0, timestamp: 1 })

  names = ['refunds', 'returns']
  counter = 8
  await pass(15_000)

  expect(namesOf(topics)).toEqual(['refunds', 'returns'])
})

test('a table that was read before its version, as Apache’s master does it, is made good in the next round', async () => {
  let names = ['orders']
  const { topics, pass } = await follow(() => page(names, 7))
  names = ['orders', 'made meanwhile'] // the version was this table’s all the time

  await pass(15_000)

  expect(namesOf(topics)).toEqual(['made meanwhile', 'orders'])
})

test('a table in pages is put together; when its version changes on the way it is asked for from the start', async () => {
  const all = ['a', 'b', 'c', 'd', 'e']
  const asked: number[] = []
  let counter = 7
  const { topics } = await follow(({ extFields }) => {
    const seq = Number(extFields.topicSeq)
    asked.push(seq)
    if (asked.length === 2) counter = 8
    return page(all.slice(seq, seq + 2), counter, all.length)
  })

  expect(asked.slice(0, 5)).toEqual([0, 2, 0, 2, 4])
  expect(namesOf(topics)).toEqual(all)
  expect(topics.dataVersion.counter).toBe(8)
})

test('a slave asks for its master until it knows one, at first every second', async () => {
  const clock = new ManualClock()
  const doors = { clock, network: new MemoryNetwork(), log: silentLog }
  const sync = new SlaveSync({} as ConstructorParameters<typeof SlaveSync>[0], {} as Replication, doors)
  let asked = 0
  sync.start(() => asked++)

  await clock.advance(1_000)
  expect(asked).toBe(1)
  await clock.advance(40_000)
  expect(asked).toBeGreaterThanOrEqual(10)
  expect(asked).toBeLessThan(20)

  sync.follow('127.0.0.1:10911')
  const before = asked
  await clock.advance(60_000)
  expect(asked).toBe(before)
  await sync.close()
})
