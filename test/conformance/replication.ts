import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer, PushConsumer } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import { readJson } from '../../src/remoting/json.ts'
import { sendFields } from '../../src/remoting/testing/requests.ts'
import { queueCount, topic } from '../crash/load.ts'
import { readQueue } from '../crash/read-queue.ts'
import { awaitInSync, differenceOfLogs } from '../crash/replica.ts'
import { type Peer, patientBroker } from '../peers/cluster.ts'
import { type Group, startGroup } from '../peers/group.ts'
import type { JavaProject } from './java.ts'

const messageCount = 3_000
const segmentBytes = 4 << 20
const consumerGroup = 'replicated-group'
const committedOffset = 7
const delayedTopic = 'Delayed'
/** Groups that consume when the master is gone, with Apache's client and with ours: known before. */
const aloneGroups = { java: 'alone-java', ours: 'alone-ours' }
const alonePrefix = 'alone-'
const aloneCount = 200
const aloneTimeoutMs = 60_000
/** Apache's slave copies tables every 60 s, first after 60 s. */
const tablesTimeoutMs = 90_000

/**
 * A master of one implementation with a slave of either: a SYNC_MASTER's answers, logs that are equal byte for byte, tables
 * that arrive, refusals, and a slave that alone still has everything, which consumers of Apache and of ours get from it.
 * @returns what was wrong
 */
