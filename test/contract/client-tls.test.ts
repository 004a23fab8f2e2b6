import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as tls from 'node:tls'
import { expect, test } from '@jest/globals'
import { silentLog } from '../../src/base/log.ts'
import { nodeClock, nodeDoors } from '../../src/base/node/index.ts'
import { eventually } from '../../src/base/testing/eventually.ts'
import { Admin, openTls as openSharedTls, Producer, type TlsOptions } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { ClientTls, type ClientTlsSettings } from '../../src/remoting/client-tls.ts'
import { type Handler, startServer } from '../../src/remoting/server.ts'
import { startBroker } from '../../src/runtime-broker/broker/broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { openTls } from '../../src/runtime-broker/tls.ts'
import { brokerSettingsOf, namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'
import { certificate } from './certificate.ts'
import { forEachTest, keptLog } from './tls-stage.ts'

const good = certificate('good')
const other = certificate('other')
const expired = certificate('expired', 'server', -100)
const early = certificate('early', 'server', 1)
const friend = certificate('friend', 'client')
const stranger = certificate('stranger', 'client')

const startMsMax = 20_000 // until brokers of TLS know each other
const { folders, undo } = forEachTest()

type Files = Record<string, string>
const pairs = { good, other, expired, early }

/** A server that answers everything; its files lie in a folder of its own. */
async function serve(of: keyof typeof pairs, given: Files = {}, handle: Handler = () => ({ code: 0 })) {
  const path = folders.make({ 'tls.crt': pairs[of].cert, 'tls.key': pairs[of].key, 'ca.crt': friend.cert })
  const settings = {
    'tls.server.certPath': join(path, 'tls.crt'),
    'tls.server.keyPath': join(path, 'tls.key'),
    'tls.server.trustCertPath': join(path, 'ca.crt'),
    'tls.server.mode': 'enforcing',
    ...given,
  }
  const doors = nodeDoors(silentLog)
  const opened = await openTls(namesrvSettingsOf(propertiesOf(settings), testMachine), doors)
  const listen = { host: '127.0.0.1', port: 0 }
  const server = await startServer({ listen, handle, tls: opened?.listener }, doors)
  undo.push(
    () => server.close(0),
    () => opened?.close(),
  )
  return `127.0.0.1:${server.address.port}`
}

/** A client; undefined: it speaks plain. */
function connect(given: Partial<ClientTlsSettings> | undefined) {
  const { log, lines } = keptLog()
  let nowMs = 0
  const doors = { ...nodeDoors(log), clock: { ...nodeClock, monotonicMs: () => nowMs + nodeClock.monotonicMs() } }
  const settings = { authServer: true, trustCertPath: '', certPath: '', keyPath: '', keyPassword: '', ...given }
  const client = new RemotingClient({ tls: given && new ClientTls(settings, 'tls.client.', doors) }, doors)
  undo.push(() => client.close())
  /** How a call ends. */
  const ask = async (address: string) => {
    try {
      return (await client.call(address, { code: 10 }, 3_000)).code === 0 ? 'answered' : 'refused'
    } catch (error) {
      return (error as Error).message
    }
  }
  return { ask, lines, pass: (ms: number) => (nowMs += ms) }
}

/** A path of a file that holds this text. */
const fileOf = (text: string) => join(folders.make({ 'file.pem': text }), 'file.pem')

test.each([
  ['any certificate is good', 'other', { authServer: false }, 'answered'],
  ['its certificate is trusted', 'good', { trustCertPath: good.cert }, 'answered'],
  ['it is one of several that are trusted', 'good', { trustCertPath: other.cert + good.cert }, 'answered'],
  [
    'another one is trusted',
    'good',
    { trustCertPath: other.cert },
    /problem=untrusted.*CN=good.*remedy=put its authority into \S+file\.pem/,
  ],
  [
    'public authorities are trusted',
    'good',
    {},
    /problem=untrusted.*remedy=put its authority into a file \(tls\.client\.trustCertPath\)/,
  ],
  [
    'its certificate expired',
    'expired',
    { trustCertPath: expired.cert },
    /problem=expired.* to .*GMT.*remedy=renew the file of the server's tls\.server\.certPath/,
  ],
  ['its certificate is not valid yet', 'early', { trustCertPath: early.cert }, /problem=tooEarly.*compare the clocks/],
] as const)(
  'a server is connected to where %s: %s',
  async (_, of, { ...given }: Partial<ClientTlsSettings>, wanted) => {
    const address = await serve(of)
    if (given.trustCertPath !== undefined) given.trustCertPath = fileOf(given.trustCertPath)

    const end = await connect(given).ask(address)

    if (typeof wanted === 'string') expect(end).toBe(wanted)
    else expect(end).toMatch(wanted)
  },
)

test('a server of a public authority is trusted under its own name only', async () => {
  const before = tls.getCACertificates('default')
  undo.push(() => tls.setDefaultCACertificates(before))
  tls.setDefaultCACertificates([good.cert])
  const port = (await serve('good')).split(':')[1]

  expect(await connect({}).ask(`127.0.0.1:${port}`)).toBe('answered')
  expect(await connect({}).ask(`localhost:${port}`)).toMatch(/problem=name.*localhost.*remedy=dial a name/)
})

test('who speaks TLS with a server that does not, or plain with one that insists, is told', async () => {
  const disabled = await serve('good', { 'tls.server.mode': 'disabled' })
  const enforcing = await serve('good')

  expect(await connect({ authServer: false }).ask(disabled)).toMatch(
    /problem=handshake.*remedy=see why.*tls\.server\.mode/,
  )
  expect(await connect(undefined).ask(enforcing)).toMatch(/CONNECTION_CLOSED.*tls\.enable/)
})

test.each([
  ['none', undefined, /problem=handshake|CONNECTION_CLOSED/],
  ['a trusted one', friend, 'answered'],
  ["a stranger's", stranger, /problem=handshake|CONNECTION_CLOSED/],
] as const)('a server that wants a certificate and gets %s: %s', async (_, identity, wanted) => {
  const address = await serve('good', { 'tls.server.need.client.auth': 'require', 'tls.server.authClient': 'true' })
  const given = identity && { certPath: fileOf(identity.cert), keyPath: fileOf(identity.key) }

  const end = await connect({ authServer: false, ...given }).ask(address)

  if (typeof wanted === 'string') expect(end).toBe(wanted)
  else expect(end).toMatch(wanted)
})

test.each(['half of a fi', ''])(
  'files that change are read by later connections; %j changes nothing',
  async (unusable) => {
    const trustCertPath = fileOf(good.cert)
    const [one, two, three] = [await serve('good'), await serve('other'), await serve('good')]
    const { ask, lines, pass } = connect({ trustCertPath })
    expect(await ask(one)).toBe('answered')

    writeFileSync(trustCertPath, unusable)
    pass(5_000)
    expect(await ask(two)).toMatch('problem=untrusted')
    expect(await ask(three)).toBe('answered')
    writeFileSync(trustCertPath, other.cert)
    expect(await ask(two)).toMatch('problem=untrusted') // not looked at yet
    pass(5_000)
    expect(await ask(two)).toBe('answered')
    expect(await ask(one)).toBe('answered') // as it is open

    expect(lines.filter(([message]) => message.startsWith('TLS')).map(([message]) => message)).toEqual([
      'TLS files cannot be used; the certificate stays as it was',
      'TLS certificate reloaded',
    ])
    expect(String(lines.find(([message]) => message.startsWith('TLS files'))![1].err)).toContain(trustCertPath)
  },
)

test.each([
  ['no file', { trustCertPath: '/nowhere/ca.crt' }, /key=tls\.client\.trustCertPath, value=\/nowhere\/ca\.crt/],
  ['authorities that are none', { trustCertPath: 'hello' }, /key=tls\.client\.trustCertPath.*BEGIN CERTIFICATE/],
  ['a certificate that is none', { certPath: 'hello', keyPath: friend.key }, /key=tls\.client\.certPath/],
  ["another one's key", { certPath: friend.cert, keyPath: stranger.key }, /key=tls\.client\.keyPath/],
  ['no key', { certPath: friend.cert }, /key=tls\.client\.keyPath.*needed both/],
])('%s: the setting is named', async (_, { ...given }: Record<string, string>, wanted) => {
  for (const [name, text] of Object.entries(given)) if (!text.startsWith('/')) given[name] = fileOf(text)
  const address = await serve('good')

  const asked = (async () => connect(given).ask(address))().catch((error: Error) => error.message)

  expect(await asked).toMatch(/SETTING_INVALID/)
  expect(await asked).toMatch(wanted)
})

test('a server is checked, unless false says that it is not', async () => {
  const address = await serve('good')
  const ask = async (authServer: unknown) => {
    const client = new RemotingClient({ tls: await openSharedTls({ authServer } as TlsOptions) }, nodeDoors(silentLog))
    undo.push(() => client.close())
    return client.call(address, { code: 10 }, 3_000).then(
      () => 'answered',
      (error: Error) => error.message,
    )
  }

  expect(await ask(undefined)).toMatch('problem=untrusted')
  expect(await ask(null)).toMatch('problem=untrusted')
  expect(await ask(false)).toBe('answered')
})

test('a connection that its own client closes is not said to have been closed by the server', async () => {
  const address = await serve('good', { 'tls.server.mode': 'permissive' }, () => undefined)
  const client = new RemotingClient({}, nodeDoors(silentLog))
  const asked = client.call(address, { code: 10 }, 3_000).catch((error: Error) => error.message)

  await nodeClock.sleep(50)
  await client.close()

  expect(await asked).toMatch('CONNECTION_CLOSED')
  expect(await asked).not.toMatch('hint')
})

test('a whole cluster speaks TLS alone: master, slave, admin and producer', async () => {
  const identity = { 'tls.crt': good.cert, 'tls.key': good.key }
  const path = folders.make(identity)
  const server = {
    bindAddress: '127.0.0.1',
    'tls.server.mode': 'enforcing',
    'tls.server.certPath': join(path, 'tls.crt'),
    'tls.server.keyPath': join(path, 'tls.key'),
  }
  const doors = nodeDoors(silentLog)
  const namesrv = await startNameServer(
    namesrvSettingsOf(propertiesOf({ ...server, listenPort: 0, kvConfigPath: join(path, 'kv.json') }), testMachine),
    doors,
  )
  undo.push(() => namesrv.stop())
  const namesrvAddr = `127.0.0.1:${namesrv.address.port}`
  const start = async (given: Record<string, unknown>) => {
    const settings = {
      ...server,
      brokerName: 'broker-a',
      brokerIP1: '127.0.0.1',
      namesrvAddr,
      listenPort: 0,
      registerNameServerPeriod: 1000,
      mappedFileSizeCommitLog: 1 << 20,
      storePathRootDir: folders.make({}),
      'tls.client.authServer': true,
      'tls.client.trustCertPath': join(path, 'tls.crt'),
      ...given,
    }
    const broker = await startBroker(brokerSettingsOf(propertiesOf(settings), testMachine), doors)
    undo.push(() => broker.stop())
    return `127.0.0.1:${broker.address.port}`
  }
  const masterAddr = await start({})
  const slaveAddr = await start({ brokerRole: 'SLAVE', brokerId: 1 })
  const options: { namesrvAddr: string; tls: TlsOptions } = {
    namesrvAddr,
    tls: { trustCertPath: join(path, 'tls.crt') },
  }
  const admin = new Admin(options, doors)
  const producer = new Producer({ ...options, producerGroup: 'p' }, doors)
  undo.push(
    () => admin.close(),
    () => producer.close(),
  )

  const both = new Map([
    [0, masterAddr],
    [1, slaveAddr],
  ])
  await eventually(async () => {
    expect((await admin.clusterInfo()).brokerAddrTable.get('broker-a')?.brokerAddrs).toEqual(both)
  }, startMsMax)
  await admin.createTopic(masterAddr, { topicName: 'orders', readQueueNums: 1, writeQueueNums: 1 })
  expect(await producer.send({ topic: 'orders', body: 'paid' })).toMatchObject({ status: 'SEND_OK' })
  await eventually(async () => {
    expect((await admin.allTopicConfig(slaveAddr)).topicConfigTable.has('orders')).toBe(true)
  }, startMsMax)
  expect((await admin.topicStats(slaveAddr, 'orders')).offsetTable.size).toBe(1)
}, 30_000)
