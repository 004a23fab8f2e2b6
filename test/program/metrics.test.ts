import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from '@jest/globals'
import { silentLog } from '../../src/base/log.ts'
import { nodeDoors } from '../../src/base/node/index.ts'
import { MemoryNetwork } from '../../src/base/testing/network.ts'
import { startTestBroker } from '../../src/runtime-broker/broker/testing/test-broker.ts'
import { startNameServer } from '../../src/runtime-broker/namesrv/server.ts'
import { namesrvSettingsOf } from '../../src/tunables/index.ts'
import { propertiesOf, testMachine } from '../../src/tunables/testing/settings.ts'

const page = (name: string) => readFileSync(resolve(import.meta.dirname, '../../docs', name), 'utf8')
const namesIn = (text: string, pattern: RegExp) => [...new Set(text.match(pattern))].sort()

test('the metrics of brokers and NameServers are those that the documentation lists', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'metrics-'))
  const network = new MemoryNetwork()
  const values = { bindAddress: '127.0.0.1', listenPort: '9876', kvConfigPath: `${dir}/kv.json` }
  const settings = namesrvSettingsOf(propertiesOf(values), testMachine, `${dir}/namesrv.properties`)
  const namesrv = await startNameServer(settings, { ...nodeDoors(silentLog), network })
  const master = await startTestBroker({}, network)
  const slave = await startTestBroker({ brokerRole: 'SLAVE', brokerId: 1, listenPort: 10_921 }, network)
  try {
    const texts = [namesrv.metrics(), master.running.metrics(), slave.running.metrics()]
    const served = namesIn((await Promise.all(texts)).join('\n'), /(?<=^# HELP )rocketmq_\w+/gm)
    const listed = namesIn(page('run-alone.md') + page('replication.md'), /(?<=`)rocketmq_\w+(?=[`{])/g)
    expect(listed).toEqual(served)
  } finally {
    await Promise.all([slave.stop(), master.stop()])
    await namesrv.stop()
    rmSync(dir, { recursive: true, force: true })
  }
})
