// The rules of writing, on the local cluster and on a real API server (KUBECONFIG_CONTRACT, see kube.test.ts).
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type Body, type KubeServer, startKubeServer } from './kube-server.ts'

let server: KubeServer
const namespace = 'contract-writes'
const core = `/api/v1/namespaces/${namespace}`
const group = 'writes.rocketmq.alt'
const gadgets = `/apis/${group}/v1/namespaces/${namespace}/gadgets`
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const caseMs = 60_000

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `gadgets.${group}` },
  spec: {
    group,
    scope: 'Namespaced',
    names: { kind: 'Gadget', plural: 'gadgets' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' } },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  size: { type: 'integer' },
                  tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
                  labels: { type: 'object', additionalProperties: { type: 'string' } },
                },
              },
              status: { type: 'object', properties: { size: { type: 'integer' }, note: { type: 'string' } } },
            },
          },
        },
      },
    ],
  },
}

beforeAll(async () => {
  server = await startKubeServer()
  const metadata = { name: namespace }
  await server.call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata })
  await server.call('POST', crds, crd)
  await server.eventually(async () => (await server.call('GET', gadgets)).status === 200)
}, caseMs)

afterAll(async () => {
  await server.call('DELETE', `${crds}/${crd.metadata.name}`)
  await server.call('DELETE', `/api/v1/namespaces/${namespace}`)
  await server.stop()
}, caseMs)

function configMap(name: string, more: object = {}, data: object = { a: '1' }): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...more }, data }
}

function gadget(name: string, spec: object, more: object = {}): object {
  return { apiVersion: `${group}/v1`, kind: 'Gadget', metadata: { name, ...more }, spec }
}

const get = async (path: string): Promise<Body> => (await server.call('GET', path)).body

test('a dry run of any write answers as the write would, and changes nothing', async () => {
  const dry = 'dryRun=All'
  const made = await server.call('POST', `${core}/configmaps?${dry}`, configMap('dry'))
  expect(made).toMatchObject({ status: 201, body: { metadata: { name: 'dry', uid: expect.any(String) } } })
  expect(await get(`${core}/configmaps/dry`)).toMatchObject({ code: 404 })

  const { body: before } = await server.call('POST', `${core}/configmaps`, configMap('wet'))
  const path = `${core}/configmaps/wet`
  const put = await server.call('PUT', `${path}?${dry}`, configMap('wet', {}, { a: '2' }))
  expect(put).toMatchObject({ status: 200, body: { data: { a: '2' } } })
  const patches: [string, object][] = [
    ['merge-patch+json', { data: { a: '3' } }],
    ['json-patch+json', [{ op: 'replace', path: '/data/a', value: '3' }]],
    ['strategic-merge-patch+json', { data: { a: '3' } }],
  ]
  for (const [type, patch] of patches)
    expect((await server.patch(type, `${path}?${dry}`, patch)).body.data).toEqual({ a: '3' })
  const applied = configMap('wet', {}, { a: '3' })
  const apply = await server.patch('apply-patch+yaml', `${path}?${dry}&fieldManager=m&force=true`, applied)
  expect(apply).toMatchObject({ status: 200, body: { data: { a: '3' } } })
  const unseen = configMap('unseen')
  const created = await server.patch('apply-patch+yaml', `${core}/configmaps/unseen?${dry}&fieldManager=m`, unseen)
  expect(created.status).toBe(201)
  expect(await get(`${core}/configmaps/unseen`)).toMatchObject({ code: 404 })
  expect((await server.call('DELETE', `${path}?${dry}`)).status).toBe(200)
  expect((await server.call('DELETE', path, { dryRun: ['All'] })).status).toBe(200)
  expect((await server.call('DELETE', `${core}/configmaps?${dry}&fieldSelector=metadata.name%3Dwet`)).status).toBe(200)
  expect(await get(path)).toEqual(before)

  const { body: one } = await server.call('POST', gadgets, gadget('dry', { size: 1 }))
  const scaled = await server.patch('merge-patch+json', `${gadgets}/dry/scale?${dry}`, { spec: { replicas: 2 } })
  expect(scaled.body.spec.replicas).toBe(2)
  const told = await server.patch('merge-patch+json', `${gadgets}/dry/status?${dry}`, { status: { size: 2 } })
  expect(told.body.status.size).toBe(2)
  expect(await get(`${gadgets}/dry`)).toEqual(one)
  expect((await server.call('POST', `${core}/configmaps?dryRun=Some`, configMap('some'))).status).toBe(422)
  expect((await server.call('DELETE', `${path}?dryRun=Some`)).status).toBe(422)
})

