import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compress } from '../../../src/client/compression.ts'
import type { Message, MessageQueue } from '../../../src/client/index.ts'
import { RequestCode } from '../../../src/remoting/codes.ts'
import { updateConsumerOffsetRequest } from '../../../src/remoting/headers/consumer-offset.ts'
import { consumerSendMsgBackRequest } from '../../../src/remoting/headers/consumer-send-msg-back.ts'
import { readJson } from '../../../src/remoting/json.ts'
import { parseOffsetMsgId } from '../../../src/remoting/message/index.ts'
import type { Ledger, Sent } from './ledger.ts'
import type { Stage } from './stage.ts'

const plain = 'ExchangePlain'
const ordered = 'ExchangeOrdered'
const again = 'ExchangeAgain'
const delayed = 'ExchangeDelayed'
export const loadTopic = 'ExchangeLoad'
const consumerGroups = ['exchange-a', 'exchange-b'] as const
const delayMs = new Map([
  [1, 1_000],
  [3, 10_000],
])
const persistTimeoutMs = 20_000
const routeTimeoutMs = 30_000
const loadTimeoutMs = 60_000
const writerCount = 8

/**
 * One broker's turn: topics and groups with settings of their own, and messages of every kind, kept in the ledger.
 * @param turn from 0; later turns send more to the same queues
 */
export async function work(stage: Stage, ledger: Ledger, turn: number): Promise<void> {
  const { admin, brokerAddr } = stage
  if (turn === 0) await createTopics(stage)
  await routed(stage, [plain, ordered, delayed, loadTopic])
  await admin.createTopic(brokerAddr, {
    topicName: `ExchangeTurn${turn}`,
    readQueueNums: 2,
    writeQueueNums: 1,
    perm: 4,
  })
  await admin.createSubscriptionGroup(brokerAddr, {
    groupName: `exchange-turn-${turn}`,
    consumeBroadcastEnable: false,
    consumeMessageOrderly: true,
    retryQueueNums: 2,
    retryMaxTimes: 5 + turn,
    consumeTimeoutMinute: 7,
    groupRetryPolicy: { type: 'EXPONENTIAL', exponentialRetryPolicy: { initial: 3_000, max: 60_000, multiplier: 3 } },
  })
  for (let number = 0; number < 200; number++) {
    const key = `key-${turn}-${number}`
    await send(stage, ledger, {
      topic: plain,
      body: `plain ${turn} ${number}`,
      tags: number % 3 === 0 ? 'odd-one' : 'tag',
      keys: number % 2 === 0 ? [key] : [key, `second-${turn}-${number}`],
      properties: { number: String(number), text: 'grüß Gott' },
    })
  }
  for (let number = 0; number < 20; number++) {
    const pick = (queues: readonly MessageQueue[]) => queues[number % 2]!
    await send(stage, ledger, { topic: ordered, body: `ordered ${turn} ${number}` }, pick)
  }
  await sendBatch(stage, ledger, turn)
  // compressed by the client; then one megabyte that cannot be: segments of 4 MiB end within one of these
  await send(stage, ledger, { topic: plain, body: `compressed ${turn} `.repeat(10_000), keys: [`compressed-${turn}`] })
  for (let number = 0; number < 6; number++) {
    await send(stage, ledger, { topic: plain, body: randomBytes(1 << 20), keys: [`large-${turn}-${number}`] })
  }
  await topicMadeTwice(stage, ledger, turn)
  await sendDelayed(stage, ledger, turn, 1)
  await sendBack(stage, ledger, turn)
  await commitOffsets(stage, ledger, turn)
}

async function createTopics({ admin, brokerAddr }: Stage): Promise<void> {
  await admin.createTopic(brokerAddr, { topicName: plain, readQueueNums: 4, writeQueueNums: 4 })
  await admin.createTopic(brokerAddr, {
    topicName: ordered,
    readQueueNums: 3,
    writeQueueNums: 2,
    order: true,
    attributes: { '+message.type': 'FIFO' },
  })
  await admin.createTopic(brokerAddr, { topicName: delayed, readQueueNums: 2, writeQueueNums: 2 })
  await admin.createTopic(brokerAddr, { topicName: loadTopic, readQueueNums: 4, writeQueueNums: 4 })
  for (const groupName of consumerGroups) await admin.createSubscriptionGroup(brokerAddr, { groupName })
}

