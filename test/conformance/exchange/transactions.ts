import { join } from 'node:path'
import { createLog, nodeDoors } from '../../../src/base/node/index.ts'
import { eventually } from '../../../src/base/testing/eventually.ts'
import { PushConsumer, type TransactionOutcome, TransactionProducer } from '../../../src/client/index.ts'
import { apachePeer, ourPeer, type Peer, patientBroker, startCluster } from '../../peers/cluster.ts'
import { type Stage, startStage } from './stage.ts'

const topic = 'transactions'
const group = 'transactions-group'
const settleMs = 4_000 // a few periods of the check, of the saved offsets and of the op messages
const timeoutMs = 60_000

/**
 * Lets one broker after the other have the same store directory, with transactions that are ended and open. Each must ask about
 * the open ones of its predecessors, and about no ended one; what was committed is consumed once.
 * @returns what was wrong
 */
export async function transactionExchangeCase(
  peers: readonly Peer[],
  signal: 'SIGTERM' | 'SIGKILL',
  dir: string,
): Promise<string[]> {
  const cluster = await startCluster({
    peer: ourPeer,
    dir,
    startsBroker: false,
    env: { BROKER_XMS: '512m', BROKER_XMX: '512m' },
    brokerConf: {
      autoCreateTopicEnable: 'false',
      ...patientBroker,
      flushConsumerOffsetInterval: '1000',
      transactionTimeOut: '1000',
      transactionCheckInterval: '1000',
      transactionCheckMax: '1000',
      transactionOpBatchInterval: '200',
    },
  })
  const problems: string[] = []
  const openOnes: string[] = []
  const committed: string[] = []
  const strays = new Set<string>()
  let stage: Stage | undefined
  try {
    for (const [turn, peer] of peers.entries()) {
      stage = await startStage(cluster, peer, join(dir, `${turn + 1}-${peer.name}`), stage?.store)
      if (turn === 0) {
        await stage.admin.createTopic(stage.brokerAddr, { topicName: topic, readQueueNums: 1, writeQueueNums: 1 })
      }
      await eventually(() => stage!.admin.topicRoute(topic), timeoutMs)
      const isLast = turn === peers.length - 1
      const asked = new Map<string, number>()
      const checkTransaction = ({ body }: { body: Buffer }): TransactionOutcome => {
        const text = body.toString()
        asked.set(text, (asked.get(text) ?? 0) + 1)
        if (!isLast) return 'UNKNOWN'
        return text.startsWith('open-commit') ? 'COMMIT' : 'ROLLBACK'
      }
      const producer = new TransactionProducer(
        { namesrvAddr: cluster.namesrv, producerGroup: 'P', topics: [topic], checkTransaction, sendTimeoutMs: 10_000 },
        doors,
      )
      try {
        await producer.start()
        const send = (body: string, outcome: TransactionOutcome) =>
          producer.sendInTransaction({ topic, body: `${body}-${turn}` }, () => outcome)
        for (let n = 0; n < 20; n++) {
          await send(`commit-${n}`, 'COMMIT')
          await send(`rollback-${n}`, 'ROLLBACK')
          committed.push(`commit-${n}-${turn}`)
        }
        if (!isLast) {
          await send('open-commit', 'UNKNOWN')
          await send('open-rollback', 'UNKNOWN')
          openOnes.push(`open-commit-${turn}`, `open-rollback-${turn}`)
        }
        await eventually(() => {
          const missing = openOnes.filter((body) => !asked.has(body))
          if (missing.length > 0) throw new Error(`${peer.name} did not ask about ${missing.join(', ')}`)
        }, timeoutMs)
        await stage.pause(settleMs)
        // Apache asks about what ends while it looks, and goes on asking about the copy.
        if (peer === apachePeer) for (const body of asked.keys()) strays.add(body)
        const wrong = [...asked.keys()].filter((body) => !openOnes.includes(body) && !strays.has(body))
        if (wrong.length > 0) problems.push(`${turn + 1}. ${peer.name} asked about ${wrong.join(', ')}`)
        if (isLast) problems.push(...(await consumed(cluster.namesrv, [...committed, ...openOnes.filter(isCommit)])))
        await stage.end(isLast ? 'SIGTERM' : signal)
      } finally {
        await producer.close()
        await stage.close()
      }
    }
    return problems
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${problems.join('\n')}\n${stage?.output() ?? ''}`)
  } finally {
    await stage?.close()
    await cluster.stop()
  }
}

const doors = nodeDoors(createLog('fatal', { component: 'exchange' }))
const isCommit = (body: string) => body.startsWith('open-commit')

/** Each of the bodies must be there, once, and nothing else. */
async function consumed(namesrvAddr: string, bodies: readonly string[]): Promise<string[]> {
  const counts = new Map<string, number>()
  const consumer = new PushConsumer(
    {
      namesrvAddr,
      consumerGroup: group,
      subscriptions: { [topic]: '*' },
      consumeFrom: 'first',
      onMessage: ({ body }) => void counts.set(body.toString(), (counts.get(body.toString()) ?? 0) + 1),
    },
    doors,
  )
  try {
    await consumer.start()
    await eventually(() => {
      const missing = bodies.filter((body) => !counts.has(body))
      if (missing.length > 0) throw new Error(`not consumed: ${missing.join(', ')}`)
    }, timeoutMs)
    const wrong = [...counts].filter(([body, count]) => count > 1 || !bodies.includes(body))
    return wrong.map(([body, count]) => `${body} was consumed ${count} times`)
  } finally {
    await consumer.close()
  }
}
