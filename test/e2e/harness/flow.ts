import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../../src/base/log.ts'
import { nodeDoors } from '../../../src/base/node/index.ts'
import { Producer, PushConsumer } from '../../../src/client/index.ts'

const pauseMs = 20
const retryMs = 200
const settleMs = 60_000
const routeRefreshMs = 2000

export interface FlowOptions {
  namesrv: string
  topic: string
  group: string
  prefix: string
}

/** What became of a producer's messages, up to when it was asked. */
export interface FlowReport {
  acked: number
  /** Acknowledged, and not received within a minute. */
  missing: number
  someMissing: string
  /** Received more than once. */
  repeated: number
  /** Sends that failed since it was last asked; each was tried again. */
  refusals: number
  lastRefusal: string
  /** The longest that a message took until it was acknowledged, since it was last asked. */
  longestMs: number
}

/** A producer that sends all the time, and a consumer of what it sends. */
export interface Flow {
  /** Waits until everything that is acknowledged by now was received. */
  settle(): Promise<FlowReport>
  stop(): Promise<void>
}
export type OpenFlow = (options: FlowOptions) => Promise<Flow>

/** With our own client, in this process. */
export const ownFlow: OpenFlow = async ({ namesrv, topic, group, prefix }) => {
  const received = new Set<string>()
  let repeated = 0
  const common = { namesrvAddr: namesrv, routeRefreshMs }
  const doors = nodeDoors(silentLog) // connections break all the time here: what counts is in the report
  const consumer = new PushConsumer(
    {
      ...common,
      consumerGroup: group,
      subscriptions: { [topic]: '*' },
      consumeFrom: 'first',
      onMessage({ body }) {
        const text = body.toString()
        if (received.has(text)) repeated++
        else if (text.startsWith(prefix)) received.add(text)
      },
    },
    doors,
  )
  await consumer.start()
  const producer = new Producer({ ...common, producerGroup: 'flow', mayCreateTopics: false }, doors)
  let [acked, refusals, longestMs, lastRefusal] = [0, 0, 0, '']
  let isOver = false
  async function sendAll(): Promise<void> {
    while (!isOver) {
      const began = performance.now()
      for (let isAcked = false; !isAcked && !isOver; ) {
        try {
          const { status } = await producer.send({ topic, body: `${prefix}${acked}` })
          isAcked = status === 'SEND_OK'
          if (!isAcked) lastRefusal = status
        } catch (error) {
          lastRefusal = String(error)
        }
        if (isAcked) acked++
        else refusals++
        longestMs = Math.max(longestMs, performance.now() - began)
        await sleep(isAcked ? pauseMs : retryMs)
      }
    }
  }
  const sending = sendAll()
  return {
    async settle() {
      const until = performance.now() + settleMs
      const wanted = acked
      const missing = () =>
        Array.from({ length: wanted }, (_, i) => `${prefix}${i}`).filter((one) => !received.has(one))
      while (missing().length > 0 && performance.now() < until) await sleep(50)
      const left = missing()
      const report = { acked: wanted, missing: left.length, someMissing: left.slice(0, 5).join(' '), repeated }
      const since = { refusals, lastRefusal, longestMs: Math.round(longestMs) }
      ;[refusals, longestMs, lastRefusal] = [0, 0, '']
      return { ...report, ...since }
    },
    async stop() {
      isOver = true
      await sending
      await Promise.all([producer.close(), consumer.close()])
    },
  }
}
