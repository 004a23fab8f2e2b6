// The rules of reading, on the local cluster and on a real API server (KUBECONFIG_CONTRACT, see kube.test.ts).
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Body, type KubeServer, startKubeServer } from './kube-server.ts'

let server: KubeServer
const namespace = 'contract-reads'
const core = `/api/v1/namespaces/${namespace}`
const configMaps = `${core}/configmaps`
const caseMs = 60_000
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'

beforeAll(async () => {
  server = await startKubeServer()
  const metadata = { name: namespace }
  await server.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata })
  for (const [index, labels] of [{ colour: 'red' }, { colour: 'blue', odd: '' }, {}].entries())
    await server.call('POST', configMaps, configMap(`item-${index}`, { own: 'yes', ...labels }))
}, caseMs)

afterAll(async () => {
  await server.call('DELETE', `/api/v1/namespaces/${namespace}`)
  await server.stop()
}, caseMs)

function configMap(name: string, labels: object = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data: { a: '1' } }
}

const get = async (path: string, accept?: string): Promise<Body> =>
  (await server.call('GET', path, undefined, accept)).body

function waiting(name: string, labels: object = {}): object {
  const spec = {
    nodeSelector: { 'contract.rocketmq.alt/node': 'none' },
    containers: [{ name: 'c', image: 'none/none:1' }],
  }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec }
}

test.each([
  ['own,colour', ['item-0', 'item-1']],
  ['own,!colour', ['item-2']],
  ['own=yes,colour!=red', ['item-1', 'item-2']],
  ['colour==red', ['item-0']],
  ['own,colour notin (red,green)', ['item-1', 'item-2']],
  ['own,odd=', ['item-1']],
  ['own,odd in ()', ['item-1']],
  ['own=no', []],
])('of the label selector %j come %j', async (selector, names) => {
  const { items } = await get(`${configMaps}?labelSelector=${encodeURIComponent(selector)}`)
  expect(items.map(({ metadata }: Body) => metadata.name)).toEqual(names)
})

test.each([
  'labelSelector=a%20b',
  'labelSelector=a%20in%20b',
  'labelSelector=a%3Dtwo%20words',
  'fieldSelector=metadata.name',
])('the selector %s is refused', async (query) => {
  expect(await get(`${configMaps}?${query}`)).toMatchObject({ kind: 'Status', code: 400, reason: 'BadRequest' })
})

test('a field is selected by where the kind allows it, and refused elsewhere', async () => {
  // a real server takes no pod before the namespace has its service account
  await server.eventually(async () => (await server.call('POST', `${core}/pods`, waiting('selected'))).status === 201)
  const names = async (kind: string, selector: string) => {
    const { items, code } = await get(`${core}/${kind}?fieldSelector=${encodeURIComponent(selector)}`)
    return items?.map(({ metadata }: Body) => metadata.name) ?? code
  }
  expect(await names('pods', 'status.phase=Pending,spec.nodeName=')).toEqual(['selected'])
  expect(await names('pods', 'status.phase!=Pending')).toEqual([])
  expect(await names('configmaps', 'metadata.name!=item-0,metadata.name!=kube-root-ca.crt')).toEqual([
    'item-1',
    'item-2',
  ])
  expect(await names('configmaps', `metadata.namespace=${namespace},metadata.name==item-1`)).toEqual(['item-1'])
  expect(await names('configmaps', 'data.a=1')).toBe(400)
  expect(await names('pods', 'spec.hostname=x')).toBe(400)
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'seen.1' },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', name: 'selected', namespace },
    type: 'Warning',
    reason: 'Seen',
  }
  await server.call('POST', `${core}/events`, event)
  expect(await names('events', 'involvedObject.name=selected,involvedObject.kind=Pod,reason=Seen')).toEqual(['seen.1'])
  expect(await names('events', 'type=Normal,involvedObject.name=selected,reason=Seen')).toEqual([])
})

test('a page says how much is left, and a token that is none is refused', async () => {
  const page = await get(`${configMaps}?limit=1`)
  expect(page.items).toHaveLength(1)
  // of the page's revision: a real server's controllers add kube-root-ca.crt to a new namespace when they come to it
  const { resourceVersion } = page.metadata
  const all = await get(`${configMaps}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`)
  expect(page.metadata.remainingItemCount).toBe(all.items.length - 1)
  const token = encodeURIComponent(page.metadata.continue)
  const rest = await get(`${configMaps}?limit=500&continue=${token}`)
  expect([...page.items, ...rest.items].map(({ metadata }) => metadata.name)).toEqual(
    all.items.map(({ metadata }: Body) => metadata.name),
  )
  expect(rest.metadata.continue ?? '').toBe('')
  expect(await get(`${configMaps}?limit=1&continue=nonsense`)).toMatchObject({ code: 400 })
  expect(await get(`${configMaps}?resourceVersion=none`)).toMatchObject({ code: 400 })
  expect(await get(`${configMaps}?resourceVersionMatch=Exact`)).toMatchObject({ code: 422 })
  expect(await get(`${configMaps}?resourceVersion=1&resourceVersionMatch=Some`)).toMatchObject({ code: 422 })
})

