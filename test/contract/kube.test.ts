// What the operator and kubectl rely on, case by case: on the local cluster, and on a real API server where
// KUBECONFIG_CONTRACT names a kubeconfig (a throw-away cluster: the suite makes and deletes objects).
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type KubeServer, startKubeServer } from './kube-server.ts'

let server: KubeServer
const namespace = 'contract'
const core = `/api/v1/namespaces/${namespace}`
const widgets = `/apis/contract.rocketmq.alt/v1/namespaces/${namespace}/widgets`

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.contract.rocketmq.alt' },
  spec: {
    group: 'contract.rocketmq.alt',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget', shortNames: ['wi'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.size',
            statusReplicasPath: '.status.size',
            labelSelectorPath: '.status.selector',
          },
        },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            'x-kubernetes-validations': [
              { rule: "self.metadata.name != 'forbidden'", message: 'a name that nobody may have' },
            ],
            properties: {
              spec: {
                type: 'object',
                required: ['owner'],
                properties: {
                  owner: { type: 'string', minLength: 1, maxLength: 20 },
                  size: { type: 'integer', minimum: 0, maximum: 9, default: 1 },
                  colour: { type: 'string', enum: ['red', 'blue'] },
                  parts: {
                    type: 'array',
                    maxItems: 8,
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['name'],
                    items: {
                      type: 'object',
                      required: ['name'],
                      properties: { name: { type: 'string', maxLength: 20 }, weight: { type: 'integer' } },
                    },
                  },
                },
                'x-kubernetes-validations': [
                  { rule: 'self.owner == oldSelf.owner', message: 'owner cannot be changed' },
                  { rule: "self.size < 8 || self.owner == 'boss'", message: 'only the boss may have more than 7' },
                ],
              },
              status: {
                type: 'object',
                properties: {
                  size: { type: 'integer' },
                  selector: { type: 'string' },
                  conditions: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                    items: {
                      type: 'object',
                      required: ['type', 'status'],
                      properties: { type: { type: 'string' }, status: { type: 'string' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
}

function widget(name: string, spec: object) {
  return { apiVersion: 'contract.rocketmq.alt/v1', kind: 'Widget', metadata: { name }, spec }
}

function configMap(name: string, data: Record<string, string>, labels: Record<string, string> = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data }
}

beforeAll(async () => {
  server = await startKubeServer()
  await server.call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  })
  await server.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd)
  await server.eventually(async () => (await server.call('GET', widgets)).status === 200)
}, 30_000)

afterAll(async () => {
  await server.call('DELETE', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`)
  await server.call('DELETE', `/api/v1/namespaces/${namespace}`)
  await server.stop()
}, 30_000)

test('an object gets an identity, and its name is taken then', async () => {
  const { status, body } = await server.call('POST', `${core}/configmaps`, configMap('first', { a: '1' }))
  expect(status).toBe(201)
  expect(body.metadata).toMatchObject({
    name: 'first',
    namespace,
    uid: expect.any(String),
    creationTimestamp: expect.any(String),
  })
  expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0)

  const again = await server.call('POST', `${core}/configmaps`, configMap('first', {}))
  expect(again.status).toBe(409)
  expect(again.body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'AlreadyExists', code: 409 })
})

test('what is not there is NotFound, and so is a namespace that is not there', async () => {
  expect((await server.call('GET', `${core}/configmaps/none`)).body).toMatchObject({ reason: 'NotFound', code: 404 })
  const elsewhere = await server.call('POST', '/api/v1/namespaces/nowhere/configmaps', configMap('a', {}))
  expect(elsewhere.status).toBe(404)
})

test('an update with an old resourceVersion is a conflict, one that changes nothing is no change', async () => {
  const { body: first } = await server.call('POST', `${core}/configmaps`, configMap('versions', { a: '1' }))
  const { body: second } = await server.call('PUT', `${core}/configmaps/versions`, { ...first, data: { a: '2' } })
  expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion)

  const late = await server.call('PUT', `${core}/configmaps/versions`, { ...first, data: { a: '3' } })
  expect(late.body).toMatchObject({ reason: 'Conflict', code: 409 })
  const same = await server.call('PUT', `${core}/configmaps/versions`, second)
  expect(same.body.metadata.resourceVersion).toBe(second.metadata.resourceVersion)
})

test('merge and JSON patches change what they name', async () => {
  await server.call('POST', `${core}/configmaps`, configMap('patched', { a: '1', b: '2' }))
  const merged = await server.patch('merge-patch+json', `${core}/configmaps/patched`, { data: { a: null, c: '3' } })
  expect(merged.body.data).toEqual({ b: '2', c: '3' })
  const replaced = await server.patch('json-patch+json', `${core}/configmaps/patched`, [
    { op: 'test', path: '/data/b', value: '2' },
    { op: 'replace', path: '/data/b', value: '4' },
    { op: 'remove', path: '/data/c' },
  ])
  expect(replaced.body.data).toEqual({ b: '4' })
  const failed = await server.patch('json-patch+json', `${core}/configmaps/patched`, [
    { op: 'test', path: '/data/b', value: '2' },
  ])
  expect(failed.status).toBe(422)
})

test('a strategic merge patch merges ports by number and finalizers as a set', async () => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'strategic' },
    spec: {
      selector: { app: 'none' },
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 2 },
      ],
    },
  }
  const { body: made } = await server.call('POST', `${core}/services`, service)
  expect(made.spec).toMatchObject({ type: 'ClusterIP', clusterIP: expect.stringMatching(/^\d+\./) })
  const { body } = await server.patch('strategic-merge-patch+json', `${core}/services/strategic`, {
    spec: {
      ports: [
        { port: 2, name: 'b', targetPort: 22 },
        { port: 1, $patch: 'delete' },
        { port: 3, name: 'c' },
      ],
    },
  })
  const ports = body.spec.ports.map(({ name, port, targetPort, protocol }: Record<string, unknown>) => [
    name,
    port,
    targetPort,
    protocol,
  ])
  expect(ports.sort()).toEqual([
    ['b', 2, 22, 'TCP'],
    ['c', 3, 3, 'TCP'],
  ])
})

test('lists select by label and field, and come page by page as of one revision', async () => {
  for (const name of ['p1', 'p2', 'p3', 'p4', 'p5'])
    await server.call(
      'POST',
      `${core}/configmaps`,
      configMap(name, {}, { page: 'yes', odd: String(Number(name[1]) % 2 === 1) }),
    )
  const names = (body: { items: { metadata: { name: string } }[] }) => body.items.map(({ metadata }) => metadata.name)

  const odd = await server.call('GET', `${core}/configmaps?labelSelector=page%3Dyes,odd+in+(true)`)
  expect(names(odd.body)).toEqual(['p1', 'p3', 'p5'])
  const one = await server.call('GET', `${core}/configmaps?fieldSelector=metadata.name%3Dp2`)
  expect(names(one.body)).toEqual(['p2'])

  const first = await server.call('GET', `${core}/configmaps?labelSelector=page%3Dyes&limit=2`)
  expect(names(first.body)).toEqual(['p1', 'p2'])
  await server.call('DELETE', `${core}/configmaps/p4`)
  const token = encodeURIComponent(first.body.metadata.continue)
  const rest = await server.call('GET', `${core}/configmaps?labelSelector=page%3Dyes&limit=10&continue=${token}`)
  expect(names(rest.body)).toEqual(['p3', 'p4', 'p5'])
  expect(rest.body.metadata).toMatchObject({ resourceVersion: first.body.metadata.resourceVersion })
})

test('a watch tells what happens after a revision, also that an object left the selection', async () => {
  const { body } = await server.call('GET', `${core}/configmaps`)
  const watch = server.watch(
    `${core}/configmaps?labelSelector=seen%3Dyes&resourceVersion=${body.metadata.resourceVersion}`,
  )
  await server.call('POST', `${core}/configmaps`, configMap('seen', { a: '1' }, { seen: 'yes' }))
  await server.patch('merge-patch+json', `${core}/configmaps/seen`, { data: { a: '2' } })
  await server.patch('merge-patch+json', `${core}/configmaps/seen`, { metadata: { labels: { seen: 'no' } } })
  await server.patch('merge-patch+json', `${core}/configmaps/seen`, { metadata: { labels: { seen: 'yes' } } })
  await server.call('DELETE', `${core}/configmaps/seen`)

  const events = await watch.take(5)
  expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED'])
  const versions = events.map(({ object }) => Number(object.metadata.resourceVersion))
  expect(versions).toEqual([...versions].sort((a, b) => a - b))
})

test('a custom resource gets defaults, loses what is unknown, and is refused when it does not fit', async () => {
  const made = await server.call('POST', widgets, widget('plain', { owner: 'me', typo: 1 }))
  expect(made.body.spec).toEqual({ owner: 'me', size: 1 })
  expect(made.body.metadata.generation).toBe(1)

  const strict = await server.call(
    'POST',
    `${widgets}?fieldValidation=Strict`,
    widget('strict', { owner: 'me', typo: 1 }),
  )
  expect(strict.status).toBe(400)
  expect(strict.body.message).toContain('unknown field "spec.typo"')
  const wrong = await server.call('POST', widgets, widget('wrong', { size: 10, colour: 'green' }))
  expect(wrong.status).toBe(422)
  const fields = wrong.body.details.causes.map(({ field }: { field: string }) => field)
  expect(fields).toEqual(expect.arrayContaining(['spec.owner', 'spec.size', 'spec.colour']))
})

test('CEL rules hold, those about changes too', async () => {
  const big = await server.call('POST', widgets, widget('big', { owner: 'me', size: 8 }))
  expect(big.body.message).toContain('only the boss may have more than 7')
  await server.call('POST', widgets, widget('owned', { owner: 'me' }))
  const taken = await server.patch('merge-patch+json', `${widgets}/owned`, { spec: { owner: 'you' } })
  expect(taken.status).toBe(422)
  expect(taken.body.message).toContain('owner cannot be changed')
  const { body } = await server.call('POST', widgets, widget('forbidden', { owner: 'me' }))
  expect(body.details.causes).toMatchObject([{ reason: 'FieldValueInvalid', field: '<nil>' }]) // the object itself
  expect(body.message).toContain('is invalid: <nil>: Invalid value: "object": a name that nobody may have')
})

test('status is written apart from spec, and only a change of spec counts up the generation', async () => {
  const { body: made } = await server.call('POST', widgets, {
    ...widget('split', { owner: 'me' }),
    status: { size: 5 },
  })
  expect(made.status).toBeUndefined()
  const { body: told } = await server.call('PUT', `${widgets}/split/status`, {
    ...made,
    spec: { owner: 'x' },
    status: { size: 1 },
  })
  expect(told).toMatchObject({ spec: { owner: 'me' }, status: { size: 1 }, metadata: { generation: 1 } })
  const { body: changed } = await server.call('PUT', `${widgets}/split`, {
    ...told,
    spec: { owner: 'me', size: 2 },
    status: {},
  })
  expect(changed).toMatchObject({ spec: { size: 2 }, status: { size: 1 }, metadata: { generation: 2 } })
})

test('scale reads and writes the fields that the definition names', async () => {
  await server.call('POST', widgets, widget('scaled', { owner: 'me', size: 3 }))
  await server.patch('merge-patch+json', `${widgets}/scaled/status`, { status: { size: 2, selector: 'a=b' } })
  const { body } = await server.call('GET', `${widgets}/scaled/scale`)
  expect(body).toMatchObject({ kind: 'Scale', spec: { replicas: 3 }, status: { replicas: 2, selector: 'a=b' } })
  await server.call('PUT', `${widgets}/scaled/scale`, { ...body, spec: { replicas: 4 } })
  const late = await server.call('PUT', `${widgets}/scaled/scale`, { ...body, spec: { replicas: 5 } })
  expect(late.status).toBe(409)
  await server.patch('merge-patch+json', `${widgets}/scaled/scale`, { spec: { replicas: 6 } })
  expect((await server.call('GET', `${widgets}/scaled`)).body.spec.size).toBe(6)
})

test('an applied field belongs to who applied it, until it is forced away', async () => {
  const apply = (manager: string, spec: object, force = false) =>
    server.patch('apply-patch+yaml', `${widgets}/shared?fieldManager=${manager}&force=${force}`, widget('shared', spec))
  const { status, body: made } = await apply('one', { owner: 'me', size: 2, parts: [{ name: 'a', weight: 1 }] })
  expect(status).toBe(201)
  const { body: both } = await apply('two', { owner: 'me', parts: [{ name: 'b', weight: 2 }] })
  expect(both.spec.parts).toEqual([
    { name: 'a', weight: 1 },
    { name: 'b', weight: 2 },
  ])

  const conflict = await apply('two', { owner: 'me', size: 3 })
  expect(conflict.status).toBe(409)
  expect(conflict.body.details.causes).toEqual([
    expect.objectContaining({ reason: 'FieldManagerConflict', field: '.spec.size' }),
  ])
  const { body: forced } = await apply('two', { owner: 'me', size: 3 }, true)
  expect(forced.spec).toEqual({ owner: 'me', size: 3, parts: [{ name: 'a', weight: 1 }] })

  const old = widget('shared', { owner: 'me', size: 4 })
  const late = await server.patch('apply-patch+yaml', `${widgets}/shared?fieldManager=two&force=true`, {
    ...old,
    metadata: { ...old.metadata, resourceVersion: made.metadata.resourceVersion },
  })
  expect(late.body).toMatchObject({ reason: 'Conflict', code: 409 })

  const { body: dropped } = await apply('one', { owner: 'me' })
  expect(dropped.spec).toEqual({ owner: 'me', size: 3 })
  const { body: same } = await apply('one', { owner: 'me' })
  expect(same.metadata.resourceVersion).toBe(dropped.metadata.resourceVersion)
  expect(made.metadata.managedFields[0]).toMatchObject({ manager: 'one', operation: 'Apply', fieldsType: 'FieldsV1' })
})

test('a finalizer holds a deleted object, which may not lose its deletion', async () => {
  const held = configMap('held', {})
  await server.call('POST', `${core}/configmaps`, {
    ...held,
    metadata: { ...held.metadata, finalizers: ['rocketmq.alt/held'] },
  })
  const { body: deleted } = await server.call('DELETE', `${core}/configmaps/held`)
  expect(deleted.metadata.deletionTimestamp).toEqual(expect.any(String))
  const kept = await server.patch('merge-patch+json', `${core}/configmaps/held`, {
    metadata: { deletionTimestamp: null },
  })
  expect(kept.body.metadata.deletionTimestamp).toBe(deleted.metadata.deletionTimestamp)
  await server.patch('merge-patch+json', `${core}/configmaps/held`, { metadata: { finalizers: [] } })
  expect((await server.call('GET', `${core}/configmaps/held`)).status).toBe(404)
})

test('a delete with another uid is refused', async () => {
  await server.call('POST', `${core}/configmaps`, configMap('precious', {}))
  const refused = await server.call('DELETE', `${core}/configmaps/precious`, {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    preconditions: { uid: 'none' },
  })
  expect(refused.status).toBe(409)
})

test('what has an owner goes after it', async () => {
  const { body: owner } = await server.call('POST', `${core}/configmaps`, configMap('owner', {}))
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }]
  const owned = configMap('owned', {})
  await server.call('POST', `${core}/configmaps`, { ...owned, metadata: { ...owned.metadata, ownerReferences } })
  await server.call('DELETE', `${core}/configmaps/owner`)
  await server.eventually(async () => (await server.call('GET', `${core}/configmaps/owned`)).status === 404)
}, 30_000)

test('an owner deleted in the foreground waits for those who block it, one that leaves orphans does not', async () => {
  const { body: owner } = await server.call('POST', `${core}/configmaps`, configMap('slow-owner', {}))
  const { uid } = owner.metadata
  const ownerReferences = [
    { apiVersion: 'v1', kind: 'ConfigMap', name: 'slow-owner', uid, blockOwnerDeletion: true, controller: true },
  ]
  const metadata = { name: 'blocking', ownerReferences, finalizers: ['rocketmq.alt/held'] }
  await server.call('POST', `${core}/configmaps`, { ...configMap('blocking', {}), metadata })
  await server.call('DELETE', `${core}/configmaps/slow-owner`, { propagationPolicy: 'Foreground' })
  const get = async (name: string) => (await server.call('GET', `${core}/configmaps/${name}`)).body
  await server.eventually(async () => (await get('blocking')).metadata.deletionTimestamp !== undefined)
  expect((await get('slow-owner')).metadata.finalizers).toEqual(['foregroundDeletion'])
  await server.patch('merge-patch+json', `${core}/configmaps/blocking`, { metadata: { finalizers: [] } })
  await server.eventually(async () => (await get('slow-owner')).code === 404)

  const { body: parent } = await server.call('POST', `${core}/configmaps`, configMap('parent', {}))
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'parent', uid: parent.metadata.uid }
  const child = { name: 'orphan', ownerReferences: [reference] }
  await server.call('POST', `${core}/configmaps`, { ...configMap('orphan', {}), metadata: child })
  await server.call('DELETE', `${core}/configmaps/parent`, { propagationPolicy: 'Orphan' })
  await server.eventually(async () => (await get('parent')).code === 404)
  expect((await get('orphan')).metadata.ownerReferences).toBeUndefined()
}, 30_000)

test('a namespace takes its objects along, and takes no new ones while it goes', async () => {
  const name = 'contract-going'
  const configMaps = `/api/v1/namespaces/${name}/configmaps`
  await server.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const metadata = { name: 'last', finalizers: ['rocketmq.alt/held'] }
  await server.call('POST', configMaps, { ...configMap('last', {}), metadata })
  const { body: going } = await server.call('DELETE', `/api/v1/namespaces/${name}`)
  expect(going.status).toMatchObject({ phase: 'Terminating' })
  const refused = await server.call('POST', configMaps, configMap('late', {}))
  expect(refused.body).toMatchObject({ code: 403, reason: 'Forbidden' })

  await server.eventually(
    async () => (await server.call('GET', `${configMaps}/last`)).body.metadata.deletionTimestamp !== undefined,
  )
  await server.patch('merge-patch+json', `${configMaps}/last`, { metadata: { finalizers: [] } })
  await server.eventually(async () => (await server.call('GET', `/api/v1/namespaces/${name}`)).status === 404)
}, 60_000)

test('an event of either version is one object', async () => {
  const involvedObject = { apiVersion: 'v1', kind: 'ConfigMap', name: 'any', namespace }
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'told' },
    involvedObject,
    reason: 'Told',
    message: 'so',
    type: 'Normal',
    reportingComponent: 'contract',
  }
  await server.call('POST', `${core}/events`, event)
  const { body } = await server.call('GET', `/apis/events.k8s.io/v1/namespaces/${namespace}/events/told`)
  expect(body).toMatchObject({ apiVersion: 'events.k8s.io/v1', regarding: involvedObject, note: 'so', reason: 'Told' })
})

test('a table has the columns of the definition', async () => {
  await server.call('POST', widgets, widget('shown', { owner: 'me', size: 4 }))
  await server.patch('merge-patch+json', `${widgets}/shown/status`, {
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  })
  const { body } = await server.call(
    'GET',
    `${widgets}?fieldSelector=metadata.name%3Dshown`,
    undefined,
    'application/json;as=Table;v=v1;g=meta.k8s.io',
  )
  expect(body.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual(['Name', 'Size', 'Ready'])
  expect(body.rows.map(({ cells }: { cells: unknown[] }) => cells)).toEqual([['shown', 4, 'True']])
})

test('discovery names the resource, its scale and its short name', async () => {
  const { body } = await server.call('GET', '/apis/contract.rocketmq.alt/v1')
  expect(body.resources).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'widgets', kind: 'Widget', namespaced: true, shortNames: ['wi'] }),
      expect.objectContaining({ name: 'widgets/scale', kind: 'Scale', group: 'autoscaling' }),
      expect.objectContaining({ name: 'widgets/status' }),
    ]),
  )
})

test('without the right token nothing is told', async () => {
  expect((await server.call('GET', '/api/v1/secrets', undefined, undefined, 'Bearer wrong')).status).toBe(401)
})

test('a Lease is made once, and of two who take it with the version they saw one gets it', async () => {
  const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`
  const lease = (holderIdentity: string) => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'leader' },
    spec: { holderIdentity, leaseDurationSeconds: 15, renewTime: '2026-01-02T03:04:05.000000Z' },
  })
  const made = await server.call('POST', leases, lease('a'))
  expect(made).toMatchObject({ status: 201, body: { spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } } })
  expect((await server.call('POST', leases, lease('b'))).status).toBe(409)

  const { resourceVersion } = made.body.metadata
  const take = (holderIdentity: string) =>
    server.patch('merge-patch+json', `${leases}/leader`, { metadata: { resourceVersion }, spec: { holderIdentity } })
  expect(await take('b')).toMatchObject({ status: 200, body: { spec: { holderIdentity: 'b' } } })
  expect(await take('c')).toMatchObject({ status: 409, body: { reason: 'Conflict' } })
})

test('an event is counted up by a merge patch', async () => {
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'first.1' },
    involvedObject: { apiVersion: 'v1', kind: 'ConfigMap', name: 'first', namespace },
    type: 'Normal',
    reason: 'Looked',
    message: 'looked at',
    count: 1,
  }
  expect((await server.call('POST', `${core}/events`, event)).status).toBe(201)

  const { status, body } = await server.patch('merge-patch+json', `${core}/events/first.1`, { count: 2 })

  expect(status).toBe(200)
  expect(body).toMatchObject({ count: 2, reason: 'Looked' })
})
