import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { BrokerSet } from './resources.ts'
import { startCluster } from './testing/cluster.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
  await cluster.create('nameservers', 'mq', { replicas: 1 })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, groups: 2 })
  await cluster.eventually(isReady)
})
afterEach(() => cluster.stop())

const brokerSet = () => cluster.get<BrokerSet>('brokersets', 'b')
const readyOf = () => {
  const { conditions } = brokerSet()?.status ?? {}
  const ready = conditions?.find(({ type }) => type === 'Ready')
  return ready?.observedGeneration === brokerSet()?.metadata.generation ? ready : undefined
}
const isReady = () => readyOf()?.status === 'True'
const uids = () =>
  cluster
    .list('/pods')
    .filter(({ metadata }) => metadata.name.startsWith('b-'))
    .map(({ metadata }) => metadata.uid)
const settings = (key: string) => [...cluster.brokers.values()].map((broker) => broker.settings.get(key))
const change = (config: object) => cluster.change('brokersets', 'b', { spec: { config } })

test('a live setting takes effect without a restart, and a broker that restarts has it, too', async () => {
  const before = uids()

  await change({ fileReservedTime: '48', traceOn: 'false' })
  await cluster.eventually(isReady)
  expect([settings('fileReservedTime'), settings('traceOn')]).toEqual([
    ['48', '48'],
    ['false', 'false'],
  ])
  await change({ traceOn: null })
  await cluster.eventually(isReady)
  expect([settings('fileReservedTime'), settings('traceOn')]).toEqual([
    ['48', '48'],
    ['true', 'true'],
  ])
  expect(uids()).toEqual(before)

  await cluster.client.delete({ apiVersion: 'v1', kind: 'Pod', plural: 'pods' }, { name: 'b-0-0', namespace: 'shop' })
  await cluster.eventually(() => uids().length === 2 && !uids().includes(before[0]) && isReady())
  expect(settings('fileReservedTime')).toEqual(['48', '48'])
})

test('a change of both kinds restarts each broker once', async () => {
  const seen = new Set(uids())
  const stop = setInterval(() => uids().forEach((uid) => void seen.add(uid)), 1)

  await change({ fileReservedTime: '48', maxMessageSize: '1024' })
  await cluster.eventually(isReady)
  await cluster.eventually(() => settings('fileReservedTime').every((value) => value === '48'))
  clearInterval(stop)

  expect(seen.size).toBe(4)
})

test('a value that no broker takes changes nothing, and the resource says what fits', async () => {
  await change({ fileReservedTime: 'a week', maxMessageSize: '1024' })
  await cluster.eventually(() => readyOf()?.reason === 'InvalidSpec')

  expect(readyOf()?.message).toContain('spec.config.fileReservedTime: a week does not fit; a whole number from 1')
  expect(JSON.stringify(cluster.list('/configmaps'))).not.toContain('maxMessageSize')
})

test('a broker that drains takes no messages after its restart, and takes them when it may stay', async () => {
  const leaving = cluster.brokers.get('1')!
  leaving.unread = [{ consumerGroup: 'billing', topic: 'orders', count: 7 }]
  await cluster.change('brokersets', 'b', { spec: { groups: 1 } })
  await cluster.eventually(() => brokerSet()?.status?.groupStatuses?.[1]?.draining?.blockers?.length === 1)
  const before = uids()
  const since = brokerSet()?.status?.groupStatuses?.[1]?.draining?.since
  const permissions: number[] = []
  const setPermission = cluster.admin.setPermission
  cluster.admin.setPermission = async (address, permission) => {
    permissions.push(permission)
    await setPermission(address, permission)
  }

  await cluster.client.delete({ apiVersion: 'v1', kind: 'Pod', plural: 'pods' }, { name: 'b-1-0', namespace: 'shop' })
  await cluster.eventually(() => uids().length === 2 && !uids().includes(before[1]))
  await cluster.eventually(() => leaving.permission === 4)
  expect([permissions, brokerSet()?.status?.groupStatuses?.[1]?.draining?.since]).toEqual([[], since])

  await cluster.change('brokersets', 'b', { spec: { groups: 2 } })
  await cluster.eventually(() => isReady() && leaving.permission === 6)
})