export async function followCase(master: Peer, slave: Peer, dir: string, java: JavaProject): Promise<string[]> {
  const group = await startGroup({
    peer: master,
    slavePeer: slave,
    dir,
    env: { BROKER_ROLE: 'SYNC_MASTER', BROKER_XMS: '512m', BROKER_XMX: '512m' },
    brokerConf: {
      ...patientBroker,
      inSyncReplicas: '2',
      slaveReadEnable: 'true',
      mappedFileSizeCommitLog: String(segmentBytes),
    },
  })
  const doors = nodeDoors(createLog('fatal', { component: 'replication' }))
  const admin = new Admin({ namesrvAddr: group.namesrv }, doors)
  const producer = new Producer({ producerGroup: 'replication', namesrvAddr: group.namesrv }, doors)
  const remoting = new RemotingClient({}, doors)
  const problems: string[] = []
  try {
    await awaitInSync(group, remoting)
    await admin.createTopic(group.brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    const bodies = new Map<string, string>()
    for (let sent = 0; sent < messageCount; ) {
      const batch = Array.from({ length: 50 }, () => `${sent++}`.padEnd(2500, '.'))
      const results = await Promise.all(batch.map((body) => producer.send({ topic, body: Buffer.from(body) })))
      results.forEach(({ status, queue, queueOffset }, index) => {
        if (status !== 'SEND_OK') problems.push(`a send was answered ${status} although the slave was there`)
        bodies.set(`${queue.queueId}/${queueOffset}`, batch[index]!)
      })
    }
    for (let number = 0; number < aloneCount; number++) {
      const body = `${alonePrefix}${number}`
      const { queue, queueOffset } = await producer.send({ topic, body })
      bodies.set(`${queue.queueId}/${queueOffset}`, body)
    }
    for (const groupName of Object.values(aloneGroups)) {
      await admin.createSubscriptionGroup(group.brokerAddr, { groupName })
    }
    await admin.createTopic(group.brokerAddr, { topicName: delayedTopic, readQueueNums: 1, writeQueueNums: 1 })
    await producer.send({ topic: delayedTopic, body: 'late', delayLevel: 1 })
    await commitOffset(remoting, group)
    await awaitInSync(group, remoting)
    problems.push(...differenceOfLogs(group))
    problems.push(...(await awaitTables(remoting, group)))
    problems.push(...(await refusalOfSend(remoting, group)))

    await group.killBroker()
    let found = 0
    for (let queueId = 0; queueId < queueCount; queueId++) {
      for (const { queueOffset, body } of await readQueue(remoting, group.slaveAddr, topic, queueId)) {
        found++
        if (bodies.get(`${queueId}/${queueOffset}`) !== body.toString()) {
          problems.push(`the slave has another message at ${queueId}/${queueOffset}`)
        }
      }
    }
    if (found !== bodies.size) problems.push(`the slave has ${found} of ${bodies.size} messages`)
    problems.push(...(await consumedByJava(java, group)), ...(await consumedByOurs(group)))
    return problems
  } finally {
    await Promise.all([producer.close(), admin.close(), remoting.close()])
    await group.stop()
  }
}

async function consumedByJava(java: JavaProject, { namesrv }: Group): Promise<string[]> {
  const expect = ['--expect', `${alonePrefix}:${aloneCount}`, '--seconds', String(aloneTimeoutMs / 1000)]
  const args = ['receive', '--namesrv', namesrv, '--topic', topic, '--group', aloneGroups.java, ...expect]
  const { code, stdout } = await java.java('conformance.Talk', args, { timeoutMs: 2 * aloneTimeoutMs })
  return code === 0 ? [] : [`Apache's consumer did not get all from the slave alone: ${stdout}`]
}

async function consumedByOurs({ namesrv }: Group): Promise<string[]> {
  const missing = new Set(Array.from({ length: aloneCount }, (_, number) => `${alonePrefix}${number}`))
  const consumer = new PushConsumer(
    {
      namesrvAddr: namesrv,
      consumerGroup: aloneGroups.ours,
      consumeFrom: 'first',
      subscriptions: { [topic]: '*' },
      onMessage: ({ body }) => void missing.delete(body.toString()),
    },
    nodeDoors(createLog('fatal', { component: 'replication' })),
  )
  try {
    await consumer.start()
    for (const until = Date.now() + aloneTimeoutMs; missing.size > 0 && Date.now() < until; ) await sleep(50)
    return missing.size === 0 ? [] : [`our consumer did not get ${missing.size} from the slave alone`]
  } finally {
    await consumer.close()
  }
}

const farBehindCount = 8_000
/** Sent when a slave begins to copy, and again until it is so near. */
const nearBytes = 1 << 20
const pauseMs = 50

/**
 * A slave that was away while its master's log grew by several segments, and then one that begins anew: each catches up while
 * sends go on, none of which waits longer than a producer does, and has the same log in the end. The one that was away has all of
 * it, the new one what both implementations give to a new one: the master's last segment, and what follows.
 * @returns what was wrong
 */
export async function farBehindCase(master: Peer, slave: Peer, dir: string): Promise<string[]> {
  const group = await startGroup({
    peer: master,
    slavePeer: slave,
    dir,
    env: { BROKER_ROLE: 'ASYNC_MASTER', BROKER_XMS: '512m', BROKER_XMX: '512m' },
    brokerConf: { ...patientBroker, slaveReadEnable: 'true', mappedFileSizeCommitLog: String(segmentBytes) },
  })
  const doors = nodeDoors(createLog('fatal', { component: 'replication' }))
  const admin = new Admin({ namesrvAddr: group.namesrv }, doors)
  const producer = new Producer({ producerGroup: 'replication', namesrvAddr: group.namesrv }, doors)
  const remoting = new RemotingClient({}, doors)
  const problems: string[] = []
  const send = async (count: number) => {
    for (let sent = 0; sent < count; ) {
      const batch = Array.from({ length: 50 }, () => `${sent++}`.padEnd(2500, '.'))
      const results = await Promise.all(batch.map((body) => producer.send({ topic, body: Buffer.from(body) })))
      for (const { status } of results) if (status !== 'SEND_OK') problems.push(`a send was answered ${status}`)
    }
  }
  /** Starts the slave, and goes on sending until it has nearly everything. */
  const catchUp = async () => {
    let isNear = false
    const sending = async () => {
      for (; !isNear; await sleep(pauseMs)) await send(50)
    }
    const following = async () => {
      try {
        await group.startSlave()
        await awaitInSync(group, remoting, nearBytes)
      } finally {
        isNear = true
      }
    }
    await Promise.all([sending(), following()])
    await awaitInSync(group, remoting)
    problems.push(...differenceOfLogs(group))
  }
  try {
    await admin.createTopic(group.brokerAddr, {
      topicName: topic,
      readQueueNums: queueCount,
      writeQueueNums: queueCount,
    })
    await send(50)
    await awaitInSync(group, remoting)
    await group.killSlave()
    await send(farBehindCount)
    await catchUp()
    const [first] = readdirSync(join(group.slaveStore, 'commitlog')).sort()
    if (Number(first) !== 0) problems.push(`the slave that was away begins at ${first}`)

    await group.killSlave()
    rmSync(group.slaveStore, { recursive: true })
    await catchUp()
    return problems
  } finally {
    await Promise.all([producer.close(), admin.close(), remoting.close()])
    await group.stop()
  }
}

async function commitOffset(remoting: RemotingClient, { brokerAddr }: Group): Promise<void> {
  const config = { groupName: consumerGroup }
  const body = Buffer.from(JSON.stringify(config))
  await remoting.call(brokerAddr, { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, extFields: {}, body }, 5_000)
  const extFields = { consumerGroup, topic, queueId: '0', commitOffset: String(committedOffset) }
  await remoting.call(brokerAddr, { code: RequestCode.UPDATE_CONSUMER_OFFSET, extFields }, 5_000)
}

async function awaitTables(remoting: RemotingClient, { slaveAddr }: Group): Promise<string[]> {
  const paging = { topicSeq: '0', maxTopicNum: '100000', groupSeq: '0', maxGroupNum: '100000', dataVersion: '' }
  const ask = async (code: number) => {
    const { body } = await remoting.call(slaveAddr, { code, extFields: paging }, 5_000)
    return readJson(body) as Record<string, Record<string, unknown>>
  }
  const lookFor: [string, () => Promise<boolean>][] = [
    ['topic', async () => topic in (await ask(RequestCode.GET_ALL_TOPIC_CONFIG)).topicConfigTable!],
    [
      'consumer group',
      async () => consumerGroup in (await ask(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).subscriptionGroupTable!,
    ],
    [
      'consumer offset',
      async () => {
        const { offsetTable } = await ask(RequestCode.GET_ALL_CONSUMER_OFFSET)
        const queues = offsetTable?.[`${topic}@${consumerGroup}`] as Record<string, number> | undefined
        return queues?.['0'] === committedOffset
      },
    ],
    [
      'progress of delayed messages',
      async () => (await ask(RequestCode.GET_ALL_DELAY_OFFSET)).offsetTable?.['1'] === 1,
    ],
  ]
  const until = Date.now() + tablesTimeoutMs
  const missing: string[] = []
  for (const [what, isThere] of lookFor) {
    while (!(await isThere())) {
      if (Date.now() > until) {
        missing.push(`the ${what} did not reach the slave within ${tablesTimeoutMs} ms`)
        break
      }
      await sleep(500)
    }
  }
  return missing
}

async function refusalOfSend(remoting: RemotingClient, { slaveAddr }: Group): Promise<string[]> {
  const command = {
    code: RequestCode.SEND_MESSAGE_V2,
    extFields: sendFields({ topic }),
    body: Buffer.from('to a slave'),
  }
  const { code, remark } = await remoting.call(slaveAddr, command, 5_000)
  const expected = '[REJECTREQUEST]system busy, start flow control for a while'
  return code === ResponseCode.SYSTEM_BUSY && remark === expected ? [] : [`a slave answers a send ${code} ${remark}`]
}
