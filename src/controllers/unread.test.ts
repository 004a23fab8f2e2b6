import { expect, test } from '@jest/globals'
import { OperatingError, ResponseCode } from '../client/index.ts'
import { type LagSource, unreadAt } from './unread.ts'

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
