import { RequestCode, ResponseCode } from '../../../src/remoting/codes.ts'
import { queryConsumerOffsetRequest } from '../../../src/remoting/headers/consumer-offset.ts'
import { queryMessageRequest } from '../../../src/remoting/headers/query-message.ts'
import { viewMessageRequest } from '../../../src/remoting/headers/view-message.ts'
import { readJson } from '../../../src/remoting/json.ts'
import { decodeMessages, parseOffsetMsgId, type StoredMessage } from '../../../src/remoting/message/index.ts'
import { readRecords } from '../../crash/read-queue.ts'
import { apachePeer } from '../../peers/cluster.ts'
import type { Stage } from './stage.ts'

/** A message that a broker acknowledged. */
export interface Sent {
  topic: string
  queueId: number
  queueOffset: number
  body: Buffer // as it is stored: compressed where the producer did that
  tags?: string | undefined
  keys: readonly string[]
  msgId: string
  offsetMsgId?: string | undefined // the client is not told those of a batch
}

/** A message that is to appear in another queue later. */
export interface Delayed {
  topic: string
  body: Buffer
  dueAt: number // ms since 1970, at the latest
}

type Table = ReadonlyMap<string, Readonly<Record<string, unknown>>>

/** Everything that each later broker on the same directory must show. */
export class Ledger {
  readonly sent: Sent[] = []
  readonly delayed: Delayed[] = []
  /** By `topic/queueId`: the records as the last broker showed them. */
  readonly records = new Map<string, Buffer[]>()
  readonly consumerOffsets: { consumerGroup: string; topic: string; queueId: number; consumerOffset: number }[] = []
  topics: Table = new Map()
  groups: Table = new Map()
  /** Delayed messages that were due before this may have been delivered twice: a kill came before that was written down. */
  killedAt = 0
  /** Where the last segment began when a broker was killed. */
  lastSegmentAtKill = 0
}

/** Queues of a topic that may hold messages. */
const queueIdsOf = (topic: Readonly<Record<string, unknown>>) =>
  Array.from({ length: Math.max(Number(topic.writeQueueNums), Number(topic.readQueueNums)) }, (_, queueId) => queueId)

/** Keeps what the broker has and says now, at the end of its stage. */
export async function takeSnapshot(stage: Stage, ledger: Ledger): Promise<void> {
  ledger.topics = await configTable(stage, RequestCode.GET_ALL_TOPIC_CONFIG, 'topicConfigTable')
  ledger.groups = await configTable(stage, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 'subscriptionGroupTable')
  ledger.records.clear()
  for (const [topic, config] of userTopics(ledger)) {
    for (const queueId of queueIdsOf(config)) {
      ledger.records.set(`${topic}/${queueId}`, await readRecords(stage.remoting, stage.brokerAddr, topic, queueId))
    }
  }
}

/** What a broker must show of the ledger. @returns what it does not */
export async function differences(stage: Stage, ledger: Ledger): Promise<string[]> {
  const problems = [
    ...(await tableProblems(stage, ledger)),
    ...(await offsetProblems(stage, ledger)),
    ...(await delayedProblems(stage, ledger)),
  ]
  const queues = new Map<string, Buffer[]>()
  for (const [topic, config] of userTopics(ledger)) {
    for (const queueId of queueIdsOf(config)) {
      queues.set(`${topic}/${queueId}`, await readRecords(stage.remoting, stage.brokerAddr, topic, queueId))
    }
  }
  problems.push(...recordProblems(queues, ledger), ...sentProblems(queues, ledger))
  return [...problems, ...(await lookupProblems(stage, ledger))]
}

/** Topics that messages are sent to: not those that a broker has for itself. */
function userTopics({ topics }: Ledger): [string, Readonly<Record<string, unknown>>][] {
  return [...topics].filter(([topic]) => /^(Exchange|%RETRY%exchange)/.test(topic))
}

