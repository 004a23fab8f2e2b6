// Every field of every resource, set to values that fit, to its limits and beyond them, and back: on the local cluster, and on
// a real API server where KUBECONFIG_CONTRACT names a kubeconfig (a throw-away cluster without our definitions).
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { customResourceDefinition, definitions, group, version } from '../../src/crds/index.ts'
import type { Schema } from '../../src/local-cluster/api-server/schema.ts'
import { fieldsOf, smallest, valuesOf, walks, withValue } from './fields.ts'
import { type KubeServer, startKubeServer } from './kube-server.ts'

const namespace = 'contract-fields'
const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const crds = definitions.map(customResourceDefinition)
const kinds = crds.map(({ spec }) => ({
  kind: spec.names.kind,
  path: `/apis/${group}/${version}/namespaces/${namespace}/${spec.names.plural}`,
  fields: fieldsOf(spec.versions[0]!.schema.openAPIV3Schema.properties.spec as Schema),
}))
const everyField = kinds.flatMap(({ kind, path, fields }) =>
  [...fields].map(([field, schema]) => ({ kind, path, field, schema })),
)

let server: KubeServer
let made = 0

beforeAll(async () => {
  server = await startKubeServer()
  await server.call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  })
  for (const crd of crds) await server.call('POST', crdPath, crd)
  for (const { path } of kinds) await server.eventually(async () => (await server.call('GET', path)).status === 200)
}, 60_000)

afterAll(async () => {
  for (const { metadata } of crds) await server.call('DELETE', `${crdPath}/${metadata.name}`)
  for (const { metadata } of crds)
    await server.eventually(async () => (await server.call('GET', `${crdPath}/${metadata.name}`)).status === 404)
  await server.call('DELETE', `/api/v1/namespaces/${namespace}`)
  await server.stop()
}, 60_000)

test.each(kinds)('$kind: the walk has every field and no other', ({ kind, fields }) => {
  expect(Object.keys(walks[kind] ?? {}).sort()).toEqual([...fields.keys()].sort())
})

test.each(everyField)('$kind $field', async ({ kind, path, field, schema }) => {
  const walk = walks[kind]![field]!
  const before = Object.entries(walk.needs ?? {}).reduce(
    (spec, [where, value]) => withValue(spec, where, value),
    smallest[kind]!,
  )
  const base = smallest[kind]!
  const { taken, refused } = valuesOf(schema, walk)
  let name = ''
  const create = (spec: object) => {
    name = `walked-${made++}`
    return server.call('POST', path, { apiVersion: `${group}/${version}`, kind, metadata: { name }, spec })
  }
  const change = (spec: object) =>
    server.patch('json-patch+json', `${path}/${name}`, [{ op: 'replace', path: '/spec', value: spec }])
  const named = field
    .replace(/(\[\])?\.name$/, '')
    .split('.')
    .at(-1)!

  expect(taken.length).toBeGreaterThan(0)
  for (const value of refused) {
    const { status, body } = await create(withValue(before, field, value))
    expect({ value, status }).toEqual({ value, status: 422 })
    expect(body.message).toContain(named)
  }
  for (const value of taken) {
    const wanted = withValue(before, field, value)
    const { body } = await create(wanted)
    expect({ value, body }).toMatchObject({ value, body: { spec: wanted } })
    const changesBack = JSON.stringify(withValue(base, field, value)) !== JSON.stringify(base) && value !== false
    const back = await change(base)
    if (walk.keeps !== undefined && changesBack) {
      expect(back.status).toBe(422)
      expect(back.body.message).toContain(named)
    } else expect({ value, status: back.status, says: back.body.message }).toEqual({ value, status: 200 })
    if (walk.keeps !== 'fixed') {
      const again = await change(wanted)
      expect({ value, again: again.body }).toMatchObject({ value, again: { spec: wanted } })
    }
    await server.call('DELETE', `${path}/${name}`)
  }
})
