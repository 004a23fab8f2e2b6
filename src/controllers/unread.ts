import {
  type Admin,
  type ConsumerConnection,
  type ConsumeStats,
  isOperatingError,
  isRefusal,
  ResponseCode,
} from '../client/index.ts'
import { isSystemTopic } from '../crds/index.ts'
import type { TopicUnread, Unclaimed, Unread } from './admin.ts'

/** What is asked of a broker to find out. */
export type LagSource = Pick<
  Admin,
  | 'brokerConsumeStats'
  | 'subscriptionGroups'
  | 'consumeStats'
  | 'allTopicConfig'
  | 'topicConsumers'
  | 'consumerConnection'
  | 'topicStats'
  | 'brokerRuntimeInfo'
>

const togetherMax = 32 // requests under way at a time: a drain must not keep a broker from serving consumers

/** A group and a topic that it has to read. */
interface Use {
  consumerGroup: string
  topic: string
}

/**
 * Everything at one broker that a consumer group has not read: what a group there lags behind, and delayed messages,
 * which are not even where they can be read. When there is none of these it takes more questions, about the whole of
 * topics: of groups that are online here and subscribe to them but have committed no offset yet, since their first
 * messages are still being consumed, and of groups that consume them elsewhere and never came here. Who is online is not
 * asked elsewhere: a consumer is connected to all brokers of its topics. A group that broadcasts keeps its offsets itself.
 *
 * It takes few requests, however many groups there are: 3 while somebody lags behind; else 4, one for each peer, at most
 * two for each topic here and one for each group that has just begun.
 * @param isPartial only what is found without the questions about topics: it is not time to go yet
 */
export async function unreadAt(
  brokerAddr: string,
  peerAddrs: readonly string[],
  isPartial: boolean,
  at: (brokerAddr: string) => LagSource,
): Promise<Unread[]> {
  // before and after: what comes to its queue meanwhile, or is sent back, is in one of the two, or in the lag
  const delayedBefore = await delayedAt(brokerAddr, at)
  const lags = await lagsAt(brokerAddr, at)
  const unread = lags.flatMap(({ consumerGroup, topic, count }) => (count > 0 ? [{ consumerGroup, topic, count }] : []))
  const delayed = Math.max(delayedBefore, await delayedAt(brokerAddr, at))
  if (delayed > 0) unread.push({ consumerGroup: 'the delay schedule', topic: 'delayed messages', count: delayed })
  if (unread.length > 0 || isPartial) return unread

  const known = new Set(lags.map(keyOf))
  const emptied = new Set(lags.flatMap(({ topic, isEmpty }) => (isEmpty ? [topic] : [])))
  const { topicConfigTable } = await at(brokerAddr).allTopicConfig(brokerAddr)
  const topics = [...topicConfigTable.keys()].filter((topic) => !emptied.has(topic))
  const isNew = (use: Use) => !known.has(keyOf(use)) && topicConfigTable.has(use.topic)
  const online = await newUsesAt(brokerAddr, topics, isNew, at)
  const elsewhere = await together(peerAddrs, async (peerAddr) => (await lagsAt(peerAddr, at)).filter(isNew))
  const uses = new Map([...online, ...elsewhere.flat()].map((use) => [keyOf(use), use]))

  const asked = [...new Set([...uses.values()].map(({ topic }) => topic))]
  const counts = new Map(
    await together(asked, async (topic) => [topic, await storedAt(brokerAddr, topic, at)] as const),
  )
  return [...uses.values()].flatMap(({ consumerGroup, topic }) => {
    const count = counts.get(topic) ?? 0
    return count > 0 ? [{ consumerGroup, topic, count }] : []
  })
}

