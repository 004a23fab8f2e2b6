import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { nodeClock } from '../base/node/index.ts'
import type { AllowedNamespaces } from '../crds/index.ts'
import { admits, follow } from './references.ts'
import type { BrokerSet, Topic } from './resources.ts'
import { startCluster } from './testing/cluster.ts'
import { brokerSet, topic } from './testing/resources.ts'

const labels = { team: 'shop', tier: 'gold' }
const selecting = (selector: object) => ({ from: 'Selector', selector }) as AllowedNamespaces

test.each<[string, AllowedNamespaces | undefined, boolean]>([
  ['nothing', undefined, false],
  ['Same', { from: 'Same' }, false],
  ['All', { from: 'All' }, true],
  ['an empty selector', selecting({}), true],
  ['its labels', selecting({ matchLabels: { team: 'shop' } }), true],
  ['another label, too', selecting({ matchLabels: { team: 'shop', tier: 'tin' } }), false],
  ['In', selecting({ matchExpressions: [{ key: 'tier', operator: 'In', values: ['tin', 'gold'] }] }), true],
  ['In without the label', selecting({ matchExpressions: [{ key: 'x', operator: 'In', values: ['y'] }] }), false],
  ['NotIn', selecting({ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['gold'] }] }), false],
  ['NotIn without the label', selecting({ matchExpressions: [{ key: 'x', operator: 'NotIn', values: ['y'] }] }), true],
  ['Exists', selecting({ matchExpressions: [{ key: 'tier', operator: 'Exists' }] }), true],
  ['DoesNotExist', selecting({ matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] }), false],
])('%s lets a namespace in: %#', (_, allowed, isIn) => {
  expect(admits(allowed, labels)).toBe(isIn)
})

test('labels that nobody knows match no selector, not even an empty one', () => {
  expect(admits(selecting({}), undefined)).toBe(false)
  expect(admits({ from: 'All' }, undefined)).toBe(true)
})

describe('from another namespace', () => {
  const target = { ...brokerSet(), metadata: { name: 'b', namespace: 'infra' } }
  const from = topic({ brokerSetRef: { name: 'b', namespace: 'infra' } })
  const sight = (object: BrokerSet | undefined) =>
    ({ type: { kind: 'BrokerSet' }, get: (key: string) => (key === 'infra/b' ? object : undefined) }) as never
  const seen = (isSeen: boolean) => ({ isSeen: () => isSeen, labelsOfNamespace: () => labels })
  const found = (object: BrokerSet | undefined, isSeen = true) =>
    follow(from, from.spec.brokerSetRef, sight(object), seen(isSeen))

  test('nothing is found but what lets it in, and what is not there is waited for', () => {
    const open = { ...target, spec: { ...target.spec, allowedNamespaces: { from: 'All' as const } } }

    expect(found(open).is).toBe('there')
    expect(found(target)).toMatchObject({
      is: 'notAllowed',
      message: expect.stringContaining('BrokerSet infra/b lets nobody in from namespace shop'),
    })
    expect(found(undefined)).toEqual({ is: 'missing', message: 'BrokerSet infra/b does not exist' })
    expect(found(open, false)).toMatchObject({ is: 'notAllowed', message: expect.stringContaining('--namespace') })
  })
})

