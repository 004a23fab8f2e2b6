import { afterEach, expect, test } from '@jest/globals'
import { OperatingError } from '../../base/errors.ts'
import { silentLog } from '../../base/log.ts'
import { nodeClock } from '../../base/node/index.ts'
import { eventually } from '../../base/testing/eventually.ts'
import { MemoryNetwork } from '../../base/testing/network.ts'
import { readRegistration } from '../../remoting/body/register-broker.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { type Request, type Server, startServer } from '../../remoting/server.ts'
import { ourVersion } from '../../remoting/version.ts'
import { startTestBroker, type TestBroker } from './testing/test-broker.ts'

let broker: TestBroker | undefined
const servers: Server[] = []
afterEach(async () => {
  await broker?.stop()
  await Promise.all(servers.splice(0).map((server) => server.close(0)))
})

test('the broker is ready when every NameServer knows it, and says which one does not', async () => {
  broker = await startTestBroker({ namesrvAddr: '127.0.0.1:9876;127.0.0.1:9877', registerNameServerPeriod: 1000 })
  const first = await nameServer(broker.network, 9876)
  await eventually(() => expect(broker!.running.notReady()).toBe('not registered at NameServer 127.0.0.1:9877'))

  const second = await nameServer(broker.network, 9877)

  await eventually(() => expect(broker!.running.notReady()).toBeUndefined())
  const { topics, extFields } = second.registrations.at(-1)!
  expect(topics).toEqual(expect.arrayContaining(['TBW102', 'SCHEDULE_TOPIC_XXXX', 'broker-a']))
  expect(extFields).toMatchObject({ brokerAddr: '127.0.0.1:10911', brokerId: '0', clusterName: 'DefaultCluster' })

  await first.server.close(0) // one is enough, once all had it
  await eventually(() => expect(second.registrations.length).toBeGreaterThan(2))
  expect(broker.running.notReady()).toBeUndefined()
})

test('a new topic is told before the admin who made it is answered, and alone', async () => {
  const network = new MemoryNetwork()
  const { registrations } = await nameServer(network, 9876)
  broker = await startTestBroker({ namesrvAddr: '127.0.0.1:9876', registerNameServerPeriod: 1000 }, network)
  await eventually(() => expect(registrations.length).toBeGreaterThan(0))

  await broker.client.createTopic('fresh')

  expect(registrations.map(({ topics }) => topics)).toContainEqual(['fresh'])
})

test('brokerPermission narrows what is told of each topic', async () => {
  const network = new MemoryNetwork()
  const { registrations } = await nameServer(network, 9876)
  broker = await startTestBroker({ namesrvAddr: '127.0.0.1:9876', registerNameServerPeriod: 1000 }, network)
  await eventually(() => expect(registrations.length).toBeGreaterThan(0))

  await broker.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, 'brokerPermission=4')

  const [before, after] = [registrations[0]!, registrations.at(-1)!]
  expect(after.perms.get('TBW102')).toBe(4)
  expect(after.counter).toBeGreaterThan(before.counter)
})

test('a broker that is held back registers when it is let go, with all that it was given meanwhile', async () => {
  const network = new MemoryNetwork()
  const { registrations } = await nameServer(network, 9876)
  const settings = { namesrvAddr: '127.0.0.1:9876', registerNameServerPeriod: 1000, registrationHeld: true }
  broker = await startTestBroker(settings, network)
  await broker.client.createTopic('fresh')
  await nodeClock.sleep(1200) // more than a period
  expect(registrations).toEqual([])
  expect(broker.running.notReady()).toContain('registrationHeld')

  await broker.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, 'registrationHeld=false')

  expect(registrations[0]?.topics).toContain('fresh')
  expect(broker.running.notReady()).toBeUndefined()
})

test('a clean stop leaves the NameServer', async () => {
  const network = new MemoryNetwork()
  const { registrations, left } = await nameServer(network, 9876)
  broker = await startTestBroker({ namesrvAddr: '127.0.0.1:9876', registerNameServerPeriod: 1000 }, network)
  await eventually(() => expect(registrations.length).toBeGreaterThan(0))

  await broker.stop()
  broker = undefined

  expect(left).toEqual(['broker-a'])
})

test('a NameServer that moved is found, and the one at its old address is left alone', async () => {
  const network = new NamedNetwork({ mq: ['127.0.0.1'] })
  const old = await nameServer(network, 9876)
  broker = await startTestBroker({ namesrvAddr: 'mq:9876', updateNameServerAddrPeriod: 1000 }, network)
  await eventually(() => expect(old.registrations.length).toBeGreaterThan(0))
  const moved = await nameServer(network, 9876, '127.0.0.2')
  const added = await nameServer(network, 9876, '127.0.0.3')

  network.names.mq = ['127.0.0.2', '127.0.0.3']

  await eventually(() =>
    expect([moved, added].map(({ registrations }) => registrations.length > 0)).toEqual([true, true]),
  )
  const told = old.registrations.length
  await broker.client.createTopic('after-the-move')
  expect(added.registrations.at(-1)!.topics).toEqual(['after-the-move'])
  expect(old.registrations.length).toBe(told)
  expect(old.left).toEqual([])
})

