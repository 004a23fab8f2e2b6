import type { Doors } from '../base/doors.ts'
import { isOperatingError, messageOf, OperatingError } from '../base/errors.ts'
import { type Message, type MessageQueue, Producer, PushConsumer } from '../client/index.ts'

const pollMs = 250
const routeRefreshMs = 1_000 // brokers and the topic may have just been made
const closeGraceMs = 1_000

export interface SelfTestOptions {
  namesrvAddr: string
  topic: string
  consumerGroup: string
  /** Broker groups that must have the topic; more are welcome. */
  brokerCountMin: number
  messagesPerQueue: number
  timeoutMs: number
}

export interface SelfTestResult {
  brokers: readonly string[]
  queueCount: number
  messageCount: number
}

/**
 * Sends messages to every queue of a topic and consumes them again. Topic, group and brokers may still be coming into
 * being: whatever fails is tried again until the time is up. Messages of others on the topic do no harm.
 * @param tell is told each step that is done
 * @throws OperatingError DEADLINE_EXCEEDED: which step, and what it last failed with; the signal's reason when aborted
 */
export async function selfTest(
  options: SelfTestOptions,
  doors: Doors,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<SelfTestResult> {
  const { namesrvAddr, topic, consumerGroup, brokerCountMin, messagesPerQueue, timeoutMs } = options
  const { clock } = doors
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const run = doors.random.uuid()
  const awaited = new Set<string>()
  const producer = new Producer(
    { namesrvAddr, producerGroup: 'selftest', routeRefreshMs, mayCreateTopics: false },
    doors,
  )
  const consumer = new PushConsumer(
    {
      namesrvAddr,
      consumerGroup,
      subscriptions: { [topic]: '*' },
      consumeFrom: 'first',
      routeRefreshMs,
      closeGraceMs,
      onMessage: ({ body }) => void awaited.delete(body.toString()),
    },
    doors,
  )

  /** Tries until attempt returns something. */
  async function eventually<T>(what: string, attempt: () => Promise<T | undefined>, why = () => ''): Promise<T> {
    for (let lastly = ''; ; ) {
      try {
        const result = await attempt()
        if (result !== undefined) return result
        lastly = why()
      } catch (error) {
        if (!isOperatingError(error)) throw error
        lastly = messageOf(error)
      }
      if (clock.monotonicMs() > deadlineMs) throw new OperatingError('DEADLINE_EXCEEDED', { what, timeoutMs, lastly })
      await clock.sleep(pollMs, signal)
    }
  }

  let brokers: string[] = []
  async function findQueues(): Promise<readonly MessageQueue[] | undefined> {
    const queues = await producer.writeQueues(topic)
    brokers = brokersOf(queues)
    return brokers.length >= brokerCountMin ? queues : undefined
  }

  async function send(queue: MessageQueue, number: number): Promise<void> {
    const message: Message = { topic, body: `${run} ${queue.brokerName} ${queue.queueId} ${number}` }
    await eventually(`a message for queue ${queue.queueId} of ${queue.brokerName}`, () => producer.send(message, queue))
    awaited.add(message.body as string)
  }

  try {
    const queues = await eventually(
      `topic ${topic} on ${brokerCountMin} brokers`,
      findQueues,
      () => `brokers that take messages for it: ${brokers.join(', ') || 'none'}`,
    )
    tell(`topic ${topic} has ${queues.length} queues on ${brokers.join(', ')}`)
    for (const queue of queues) for (let number = 0; number < messagesPerQueue; number++) await send(queue, number)
    const messageCount = awaited.size
    tell(`sent ${messageCount} messages, ${messagesPerQueue} to each queue`)
    await consumer.start()
    await eventually(
      'the messages sent',
      async () => awaited.size === 0 || undefined,
      () => `${messageCount - awaited.size} of ${messageCount} came, one that did not: ${[...awaited][0]}`,
    )
    tell(`consumed them as ${consumerGroup}`)
    return { brokers, queueCount: queues.length, messageCount }
  } finally {
    await Promise.allSettled([consumer.close(), producer.close()])
  }
}

function brokersOf(queues: readonly MessageQueue[]): string[] {
  return [...new Set(queues.map(({ brokerName }) => brokerName))]
}
