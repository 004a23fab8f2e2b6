import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { silentLog } from '../../src/base/log.ts'
import { nodeDoors } from '../../src/base/node/index.ts'
import { eventually } from '../../src/base/testing/eventually.ts'
import { MemoryNetwork } from '../../src/base/testing/network.ts'
import { PushConsumer } from '../../src/client/index.ts'
import { clientAdmin } from '../../src/controllers/client-admin.ts'
import { startTestBroker } from '../../src/runtime-broker/broker/testing/test-broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'

const brokerAddr = '127.0.0.1:10911'
const namesrvAddr = '127.0.0.1:9876'

test('a broker is not read to its end while a new group still consumes its first messages', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'drain-'))
  const doors = { ...nodeDoors(silentLog), network: new MemoryNetwork() }
  const values = { bindAddress: '127.0.0.1', listenPort: '9876', kvConfigPath: `${dir}/kv.json` }
  const settings = namesrvSettingsOf(propertiesOf(values), testMachine, `${dir}/namesrv.properties`)
  const namesrv = await startNameServer(settings, doors)
  const broker = await startTestBroker({ namesrvAddr, registerNameServerPeriod: 1000 }, doors.network)
  const admin = clientAdmin(doors)
  const unread = () => admin.unread(brokerAddr, [], false, new AbortController().signal)
  const hanging = Promise.withResolvers<void>()
  const begun: string[] = []
  const consumer = new PushConsumer(
    {
      namesrvAddr,
      consumerGroup: 'begins',
      subscriptions: { orders: '*' },
      onMessage: async ({ body }) => {
        begun.push(body.toString())
        await hanging.promise
      },
    },
    doors,
  )
  try {
    await broker.client.createTopic('orders')
    await eventually(async () => expect((await admin.brokers(namesrvAddr)).length).toBe(1))
    await consumer.start()
    await broker.client.send('orders', { body: 'paid' })
    await eventually(() => expect(begun).toEqual(['paid']))

    // its offset is not stored for 5 s, and by other clients not before the message is consumed
    expect(await unread()).toEqual([{ consumerGroup: 'begins', topic: 'orders', count: 1 }])

    hanging.resolve()
    await consumer.close() // which commits
    expect(await unread()).toEqual([])
  } finally {
    hanging.resolve()
    await consumer.close()
    await admin.close()
    await broker.stop()
    await namesrv.stop()
    rmSync(dir, { recursive: true, force: true })
  }
})