test('a write holds only for the object and version that it names', async () => {
  const { body: first } = await server.call('POST', `${core}/configmaps`, configMap('named'))
  const path = `${core}/configmaps/named`
  const { uid, resourceVersion } = first.metadata
  const { body: second } = await server.patch('merge-patch+json', path, { data: { a: '2' } })

  const conflict = { code: 409, reason: 'Conflict' }
  const old = { preconditions: { resourceVersion } }
  expect((await server.call('DELETE', path, old)).body).toMatchObject(conflict)
  const other = { preconditions: { uid: 'another' } }
  expect((await server.call('DELETE', path, other)).body).toMatchObject(conflict)
  const metadata = { ...second.metadata, uid: 'another' }
  expect((await server.call('PUT', path, { ...second, metadata })).body).toMatchObject(conflict)
  const late = await server.patch('merge-patch+json', path, { metadata: { resourceVersion }, data: { a: '3' } })
  expect(late.body).toMatchObject(conflict)
  const again = await server.patch('merge-patch+json', path, { metadata: { uid: 'another' }, data: { a: '3' } })
  expect(again.status).toBe(422)
  expect(again.body.details.causes[0].field).toBe('metadata.uid') // a real one says it twice
  expect(await get(path)).toEqual(second)

  const right = { preconditions: { uid, resourceVersion: second.metadata.resourceVersion } }
  const { status, body } = await server.call('DELETE', path, right)
  expect(status).toBe(200)
  expect(body).toMatchObject({ kind: 'Status', status: 'Success', details: { name: 'named', kind: 'configmaps', uid } })
})

test('a custom resource is replaced only by who names its version, a ConfigMap by anybody', async () => {
  await server.call('POST', `${core}/configmaps`, configMap('blind'))
  expect((await server.call('PUT', `${core}/configmaps/blind`, configMap('blind', {}, { a: '2' }))).status).toBe(200)
  await server.call('POST', gadgets, gadget('blind', { size: 1 }))
  const { body } = await server.call('PUT', `${gadgets}/blind`, gadget('blind', { size: 2 }))
  expect(body).toMatchObject({
    code: 422,
    details: { name: 'blind', group, causes: [{ field: 'metadata.resourceVersion' }] },
  })
  expect((await server.call('PUT', `${gadgets}/none`, gadget('none', { size: 2 }))).status).toBe(404)
  const brought = await server.call('POST', `${core}/configmaps`, configMap('brought', { resourceVersion: '5' }))
  expect(brought.body.message).toContain('resourceVersion should not be set on objects to be created')
})

