import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../../src/base/log.ts'
import { nodeDoors } from '../../../src/base/node/index.ts'
import { Producer, PushConsumer } from '../../../src/client/index.ts'
import { ownFlow } from './flow.ts'
import type { ReceiveOptions, SendOptions, Talker } from './talk.ts'

const presetSeconds = 120
const retryMs = 200
const pollMs = 50
const routeRefreshMs = 2000

/** What Apache's Java client does on a real Kubernetes, with our own client and in this process. */
export const ownTalk: Talker = {
  async send({ namesrv, topic, prefix, count, seconds = presetSeconds }: SendOptions) {
    const until = performance.now() + seconds * 1000
    const options = { namesrvAddr: namesrv, routeRefreshMs, producerGroup: 'talk', mayCreateTopics: false }
    const producer = new Producer(options, nodeDoors(silentLog))
    const perBroker: Record<string, number> = {}
    const queues = new Set<string>()
    let [acked, refusals, lastRefusal] = [0, 0, '']
    try {
      while (acked < count && performance.now() < until) {
        try {
          const { status, queue } = await producer.send({ topic, body: `${prefix}${acked}` })
          if (status !== 'SEND_OK') throw new Error(status)
          acked++
          perBroker[queue.brokerName] = (perBroker[queue.brokerName] ?? 0) + 1
          queues.add(`${queue.brokerName}/${queue.queueId}`)
        } catch (error) {
          refusals++
          lastRefusal = String(error)
          await sleep(retryMs)
        }
      }
    } finally {
      await producer.close()
    }
    if (acked < count) throw new Error(`${acked} of ${count} messages were acknowledged: ${lastRefusal}`)
    return { acked, refusals, queues: queues.size, perBroker, lastRefusal }
  },

  async receive({ namesrv, topic, group, expect, seconds = presetSeconds }: ReceiveOptions) {
    const until = performance.now() + seconds * 1000
    const missing = new Set(
      Object.entries(expect).flatMap(([prefix, count]) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)),
    )
    const expected = missing.size
    const seen = new Set<string>()
    let repeated = 0
    const consumer = new PushConsumer(
      {
        namesrvAddr: namesrv,
        routeRefreshMs,
        consumerGroup: group,
        subscriptions: { [topic]: '*' },
        consumeFrom: 'first',
        onMessage({ body }) {
          const text = body.toString()
          if (missing.delete(text)) seen.add(text)
          else if (seen.has(text)) repeated++
        },
      },
      nodeDoors(silentLog),
    )
    try {
      await consumer.start()
      while (missing.size > 0 && performance.now() < until) await sleep(pollMs)
    } finally {
      await consumer.close() // which says how far it is
    }
    const someMissing = [...missing].slice(0, 5).join(' ')
    if (missing.size > 0) throw new Error(`${missing.size} of ${expected} messages did not come: ${someMissing}`)
    return { expected, missing: 0, repeated, someMissing }
  },

  flow: ownFlow,
}
