import { setTimeout as sleep } from 'node:timers/promises'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import type { StoredMessage } from '../../src/remoting/message/record.ts'
import { type Cluster, ourPeer, startCluster } from '../peers/cluster.ts'
import { readQueue } from './read-queue.ts'

export const topic = 'Crash'
export const queueCount = 4
export const writerCount = 16
/** Acknowledged sends between two kills, at least: a kill that hits an idle broker shows nothing. */
const acksPerLife = 400
const lifeTimeoutMs = 60_000

export interface CrashReport {
  kills: number
  acked: number
  /** Messages in the store: the acknowledged ones, and those whose answer a kill swallowed. */
  stored: number
  /** What must not be; empty: all is well. */
  problems: string[]
}

/**
 * Kills a broker of ours with SIGKILL again and again while 16 writers send, then reads every queue from its start and holds
 * it against what was acknowledged: each such message lies where its sender was told, every body is whole, queue offsets have
 * no gap, and each writer's messages are in its order.
 */
export async function killUnderLoad(options: {
  dir: string
  flush: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  kills: number
}): Promise<CrashReport> {
  const cluster = await startCluster({
    peer: ourPeer,
    dir: options.dir,
    flush: options.flush,
    // small segments, so that kills also come near the end of one
    brokerConf: { mappedFileSizeCommitLog: String(4 << 20), mappedFileSizeConsumeQueue: String(20 * 2000) },
  })
  const doors = nodeDoors(createLog('fatal', { component: 'crash' })) // lost connections are what this is about
  const admin = new Admin({ namesrvAddr: cluster.namesrv }, doors)
  const producer = new Producer(
    { producerGroup: 'crash', namesrvAddr: cluster.namesrv, retryCountMax: 0, sendTimeoutMs: 2_000 },
    doors,
  )
  const remoting = new RemotingClient({}, doors)
  try {
    await admin.createTopic(cluster.brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    const acked = new Map<string, { queueId: number; queueOffset: number }>()
    let isOver = false
    const writers = Array.from({ length: writerCount }, (_, writer) => write(producer, writer, acked, () => isOver))
    for (let kill = 0; kill < options.kills; kill++) {
      await awaitAcks(acked, acked.size + acksPerLife, cluster)
      await sleep(Math.random() * 150) // not always at the same point of a batch
      await cluster.killBroker()
      await cluster.startBroker()
    }
    await awaitAcks(acked, acked.size + acksPerLife, cluster)
    isOver = true
    await Promise.all(writers)

    const problems: string[] = []
    let stored = 0
    const at = new Map<string, string>()
    for (let queueId = 0; queueId < queueCount; queueId++) {
      const messages = await readQueue(remoting, cluster.brokerAddr, topic, queueId)
      stored += messages.length
      problems.push(...problemsOf(queueId, messages))
      for (const message of messages) at.set(`${queueId}/${message.queueOffset}`, idOf(message.body))
    }
    for (const [id, { queueId, queueOffset }] of acked) {
      const found = at.get(`${queueId}/${queueOffset}`)
      if (found !== id)
        problems.push(`acknowledged ${id} at ${queueId}/${queueOffset}, but there is ${found ?? 'nothing'}`)
    }
    return { kills: options.kills, acked: acked.size, stored, problems }
  } finally {
    await Promise.all([producer.close(), admin.close(), remoting.close()])
    await cluster.stop()
  }
}

/** Sends numbered messages until it is over; one that is not acknowledged is given up, the next one has another number. */
export async function write(
  producer: Producer,
  writer: number,
  acked: Map<string, { queueId: number; queueOffset: number }>,
  isOver: () => boolean,
): Promise<void> {
  for (let number = 0; !isOver(); number++) {
    const id = `${writer}-${number}`
    try {
      const { status, queue, queueOffset } = await producer.send({ topic, body: bodyOf(id) })
      if (status === 'SEND_OK') acked.set(id, { queueId: queue.queueId, queueOffset })
    } catch {
      await sleep(20) // the broker is dead or has just come back
    }
  }
}

export async function awaitAcks(acked: Map<string, unknown>, count: number, cluster: Cluster): Promise<void> {
  const until = Date.now() + lifeTimeoutMs
  while (acked.size < count) {
    if (Date.now() > until)
      throw new Error(`${acked.size} of ${count} acknowledged within ${lifeTimeoutMs} ms\n${cluster.output()}`)
    await sleep(10)
  }
}

/** A body from which its id can be read, and whose every byte follows from it. */
function bodyOf(id: string): Buffer {
  const seed = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7)
  const filler = Buffer.alloc(64 + (seed % 3000), id)
  return Buffer.concat([Buffer.from(`${id}|`), filler])
}

function idOf(body: Buffer): string {
  return body.subarray(0, Math.max(0, body.indexOf('|'))).toString()
}

export function problemsOf(queueId: number, messages: StoredMessage[]): string[] {
  const problems: string[] = []
  const lastOf = new Map<string, number>()
  let phyOffset = -1
  messages.forEach((message, index) => {
    const where = `queue ${queueId}, message ${index}`
    const id = idOf(message.body)
    if (message.queueOffset !== index) problems.push(`${where}: has queueOffset ${message.queueOffset}`)
    if (message.phyOffset <= phyOffset)
      problems.push(`${where}: its phyOffset ${message.phyOffset} is not above ${phyOffset}`)
    phyOffset = message.phyOffset
    if (!message.body.equals(bodyOf(id))) problems.push(`${where}: the body is not that of ${id}`)
    const [writer = '', number = ''] = id.split('-')
    if (Number(number) <= (lastOf.get(writer) ?? -1))
      problems.push(`${where}: ${id} comes after ${writer}-${lastOf.get(writer)}`)
    lastOf.set(writer, Number(number))
  })
  return problems
}
