import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { BrokerSet } from './resources.ts'
import { startCluster } from './testing/cluster.ts'

let cluster: Awaited<ReturnType<typeof startCluster>>
beforeEach(async () => {
  cluster = await startCluster()
  await cluster.create('nameservers', 'mq', { replicas: 1 })
  await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' }, storage: { size: '2Gi' } })
  await cluster.eventually(() => said('Ready')?.status === 'True' && areSettled())
})
afterEach(() => cluster.stop())

const brokerSet = () => cluster.get<BrokerSet>('brokersets', 'b')
const said = (type: string) =>
  brokerSet()?.status?.conditions?.find(
    (one) => one.type === type && one.observedGeneration === brokerSet()?.metadata.generation,
  )
const statefulSets = () => cluster.list('apps/statefulsets').filter(({ metadata }) => metadata.name !== 'mq')
const areSettled = () => {
  const { storage, slavesPerGroup } = brokerSet()!.spec
  return statefulSets().every(
    ({ metadata }) =>
      metadata.annotations?.['rocketmq.alt/volumes'] === `${storage.size} for each of ${1 + slavesPerGroup}`,
  )
}
const sizes = () => {
  const claims = cluster.list('/persistentvolumeclaims') as unknown as {
    metadata: { name: string }
    spec: { resources: { requests: { storage: string } } }
  }[]
  return Object.fromEntries(claims.map(({ metadata, spec }) => [metadata.name, spec.resources.requests.storage]))
}

test('volumes grow with storage.size, those of later slaves and groups too, and no broker is restarted', async () => {
  const podUid = () => cluster.list('/pods').find(({ metadata }) => metadata.name === 'b-0-0')?.metadata.uid
  const before = [podUid(), statefulSets()[0]?.metadata.uid]

  await cluster.change('brokersets', 'b', { spec: { storage: { size: '3Gi' } } })
  await cluster.eventually(() => sizes()['data-b-0-0'] === '3Gi' && areSettled())
  await cluster.eventually(() => said('VolumesResized')?.reason === 'AllResized')

  await cluster.change('brokersets', 'b', { spec: { groups: 2, slavesPerGroup: 1 } })
  await cluster.eventually(() => said('Ready')?.status === 'True' && Object.keys(sizes()).length === 4)
  await cluster.eventually(() => Object.values(sizes()).every((size) => size === '3Gi') && areSettled())
  expect([podUid(), statefulSets()[0]?.metadata.uid]).toEqual(before)
})