async function configTable(stage: Stage, code: number, name: string): Promise<Table> {
  const extFields = { topicSeq: '0', maxTopicNum: '100000', groupSeq: '0', maxGroupNum: '100000', dataVersion: '' }
  const { body } = await stage.remoting.call(stage.brokerAddr, { code, extFields }, 10_000)
  const table = (readJson(body) as Record<string, Record<string, Record<string, unknown>>>)[name] ?? {}
  return new Map(Object.entries(table))
}

/** A later version may say more of a topic or group, never something else. */
async function tableProblems(stage: Stage, ledger: Ledger): Promise<string[]> {
  const problems: string[] = []
  const tables: [string, Table, number, string][] = [
    ['topic', ledger.topics, RequestCode.GET_ALL_TOPIC_CONFIG, 'topicConfigTable'],
    ['group', ledger.groups, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 'subscriptionGroupTable'],
  ]
  for (const [what, known, code, tableName] of tables) {
    const now = await configTable(stage, code, tableName)
    for (const [name, config] of known) {
      const found = now.get(name)
      if (found === undefined) problems.push(`the ${what} ${name} is gone`)
      for (const [key, value] of Object.entries(found === undefined ? {} : config)) {
        const [was, is] = [JSON.stringify(value), JSON.stringify(found?.[key])]
        if (was !== is) problems.push(`the ${what} ${name} has ${key} ${is}, not ${was}`)
      }
    }
  }
  return problems
}

async function offsetProblems({ remoting, brokerAddr }: Stage, ledger: Ledger): Promise<string[]> {
  const problems: string[] = []
  for (const { consumerOffset, ...queue } of ledger.consumerOffsets) {
    const extFields = queryConsumerOffsetRequest.encode({ ...queue, setZeroIfNotFound: false })
    const answer = await remoting.call(brokerAddr, { code: RequestCode.QUERY_CONSUMER_OFFSET, extFields }, 5_000)
    if (answer.extFields.offset !== String(consumerOffset)) {
      const where = `${queue.consumerGroup} in ${queue.topic}/${queue.queueId}`
      problems.push(`${where} is at ${answer.extFields.offset ?? answer.remark}, not at ${consumerOffset}`)
    }
  }
  return problems
}

/** Queues have no gap, and what the last broker showed is there byte for byte. */
function recordProblems(queues: ReadonlyMap<string, Buffer[]>, { records }: Ledger): string[] {
  const problems: string[] = []
  for (const [queue, now] of queues) {
    now.forEach((record, index) => {
      const [{ queueOffset } = { queueOffset: -1 }] = decodeMessages(record) // a checksum that is wrong throws
      if (queueOffset !== index) problems.push(`${queue}: message ${index} has queueOffset ${queueOffset}`)
    })
    records.get(queue)?.forEach((record, index) => {
      if (now[index] === undefined) problems.push(`${queue}: the record at ${index} is gone`)
      else if (!now[index].equals(record)) problems.push(`${queue}: the record at ${index} has other bytes`)
    })
  }
  return problems
}

function sentProblems(queues: ReadonlyMap<string, Buffer[]>, { sent }: Ledger): string[] {
  const problems: string[] = []
  for (const message of sent) {
    const record = queues.get(`${message.topic}/${message.queueId}`)?.[message.queueOffset]
    const [stored] = record === undefined ? [] : decodeMessages(record)
    const where = `${message.topic}/${message.queueId}/${message.queueOffset}`
    if (stored === undefined) problems.push(`${where}: acknowledged, and gone`)
    else if (!isSame(stored, message)) problems.push(`${where}: another message than was acknowledged`)
  }
  return problems
}

function isSame({ body, properties }: StoredMessage, { body: sentBody, keys, tags, msgId }: Sent): boolean {
  return (
    body.equals(sentBody) &&
    (properties.get('TAGS') ?? '') === (tags ?? '') &&
    (properties.get('KEYS') ?? '') === keys.join(' ') &&
    properties.get('UNIQ_KEY') === msgId
  )
}