test(
  'a list of a revision that has not come yet is no list of now',
  async () => {
    const future = Number((await get(configMaps)).metadata.resourceVersion) + 1_000_000
    const body = await get(`${configMaps}?resourceVersion=${future}&resourceVersionMatch=NotOlderThan`)
    expect(body).toMatchObject({
      code: 504,
      reason: 'Timeout',
      details: { causes: [{ reason: 'ResourceVersionTooLarge' }] },
    })
  },
  caseMs,
)

test(
  'a watch that allows bookmarks gets one before it ends, with the version to go on from',
  async () => {
    const { resourceVersion } = (await get(configMaps)).metadata
    const query = `labelSelector=none&allowWatchBookmarks=true&timeoutSeconds=8&resourceVersion=${resourceVersion}`
    const watch = server.watch(`${configMaps}?${query}`)
    const { body } = await server.call('POST', configMaps, configMap('unseen'))
    const [event] = await watch.take(1)
    expect(event).toMatchObject({ type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1' } })
    expect(Number(event?.object.metadata.resourceVersion)).toBeGreaterThanOrEqual(Number(body.metadata.resourceVersion))
    const silent = server.watch(`${configMaps}?labelSelector=none&timeoutSeconds=3&resourceVersion=${resourceVersion}`)
    expect(await silent.take(1)).toEqual([])
  },
  caseMs,
)

test(
  'a watch may begin with all there is, and a bookmark says where that ends',
  async () => {
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=10'
    const events = await server.watch(`${configMaps}?labelSelector=own&${query}`).take(4)
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'ADDED', 'ADDED', 'BOOKMARK'])
    expect(events[3]?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
    const alone = await get(`${configMaps}?watch=true&sendInitialEvents=true`)
    expect(alone).toMatchObject({ code: 422 })
  },
  caseMs,
)

test(
  'a watch of one object sees that one alone',
  async () => {
    const { resourceVersion } = (await get(configMaps)).metadata
    const watch = server.watch(`${configMaps}?fieldSelector=metadata.name%3Done&resourceVersion=${resourceVersion}`)
    for (const name of ['other', 'one']) await server.call('POST', configMaps, configMap(name))
    for (const name of ['other', 'one']) await server.call('DELETE', `${configMaps}/${name}`)
    const events = await watch.take(2)
    expect(events.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual(['ADDED one', 'DELETED one'])
  },
  caseMs,
)

test('tables have the columns that kubectl prints', async () => {
  await server.call('POST', `${core}/pods`, waiting('tabled'))
  const columns = async (path: string) => {
    const { columnDefinitions } = await get(path, table)
    return columnDefinitions.map(({ name, priority }: Body) => (priority > 0 ? `(${name})` : name)).join(' ')
  }
  const apps = `/apis/apps/v1/namespaces/${namespace}`
  const policy = `/apis/policy/v1/namespaces/${namespace}`
  expect(await columns(configMaps)).toBe('Name Data Age')
  expect(await columns(`${core}/secrets`)).toBe('Name Type Data Age')
  expect(await columns('/api/v1/namespaces')).toBe('Name Status Age')
  expect(await columns(`${core}/pods`)).toBe(
    'Name Ready Status Restarts Age (IP) (Node) (Nominated Node) (Readiness Gates)',
  )
  expect(await columns(`${core}/services`)).toBe('Name Type Cluster-IP External-IP Port(s) Age (Selector)')
  expect(await columns(`${apps}/statefulsets`)).toBe('Name Ready Age (Containers) (Images)')
  expect(await columns(`${core}/persistentvolumeclaims`)).toBe(
    'Name Status Volume Capacity Access Modes StorageClass VolumeAttributesClass Age (VolumeMode)',
  )
  expect(await columns(`${policy}/poddisruptionbudgets`)).toBe(
    'Name Min Available Max Unavailable Allowed Disruptions Age',
  )
  expect(await columns(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`)).toBe('Name Holder Age')
  expect(await columns(`${core}/serviceaccounts`)).toBe('Name Secrets Age')
  expect(await columns(`${core}/events`)).toBe(
    'Last Seen Type Reason Object (Subobject) (Source) Message (First Seen) (Count) (Name)',
  )

  const one = await get(`${core}/pods/tabled`, table)
  expect(one.rows[0].cells.slice(0, 4)).toEqual(['tabled', '0/1', 'Pending', '0'])
  expect(one.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'tabled' } })
  const whole = await get(`${core}/pods?includeObject=Object&fieldSelector=metadata.name%3Dtabled`, table)
  expect(whole.rows[0].object).toMatchObject({ kind: 'Pod', apiVersion: 'v1', spec: { containers: [{ name: 'c' }] } })
  const none = await get(`${core}/pods?includeObject=None`, table)
  expect(none.rows[0].object ?? undefined).toBeUndefined()
  expect(await get(`${core}/pods/nobody`, table)).toMatchObject({ kind: 'Status', code: 404 })
})

test(
  'a watch shows tables too, the columns with the first alone',
  async () => {
    const { resourceVersion } = (await get(configMaps)).metadata
    const path = `${configMaps}?labelSelector=tabled&resourceVersion=${resourceVersion}`
    const watch = server.watch(path, table)
    for (const name of ['t1', 't2']) await server.call('POST', configMaps, configMap(name, { tabled: '' }))
    const [first, second] = (await watch.take(2)).map(({ object }) => object)
    expect(first).toMatchObject({ kind: 'Table', rows: [{ cells: ['t1', 1, expect.any(String)] }] })
    expect(first.columnDefinitions).toHaveLength(3)
    expect(second.rows).toMatchObject([{ cells: ['t2', 1, expect.any(String)] }])
    expect(second.columnDefinitions ?? []).toEqual([])
  },
  caseMs,
)

test('only metadata comes where only that is asked for', async () => {
  const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
  const list = await get(`${configMaps}?labelSelector=own`, partial)
  expect(list).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' })
  expect(list.items).toHaveLength(3)
  expect(list.items[0].data).toBeUndefined()
  const one = await get(`${configMaps}/item-0`, 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io')
  expect(one).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'item-0' } })
  expect(one.data).toBeUndefined()
})

test('what is served is told in every form that clients ask for', async () => {
  expect(await get('/api')).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
  const { groups } = await get('/apis')
  const names = groups.map(({ name }: Body) => name)
  expect(names).toEqual(expect.arrayContaining(['apps', 'policy', 'coordination.k8s.io', 'events.k8s.io']))
  expect(await get('/apis/apps')).toMatchObject({ kind: 'APIGroup', preferredVersion: { groupVersion: 'apps/v1' } })
  const { resources } = await get('/apis/apps/v1')
  expect(resources).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        name: 'statefulsets',
        singularName: 'statefulset',
        shortNames: ['sts'],
        kind: 'StatefulSet',
      }),
      expect.objectContaining({ name: 'statefulsets/scale', group: 'autoscaling', version: 'v1', kind: 'Scale' }),
      expect.objectContaining({ name: 'statefulsets/status' }),
    ]),
  )
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  const { kind, items } = await get('/apis', accept)
  expect(kind).toBe('APIGroupDiscoveryList')
  const apps = items.find(({ metadata }: Body) => metadata.name === 'apps')
  const sets = apps.versions[0].resources.find(({ resource }: Body) => resource === 'statefulsets')
  expect(sets).toMatchObject({ scope: 'Namespaced', responseKind: { kind: 'StatefulSet' }, shortNames: ['sts'] })
  expect(await get('/version')).toMatchObject({ major: '1', gitVersion: expect.stringMatching(/^v1\.\d+/) })
  expect((await server.call('GET', '/apis/no.such.group')).status).toBe(404)
  expect((await server.call('GET', '/apis/apps/v9')).status).toBe(404)
})

test(
  'OpenAPI has each kind under its name, in both versions',
  async () => {
    const { paths } = await get('/openapi/v3')
    const { serverRelativeURL } = paths['apis/apps/v1']
    const { components } = await get(serverRelativeURL)
    const isSet = (schema: Body) => schema['x-kubernetes-group-version-kind']?.[0]?.kind === 'StatefulSet'
    const set: Body = Object.values(components.schemas).find(isSet)
    expect(Object.keys(set.properties)).toEqual(
      expect.arrayContaining(['apiVersion', 'kind', 'metadata', 'spec', 'status']),
    )
    expect((await server.call('GET', '/openapi/v3/apis/no.such/v1')).status).toBe(404)

    const v2 = await get('/openapi/v2')
    expect(v2.swagger).toBe('2.0')
    const definition: Body = Object.values(v2.definitions).find(isSet)
    expect(definition.properties.metadata).toBeDefined()
    const named = v2.paths['/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}']
    expect(named.patch['x-kubernetes-group-version-kind']).toMatchObject({
      group: 'apps',
      kind: 'StatefulSet',
      version: 'v1',
    })

    for (const at of ['@', '.']) {
      const type = `application/com.github.proto-openapi.spec.v2${at}v1.0+protobuf`
      const { status, text } = await server.call('GET', '/openapi/v2', undefined, type)
      expect([status, text.slice(0, 6)]).toEqual([200, '\n\u00032.0\u0012'])
    }
  },
  caseMs,
)
