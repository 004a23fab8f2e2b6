import { afterEach, expect, test } from '@jest/globals'
import { silentLog } from '../../base/log.ts'
import { nodeClock } from '../../base/node/index.ts'
import { MemoryNetwork } from '../../base/testing/network.ts'
import { readRegisterBrokerBody } from '../../remoting/body/register-broker.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { type Request, type Server, startServer } from '../../remoting/server.ts'
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

interface Registered {
  topics: string[]
  perms: Map<string, number>
  counter: number
  extFields: Record<string, string>
}

/** Takes registrations and remembers them. */
async function nameServer(network: MemoryNetwork, port: number) {
  const registrations: Registered[] = []
  const left: string[] = []
  const handle = ({ code, body, extFields }: Request) => {
    if (code === RequestCode.UNREGISTER_BROKER) left.push(extFields.brokerName!)
    if (code === RequestCode.REGISTER_BROKER) {
      const { dataVersion, topicConfigTable } = readRegisterBrokerBody(body, false).topicConfigSerializeWrapper
      const perms = new Map([...topicConfigTable.values()].map(({ topicName, perm }) => [topicName, perm]))
      registrations.push({ topics: [...topicConfigTable.keys()], perms, counter: dataVersion.counter, extFields })
    }
    return { code: 0 }
  }
  const doors = { clock: nodeClock, network, log: silentLog }
  const server: Server = await startServer({ listen: { host: '127.0.0.1', port }, handle }, doors)
  servers.push(server)
  return { server, registrations, left }
}

async function eventually(check: () => void, deadlineMs = 4_000): Promise<void> {
  for (const startedAt = Date.now(); ; ) {
    try {
      check()
      return
    } catch (error) {
      if (Date.now() - startedAt > deadlineMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}
