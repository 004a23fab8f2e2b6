import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { silentLog } from '../../src/base/log.ts'
import { nodeDoors } from '../../src/base/node/index.ts'
import { eventually } from '../../src/base/testing/eventually.ts'
import { MemoryNetwork } from '../../src/base/testing/network.ts'
import { PushConsumer } from '../../src/client/index.ts'
import { startTestBroker, type TestBroker } from '../../src/runtime-broker/broker/testing/test-broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'

const namesrvAddr = '127.0.0.1:9876'
const count = 200

async function messagesOut({ running }: TestBroker): Promise<number> {
  const text = await running.metrics()
  return Number(/^rocketmq_messages_out_total\S* (\d+)$/m.exec(text)![1])
}

test.each([
  [0, 'the slave'],
  [40, 'the master alone'],
])('with accessMessageInMemoryMaxRatio=%i a consumer far behind is served by %s', async (ratio) => {
  const dir = mkdtempSync(join(tmpdir(), 'cold-'))
  const network = new MemoryNetwork()
  const doors = { ...nodeDoors(silentLog), network }
  const values = { bindAddress: '127.0.0.1', listenPort: '9876', kvConfigPath: `${dir}/kv.json` }
  const settings = namesrvSettingsOf(propertiesOf(values), testMachine, `${dir}/namesrv.properties`)
  const namesrv = await startNameServer(settings, doors)
  const shared = { namesrvAddr, slaveReadEnable: true, accessMessageInMemoryMaxRatio: ratio }
  const master = await startTestBroker(shared, network)
  const slave = await startTestBroker({ ...shared, brokerRole: 'SLAVE', brokerId: 1, listenPort: 10_921 }, network)
  const received = new Set<string>()
  const consumer = new PushConsumer(
    {
      namesrvAddr,
      consumerGroup: 'behind',
      consumeFrom: 'first',
      subscriptions: { orders: '*' },
      onMessage: ({ body }) => void received.add(body.toString()),
    },
    doors,
  )
  try {
    await master.client.createTopic('orders')
    await eventually(() => expect(slave.running.notReady()).toBeUndefined())
    for (let number = 0; number < count; number++) await master.client.send('orders', { body: `${number}` })
    await consumer.start()
    await eventually(() => expect(received.size).toBe(count))
    await master.client.send('orders', { body: 'the newest' })
    await eventually(() => expect(received).toContain('the newest'))

    const [fromMaster, fromSlave] = [await messagesOut(master), await messagesOut(slave)]
    expect(fromMaster + fromSlave).toBeGreaterThanOrEqual(count + 1)
    if (ratio === 0) expect(fromSlave).toBeGreaterThan(count / 2)
    else expect(fromSlave).toBe(0)
  } finally {
    await consumer.close()
    await Promise.all([slave.stop(), master.stop()])
    await namesrv.stop()
    rmSync(dir, { recursive: true, force: true })
  }
})
