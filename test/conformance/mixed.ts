import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer, PushConsumer } from '../../src/client/index.ts'
import { apachePeer, type Cluster, end, launchRole, ourPeer, patientBroker, startCluster } from '../peers/cluster.ts'
import type { GoProject } from './go.ts'
import type { JavaProject } from './java.ts'

const topic = 'MixedTopic'
const queueCount = 4
const messageCount = 80
const registeredTimeoutMs = 60_000
const deliveryTimeoutMs = 90_000
const commandTimeoutMs = 60_000
const brokerConf = { autoCreateTopicEnable: 'false', ...patientBroker }

/** One cluster of both implementations: a broker and a NameServer of each, both brokers at both NameServers. */
export interface MixedCluster {
  namesrvs: readonly Cluster[] // Apache's, ours
  brokerAddrs: readonly string[] // broker-a is Apache's, broker-b ours
  stopApacheBroker(): Promise<void>
  stop(): Promise<void>
}

export async function startMixedCluster(dir: string): Promise<MixedCluster> {
  mkdirSync(dir, { recursive: true })
  const peers = [apachePeer, ourPeer]
  const namesrvs: Cluster[] = []
  for (const peer of peers) {
    namesrvs.push(await startCluster({ peer, dir: join(dir, peer.name), startsBroker: false, brokerConf }))
  }
  const namesrv = namesrvs.map((cluster) => cluster.namesrv).join(';')
  const brokers = await Promise.all(
    namesrvs.map((cluster, index) =>
      launchRole({
        peer: peers[index]!,
        role: 'broker',
        dir: join(dir, peers[index]!.name, 'broker'),
        logFile: join(dir, `broker-${peers[index]!.name}.out`),
        env: {
          ...cluster.env,
          NAMESRV: namesrv,
          BROKER_NAME: `broker-${'ab'[index]}`,
          BROKER_XMS: '512m',
          BROKER_XMX: '512m',
        },
        port: Number(cluster.brokerAddr.split(':')[1]),
      }),
    ),
  )
  return {
    namesrvs,
    brokerAddrs: namesrvs.map((cluster) => cluster.brokerAddr),
    stopApacheBroker: () => end(brokers[0], 'SIGTERM'),
    async stop() {
      await Promise.all(brokers.map((broker) => end(broker, 'SIGTERM')))
      await Promise.all(namesrvs.map((cluster) => cluster.stop()))
    },
  }
}

/** Makes the topic of all cases on both brokers, known at both NameServers. */
export async function makeTopic({ namesrvs, brokerAddrs }: MixedCluster): Promise<void> {
  for (const { namesrv } of namesrvs) {
    await withAdmin(namesrv, async (admin, until) => {
      await until(async () => (await admin.clusterInfo()).brokerAddrTable.size === 2, `two brokers at ${namesrv}`)
    })
  }
  await withAdmin(namesrvs[0]!.namesrv, async (admin) => {
    for (const brokerAddr of brokerAddrs) {
      await admin.createTopic(brokerAddr, { topicName: topic, readQueueNums: queueCount, writeQueueNums: queueCount })
    }
  })
  for (const { namesrv } of namesrvs) {
    await withAdmin(namesrv, async (admin, until) => {
      await until(
        async () => (await brokersOf(admin)) === 'broker-a,broker-b',
        `both brokers in the route at ${namesrv}`,
      )
    })
  }
}

/** Sends or receives numbered messages with one of Apache's clients. */
export interface Talk {
  /** Short, for names of groups and bodies. */
  name: string
  send(namesrv: string, prefix: string, count: number): Promise<Said>
  receive(namesrv: string, prefix: string, count: number, consumerGroup: string): Promise<Said>
}

interface Said {
  stdout: string
  code: number
}