test('a name that does not resolve holds up no other, and its last addresses go on being told', async () => {
  const network = new NamedNetwork({ good: ['127.0.0.1'], slow: new Promise(() => {}) })
  const { registrations } = await nameServer(network, 9876)
  broker = await startTestBroker({ namesrvAddr: 'slow:9876;good:9876', updateNameServerAddrPeriod: 1000 }, network)
  await eventually(() => expect(registrations.length).toBe(1))
  expect(broker.running.notReady()).toBe('not registered at NameServer slow:9876')

  network.names.good = []
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  await broker.client.createTopic('without-dns')

  expect(registrations.at(-1)!.topics).toEqual(['without-dns'])
})

test('namesrvAddr changed while the broker runs: it registers there, and leaves the one taken out', async () => {
  const network = new MemoryNetwork()
  const before = await nameServer(network, 9876)
  const after = await nameServer(network, 9877)
  broker = await startTestBroker({ namesrvAddr: '127.0.0.1:9876' }, network)
  await eventually(() => expect(before.registrations.length).toBe(1))

  await broker.client.call(RequestCode.UPDATE_BROKER_CONFIG, {}, 'namesrvAddr=127.0.0.1:9877')

  expect(after.registrations.length).toBe(1)
  await eventually(() => expect(before.left).toEqual(['broker-a']))
  expect(broker.running.notReady()).toBeUndefined()
})

test('a NameServer that restarts is told everything again before the period of registration', async () => {
  const network = new MemoryNetwork()
  const first = await nameServer(network, 9876)
  const periods = { updateNameServerAddrPeriod: 1000, registerNameServerPeriod: 60_000 }
  broker = await startTestBroker({ namesrvAddr: '127.0.0.1:9876', ...periods }, network)
  await eventually(() => expect(broker!.running.notReady()).toBeUndefined())

  await first.server.close(0)
  await eventually(() => expect(broker!.running.notReady()).toContain('127.0.0.1:9876'))
  const second = await nameServer(network, 9876)

  await eventually(() => expect(second.registrations[0]?.topics).toContain('TBW102'))
})

test('without forceRegister a NameServer is asked, and told when it lacks something', async () => {
  const network = new MemoryNetwork()
  const { registrations, asked, forget } = await nameServer(network, 9876)
  const settings = { namesrvAddr: '127.0.0.1:9876', registerNameServerPeriod: 1000, forceRegister: false }
  broker = await startTestBroker(settings, network)
  await eventually(() => expect(asked.length).toBeGreaterThan(0))
  expect(registrations.length).toBe(1)
  expect(asked[0]).toBe(registrations[0]!.counter)

  forget()

  await eventually(() => expect(registrations.length).toBe(2))
  expect(registrations[1]!.topics).toEqual(registrations[0]!.topics)
})

/** A network with a DNS that tests change; a name without addresses does not resolve. */
class NamedNetwork extends MemoryNetwork {
  readonly names: Record<string, string[] | Promise<string[]>>

  constructor(names: Record<string, string[] | Promise<string[]>>) {
    super()
    this.names = names
  }

  override async resolve(host: string): Promise<string[]> {
    const hosts = (await this.names[host]) ?? [host]
    if (hosts.length === 0) throw new OperatingError('RESOLVE_FAILED', { host })
    return hosts
  }
}

interface Registered {
  topics: string[]
  perms: Map<string, number>
  counter: number
  extFields: Record<string, string>
}

/** Takes registrations and remembers them. */
async function nameServer(network: MemoryNetwork, port: number, host = '127.0.0.1') {
  const registrations: Registered[] = []
  const left: string[] = []
  const asked: number[] = [] // counters of the data versions that were asked about
  let known: number | undefined
  const handle = ({ code, body, extFields }: Request) => {
    if (code === RequestCode.UNREGISTER_BROKER) left.push(extFields.brokerName!)
    if (code === RequestCode.QUERY_DATA_VERSION) {
      const { counter } = JSON.parse(body.toString())
      asked.push(counter)
      return { code: 0, extFields: { changed: String(counter !== known) } }
    }
    if (code === RequestCode.REGISTER_BROKER) {
      const { dataVersion, topics } = readRegistration(body, { isCompressed: false, version: ourVersion })
      const perms = new Map(topics.map(({ topicName, perm }) => [topicName, perm]))
      registrations.push({ topics: [...perms.keys()], perms, counter: dataVersion.counter, extFields })
      known = dataVersion.counter
    }
    return { code: 0 }
  }
  const doors = { clock: nodeClock, network, log: silentLog }
  const server: Server = await startServer({ listen: { host, port }, handle }, doors)
  servers.push(server)
  return { server, registrations, left, asked, forget: () => (known = undefined) }
}
