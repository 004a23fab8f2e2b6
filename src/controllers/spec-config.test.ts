import { isDeepStrictEqual } from 'node:util'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { nodeClock } from '../base/node/index.ts'
import type { BrokerSet, NameServer } from './resources.ts'
import { startCluster } from './testing/cluster.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
})
afterEach(() => cluster.stop())

type Configured = 'nameservers' | 'brokersets'
const refusedKey = 'scanNotActiveBrokerInterval'
const resourceOf = (kind: Configured, name: string) => cluster.get<NameServer | BrokerSet>(kind, name)

/** A condition for the spec as it is now. */
function conditionOf(type: string, kind: Configured, name: string) {
  const { metadata, status } = resourceOf(kind, name) ?? {}
  const found = status?.conditions?.find((one) => one.type === type)
  return found?.observedGeneration === metadata?.generation ? found : undefined
}

const readyOf = (kind: Configured, name: string) => conditionOf('Ready', kind, name)
const isReady = (kind: Configured, name: string) => readyOf(kind, name)?.status === 'True'
const uids = () => cluster.list('/pods').map(({ metadata }) => metadata.uid)
const configs = () => JSON.stringify(cluster.list('/configmaps').map((config) => (config as { data?: object }).data))
async function createBoth(config: object = {}) {
  await cluster.create('nameservers', 'mq', { replicas: 2, config })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' } })
  await cluster.eventually(() => isReady('nameservers', 'mq') && isReady('brokersets', 'b'))
}

test('a value that no NameServer takes restarts none: the resource names key and remedy', async () => {
  await createBoth()
  const before = [uids(), configs()]

  await cluster.change('nameservers', 'mq', { spec: { replicas: 3, config: { [refusedKey]: 'abc' } } })
  await cluster.eventually(() => readyOf('nameservers', 'mq')?.reason === 'InvalidSpec')

  expect(readyOf('nameservers', 'mq')?.message).toBe(
    `spec.config.${refusedKey}: abc does not fit; a whole number from 100 to 600000 does`,
  )
  expect(conditionOf('Stalled', 'nameservers', 'mq')?.status).toBe('True')
  expect(conditionOf('Available', 'nameservers', 'mq')?.status).toBe('True')
  // brokers do not wait for a NameServer that nobody makes
  await cluster.create('brokersets', 'c', { nameServerRef: { name: 'mq' } })
  await cluster.eventually(() => isReady('brokersets', 'c'))
  await cluster.remove('brokersets', 'c')
  await cluster.eventually(() => isDeepStrictEqual([uids(), configs()], before))

  await cluster.change('nameservers', 'mq', { spec: { config: { [refusedKey]: '3000' } } })
  await cluster.eventually(() => isReady('nameservers', 'mq'))
  expect(configs()).toContain(`${refusedKey}=3000`)
  expect(cluster.list('/pods').length).toBe(4)
})

test('of a NameServer that could not start nothing is made', async () => {
  await cluster.create('nameservers', 'mq', { config: { [refusedKey]: '' } })
  await cluster.eventually(() => readyOf('nameservers', 'mq')?.reason === 'InvalidSpec')
  await nodeClock.sleep(50)

  expect([cluster.list('/pods'), cluster.list('/services'), cluster.list('/configmaps')]).toEqual([[], [], []])
})
