import { isOperatingError, messageOf } from '../../src/base/errors.ts'
import { decompress } from '../../src/client/compression.ts'
import { Admin } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import { pullMessageResponse } from '../../src/remoting/headers/pull-message.ts'
import { decodeMessages } from '../../src/remoting/message/index.ts'
import { pullFields } from '../../src/remoting/testing/requests.ts'
import { brokerPort, namesrvAddr } from './cluster.ts'
import { type History, topic } from './history.ts'
import type { SimProcess, World } from './world.ts'

/** Where the master has each message, in its queues' order: one entry for each time that it is stored. */
export type Stored = ReadonlyMap<string, { queueId: number; queueOffset: number }[]>

const pullTimeoutMs = 3_000
const retryMs = 200

/** Reads every queue of the master from its first message to its last; what does not fit together is a problem. */
export async function audit(world: World, process: SimProcess, queues: number, history: History): Promise<Stored> {
  const { clock } = process.doors
  const client = new RemotingClient({}, process.doors)
  const stored = new Map<string, { queueId: number; queueOffset: number }[]>()
  const pull = async (queueId: number, queueOffset: number) => {
    const extFields = pullFields({ consumerGroup: 'auditors', topic, queueId, queueOffset })
    for (;;) {
      try {
        return await client.call(`master:${brokerPort}`, { code: RequestCode.PULL_MESSAGE, extFields }, pullTimeoutMs)
      } catch (error) {
        if (!isOperatingError(error)) throw error
        await clock.sleep(retryMs)
      }
    }
  }
  await auditTopic(world, process, queues)
  for (let queueId = 0; queueId < queues; queueId++) {
    let next = 0
    for (;;) {
      const answer = await pull(queueId, next)
      const { maxOffset, minOffset } = pullMessageResponse.decode(answer.extFields)
      if (minOffset !== 0) world.problem(`queue ${queueId} begins at ${minOffset}, though nothing was removed`)
      if (answer.code !== ResponseCode.SUCCESS) {
        if (maxOffset !== next)
          world.problem(`queue ${queueId} ends at ${next} with code ${answer.code}, not at ${maxOffset}`)
        break
      }
      for (const message of decodeMessages(answer.body)) {
        const place = `${queueId}:${message.queueOffset}`
        if (message.queueOffset !== next)
          world.problem(`queue ${queueId} has ${message.queueOffset} where ${next} must be`)
        next = message.queueOffset + 1
        const sent = history.recognize(decompress(message.body, message.sysFlag), message.properties)
        if (typeof sent === 'string') world.problem(`the master has at ${place} ${sent}`)
        else {
          const places = stored.get(sent.key) ?? []
          places.push({ queueId, queueOffset: message.queueOffset })
          stored.set(sent.key, places)
        }
      }
    }
  }
  await client.close()
  return stored
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
