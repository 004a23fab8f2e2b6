import { expect, test } from '@jest/globals'
import { OperatingError, ResponseCode } from '../client/index.ts'
import { type LagSource, type TopicLagSource, topicUnreadAt, unclaimedAt, unreadAt, uptimeMsOf } from './unread.ts'

interface Broker {
  /** By group and topic, of its one queue: [maxOffset, consumerOffset]. */
  groups: Record<string, Record<string, [number, number]>>
  /** By topic, of its one queue: [minOffset, maxOffset]. */
  topics?: Record<string, [number, number]>
  /** By group that is online: the topics that it subscribes to. */
  online?: Record<string, string[]>
  broadcasting?: string[]
  /** By group: topics of which it has offsets that are no progress of its own. */
  remains?: Record<string, string[]>
  info?: Record<string, string>
  /** Whether all its groups' progress is too much for one answer. */
  isLarge?: boolean
}

function refusal(responseCode: number): OperatingError {
  return new OperatingError('REQUEST_REFUSED', { responseCode })
}

/** @param brokers the first one is asked about; the others are its peers */
function lagSource(brokers: Record<string, Broker>) {
  const requests: string[] = []
  let underWay = 0
  let mostUnderWay = 0
  const statsOf = (address: string, topics: [string, [number, number]][]) => ({
    offsetTable: topics.map(([topic, [brokerOffset, consumerOffset]]) => [
      { topic, brokerName: address, queueId: 0 },
      { brokerOffset, consumerOffset },
    ]),
  })
  const answers: Record<string, (broker: Broker, name: string, address: string) => unknown> = {
    brokerConsumeStats({ groups, isLarge }, _, address) {
      if (isLarge) throw refusal(ResponseCode.SYSTEM_ERROR)
      const stats = (topics: Broker['groups'][string]) => Object.entries(topics).map((one) => statsOf(address, [one]))
      return new Map(Object.entries(groups).map(([group, topics]) => [group, stats(topics)]))
    },
    subscriptionGroups: ({ groups }) => new Map(Object.keys(groups).map((name) => [name, {}])),
    consumeStats: ({ groups }, group, address) => statsOf(address, Object.entries(groups[group]!)),
    allTopicConfig: ({ topics = {} }) => ({ topicConfigTable: new Map(Object.keys(topics).map((name) => [name, {}])) }),
    topicConsumers({ groups, online = {}, remains = {} }, topic) {
      const named = [...Object.entries(online), ...Object.entries(remains)].filter(([, topics]) =>
        topics.includes(topic),
      )
      const committed = Object.keys(groups).filter((group) => groups[group]![topic])
      return [...new Set([...named.map(([group]) => group), ...committed])]
    },
    consumerConnection({ online = {}, broadcasting = [] }, group) {
      if (!online[group]) throw refusal(ResponseCode.CONSUMER_NOT_ONLINE)
      const messageModel = broadcasting.includes(group) ? 'BROADCASTING' : 'CLUSTERING'
      return { messageModel, subscriptionTable: new Map(online[group].map((topic) => [topic, {}])) }
    },
    topicStats({ topics = {} }, topic) {
      if (!topics[topic]) throw refusal(ResponseCode.TOPIC_NOT_EXIST)
      const [minOffset, maxOffset] = topics[topic]
      return { offsetTable: [[{ topic }, { minOffset, maxOffset }]] }
    },
    brokerRuntimeInfo: ({ info = {} }) => new Map(Object.entries(info)),
  }
  const source = Object.fromEntries(
    Object.entries(answers).map(([request, answer]) => [
      request,
      async (address: string, name = '') => {
        requests.push(`${request} ${address} ${name}`.trim())
        mostUnderWay = Math.max(mostUnderWay, ++underWay)
        await new Promise((resolve) => setImmediate(resolve))
        underWay--
        return answer(brokers[address]!, name, address)
      },
    ]),
  )
  const [leaving, ...peers] = Object.keys(brokers) as [string, ...string[]]
  return {
    requests,
    mostUnderWay: () => mostUnderWay,
    unread: (isPartial = false) => unreadAt(leaving, peers, isPartial, () => source as unknown as LagSource),
    unclaimed: () => unclaimedAt(leaving, () => source as unknown as LagSource),
  }
}