describe('an operator that looks at all namespaces', () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  beforeEach(async () => {
    cluster = await startCluster({ looksEverywhere: true })
  })
  afterEach(() => cluster.stop())

  const ready = (kind: 'topics' | 'brokersets' | 'nameservers', name: string, where: string) =>
    cluster.get<Topic>(kind, name, where)?.status?.conditions?.find(({ type }) => type === 'Ready')

  test('a Topic works where its namespace is let in, and says so when it is no longer', async () => {
    const spec = { brokerSetRef: { name: 'b', namespace: 'shop' }, deletionPolicy: 'Delete' }
    await cluster.createNamespace('orders-team')
    await cluster.create('topics', 'orders', spec, 'orders-team')
    await cluster.eventually(() => ready('topics', 'orders', 'orders-team')?.reason === 'ClusterNotReady')

    await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' } })
    await cluster.create('nameservers', 'mq', {})
    await cluster.eventually(() => ready('topics', 'orders', 'orders-team')?.reason === 'NotAllowed')
    await cluster.eventually(() => ready('brokersets', 'b', 'shop')?.status === 'True')
    expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(false)

    const selector = { matchLabels: { 'may-use': 'mq' } }
    await cluster.change('brokersets', 'b', { spec: { allowedNamespaces: { from: 'Selector', selector } } })
    const namespaceType = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' }
    const label = (value: string | null) =>
      cluster.client.merge(namespaceType, { name: 'orders-team' }, { metadata: { labels: { 'may-use': value } } })
    await label('mq')
    await cluster.eventually(() => ready('topics', 'orders', 'orders-team')?.status === 'True')
    expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(true)

    await label(null)
    await cluster.eventually(() => ready('topics', 'orders', 'orders-team')?.reason === 'NotAllowed')
    await cluster.remove('topics', 'orders', 'orders-team')
    await cluster.eventually(() => cluster.get('topics', 'orders', 'orders-team') === undefined)
    expect(cluster.brokers.get('0')?.topics.has('orders')).toBe(true)
  })

  test('a resource that is not let in keeps no name from one that is', async () => {
    await cluster.createNamespace('stranger')
    await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b', namespace: 'shop' } }, 'stranger')
    await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' } })
    await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' } })
    await cluster.create('nameservers', 'mq', {})

    await cluster.eventually(() => ready('topics', 'orders', 'shop')?.status === 'True')
    expect(ready('topics', 'orders', 'stranger')?.reason).toBe('NotAllowed')
  })

  test('of two BrokerSets of one name at one NameServer the younger has to take another one', async () => {
    await cluster.createNamespace('brokers')
    await cluster.create('nameservers', 'mq', { allowedNamespaces: { from: 'All' } })
    await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq' } })
    await cluster.eventually(() => ready('brokersets', 'b', 'shop')?.status === 'True')
    await nodeClock.sleep(1_000) // creationTimestamp is in seconds

    const spec = { nameServerRef: { name: 'mq', namespace: 'shop' } }
    await cluster.create('brokersets', 'b', spec, 'brokers')
    await cluster.create('brokersets', 'c', spec, 'brokers')
    await cluster.eventually(() => ready('brokersets', 'c', 'brokers')?.status === 'True')
    await cluster.eventually(() => ready('brokersets', 'b', 'brokers')?.reason === 'NotAllowed')

    expect(ready('brokersets', 'b', 'brokers')?.message).toContain('BrokerSet shop/b is older')
    expect(ready('brokersets', 'b', 'shop')?.status).toBe('True')
    const pods = cluster.list('/pods').map(({ metadata: { namespace, name } }) => `${namespace}/${name}`)
    expect(pods.sort()).toEqual(['brokers/c-0-0', 'shop/b-0-0', 'shop/mq-0', 'shop/mq-1'])
  })

  test('the routes of a Topic are deleted only at NameServers that let its BrokerSet in', async () => {
    const deleted: string[] = []
    cluster.admin.deleteRoute = async (namesrvAddr) => void deleted.push(namesrvAddr)
    await cluster.createNamespace('brokers')
    await cluster.create('nameservers', 'mq', { replicas: 1 })
    await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq', namespace: 'shop' } }, 'brokers')
    const createAndRemove = async (name: string) => {
      await cluster.create('topics', name, { brokerSetRef: { name: 'b' }, deletionPolicy: 'Delete' }, 'brokers')
      await cluster.eventually(() => ready('topics', name, 'brokers') !== undefined)
      await cluster.remove('topics', name, 'brokers')
      await cluster.eventually(() => cluster.get('topics', name, 'brokers') === undefined)
    }
    await cluster.eventually(() => ready('nameservers', 'mq', 'shop')?.status === 'True')
    await cluster.eventually(() => ready('brokersets', 'b', 'brokers')?.reason === 'NotAllowed')
    await createAndRemove('orders')
    expect(deleted).toEqual([])

    await cluster.change('nameservers', 'mq', { spec: { allowedNamespaces: { from: 'All' } } })
    await cluster.eventually(() => ready('brokersets', 'b', 'brokers')?.status === 'True')
    await createAndRemove('payments')
    expect(deleted).not.toEqual([])
  })

  test('brokers are started for NameServers of another namespace only where these let them', async () => {
    await cluster.createNamespace('brokers')
    await cluster.create('nameservers', 'mq', {})
    await cluster.create('brokersets', 'b', { nameServerRef: { name: 'mq', namespace: 'shop' } }, 'brokers')
    await cluster.eventually(() => ready('brokersets', 'b', 'brokers')?.reason === 'NotAllowed')
    expect(cluster.list('apps/statefulsets').map(({ metadata }) => metadata.name)).not.toContain('b-0')

    await cluster.change('nameservers', 'mq', { spec: { allowedNamespaces: { from: 'All' } } })
    await cluster.eventually(() => ready('brokersets', 'b', 'brokers')?.status === 'True')
    const conf = cluster.list('/configmaps').find(({ metadata }) => metadata.name === 'b-0') as unknown as {
      data: Record<string, string>
    }
    expect(conf.data['b-0-0.conf']).toContain('namesrvAddr=mq-headless.shop.svc:9876')
  })
})