/** What lies at a broker and is nobody's to read: topics that nobody subscribes to there, or has ever consumed. */
export async function unclaimedAt(
  brokerAddr: string,
  at: (brokerAddr: string) => Pick<Admin, 'allTopicConfig' | 'topicConsumers' | 'topicStats'>,
): Promise<Unclaimed[]> {
  const { topicConfigTable } = await at(brokerAddr).allTopicConfig(brokerAddr)
  const topics = [...topicConfigTable.keys()].filter((topic) => !isSystemTopic(topic))
  const found = await together(topics, async (topic): Promise<Unclaimed[]> => {
    const count = await storedAt(brokerAddr, topic, at)
    if (count === 0 || (await at(brokerAddr).topicConsumers(brokerAddr, topic)).length > 0) return []
    return [{ topic, count }]
  })
  return found.flat().sort((a, b) => b.count - a.count)
}

function keyOf({ consumerGroup, topic }: Use): string {
  return `${consumerGroup} ${topic}` // neither has spaces
}

/** A group's progress in a topic. */
interface Lag extends Use {
  count: number // messages that it is behind
  isEmpty: boolean // no message ever came to the topic
}

/** Each topic that each group has committed offsets of at a broker, those that it has read, too. */
async function lagsAt(brokerAddr: string, at: (brokerAddr: string) => LagSource): Promise<Lag[]> {
  const lags: Lag[] = []
  for (const [consumerGroup, stats] of await progressAt(brokerAddr, at)) {
    const byTopic = new Map<string, Lag>()
    for (const { offsetTable } of stats) {
      for (const [{ topic }, { brokerOffset, consumerOffset }] of offsetTable) {
        const lag = byTopic.get(topic) ?? { consumerGroup, topic, count: 0, isEmpty: true }
        byTopic.set(topic, lag)
        lag.count += Math.max(0, brokerOffset - consumerOffset)
        if (brokerOffset > 0) lag.isEmpty = false
      }
    }
    lags.push(...byTopic.values())
  }
  return lags
}

type Progress = readonly (readonly [consumerGroup: string, stats: readonly ConsumeStats[]])[]

async function progressAt(brokerAddr: string, at: (brokerAddr: string) => LagSource): Promise<Progress> {
  try {
    return [...(await at(brokerAddr).brokerConsumeStats(brokerAddr))]
  } catch (error) {
    if (!isOperatingError(error, 'REQUEST_REFUSED')) throw error
    // of so many groups that they do not fit into a frame
    const groups = [...(await at(brokerAddr).subscriptionGroups(brokerAddr)).keys()]
    return together(groups, async (group) => [group, [await at(brokerAddr).consumeStats(brokerAddr, group)]] as const)
  }
}

/** Which groups that are online at a broker have to read which of the topics, of those uses that isNew lets through. */
async function newUsesAt(
  brokerAddr: string,
  topics: readonly string[],
  isNew: (use: Use) => boolean,
  at: (brokerAddr: string) => LagSource,
): Promise<Use[]> {
  const consumers = await together(topics, async (topic) => {
    const groups = await at(brokerAddr).topicConsumers(brokerAddr, topic)
    return groups.map((consumerGroup): Use => ({ consumerGroup, topic })).filter(isNew)
  })
  const uses = consumers.flat()
  const groups = [...new Set(uses.map(({ consumerGroup }) => consumerGroup))]
  const members = await together(groups, async (group) => [group, await membersAt(brokerAddr, group, at)] as const)
  const connections = new Map(members)
  return uses.filter(({ consumerGroup, topic }) => {
    const connection = connections.get(consumerGroup) // without one it has offsets left of a group that was deleted
    return connection && connection.messageModel !== 'BROADCASTING' && connection.subscriptionTable.has(topic)
  })
}

/** Asks about all of them, some at a time. */
async function together<Item, Answer>(items: readonly Item[], ask: (item: Item) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let first = 0; first < items.length; first += togetherMax) {
    answers.push(...(await Promise.all(items.slice(first, first + togetherMax).map(ask))))
  }
  return answers
}

