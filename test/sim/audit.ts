import { isOperatingError, messageOf } from '../../src/base/errors.ts'
import { decompress } from '../../src/client/compression.ts'
import { Admin } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import { pullMessageResponse } from '../../src/remoting/headers/pull-message.ts'
import { decodeMessages, type StoredMessage } from '../../src/remoting/message/index.ts'
import { pullFields } from '../../src/remoting/testing/requests.ts'
import { TopicName } from '../../src/runtime-broker/broker/names.ts'
import { brokerPort, namesrvAddr } from './cluster.ts'
import { type History, topic } from './history.ts'
import type { SimProcess, World } from './world.ts'

/** Where the master has each message, in its queues' order: one entry for each time that it is stored. */
export type Stored = ReadonlyMap<string, { queueId: number; queueOffset: number }[]>

export interface Audit {
  /** What lies in the topic. */
  stored: Stored
  /** Messages of transactions that never ended. */
  givenUp: ReadonlySet<string>
}

const pullTimeoutMs = 3_000
const retryMs = 200

/** Reads every queue of the master from its first message to its last; what does not fit together is a problem. */
export async function audit(world: World, process: SimProcess, queues: number, history: History): Promise<Audit> {
  await auditTopic(world, process, queues)
  const client = new RemotingClient({}, process.doors)
  const stored = new Map<string, { queueId: number; queueOffset: number }[]>()
  for (let queueId = 0; queueId < queues; queueId++) {
    for await (const message of messagesOf(world, process, client, { topic, queueId })) {
      const { queueOffset } = message
      const sent = history.recognize(decompress(message.body, message.sysFlag), message.properties)
      if (typeof sent === 'string') {
        world.problem(`the master has at ${queueId}:${queueOffset} ${sent}`)
        continue
      }
      const places = stored.get(sent.key) ?? []
      places.push({ queueId, queueOffset })
      stored.set(sent.key, places)
    }
  }
  const givenUp = new Set<string>()
  for await (const message of messagesOf(world, process, client, {
    topic: TopicName.TRANS_CHECK_MAX_TIME,
    queueId: 0,
  })) {
    const sent = history.identify(decompress(message.body, message.sysFlag), message.properties)
    if (typeof sent === 'string') world.problem(`the master gave up ${sent}`)
    else givenUp.add(sent.key)
  }
  await client.close()
  return { stored, givenUp }
}

/** All of a queue, in order and without a gap. */
async function* messagesOf(
  world: World,
  { doors: { clock } }: SimProcess,
  client: RemotingClient,
  queue: { topic: string; queueId: number },
): AsyncGenerator<StoredMessage> {
  const name = `queue ${queue.queueId} of ${queue.topic}`
  const pull = async (queueOffset: number) => {
    const extFields = pullFields({ consumerGroup: 'auditors', ...queue, queueOffset })
    for (;;) {
      try {
        return await client.call(`master:${brokerPort}`, { code: RequestCode.PULL_MESSAGE, extFields }, pullTimeoutMs)
      } catch (error) {
        if (!isOperatingError(error)) throw error
        await clock.sleep(retryMs)
      }
    }
  }
  for (let next = 0; ; ) {
    const answer = await pull(next)
    if (answer.code === ResponseCode.TOPIC_NOT_EXIST) return
    const { maxOffset, minOffset } = pullMessageResponse.decode(answer.extFields)
    if (minOffset !== 0) world.problem(`${name} begins at ${minOffset}, though nothing was removed`)
    if (answer.code !== ResponseCode.SUCCESS) {
      if (maxOffset !== next) world.problem(`${name} ends at ${next} with code ${answer.code}, not at ${maxOffset}`)
      return
    }
    for (const message of decodeMessages(answer.body)) {
      if (message.queueOffset !== next) world.problem(`${name} has ${message.queueOffset} where ${next} must be`)
      next = message.queueOffset + 1
      yield message
    }
  }
}

/** A topic whose creation was answered is there as it was made, whatever came between. */
async function auditTopic(world: World, { doors }: SimProcess, queues: number): Promise<void> {
  const admin = new Admin({ namesrvAddr }, doors)
  try {
    const { readQueueNums, writeQueueNums } = await admin.topicConfig(`master:${brokerPort}`, topic)
    if (readQueueNums === queues && writeQueueNums === queues) return
    world.problem(`the topic has ${readQueueNums} and ${writeQueueNums} queues, not ${queues} as it was made`)
  } catch (error) {
    world.problem(`the topic is not there: ${messageOf(error)}`)
  } finally {
    await admin.close()
  }
}
