import { type Admin, isRefusal, ResponseCode } from '../client/index.ts'
import type { Unread } from './admin.ts'

/** What is asked of a broker to find out. */
export type LagSource = Pick<Admin, 'subscriptionGroups' | 'consumeStats' | 'topicStats' | 'brokerRuntimeInfo'>

/**
 * Everything at one broker that a consumer group has not read: what a group there lags behind, delayed messages, which
 * are not even where they can be read, and the whole of topics whose group consumes them elsewhere and never came here.
 * The last is looked for when there is nothing else: it takes questions to all brokers.
 */
export async function unreadAt(
  brokerAddr: string,
  peerAddrs: readonly string[],
  at: (brokerAddr: string) => LagSource,
): Promise<Unread[]> {
  const lags = await lagsAt(brokerAddr, at)
  const unread = lags.filter(({ count }) => count > 0)
  const delayed = await delayedAt(brokerAddr, at)
  if (delayed > 0) unread.push({ consumerGroup: 'the delay schedule', topic: 'delayed messages', count: delayed })
  if (unread.length > 0) return unread

  const known = new Set(lags.map(({ consumerGroup, topic }) => `${consumerGroup} ${topic}`))
  for (const peerAddr of peerAddrs) {
    for (const { consumerGroup, topic } of await lagsAt(peerAddr, at)) {
      if (known.has(`${consumerGroup} ${topic}`)) continue
      known.add(`${consumerGroup} ${topic}`)
      const count = await storedAt(brokerAddr, topic, at)
      if (count > 0) unread.push({ consumerGroup, topic, count })
    }
  }
  return unread
}

/** Each topic that each group consumes at a broker, with how many messages it is behind, 0 too. */
async function lagsAt(brokerAddr: string, at: (brokerAddr: string) => LagSource): Promise<Unread[]> {
  const lags: Unread[] = []
  for (const consumerGroup of (await at(brokerAddr).subscriptionGroups(brokerAddr)).keys()) {
    const byTopic = new Map<string, number>()
    const { offsetTable } = await at(brokerAddr).consumeStats(brokerAddr, consumerGroup)
    for (const [{ topic }, { brokerOffset, consumerOffset }] of offsetTable) {
      byTopic.set(topic, (byTopic.get(topic) ?? 0) + Math.max(0, brokerOffset - consumerOffset))
    }
    for (const [topic, count] of byTopic) lags.push({ consumerGroup, topic, count })
  }
  return lags
}

async function delayedAt(brokerAddr: string, at: (brokerAddr: string) => LagSource): Promise<number> {
  return [...(await at(brokerAddr).brokerRuntimeInfo(brokerAddr))]
    .filter(([name]) => name.startsWith('scheduleMessageOffset')) // one for each level: delivered,stored
    .map(([, offsets]) => offsets.split(',').map(Number))
    .reduce((sum, [delivered = 0, stored = 0]) => sum + Math.max(0, stored - delivered), 0)
}

async function storedAt(brokerAddr: string, topic: string, at: (brokerAddr: string) => LagSource): Promise<number> {
  try {
    const { offsetTable } = await at(brokerAddr).topicStats(brokerAddr, topic)
    return [...offsetTable].reduce((sum, [, { minOffset, maxOffset }]) => sum + Math.max(0, maxOffset - minOffset), 0)
  } catch (error) {
    if (isRefusal(error, ResponseCode.TOPIC_NOT_EXIST)) return 0
    throw error
  }
}