async function delayedAt(brokerAddr: string, at: (brokerAddr: string) => DelaySource): Promise<number> {
  const info = await at(brokerAddr).brokerRuntimeInfo(brokerAddr)
  return [...delayedByLevel(info).values()].reduce((sum, count) => sum + count, 0)
}

type DelaySource = Pick<Admin, 'brokerRuntimeInfo'>

const levelPrefix = 'scheduleMessageOffset_'

type RuntimeInfo = ReadonlyMap<string, string>

/** How many messages wait for their time, by delay level. */
function delayedByLevel(info: RuntimeInfo): ReadonlyMap<number, number> {
  return new Map(
    [...info]
      .filter(([name]) => name.startsWith(levelPrefix))
      .map(([name, offsets]): [number, number] => {
        const [delivered = 0, stored = 0] = offsets.split(',').map(Number)
        return [Number(name.slice(levelPrefix.length)), Math.max(0, stored - delivered)]
      }),
  )
}

async function storedAt(
  brokerAddr: string,
  topic: string,
  at: (brokerAddr: string) => Pick<Admin, 'topicStats'>,
): Promise<number> {
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
  const info = await at(brokerAddr).brokerRuntimeInfo(brokerAddr) // last: one that began anew in the meantime is fresh
  const isFresh = uptimeMsOf(info) < consumersBackMs && (await isStored(brokerAddr, queues, at))
  return { groups, delayedMs: await longestDelayAt(brokerAddr, info, at), ...(isFresh && { isFresh }) }
}

async function isBroadcasting(
  brokerAddr: string,
  consumerGroup: string,
  at: (brokerAddr: string) => TopicLagSource,
): Promise<boolean> {
  return (await membersAt(brokerAddr, consumerGroup, at))?.messageModel === 'BROADCASTING'
}

/** Who of a group is online at a broker, and what they want; undefined: nobody is. */
async function membersAt(
  brokerAddr: string,
  consumerGroup: string,
  at: (brokerAddr: string) => Pick<Admin, 'consumerConnection'>,
): Promise<ConsumerConnection | undefined> {
  try {
    return await at(brokerAddr).consumerConnection(brokerAddr, consumerGroup)
  } catch (error) {
    if (isRefusal(error, ResponseCode.CONSUMER_NOT_ONLINE)) return undefined
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

/**
 * Consumers come back to a broker that began anew with their next heartbeat, every 30 s. Until then nobody knows of a group
 * that has committed nothing there. Source: Apache RocketMQ 5, ClientConfig#heartbeatBrokerInterval.
 */
export const consumersBackMs = 60_000

/** Why nothing is taken away from a broker then. */
export const freshText = `the broker began less than ${consumersBackMs / 1000} s ago: consumers may not be back yet`

/** How long a broker has been running, less than 0 where its clock was set back since; Infinity: it does not say. Source: Apache RocketMQ 5, StoreStatsService#getFormatRuntime. */
export function uptimeMsOf(info: RuntimeInfo): number {
  const runtime = info.get('runtime') ?? ''
  const parts = /(-?\d+) days, (-?\d+) hours, (-?\d+) minutes, (-?\d+) seconds/.exec(runtime)?.slice(1).map(Number)
  if (!parts) return Number.POSITIVE_INFINITY
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts
  return days * 86_400_000 + hours * 3_600_000 + minutes * 60_000 + seconds * 1000
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Where half messages lie and who has ended them. Source: Apache RocketMQ 5, TopicValidator and MixAll. */
const halfTopic = 'RMQ_SYS_TRANS_HALF_TOPIC'
const transactionGroup = 'CID_RMQ_SYS_TRANS'

/** How long it may take until the last message that waits is where it belongs: its delay, its transaction, or both. */
async function longestDelayAt(
  brokerAddr: string,
  info: RuntimeInfo,
  at: (brokerAddr: string) => TopicLagSource,
): Promise<number> {
  const levels = [...delayedByLevel(info)].flatMap(([level, count]) => (count > 0 ? [level] : []))
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