const unread = (brokers: Record<string, Broker>) => lagSource(brokers).unread()

test('a group that is behind is named with its topic and its lag', async () => {
  const leaving = { groups: { billing: { orders: [10, 7], refunds: [4, 4] }, audit: { orders: [10, 10] } } } as const

  expect(await unread({ leaving: leaving as never })).toEqual([{ consumerGroup: 'billing', topic: 'orders', count: 3 }])
})

test('when all groups are at the end there is nothing', async () => {
  const peer: Broker = { groups: { billing: { orders: [99, 1] } } }
  const leaving: Broker = { groups: { billing: { orders: [10, 10] } }, topics: { orders: [0, 10] } }

  expect(await unread({ leaving, peer })).toEqual([])
})

test('messages that wait for their delay count', async () => {
  const info = { scheduleMessageOffset_1: '5,5', scheduleMessageOffset_3: '5,8', putTps: '1' }

  expect(await unread({ leaving: { groups: {}, info } })).toMatchObject([{ topic: 'delayed messages', count: 3 }])
})

test('a message whose delay ends between the questions is in one of the answers', async () => {
  let areLagsAsked = false
  const leaving: Broker = {
    get groups() {
      areLagsAsked = true
      return { billing: { orders: [10, 10] as [number, number] } }
    },
    get info() {
      return { scheduleMessageOffset_1: areLagsAsked ? '5,5' : '4,5' }
    },
  }

  expect(await unread({ leaving })).toMatchObject([{ topic: 'delayed messages', count: 1 }])
})

test('a group that consumes the topic elsewhere and never came here has everything unread', async () => {
  const peer: Broker = { groups: { billing: { orders: [5, 5], '%RETRY%billing': [0, 0] } } }

  expect(await unread({ leaving: { groups: {}, topics: { orders: [2, 9] } }, peer })).toEqual([
    { consumerGroup: 'billing', topic: 'orders', count: 7 },
  ])
  expect(await unread({ leaving: { groups: {}, topics: { orders: [9, 9] } }, peer })).toEqual([])
})

test('a group that is online and has committed nothing yet has everything unread', async () => {
  const topics: Broker['topics'] = { orders: [4, 9], refunds: [3, 3], returns: [0, 1] }
  const groups: Broker['groups'] = { audit: { orders: [9, 9] } }
  const online = { billing: ['orders', 'refunds'] }

  expect(await unread({ leaving: { groups, topics, online } })).toEqual([
    { consumerGroup: 'billing', topic: 'orders', count: 5 },
  ])
  expect(await unread({ leaving: { groups, topics, online, broadcasting: ['billing'] } })).toEqual([])
})

test('offsets that are left of a group that is gone, or of a topic that it no longer wants, keep nothing', async () => {
  const { requests, unread } = lagSource({
    leaving: {
      groups: {},
      remains: { gone: ['orders'], billing: ['orders'] },
      topics: { orders: [0, 9] },
      online: { billing: ['refunds'] },
    },
  })

  expect(await unread()).toEqual([])
  expect(requests).not.toContain('topicStats leaving orders')
})

test('groups that are too many for one answer are asked for one by one', async () => {
  const groups: Broker['groups'] = { billing: { orders: [10, 7] }, audit: { orders: [10, 10] } }

  expect(await unread({ leaving: { groups, isLarge: true } })).toEqual([
    { consumerGroup: 'billing', topic: 'orders', count: 3 },
  ])
})

