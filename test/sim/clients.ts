import { isOperatingError, OperatingError } from '../../src/base/errors.ts'
import { Admin, Producer, PushConsumer } from '../../src/client/index.ts'
import { brokerPort, namesrvAddr, type Program, Unit } from './cluster.ts'
import { SeededRandom } from './doors/random.ts'
import { bodyOf, type History, paddingOf, type Sent, topic } from './history.ts'
import type { Scenario } from './scenario.ts'
import { startTransactions } from './transaction-clients.ts'
import type { SimProcess, World } from './world.ts'

const batchCountMax = 6
const createTopicRetryMs = 500

/** Makes the topic, however often it has to be tried. */
export function adminUnit(world: World, { queues }: Scenario, done: () => void): Unit {
  const start = async ({ doors }: SimProcess): Promise<Program> => {
    const admin = new Admin({ namesrvAddr }, doors)
    for (;;) {
      try {
        await admin.createTopic(`master:${brokerPort}`, {
          topicName: topic,
          readQueueNums: queues,
          writeQueueNums: queues,
        })
        break
      } catch (error) {
        if (!isOperatingError(error)) throw error
        await doors.clock.sleep(createTopicRetryMs)
      }
    }
    await admin.close()
    done()
    return {}
  }
  return new Unit(world, 'admin', start, () => 1_000)
}

/** Sends messages, also of transactions, as long as it is told to. */
export function producerUnit(
  world: World,
  scenario: Scenario,
  history: History,
  isSending: () => boolean,
  restartMs: () => number,
): Unit {
  const start = async (process: SimProcess): Promise<Program> => {
    const { doors } = process
    const random = SeededRandom.of(world.seed, `producer after ${history.sent.size}`)
    const producer = new Producer(
      {
        namesrvAddr,
        producerGroup: 'producers',
        sendTimeoutMs: random.one([1_000, 3_000, 8_000]),
        compressBytesMin: random.one([4_096, Number.POSITIVE_INFINITY]),
      },
      doors,
    )
    const send = async (batch: readonly Sent[]) => {
      try {
        const messages = batch.map((sent) => ({
          topic,
          body: bodyOf(sent),
          properties: { key: sent.key, ...(sent.paddingBytes > 0 && { padding: paddingOf(sent) }) },
          waitsForFlush: sent.waitsForFlush,
        }))
        const one = messages[0]!
        const result = await (messages.length === 1 ? producer.send(one) : producer.sendBatch(messages))
        const { status, queue, queueOffset } = result
        const { queueId } = queue
        const phyOffset = 'offsetMsgId' in result ? Number(`0x${result.offsetMsgId.slice(-16)}`) : undefined
        world.trace.add(process.name, `acked ${batch.map(({ key }) => key)} ${status} at ${queueId}:${queueOffset}`)
        batch.forEach((sent, at) => {
          history.acked(sent, { atMs: world.timeline.nowMs, status, queueId, queueOffset: queueOffset + at, phyOffset })
        })
      } catch (error) {
        if (!isOperatingError(error)) throw error
        world.trace.add(process.name, `not acked ${batch.map(({ key }) => key)} ${error.code}`)
      }
    }
    const loop = async () => {
      while (isSending()) {
        const waitsForFlush = random.is(0.95)
        const count = random.is(0.1) ? 1 + random.int(batchCountMax) : 1
        const batch = Array.from({ length: count }, () => {
          const paddingBytes = random.is(0.1) ? 4_000 + random.int(6_000) : 0
          const bodyBytes = Math.ceil(random.scaled(1, random.is(0.1) ? 15_000 : 400))
          return history.send({ bodyBytes, paddingBytes, waitsForFlush, atMs: world.timeline.nowMs })
        })
        await send(batch)
        await doors.clock.sleep(random.scaled(1, 800))
      }
    }
    for (let at = 0; at < scenario.senders; at++) void loop()
    if (scenario.transactors > 0) startTransactions(world, process, scenario, history, isSending)
    return {}
  }
  return new Unit(world, 'producer', start, restartMs)
}

/** Consumes everything from its beginning, in a group of its own. */
export function lateReaderUnit(world: World, history: History, seen: Set<string>): Unit {
  const start = async ({ doors }: SimProcess): Promise<Program> => {
    const consumer = new PushConsumer(
      {
        namesrvAddr,
        consumerGroup: 'late-readers',
        subscriptions: { [topic]: '*' },
        consumeFrom: 'first',
        onMessage({ body, properties }) {
          const sent = history.recognize(body, properties)
          if (typeof sent === 'string') world.problem(`the late reader got ${sent}`)
          else seen.add(sent.key)
        },
      },
      doors,
    )
    await consumer.start()
    return { stop: () => consumer.close() }
  }
  return new Unit(world, 'late-reader', start, () => 1_000)
}

/** Consumes as a member of the one group. */
export function consumerUnit(
  world: World,
  { failuresPerMille }: Scenario,
  number: number,
  history: History,
  restartMs: () => number,
): Unit {
  const name = `consumer-${number}`
  const start = async (process: SimProcess): Promise<Program> => {
    const { doors } = process
    const random = SeededRandom.of(world.seed, `${name} after ${history.consumed.size}`)
    const consumer = new PushConsumer(
      {
        namesrvAddr,
        consumerGroup: 'consumers',
        subscriptions: { [topic]: '*' },
        consumeFrom: 'first',
        async onMessage({ body, properties, queue, queueOffset, reconsumeTimes }) {
          if (random.is(0.2)) await doors.clock.sleep(random.scaled(1, 4_000))
          if (reconsumeTimes === 0 && random.int(1_000) < failuresPerMille) {
            throw new OperatingError('DEADLINE_EXCEEDED', { why: 'a failure on purpose' })
          }
          const sent = history.recognize(body, properties)
          if (typeof sent === 'string') return world.problem(`${name} got ${sent}`)
          world.trace.add(name, `consumed ${sent.key} of ${queue.queueId}:${queueOffset}`)
          history.consumed.set(sent.key, (history.consumed.get(sent.key) ?? 0) + 1)
          if (queue.topic !== topic) return
          history.consumedTo.set(queue.queueId, Math.max(queueOffset, history.consumedTo.get(queue.queueId) ?? -1))
        },
      },
      doors,
    )
    await consumer.start()
    return { stop: () => consumer.close() }
  }
  return new Unit(world, name, start, restartMs)
}