/** Apache's broker tells its NameServers of topics and of itself when it has answered already. */
async function routed({ admin, pause }: Stage, topics: readonly string[]): Promise<void> {
  const until = Date.now() + routeTimeoutMs
  for (const topic of topics) {
    while (
      !(await admin.topicRoute(topic).then(
        () => true,
        () => false,
      ))
    ) {
      if (Date.now() > until) throw new Error(`no route of ${topic} within ${routeTimeoutMs} ms`)
      await pause(50)
    }
  }
}

type Target = Parameters<Stage['producer']['send']>[1]

async function send(
  { producer }: Pick<Stage, 'producer'>,
  ledger: Ledger,
  message: Message,
  pick?: Target,
): Promise<Sent> {
  const { status, queue, queueOffset, msgId, offsetMsgId } = await producer.send(message, pick)
  if (status !== 'SEND_OK') throw new Error(`a send to ${message.topic} was answered ${status}`)
  const body = Buffer.from(message.body as Buffer)
  const sent = {
    topic: message.topic,
    queueId: queue.queueId,
    queueOffset,
    body: body.length < 4_096 ? body : compress(body).body,
    tags: message.tags,
    keys: message.keys ?? [],
    msgId,
    offsetMsgId,
  }
  ledger.sent.push(sent)
  return sent
}

async function sendBatch({ producer }: Stage, ledger: Ledger, turn: number): Promise<void> {
  const messages = Array.from({ length: 30 }, (_, number) => ({
    topic: plain,
    body: `batch ${turn} ${number}`,
    tags: 'batch',
    keys: [`batch-${turn}-${number}`],
  }))
  const { status, msgIds, queue, queueOffset } = await producer.sendBatch(messages)
  if (status !== 'SEND_OK') throw new Error(`a batch was answered ${status}`)
  messages.forEach(({ topic, body, tags, keys }, index) => {
    const msgId = msgIds[index]!
    const place = { topic, queueId: queue.queueId, queueOffset: queueOffset + index }
    ledger.sent.push({ ...place, body: Buffer.from(body), tags, keys, msgId })
  })
}

/** Its queue begins at 0 again, while the log still holds the first topic's messages. */
async function topicMadeTwice(stage: Stage, ledger: Ledger, turn: number): Promise<void> {
  if (turn > 0) return
  const { admin, brokerAddr } = stage
  const config = { topicName: again, readQueueNums: 1, writeQueueNums: 1 }
  await admin.createTopic(brokerAddr, config)
  await routed(stage, [again])
  const first = new Set<Sent>()
  for (let number = 0; number < 10; number++)
    first.add(await send(stage, ledger, { topic: again, body: `first ${number}` }))
  await admin.deleteTopic(brokerAddr, again)
  ledger.sent.splice(0, ledger.sent.length, ...ledger.sent.filter((sent) => !first.has(sent)))
  await admin.createTopic(brokerAddr, config)
  for (let number = 0; number < 5; number++) await send(stage, ledger, { topic: again, body: `second ${number}` })
}

/** Messages that the broker holds back; at the end of a turn the longer ones are still held. */
export async function sendDelayed(
  { producer }: Stage,
  ledger: Ledger,
  turn: number,
  delayLevel: number,
): Promise<void> {
  for (let number = 0; number < 6; number++) {
    const body = Buffer.from(`delayed ${turn} ${delayLevel} ${number}`)
    const { status } = await producer.send({ topic: delayed, body, delayLevel, tags: 'late' })
    if (status !== 'SEND_OK') throw new Error(`a delayed send was answered ${status}`)
    ledger.delayed.push({ topic: delayed, body, dueAt: Date.now() + delayMs.get(delayLevel)! })
  }
}