test('a thousand groups and eight peers take few requests', async () => {
  const topicCount = 50
  const topics = Object.fromEntries(
    Array.from({ length: topicCount }, (_, index): [string, [number, number]] => [`topic-${index}`, [3, 9]]),
  )
  const groups = (consumerOffset: number): Broker['groups'] =>
    Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [
        `group-${index}`,
        { [`topic-${index % topicCount}`]: [9, consumerOffset], [`%RETRY%group-${index}`]: [0, 0] },
      ]),
    )
  const peers = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`peer-${index}`, { groups: groups(5) }]))
  const retries = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index): [string, [number, number]] => [`%RETRY%group-${index}`, [0, 0]]),
  )
  const leaving = (consumerOffset: number): Broker => ({
    groups: groups(consumerOffset),
    topics: { ...topics, ...retries },
    online: { 'group-new': ['topic-7'] },
  })

  const behind = lagSource({ leaving: leaving(8), ...peers })
  expect(await behind.unread()).toHaveLength(1000)
  expect(behind.requests).toHaveLength(3)

  const read = lagSource({ leaving: leaving(9), ...peers })
  expect(await read.unread()).toEqual([{ consumerGroup: 'group-new', topic: 'topic-7', count: 6 }])
  expect(read.requests).toHaveLength(4 + 8 + topicCount + 2)
  expect(read.mostUnderWay()).toBe(32)

  const early = lagSource({ leaving: leaving(9), ...peers })
  expect([await early.unread(true), early.requests.length]).toEqual([[], 3])
})

test('what no group reads is told, but for what RocketMQ keeps for itself', async () => {
  const leaving: Broker = {
    groups: { billing: { orders: [9, 9] } },
    topics: {
      orders: [0, 9],
      audit: [2, 5],
      expired: [4, 4],
      '%DLQ%billing': [0, 12],
      SCHEDULE_TOPIC_XXXX: [0, 7],
      RMQ_SYS_TRACE_TOPIC: [0, 8],
    },
  }

  expect(await lagSource({ leaving }).unclaimed()).toEqual([
    { topic: '%DLQ%billing', count: 12 },
    { topic: 'audit', count: 3 },
  ])
})

interface TopicBroker {
  /** By group: [maxOffset, consumerOffset] of each queue of the topic. */
  groups: Record<string, [number, number][]>
  broadcasting?: string[]
  /** [minOffset, maxOffset] of each queue. */
  queues?: [number, number][]
  info?: Record<string, string>
  /** Half messages that wait. */
  half?: number
}

let infosAsked = 0

function topicUnread(brokers: Record<string, TopicBroker>, firstQueue: number) {
  const [asked, ...peers] = Object.keys(brokers) as [string, ...string[]]
  const source: TopicLagSource = {
    topicConsumers: async (address) => Object.keys(brokers[address]!.groups),
    async consumeStats(address, group) {
      const { groups, half = 0 } = brokers[address]!
      const rows = group === 'CID_RMQ_SYS_TRANS' ? [[half, 0] as const] : groups[group]!
      const offsetTable = rows.map(([brokerOffset, consumerOffset], queueId) => [
        { topic: 'orders', brokerName: address, queueId },
        { brokerOffset, consumerOffset },
      ])
      return { offsetTable } as never
    },
    async consumerConnection(address, group) {
      if (brokers[address]!.broadcasting?.includes(group)) return { messageModel: 'BROADCASTING' } as never
      throw new OperatingError('REQUEST_REFUSED', { responseCode: ResponseCode.CONSUMER_NOT_ONLINE })
    },
    async topicStats(address) {
      const queues = brokers[address]!.queues ?? []
      const offsetTable = queues.map(([minOffset, maxOffset], queueId) => [{ queueId }, { minOffset, maxOffset }])
      return { offsetTable } as never
    },
    async brokerRuntimeInfo(address) {
      infosAsked++
      return new Map(Object.entries(brokers[address]!.info ?? {}))
    },
    brokerConfig: async () => new Map([['messageDelayLevel', '1s 5s 10m 2h']]),
  }
  return topicUnreadAt(asked, { topic: 'orders', firstQueue }, peers, () => source)
}