test('a name is made from generateName, and another one each time', async () => {
  const nameless = { ...configMap(''), metadata: { generateName: 'made-' } }
  const names: string[] = []
  for (let count = 0; count < 3; count++) {
    const { body } = await server.call('POST', `${core}/configmaps`, nameless)
    expect(body.metadata.generateName).toBe('made-')
    names.push(body.metadata.name)
  }
  for (const name of names) expect(name).toMatch(/^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  expect(new Set(names).size).toBe(3)
  const both = await server.call('POST', `${core}/configmaps`, configMap('said', { generateName: 'made-' }))
  expect(both.body.metadata).toMatchObject({ name: 'said', generateName: 'made-' })
  const none = await server.call('POST', `${core}/configmaps`, { ...configMap(''), metadata: {} })
  expect(none.body).toMatchObject({ code: 422, details: { causes: [{ field: 'metadata.name' }] } })
})

test('names, labels, annotations and finalizers that are none are refused by their field', async () => {
  const fieldsOf = async (metadata: object) => {
    const { status, body } = await server.call('POST', `${core}/configmaps`, { ...configMap('x'), metadata })
    return [status, ...(body.details?.causes ?? []).map(({ field }: Body) => field)]
  }
  expect(await fieldsOf({ name: 'Capital' })).toEqual([422, 'metadata.name'])
  expect(await fieldsOf({ name: 'under_score' })).toEqual([422, 'metadata.name'])
  expect(await fieldsOf({ name: 'a', labels: { key: 'two words' } })).toEqual([422, 'metadata.labels'])
  expect(await fieldsOf({ name: 'a', labels: { 'two words': 'v' } })).toEqual([422, 'metadata.labels'])
  expect(await fieldsOf({ name: 'a', annotations: { 'two words': 'v' } })).toEqual([422, 'metadata.annotations'])
  expect(await fieldsOf({ name: 'a', finalizers: ['plain'] })).toEqual([422, 'metadata.finalizers[0]'])
})

test('a request that is none is told so', async () => {
  await server.call('POST', gadgets, gadget('asked', { size: 1 }))
  const path = `${gadgets}/asked`
  const strategic = await server.patch('strategic-merge-patch+json', path, { spec: { size: 2 } })
  expect(strategic.body).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' })
  expect((await server.patch('json', path, { spec: {} })).body).toMatchObject({ code: 415 })
  expect((await server.call('PUT', `${core}/configmaps`, {})).body).toMatchObject({
    code: 405,
    reason: 'MethodNotAllowed',
  })
  expect((await server.call('GET', `${path}/nothing`)).status).toBe(404)
  expect((await server.call('GET', `/apis/${group}/v2/gadgets`)).status).toBe(404)
  const wrongKind = { ...gadget('kind', {}), kind: 'Widget' }
  const { body: wrong } = await server.call('POST', gadgets, wrongKind)
  expect(wrong).toMatchObject({ code: 422, details: { causes: [{ field: 'kind' }] } })
  const wrongCore = { ...configMap('kind'), kind: 'Secret' }
  expect((await server.call('POST', `${core}/configmaps`, wrongCore)).status).toBe(400)
  const elsewhere = gadget('place', {}, { namespace: 'default' })
  expect((await server.call('POST', gadgets, elsewhere)).status).toBe(400)
  const noTest = [{ op: 'remove', path: '/spec/none' }]
  expect((await server.patch('json-patch+json', path, noTest)).status).toBe(422)
})

test('apply: who manages what is told, shared and released', async () => {
  const path = `${gadgets}/applied`
  const apply = (manager: string, spec: object, query = '') =>
    server.patch('apply-patch+yaml', `${path}?fieldManager=${manager}${query}`, gadget('applied', spec))
  await apply('one', { size: 1, tags: ['a'], labels: { x: '1' } })
  await apply('two', { size: 1, tags: ['b'], labels: { y: '2' } })
  expect((await get(path)).spec).toEqual({ size: 1, tags: ['a', 'b'], labels: { x: '1', y: '2' } })

  const clash = await apply('three', { size: 2, labels: { x: '2' } })
  expect(clash.status).toBe(409)
  const causes = clash.body.details.causes.map(({ field, message }: Body) => `${field} ${message}`)
  expect(causes.sort()).toEqual([
    '.spec.labels.x conflict with "one"',
    '.spec.size conflict with "one"',
    '.spec.size conflict with "two"',
  ])
  expect(clash.body.message).toContain('Apply failed with 3 conflicts')
  await apply('one', { tags: ['a'] })
  expect((await get(path)).spec).toEqual({ size: 1, tags: ['a', 'b'], labels: { y: '2' } })
  await apply('two', {})
  expect((await get(path)).spec).toEqual({ tags: ['a'] })

  await server.patch('merge-patch+json', `${path}?fieldManager=hand`, { spec: { size: 7 } })
  const taken = await apply('one', { tags: ['a'], size: 8 })
  expect(taken.body.details.causes[0]).toMatchObject({
    field: '.spec.size',
    message: expect.stringContaining('"hand"'),
  })
  const { body: forced } = await apply('one', { tags: ['a'], size: 8 }, '&force=true')
  expect(forced.spec.size).toBe(8)
  expect(forced.metadata.managedFields.map(({ manager }: Body) => manager)).not.toContain('hand')
  expect((await apply('', { size: 1 })).status).toBe(422)
})

test('apply to the status leaves the spec to others, and the other way round', async () => {
  await server.call('POST', gadgets, gadget('told', { size: 1 }))
  const body = { ...gadget('told', { size: 5 }), status: { size: 1, note: 'so' } }
  const applied = await server.patch('apply-patch+yaml', `${gadgets}/told/status?fieldManager=s`, body)
  expect(applied.body).toMatchObject({ spec: { size: 1 }, status: { size: 1, note: 'so' } })
  const entry = applied.body.metadata.managedFields.find(({ manager }: Body) => manager === 's')
  expect(entry).toMatchObject({
    operation: 'Apply',
    subresource: 'status',
    fieldsV1: { 'f:status': { 'f:note': {}, 'f:size': {} } },
  })
  expect(entry.fieldsV1['f:spec']).toBeUndefined()
  const json = [{ op: 'replace', path: '/status/note', value: 'other' }]
  const { body: patched } = await server.patch('json-patch+json', `${gadgets}/told/status`, json)
  expect(patched.status).toEqual({ size: 1, note: 'other' })
  const none = await server.patch('apply-patch+yaml', `${gadgets}/nobody/status?fieldManager=s`, gadget('nobody', {}))
  expect(none.status).toBe(404)
})

test('what is being deleted takes no new finalizer', async () => {
  await server.call('POST', `${core}/configmaps`, configMap('going', { finalizers: ['rocketmq.alt/held'] }))
  const path = `${core}/configmaps/going`
  await server.call('DELETE', path)
  const more = { metadata: { finalizers: ['rocketmq.alt/held', 'rocketmq.alt/more'] } }
  const refused = await server.patch('merge-patch+json', path, more)
  expect(refused.status).toBe(422)
  expect(refused.body.details.causes[0].field).toBe('metadata.finalizers') // a real one says it twice
  const changed = await server.patch('merge-patch+json', path, { data: { a: 'still' } })
  expect(changed).toMatchObject({ status: 200, body: { data: { a: 'still' } } })
  await server.patch('merge-patch+json', path, { metadata: { finalizers: null } })
  expect((await server.call('GET', path)).status).toBe(404)
})

test('a collection is deleted as far as it is selected', async () => {
  for (const [name, part] of [
    ['c1', 'x'],
    ['c2', 'x'],
    ['c3', 'y'],
  ] as const)
    await server.call('POST', `${core}/configmaps`, configMap(name, { labels: { part } }))
  expect((await server.call('DELETE', `${core}/configmaps?labelSelector=part%3Dx`)).status).toBe(200)
  const left = await get(`${core}/configmaps?labelSelector=part`)
  expect(left.items.map(({ metadata }: Body) => metadata.name)).toEqual(['c3'])
})

test('an immutable ConfigMap or Secret stays as it is', async () => {
  await server.call('POST', `${core}/configmaps`, { ...configMap('stone'), immutable: true })
  const refused = await server.patch('merge-patch+json', `${core}/configmaps/stone`, { data: { a: '2' } })
  expect(refused.body).toMatchObject({
    code: 422,
    details: { name: 'stone', kind: 'ConfigMap', causes: [{ field: 'data' }] },
  })
  const labelled = await server.patch('merge-patch+json', `${core}/configmaps/stone`, {
    metadata: { labels: { a: 'b' } },
  })
  expect(labelled.status).toBe(200)
})

test('a Secret keeps text as base64, and no text', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'text' }, stringData: { a: 'plain' } }
  const { body } = await server.call('POST', `${core}/secrets`, secret)
  expect(body).toMatchObject({ type: 'Opaque', data: { a: Buffer.from('plain').toString('base64') } })
  expect(body.stringData).toBeUndefined()
})