export function javaTalk(name: string, java: JavaProject): Talk {
  const said = (verb: string, args: string[]) =>
    java.java('conformance.Talk', [verb, '--topic', topic, ...args], { timeoutMs: 2 * deliveryTimeoutMs })
  return {
    name,
    send: (namesrv, prefix, count) =>
      said('send', ['--namesrv', namesrv, '--prefix', prefix, '--count', String(count)]),
    receive: (namesrv, prefix, count, group) =>
      said('receive', ['--namesrv', namesrv, '--expect', `${prefix}:${count}`, '--group', group]),
  }
}

export function goTalk(go: GoProject): Talk {
  const said = (verb: string, namesrv: string, prefix: string, count: number, ...more: string[]) => {
    const args = ['-namesrv', namesrv, '-topic', topic, '-prefix', prefix, '-count', String(count), ...more]
    return go.talk([verb, ...args], 2 * deliveryTimeoutMs)
  }
  return {
    name: 'go',
    send: (namesrv, prefix, count) => said('send', namesrv, prefix, count),
    receive: (namesrv, prefix, count, group) => said('receive', namesrv, prefix, count, '-group', group),
  }
}

/**
 * One of Apache's clients by either NameServer: all queues of both brokers are written, and read by another such client at the
 * other NameServer.
 * @returns what was wrong
 */
