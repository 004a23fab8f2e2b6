import type { MessageQueue } from '../../remoting/body/message-queue.ts'
import type { ConsumeStats, OffsetWrapper } from '../../remoting/body/stats.ts'
import type { Broker } from './context.ts'

/**
 * How far a group is behind in each queue of some topics: the one count behind GET_CONSUME_STATS, the metrics and the
 * autoscaler. A queue without a stored offset counts from 0: all of it is unread.
 * Source: Apache RocketMQ 5, AdminBrokerProcessor#getConsumeStats.
 */
export function consumeStatsOf(consumerGroup: string, topics: Iterable<string>, broker: Broker): ConsumeStats {
  const offsetTable = new Map<MessageQueue, OffsetWrapper>()
  let consumeTps = 0
  const { consumerOffsets, store, settings, clients } = broker
  const subscriptions = clients.consumerGroup(consumerGroup)?.subscriptions
  for (const topic of topics) {
    const config = broker.topics.find(topic)?.config
    if (config === undefined) continue
    // Offsets of a topic that the group no longer subscribes to are remains, not lag.
    if (subscriptions !== undefined && subscriptions.size > 0 && !subscriptions.has(topic)) continue
    for (let queueId = 0; queueId < config.readQueueNums; queueId++) {
      const consumerOffset = Math.max(0, consumerOffsets.committed(topic, consumerGroup, queueId))
      const lastTimestamp = consumerOffset === 0 ? 0 : store.storeTimestampAt(topic, queueId, consumerOffset - 1)
      offsetTable.set(
        { brokerName: settings.brokerName, queueId, topic },
        {
          brokerOffset: store.maxOffset(topic, queueId),
          consumerOffset,
          pullOffset: Math.max(consumerOffset, consumerOffsets.pulled(topic, consumerGroup, queueId)),
          lastTimestamp: Math.max(0, lastTimestamp),
        },
      )
    }
    consumeTps += broker.stats.consumeTps(topic, consumerGroup)
  }
  return { offsetTable, consumeTps }
}

/** Messages stored and not yet consumed; and those of them that were handed out. */
export function diffOf({ offsetTable }: ConsumeStats): { diff: number; inflightDiff: number } {
  let diff = 0
  let inflightDiff = 0
  for (const { brokerOffset, consumerOffset, pullOffset } of offsetTable.values()) {
    diff += brokerOffset - consumerOffset
    inflightDiff += pullOffset - consumerOffset
  }
  return { diff, inflightDiff }
}