/** Each delayed message is delivered once; where a kill came between delivery and writing that down, at least once. */
async function delayedProblems(stage: Stage, ledger: Ledger): Promise<string[]> {
  const lateMs = 15_000
  const open = new Set(ledger.delayed)
  const problems: string[] = []
  for (;;) {
    const counts = await deliveries(stage, ledger)
    for (const message of open) {
      const count = counts.get(message.body.toString('latin1')) ?? 0
      const isLate = Date.now() > Math.max(message.dueAt, stage.startedAt) + lateMs
      if (count === 0 && !isLate) continue
      open.delete(message)
      const mayBeTwice = message.dueAt < ledger.killedAt
      if (count === 0) problems.push(`${message.topic}: a delayed message was not delivered`)
      else if (count > 1 && !mayBeTwice) problems.push(`${message.topic}: a delayed message came ${count} times`)
    }
    if (open.size === 0) return problems
    await stage.pause(200)
  }
}

async function deliveries(stage: Stage, ledger: Ledger): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const topic of new Set(ledger.delayed.map(({ topic: name }) => name))) {
    for (const queueId of [0, 1]) {
      const records = await readRecords(stage.remoting, stage.brokerAddr, topic, queueId).catch(() => [])
      for (const { body } of records.flatMap((record) => decodeMessages(record))) {
        const text = body.toString('latin1')
        counts.set(text, (counts.get(text) ?? 0) + 1)
      }
    }
  }
  return counts
}

/**
 * Messages are found by key, by unique key and by the broker's id of them. After a crash Apache's broker removes the index
 * file that was not full and makes it again from where it reads the log: keys before that are lost, its own too.
 */
async function lookupProblems(stage: Stage, { sent, lastSegmentAtKill }: Ledger): Promise<string[]> {
  const problems: string[] = []
  const keysFrom = stage.peer === apachePeer ? lastSegmentAtKill : 0
  const stride = Math.ceil(sent.length / lookupCountMax)
  for (let at = 0; at < sent.length; at += stride) {
    const message = sent[at]!
    const phyOffset = message.offsetMsgId === undefined ? 0 : parseOffsetMsgId(message.offsetMsgId).phyOffset
    const where = `${message.topic}/${message.queueId}/${message.queueOffset}`
    const names: [string, boolean][] = [
      [message.msgId, true],
      ...message.keys.map((key): [string, boolean] => [key, false]),
    ]
    for (const [key, isUniqueKey] of phyOffset < keysFrom ? [] : names) {
      const found = await byKey(stage, message.topic, key, isUniqueKey)
      if (!found.some(({ queueId, queueOffset }) => queueId === message.queueId && queueOffset === message.queueOffset))
        problems.push(`${where}: not found by its ${isUniqueKey ? 'unique key' : 'key'} ${key}`)
    }
    if (message.offsetMsgId === undefined) continue
    const extFields = viewMessageRequest.encode({ phyOffset, topic: message.topic })
    const answer = await stage.remoting.call(
      stage.brokerAddr,
      { code: RequestCode.VIEW_MESSAGE_BY_ID, extFields },
      5_000,
    )
    const [viewed] = answer.code === ResponseCode.SUCCESS ? decodeMessages(Buffer.from(answer.body)) : []
    if (viewed === undefined || !isSame(viewed, message)) problems.push(`${where}: not found by its offsetMsgId`)
  }
  return problems
}

async function byKey(stage: Stage, topic: string, key: string, isUniqueKey: boolean): Promise<StoredMessage[]> {
  const extFields = queryMessageRequest.encode({
    topic,
    key,
    maxNum: 32,
    beginTimestamp: 0n,
    endTimestamp: 2n ** 63n - 1n,
    indexType: undefined,
    lastKey: undefined,
    isUniqueKey,
  })
  const answer = await stage.remoting.call(stage.brokerAddr, { code: RequestCode.QUERY_MESSAGE, extFields }, 5_000)
  return answer.code === ResponseCode.SUCCESS ? decodeMessages(Buffer.from(answer.body)) : []
}

const lookupCountMax = 120