/** A consumer gives one message back: it comes again in the group's retry topic. */
async function sendBack(stage: Stage, ledger: Ledger, turn: number): Promise<void> {
  const group = consumerGroups[0]
  const { offsetMsgId, msgId, body } = await send(stage, ledger, { topic: plain, body: `given back ${turn}` })
  const extFields = consumerSendMsgBackRequest.encode({
    phyOffset: parseOffsetMsgId(offsetMsgId!).phyOffset,
    group,
    delayLevel: 1,
    originMsgId: msgId,
    originTopic: plain,
    maxReconsumeTimes: 16,
  })
  await stage.remoting.call(stage.brokerAddr, { code: RequestCode.CONSUMER_SEND_MSG_BACK, extFields }, 5_000)
  ledger.delayed.push({ topic: `%RETRY%${group}`, body, dueAt: Date.now() + delayMs.get(1)! })
}

/** Two groups say how far they are; returns when that is on disk, since a kill may follow. */
async function commitOffsets(stage: Stage, ledger: Ledger, turn: number): Promise<void> {
  ledger.consumerOffsets.length = 0
  for (const [index, consumerGroup] of consumerGroups.entries()) {
    for (const topic of [plain, ordered]) {
      for (const queueId of [0, 1]) {
        const consumerOffset = 3 + turn * 4 + index + queueId
        const extFields = updateConsumerOffsetRequest.encode({
          consumerGroup,
          topic,
          queueId,
          commitOffset: consumerOffset,
        })
        await stage.remoting.call(stage.brokerAddr, { code: RequestCode.UPDATE_CONSUMER_OFFSET, extFields }, 5_000)
        ledger.consumerOffsets.push({ consumerGroup, topic, queueId, consumerOffset })
      }
    }
  }
  const file = join(stage.store, 'config/consumerOffset.json')
  const isSaved = () => {
    if (!existsSync(file)) return false
    const text = readFileSync(file, 'utf8')
    if (!text.trimEnd().endsWith('}')) return false // Apache's broker writes it in place
    const { offsetTable } = readJson(text) as { offsetTable: Record<string, Record<string, number>> }
    return ledger.consumerOffsets.every(({ consumerGroup, topic, queueId, consumerOffset }) => {
      return offsetTable[`${topic}@${consumerGroup}`]?.[queueId] === consumerOffset
    })
  }
  for (const until = Date.now() + persistTimeoutMs; !isSaved(); await stage.pause(100)) {
    if (Date.now() > until) throw new Error(`consumer offsets were not saved within ${persistTimeoutMs} ms`)
  }
}

/** Writers that send until the broker is gone. @returns when countMin sends were acknowledged, and how to await the writers' end */
export async function underLoad(
  stage: Stage,
  ledger: Ledger,
  turn: number,
  countMin: number,
): Promise<{ over: () => Promise<void> }> {
  let count = 0
  let isOver = false
  const producer = stage.newProducer({ sendTimeoutMs: 1_500, retryCountMax: 0 }) // nobody waits long for a broker that is gone
  const write = async (writer: number) => {
    for (let number = 0; !isOver; number++) {
      const body = `load ${turn} ${writer} ${number} `.repeat(1 + (number % 50))
      const message = { topic: loadTopic, body, keys: [`load-${turn}-${writer}-${number}`] }
      await send({ producer }, ledger, message).then(
        () => count++,
        () => stage.pause(20),
      )
    }
  }
  const writers = Array.from({ length: writerCount }, (_, writer) => write(writer))
  const until = Date.now() + loadTimeoutMs
  while (count < countMin) {
    if (Date.now() > until) throw new Error(`${count} of ${countMin} acknowledged within ${loadTimeoutMs} ms`)
    await stage.pause(10)
  }
  return {
    over: async () => {
      isOver = true
      await Promise.all(writers)
      await producer.close()
    },
  }
}
