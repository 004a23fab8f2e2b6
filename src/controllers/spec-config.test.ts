import { isDeepStrictEqual } from 'node:util'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { nodeClock } from '../base/node/index.ts'
import { ManualClock } from '../base/testing/clock.ts'
import { found } from '../base/testing/eventually.ts'
import type { Pod } from '../kube/index.ts'
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
const ignoredEvents = () =>
  (cluster.list('/events') as unknown as { type: string; reason: string; message: string }[])
    .filter(({ reason }) => reason === 'ConfigIgnored')
    .map(({ type, message }) => [type, message])

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

test('that NameServers differ for long is told also while their spec is refused', async () => {
  await cluster.stop()
  const clock = new ManualClock()
  cluster = await startCluster({ clock })
  await createBoth()
  const { brokers } = cluster.admin
  const last = (cluster.list('/pods') as Pod[]).find(({ metadata }) => metadata.name === 'mq-1')
  cluster.admin.brokers = async (address) => (address.startsWith(`${last?.status?.podIP}:`) ? [] : brokers(address))
  const told = () => (cluster.list('/events') as unknown as { reason: string }[]).map(({ reason }) => reason)

  await cluster.change('nameservers', 'mq', { spec: { config: { [refusedKey]: 'abc' } } })

  await found(async () => {
    await clock.advance(5_000) // passes have their turn in between
    return told().includes('RouteInconsistent')
  })
})

test('of a NameServer that could not start nothing is made', async () => {
  await cluster.create('nameservers', 'mq', { config: { [refusedKey]: '' } })
  await cluster.eventually(() => readyOf('nameservers', 'mq')?.reason === 'InvalidSpec')
  await nodeClock.sleep(50)

  expect([cluster.list('/pods'), cluster.list('/services'), cluster.list('/configmaps')]).toEqual([[], [], []])
})

test.each<[Configured, string, object, string]>([
  ['nameservers', 'mq', { enableTopicLst: 'true' }, 'enableTopicLst is unknown, did you mean enableTopicList?'],
  ['nameservers', 'mq', { productEnvName: 'center' }, 'productEnvName has no effect in this version'],
  ['brokersets', 'b', { fileReservdTime: '48' }, 'fileReservdTime is unknown, did you mean fileReservedTime?'],
  ['brokersets', 'b', { aclEnable: 'true' }, 'aclEnable has no effect in this version'],
  ['brokersets', 'b', { zzzzzzzzzzzz: '1' }, 'zzzzzzzzzzzz is unknown'],
])('%s %s says of a setting that nobody reads that it changes nothing, by %j', async (kind, name, config, says) => {
  await createBoth()

  await cluster.change(kind, name, { spec: { config } })
  await cluster.eventually(() => isReady(kind, name))

  expect(conditionOf('ConfigIgnored', kind, name)).toMatchObject({ status: 'True', message: `spec.config: ${says}` })
  await cluster.eventually(() => ignoredEvents().length > 0)
  expect(ignoredEvents()).toEqual([['Warning', `spec.config: ${says}`]])
})

test('it is told once, also by another operator, and no more when the setting is gone', async () => {
  const many = Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`qqqqqqq${index}`, '1']))
  await createBoth(many)
  await cluster.eventually(() => ignoredEvents().length > 0)
  expect(ignoredEvents()[0]?.[1]).toMatch(/qqqqqqq4 is unknown; and 2 more$/)

  await cluster.replaceOperator('localhost/mq:2')
  await cluster.change('nameservers', 'mq', { spec: { replicas: 3 } })
  await cluster.eventually(() => isReady('nameservers', 'mq'))
  expect(ignoredEvents()).toHaveLength(1)

  const none = Object.fromEntries(Object.keys(many).map((key) => [key, null]))
  await cluster.change('nameservers', 'mq', { spec: { config: none } })
  await cluster.eventually(() => isReady('nameservers', 'mq'))
  expect(resourceOf('nameservers', 'mq')?.status?.conditions?.map(({ type }) => type)).not.toContain('ConfigIgnored')
})
