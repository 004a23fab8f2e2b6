import { expect, test } from '@jest/globals'
import { OperatingError, ResponseCode } from '../client/index.ts'
import { type LagSource, type TopicLagSource, topicUnreadAt, unreadAt } from './unread.ts'

interface Broker {
  /** By group and topic, of its one queue: [maxOffset, consumerOffset]. */
  groups: Record<string, Record<string, [number, number]>>
  /** By topic, of its one queue: [minOffset, maxOffset]. */
  topics?: Record<string, [number, number]>
  info?: Record<string, string>
}

function unread(brokers: Record<string, Broker>) {
  const [leaving, ...peers] = Object.keys(brokers) as [string, ...string[]]
  const source = {
    async subscriptionGroups(address: string) {
      return new Map(Object.keys(brokers[address]!.groups).map((name) => [name, {}]))
    },
    async consumeStats(address: string, group: string) {
      const topics = Object.entries(brokers[address]!.groups[group]!)
      const offsetTable = topics.map(([topic, [brokerOffset, consumerOffset]]) => [
        { topic, brokerName: address, queueId: 0 },
        { brokerOffset, consumerOffset },
      ])
      return { offsetTable }
    },
    async topicStats(address: string, topic: string) {
      const offsets = brokers[address]!.topics?.[topic]
      if (!offsets) throw new OperatingError('REQUEST_REFUSED', { responseCode: ResponseCode.TOPIC_NOT_EXIST })
      return { offsetTable: [[{ topic }, { minOffset: offsets[0], maxOffset: offsets[1] }]] }
    },
    async brokerRuntimeInfo(address: string) {
      return new Map(Object.entries(brokers[address]!.info ?? {}))
    },
  }
  return unreadAt(leaving, peers, () => source as unknown as LagSource)
}

test('a group that is behind is named with its topic and its lag', async () => {
  const leaving = { groups: { billing: { orders: [10, 7], refunds: [4, 4] }, audit: { orders: [10, 10] } } } as const

  expect(await unread({ leaving: leaving as never })).toEqual([{ consumerGroup: 'billing', topic: 'orders', count: 3 }])
})

test('when all groups are at the end there is nothing', async () => {
  const peer: Broker = { groups: { billing: { orders: [99, 1] } } }

  expect(await unread({ leaving: { groups: { billing: { orders: [10, 10] } } }, peer })).toEqual([])
})

test('messages that wait for their delay count', async () => {
  const info = { scheduleMessageOffset_1: '5,5', scheduleMessageOffset_3: '5,8', putTps: '1' }

  expect(await unread({ leaving: { groups: {}, info } })).toMatchObject([{ topic: 'delayed messages', count: 3 }])
})

test('a group that consumes the topic elsewhere and never came here has everything unread', async () => {
  const peer: Broker = { groups: { billing: { orders: [5, 5], '%RETRY%billing': [0, 0] } } }

  expect(await unread({ leaving: { groups: {}, topics: { orders: [2, 9] } }, peer })).toEqual([
    { consumerGroup: 'billing', topic: 'orders', count: 7 },
  ])
  expect(await unread({ leaving: { groups: {}, topics: { orders: [9, 9] } }, peer })).toEqual([])
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
    brokerRuntimeInfo: async (address) => new Map(Object.entries(brokers[address]!.info ?? {})),
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

test('the longest delay of messages that wait, with the time that a transaction may take', async () => {
  const info = { scheduleMessageOffset_2: '3,4', scheduleMessageOffset_3: '5,8', scheduleMessageOffset_4: '7,7' }

  expect((await topicUnread({ here: { groups: {}, info } }, 0)).delayedMs).toBe(600_000)
  expect((await topicUnread({ here: { groups: {} } }, 0)).delayedMs).toBe(0)
  expect((await topicUnread({ here: { groups: {}, half: 1 } }, 0)).delayedMs).toBe(6_000 + 16 * 30_000)
  expect((await topicUnread({ here: { groups: {}, half: 1, info } }, 0)).delayedMs).toBe(600_000 + 486_000)
})
