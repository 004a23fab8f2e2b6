import { type Admin, isRefusal, ResponseCode } from '../client/index.ts'
import type { TopicUnread, Unread } from './admin.ts'

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

async function delayedAt(brokerAddr: string, at: (brokerAddr: string) => DelaySource): Promise<number> {
  return [...(await delayedByLevel(brokerAddr, at)).values()].reduce((sum, count) => sum + count, 0)
}

type DelaySource = Pick<Admin, 'brokerRuntimeInfo'>

const levelPrefix = 'scheduleMessageOffset_'

/** How many messages wait for their time, by delay level. */
async function delayedByLevel(
  brokerAddr: string,
  at: (brokerAddr: string) => DelaySource,
): Promise<ReadonlyMap<number, number>> {
  const info = [...(await at(brokerAddr).brokerRuntimeInfo(brokerAddr))]
  return new Map(
    info
      .filter(([name]) => name.startsWith(levelPrefix))
      .map(([name, offsets]): [number, number] => {
        const [delivered = 0, stored = 0] = offsets.split(',').map(Number)
        return [Number(name.slice(levelPrefix.length)), Math.max(0, stored - delivered)]
      }),
  )
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

/** What is asked of a broker to find out who has to read a part of a topic. */
export type TopicLagSource = Pick<
  Admin,
  'topicConsumers' | 'consumeStats' | 'consumerConnection' | 'topicStats' | 'brokerRuntimeInfo' | 'brokerConfig'
>

interface QueuesFrom {
  topic: string
  firstQueue: number
}

/**
 * Who has not read all that lies in queues of a topic at one broker: the groups that consume it there, and those that
 * consume it elsewhere and never came here. One that only broadcasts keeps its offsets itself and is not asked.
 */
export async function topicUnreadAt(
  brokerAddr: string,
  queues: QueuesFrom,
  peerAddrs: readonly string[],
  at: (brokerAddr: string) => TopicLagSource,
): Promise<TopicUnread> {
  const own = await at(brokerAddr).topicConsumers(brokerAddr, queues.topic)
  const groups: string[] = []
  for (const consumerGroup of own) {
    const { offsetTable } = await at(brokerAddr).consumeStats(brokerAddr, consumerGroup, queues.topic)
    const offsets = [...offsetTable].flatMap(([{ queueId }, row]) => (queueId >= queues.firstQueue ? [row] : []))
    const isBehind = offsets.some(({ brokerOffset, consumerOffset }) => brokerOffset > consumerOffset)
    const hasCommitted = [...offsetTable].some(([, { consumerOffset }]) => consumerOffset > 0)
    if (!isBehind || (!hasCommitted && (await isBroadcasting(brokerAddr, consumerGroup, at)))) continue
    groups.push(consumerGroup)
  }
  const elsewhere = new Set<string>()
  for (const peerAddr of peerAddrs) {
    for (const group of await at(peerAddr).topicConsumers(peerAddr, queues.topic)) {
      if (own.includes(group) || elsewhere.has(group) || (await isBroadcasting(peerAddr, group, at))) continue
      elsewhere.add(group)
    }
  }
  if (elsewhere.size > 0 && (await isStored(brokerAddr, queues, at))) groups.push(...elsewhere)
  return { groups, delayedMs: await longestDelayAt(brokerAddr, at) }
}

async function isBroadcasting(
  brokerAddr: string,
  consumerGroup: string,
  at: (brokerAddr: string) => TopicLagSource,
): Promise<boolean> {
  try {
    return (await at(brokerAddr).consumerConnection(brokerAddr, consumerGroup)).messageModel === 'BROADCASTING'
  } catch (error) {
    if (isRefusal(error, ResponseCode.CONSUMER_NOT_ONLINE)) return false
    throw error
  }
}

/** Whether anything lies in the queues. */
async function isStored(
  brokerAddr: string,
  { topic, firstQueue }: QueuesFrom,
  at: (brokerAddr: string) => TopicLagSource,
): Promise<boolean> {
  const { offsetTable } = await at(brokerAddr).topicStats(brokerAddr, topic)
  return [...offsetTable].some(
    ([{ queueId }, { minOffset, maxOffset }]) => queueId >= firstQueue && maxOffset > minOffset,
  )
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Where half messages lie and who has ended them. Source: Apache RocketMQ 5, TopicValidator and MixAll. */
const halfTopic = 'RMQ_SYS_TRANS_HALF_TOPIC'
const transactionGroup = 'CID_RMQ_SYS_TRANS'

/** How long it may take until the last message that waits is where it belongs: its delay, its transaction, or both. */
async function longestDelayAt(brokerAddr: string, at: (brokerAddr: string) => TopicLagSource): Promise<number> {
  const levels = [...(await delayedByLevel(brokerAddr, at))].flatMap(([level, count]) => (count > 0 ? [level] : []))
  const { offsetTable } = await at(brokerAddr).consumeStats(brokerAddr, transactionGroup, halfTopic)
  const hasHalf = [...offsetTable].some(([, { brokerOffset, consumerOffset }]) => brokerOffset > consumerOffset)
  if (levels.length === 0 && !hasHalf) return 0
  const settings = await at(brokerAddr).brokerConfig(brokerAddr)
  const delayMs = Math.max(0, ...levels.map((level) => delayOf(level, settings.get('messageDelayLevel'))))
  return delayMs + (hasHalf ? transactionMsMax(settings) : 0)
}

/** The delay of a level. Source: Apache RocketMQ 5, ScheduleMessageService#parseDelayLevel. */
function delayOf(level: number, levels = ''): number {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(levels.trim().split(/\s+/)[level - 1] ?? '') ?? []
  return count === undefined ? 2 * 3_600_000 : Number(count) * (unitMs[unit] as number) // unreadable: the longest by default
}

/** After this time a half message has ended, or the broker gives it up. Defaults: those of Apache RocketMQ 5. */
function transactionMsMax(settings: ReadonlyMap<string, string>): number {
  const of = (key: string, preset: number) => Number(settings.get(key) ?? preset)
  const checks = of('transactionCheckMax', 15) + 1 // asked in a period's middle
  return of('transactionTimeOut', 6_000) + checks * of('transactionCheckInterval', 30_000)
}