export async function apacheAcrossBoth(talk: Talk, { namesrvs }: MixedCluster): Promise<string[]> {
  const outcomes = await Promise.allSettled(
    namesrvs.map(async ({ namesrv }, index) => {
      const prefix = `${talk.name}${index}-`
      const sent = await talk.send(namesrv, prefix, messageCount)
      const { acked, queues } = sent.code === 0 ? JSON.parse(jsonLine(sent.stdout)) : {}
      if (acked !== messageCount || queues !== 2 * queueCount) return [`at ${namesrv} sent: ${sent.stdout}`]
      const other = namesrvs[1 - index]!.namesrv
      const read = await talk.receive(other, prefix, messageCount, `mixed-${talk.name}-${index}`)
      return read.code === 0 ? [] : [`at ${other} received: ${read.stdout}`]
    }),
  )
  // Both directions have ended: where one throws, the other must not go on into the next case.
  return outcomes.flatMap((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}

/** The same with our client. @returns what was wrong */
export async function oursAcrossBoth({ namesrvs }: MixedCluster): Promise<string[]> {
  const problems: string[] = []
  const doors = nodeDoors(createLog('fatal', { component: 'mixed' }))
  for (const [index, { namesrv }] of namesrvs.entries()) {
    const producer = new Producer({ producerGroup: 'mixed', namesrvAddr: namesrv }, doors)
    const received = new Set<string>()
    const consumer = new PushConsumer(
      {
        namesrvAddr: namesrvs[1 - index]!.namesrv,
        consumerGroup: `mixed-ours-${index}`,
        consumeFrom: 'first',
        subscriptions: { [topic]: '*' },
        onMessage: ({ body }) => void received.add(body.toString()),
      },
      doors,
    )
    try {
      const queues = new Set<string>()
      for (let count = 0; count < messageCount; count++) {
        const { status, queue } = await producer.send({ topic, body: `ours${index}-${count}` })
        if (status !== 'SEND_OK') problems.push(`a send was ${status}`)
        queues.add(`${queue.brokerName}/${queue.queueId}`)
      }
      if (queues.size !== 2 * queueCount) problems.push(`only ${queues.size} queues were written at ${namesrv}`)
      await consumer.start()
      const expected = Array.from({ length: messageCount }, (_, count) => `ours${index}-${count}`)
      const until = Date.now() + deliveryTimeoutMs
      while (!expected.every((body) => received.has(body)) && Date.now() < until) await doors.clock.sleep(50)
      const missing = expected.filter((body) => !received.has(body))
      if (missing.length > 0) problems.push(`${missing.length} messages sent by ${namesrv} were not delivered`)
    } finally {
      await Promise.all([consumer.close(), producer.close()])
    }
  }
  return problems
}

/** mqadmin must print the same of the cluster whichever NameServer it asks. @returns what was wrong */
export async function mqadminAtBoth(java: JavaProject, { namesrvs, brokerAddrs }: MixedCluster): Promise<string[]> {
  const problems: string[] = []
  for (const command of [
    ['clusterList'],
    ['topicRoute', '-t', topic],
    ['topicStatus', '-t', topic],
    ['topicList'],
    ['topicClusterList', '-t', topic],
  ]) {
    const printed = await Promise.all(
      namesrvs.map(async ({ namesrv }) => {
        const { stdout, stderr } = await java.java('org.apache.rocketmq.tools.command.MQAdminStartup', command, {
          timeoutMs: commandTimeoutMs,
          properties: ['-XX:TieredStopAtLevel=1'],
          env: { ...process.env, NAMESRV_ADDR: namesrv },
        })
        const lines = (stdout + stderr).split('\n').map((line) => line.replaceAll(/\s+/g, ' ').trim())
        // load, waits, hours and ratios behind the version change from one moment to the next
        return lines
          .map((line) => line.replace(/(V5_5_0 ).*/, '$1'))
          .sort()
          .join('\n')
      }),
    )
    if (printed[0] !== printed[1])
      problems.push(`${command.join(' ')}: Apache's says\n${printed[0]}\nours says\n${printed[1]}`)
    const names = command[0] === 'topicList' || command[0] === 'topicClusterList' ? [] : ['broker-a', 'broker-b']
    const addrs = command[0] === 'clusterList' || command[0] === 'topicRoute' ? brokerAddrs : []
    for (const word of [...names, ...addrs]) {
      if (!printed[0]!.includes(word)) problems.push(`${command.join(' ')} does not name ${word}:\n${printed[0]}`)
    }
  }
  return problems
}

/** Apache's broker stops: both NameServers forget it, and what is sent goes to ours. @returns what was wrong */
export async function oneBrokerLeaves(cluster: MixedCluster): Promise<string[]> {
  await cluster.stopApacheBroker()
  const problems: string[] = []
  const doors = nodeDoors(createLog('fatal', { component: 'mixed' }))
  for (const { namesrv } of cluster.namesrvs) {
    await withAdmin(namesrv, async (admin, until) => {
      await until(async () => (await brokersOf(admin)) === 'broker-b', `our broker alone in the route at ${namesrv}`)
    })
    const producer = new Producer({ producerGroup: 'mixed', namesrvAddr: namesrv }, doors)
    try {
      for (let count = 0; count < 2 * queueCount; count++) {
        const { queue } = await producer.send({ topic, body: 'left' })
        if (queue.brokerName !== 'broker-b') problems.push(`sent to ${queue.brokerName} although it has left`)
      }
    } finally {
      await producer.close()
    }
  }
  return problems
}

/** Names of the topic's brokers, sorted, joined by commas; none where there is no route yet. */
async function brokersOf(admin: Admin): Promise<string> {
  const route = await admin.topicRoute(topic).catch(() => undefined)
  return (route?.queueDatas.map(({ brokerName }) => brokerName) ?? []).sort().join()
}

type Until = (holds: () => Promise<boolean>, what: string) => Promise<void>

async function withAdmin(namesrvAddr: string, work: (admin: Admin, until: Until) => Promise<void>): Promise<void> {
  const doors = nodeDoors(createLog('fatal', { component: 'mixed' }))
  const admin = new Admin({ namesrvAddr }, doors)
  const until: Until = async (holds, what) => {
    const end = Date.now() + registeredTimeoutMs
    while (!(await holds())) {
      if (Date.now() > end) throw new Error(`not within ${registeredTimeoutMs} ms: ${what}`)
      await doors.clock.sleep(100)
    }
  }
  try {
    await work(admin, until)
  } finally {
    await admin.close()
  }
}

/** The line of JSON of what a client said: libraries print, too. */
function jsonLine(text: string): string {
  return text.split('\n').findLast((line) => line.startsWith('{')) ?? '{}'
}