test('of a part of a topic only those count who are behind in these queues', async () => {
  const groups: TopicBroker['groups'] = {
    audit: [
      [9, 9],
      [9, 9],
    ],
    billing: [
      [9, 1],
      [9, 9],
    ],
    shipping: [
      [9, 9],
      [9, 8],
    ],
  }

  expect((await topicUnread({ here: { groups } }, 1)).groups).toEqual(['shipping'])
  expect((await topicUnread({ here: { groups } }, 0)).groups).toEqual(['billing', 'shipping'])
})

test('a group that broadcasts keeps its offsets itself', async () => {
  const here = { groups: { news: [[9, 0]] as [number, number][] }, broadcasting: ['news'] }

  expect((await topicUnread({ here }, 0)).groups).toEqual([])
  expect((await topicUnread({ here: { ...here, broadcasting: [] } }, 0)).groups).toEqual(['news'])
})

test('a group that consumes the topic on another broker alone has everything to read here', async () => {
  const here: TopicBroker = {
    groups: {},
    queues: [
      [0, 3],
      [4, 4],
    ],
  }
  const peer: TopicBroker = { groups: { billing: [[5, 5]] } }

  expect((await topicUnread({ here, peer }, 0)).groups).toEqual(['billing'])
  expect((await topicUnread({ here, peer }, 1)).groups).toEqual([])
})

test('a broker that began a moment ago is told, where something lies in the queues', async () => {
  const here = (runtime: string, stored = 3): TopicBroker => ({ groups: {}, queues: [[0, stored]], info: { runtime } })
  const isFresh = async (broker: TopicBroker) => (await topicUnread({ here: broker }, 0)).isFresh

  expect(await isFresh(here('[ 0 days, 0 hours, 0 minutes, 59 seconds ]'))).toBe(true)
  expect(await isFresh(here('[ 0 days, 0 hours, 1 minutes, 0 seconds ]'))).toBeUndefined()
  expect(await isFresh(here('[ 0 days, 0 hours, 0 minutes, 59 seconds ]', 0))).toBeUndefined()
})

test('how long a broker has been running is read as Apache writes it', () => {
  const uptime = (info: Record<string, string>) => uptimeMsOf(new Map(Object.entries(info)))

  expect(uptime({ runtime: '[ 1 days, 2 hours, 3 minutes, 4 seconds ]' })).toBe(93_784_000)
  expect(uptime({ runtime: '[ 0 days, 0 hours, 0 minutes, -5 seconds ]' })).toBe(-5_000)
  expect(uptime({ runtime: 'for ages' })).toBe(Number.POSITIVE_INFINITY)
  expect(uptime({})).toBe(Number.POSITIVE_INFINITY)
})

test('a broker is asked for its runtime info once', async () => {
  infosAsked = 0
  await topicUnread(
    { here: { groups: {}, queues: [[0, 3]], info: { runtime: '[ 0 days, 0 hours, 0 minutes, 5 seconds ]' } } },
    0,
  )
  expect(infosAsked).toBe(1)
})

test('the longest delay of messages that wait, with the time that a transaction may take', async () => {
  const info = { scheduleMessageOffset_2: '3,4', scheduleMessageOffset_3: '5,8', scheduleMessageOffset_4: '7,7' }

  expect((await topicUnread({ here: { groups: {}, info } }, 0)).delayedMs).toBe(600_000)
  expect((await topicUnread({ here: { groups: {} } }, 0)).delayedMs).toBe(0)
  expect((await topicUnread({ here: { groups: {}, half: 1 } }, 0)).delayedMs).toBe(6_000 + 16 * 30_000)
  expect((await topicUnread({ here: { groups: {}, half: 1, info } }, 0)).delayedMs).toBe(600_000 + 486_000)
})
