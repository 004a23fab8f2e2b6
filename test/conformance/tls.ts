import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLog, nodeDoors } from '../../src/base/node/index.ts'
import { Admin, Producer, PushConsumer } from '../../src/client/index.ts'
import { makeCertificate } from '../../src/local-cluster/certificate.ts'
import { end, launchRole, type Peer, patientBroker, startCluster } from '../peers/cluster.ts'

const topic = 'TlsTopic'
const messageCount = 100
const deliveryTimeoutMs = 60_000

/** A NameServer of one implementation and a broker of either that serve TLS alone, and speak it with each other. */
export interface TlsCluster {
  namesrv: string
  brokerAddr: string
  /** Apache's system properties for a client that trusts them. */
  javaProperties: string[]
  trustCertPath: string
  stop(): Promise<void>
}

export async function startTlsCluster(namesrvPeer: Peer, brokerPeer: Peer, dir: string): Promise<TlsCluster> {
  mkdirSync(dir, { recursive: true })
  const { cert, key } = makeCertificate({
    commonName: 'conformance',
    addresses: ['127.0.0.1'],
    dnsNames: ['localhost'],
    serial: randomBytes(8),
    nowMs: Date.now(),
    validDays: 2,
  })
  const certPath = join(dir, 'tls.crt')
  const keyPath = join(dir, 'tls.key')
  writeFileSync(certPath, cert)
  writeFileSync(keyPath, key, { mode: 0o600 })
  // As a file in the form of either: Apache takes system properties, ours the same keys among its settings.
  const client = { 'tls.client.authServer': 'true', 'tls.client.trustCertPath': certPath }
  const server = {
    'tls.server.mode': 'enforcing',
    'tls.server.certPath': certPath,
    'tls.server.keyPath': keyPath,
    'tls.test.mode.enable': 'false',
  }
  const settings = linesOf({ ...server, ...client })
  const javaOptions = settings.map((setting) => `-D${setting}`).join(' ')
  const brokerSettings = [...settings, ...linesOf(patientBroker)]
  const cluster = await startCluster({
    peer: namesrvPeer,
    dir,
    startsBroker: false,
    env: { NAMESRV_CONF: settings.join('\n'), BROKER_CONF: brokerSettings.join('\n'), JAVA_OPTS: javaOptions },
  })
  const broker = await launchRole({
    peer: brokerPeer,
    role: 'broker',
    dir: join(dir, 'broker'),
    logFile: join(dir, 'broker.out'),
    env: cluster.env,
    port: Number(cluster.brokerAddr.split(':')[1]),
  }).catch(async (error) => {
    await cluster.stop()
    throw error
  })
  const enabled = { 'tls.enable': 'true', 'tls.test.mode.enable': 'false', ...client }
  return {
    namesrv: cluster.namesrv,
    brokerAddr: cluster.brokerAddr,
    javaProperties: Object.entries(enabled).map(([name, value]) => `-D${name}=${value}`),
    trustCertPath: certPath,
    async stop() {
      await end(broker, 'SIGTERM')
      await cluster.stop()
    },
  }
}

const linesOf = (settings: Record<string, string>) =>
  Object.entries(settings).map(([name, value]) => `${name}=${value}`)

/** Our clients with TLS: a topic made, messages sent and consumed; without it nothing answers. @returns what was wrong */
export async function ourClientCase({ namesrv, brokerAddr, trustCertPath }: TlsCluster): Promise<string[]> {
  const doors = nodeDoors(createLog('fatal', { component: 'conformance' }))
  const options = { namesrvAddr: namesrv, tls: { trustCertPath } }
  const admin = new Admin(options, doors)
  const plain = new Admin({ namesrvAddr: namesrv, requestTimeoutMs: 3_000 }, doors)
  const producer = new Producer({ ...options, producerGroup: 'tls-producers' }, doors)
  const received = new Set<string>()
  const problems: string[] = []
  await admin.createTopic(brokerAddr, { topicName: topic, readQueueNums: 2, writeQueueNums: 2 })
  const consumer = new PushConsumer(
    {
      ...options,
      consumerGroup: 'tls-consumers',
      consumeFrom: 'first',
      subscriptions: { [topic]: '*' },
      onMessage: ({ body }) => void received.add(body.toString()),
    },
    doors,
  )
  try {
    await consumer.start()
    const sending = Array.from({ length: messageCount }, (_, index) => producer.send({ topic, body: `m${index}` }))
    for (const { status } of await Promise.all(sending)) if (status !== 'SEND_OK') problems.push(`a send was ${status}`)
    const until = Date.now() + deliveryTimeoutMs
    while (received.size < messageCount && Date.now() < until) await doors.clock.sleep(50)
    if (received.size < messageCount) problems.push(`${received.size} of ${messageCount} messages were delivered`)
    const answer = await plain.clusterInfo().catch(() => undefined)
    if (answer !== undefined) problems.push('a plain client was answered')
    return problems
  } finally {
    await Promise.all([consumer.close(), producer.close(), admin.close(), plain.close()])
  }
}
