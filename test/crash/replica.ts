import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { ourPeer } from '../peers/cluster.ts'
import { type Group, startGroup } from '../peers/group.ts'
import { awaitAcks, problemsOf, queueCount, topic, write, writerCount } from './kill.ts'
import { readQueue } from './read-queue.ts'

const segmentBytes = 4 << 20
const acksPerLife = 300
/** How long the master is left without its slave before it is killed. */
const aloneMs = 500
const linkTimeoutMs = 30_000

export interface ReplicaReport {
  kills: number
  acked: number
  /** Messages that the slave has when the master's disk is gone. */
  copied: number
  /** What must not be; empty: all is well. */
  problems: string[]
}

/**
 * Kills master and slave of a SYNC_MASTER group in turn while 16 writers send. Then the master's process and disk go, and the
 * slave alone is asked: it has every message that was acknowledged with SEND_OK, where its sender was told, and before that
 * its log was the master's, byte for byte.
 */
export async function killReplicas(options: {
  dir: string
  flush: 'SYNC_FLUSH' | 'ASYNC_FLUSH'
  kills: number
}): Promise<ReplicaReport> {
  const group = await startGroup({
    peer: ourPeer,
    slavePeer: ourPeer,
    dir: options.dir,
    flush: options.flush,
    env: { BROKER_ROLE: 'SYNC_MASTER' },
    brokerConf: {
      inSyncReplicas: '2',
      slaveReadEnable: 'true',
      mappedFileSizeCommitLog: String(segmentBytes),
      mappedFileSizeConsumeQueue: String(20 * 2000),
    },
  })
  const doors = nodeDoors(createLog('fatal', { component: 'crash' })) // lost connections are what this is about
  const admin = new Admin({ namesrvAddr: group.namesrv }, doors)
  const producer = new Producer(
    { producerGroup: 'crash', namesrvAddr: group.namesrv, retryCountMax: 0, sendTimeoutMs: 5_000 },
    doors,
  )
  const remoting = new RemotingClient({}, doors)
  try {
    await admin.createTopic(group.brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    const acked = new Map<string, { queueId: number; queueOffset: number }>()
    let isOver = false
    const writers = Array.from({ length: writerCount }, (_, writer) => write(producer, writer, acked, () => isOver))
    for (let kill = 0; kill < options.kills; kill++) {
      await awaitAcks(acked, acked.size + acksPerLife, group)
      await sleep(Math.random() * 150)
      if (kill % 2 === 0) {
        await group.killBroker()
        await group.startBroker()
      } else {
        await group.killSlave()
        await group.startSlave()
      }
    }
    await awaitAcks(acked, acked.size + acksPerLife, group)
    // In the middle of it the slave goes first: whatever the master still acknowledges is on one disk only.
    await group.killSlave()
    await sleep(aloneMs)
    await group.killBroker()
    isOver = true
    await Promise.all(writers)

    const problems = differenceOfLogs(group)
    rmSync(group.masterStore, { recursive: true })
    // the slave, alone, from its disk
    await group.startSlave()
    const at = new Map<string, string>()
    let copied = 0
    for (let queueId = 0; queueId < queueCount; queueId++) {
      const messages = await readQueue(remoting, group.slaveAddr, topic, queueId)
      copied += messages.length
      problems.push(...problemsOf(queueId, messages))
      for (const { body, queueOffset } of messages) {
        at.set(`${queueId}/${queueOffset}`, body.subarray(0, Math.max(0, body.indexOf('|'))).toString())
      }
    }
    for (const [id, { queueId, queueOffset }] of acked) {
      const found = at.get(`${queueId}/${queueOffset}`)
      if (found !== id) {
        problems.push(`acknowledged ${id} at ${queueId}/${queueOffset}, but the slave has ${found ?? 'nothing'} there`)
      }
    }
    return { kills: options.kills, acked: acked.size, copied, problems }
  } finally {
    await Promise.all([producer.close(), admin.close(), remoting.close()])
    await group.stop()
  }
}

/** Waits until the master counts a slave that has all it has. */
export async function awaitInSync(group: Group, remoting: RemotingClient): Promise<void> {
  const until = Date.now() + linkTimeoutMs
  for (;;) {
    const { body } = await remoting.call(group.brokerAddr, { code: 907, extFields: {} }, 5_000)
    const { haConnectionInfo } = JSON.parse(body.toString()) as { haConnectionInfo: { diff: number }[] }
    if (haConnectionInfo.some(({ diff }) => diff === 0)) return
    if (Date.now() > until) throw new Error(`no slave in sync within ${linkTimeoutMs} ms\n${group.output()}`)
    await sleep(50)
  }
}

/** The slave's log must be a prefix of the master's: it may have less, never other bytes. */
export function differenceOfLogs({ masterStore, slaveStore }: Group): string[] {
  const problems: string[] = []
  for (const name of readdirSync(join(slaveStore, 'commitlog')).sort()) {
    const own = readFileSync(join(slaveStore, 'commitlog', name))
    const end = own.findLastIndex((byte) => byte !== 0) + 1
    if (end === 0) continue // Apache's broker makes the next segment before it is needed
    const path = join(masterStore, 'commitlog', name)
    if (!existsSync(path)) {
      problems.push(`the slave has a segment ${name} that the master lacks`)
      continue
    }
    const theirs = readFileSync(path)
    const first = own.subarray(0, end).findIndex((byte, index) => byte !== theirs[index])
    if (first >= 0) {
      problems.push(`the slave's segment ${name} differs from the master's at ${first} of ${end}`)
    }
  }
  return problems
}
