import { expect, test } from '@jest/globals'
import { ManualClock } from '../../base/testing/clock.ts'
import { Catalog } from './catalog.ts'
import type { KubeObject } from './object.ts'
import { Registry } from './registry.ts'
import type { Resource } from './resource.ts'
import { ObjectStore } from './store.ts'

const options = { manager: 'test' }

/** A registry with a definition of Things, whose `spec.size` has a maximum and a rule; and the thing `x` of size 5. */
function registryOfThings() {
  let count = 0
  const random = { uuid: () => `uid-${++count}` } as never
  const registry = new Registry(new ObjectStore(), new Catalog(), { clock: new ManualClock(), random })
  const crds = registry.catalog.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions') as Resource
  const crd = (spec: object) =>
    ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.t.io' },
      spec: {
        group: 't.io',
        scope: 'Cluster',
        names: { kind: 'Thing', plural: 'things' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: { spec, status: { type: 'object', properties: { seen: { type: 'integer' } } } },
              },
            },
            subresources: { status: {} },
          },
        ],
      },
    }) as unknown as KubeObject
  registry.create(crds, undefined, crd({ type: 'object', properties: { size: { type: 'integer' } } }), options)
  const things = () => registry.catalog.find('t.io', 'v1', 'things') as Resource
  registry.create(things(), undefined, { metadata: { name: 'x' }, spec: { size: 5 } } as unknown as KubeObject, options)
  const see = (seen: unknown) =>
    registry.patch(things(), undefined, 'x', 'merge', { status: { seen } }, { ...options, subresource: 'status' })
  const redefine = (spec: object) => registry.update(crds, undefined, crd(spec), options)
  return { registry, see, redefine }
}

test('a status is checked though the rest of its object was before', () => {
  const { see } = registryOfThings()

  expect(see(1)).toMatchObject({ spec: { size: 5 }, status: { seen: 1 } })
  expect(() => see('much')).toThrow(/status.seen in body must be of type integer/)
})

test('what an older definition let through is completed and checked by the new one', () => {
  const { see, redefine } = registryOfThings()
  const before = see(1)

  redefine({ type: 'object', properties: { size: { type: 'integer' }, color: { type: 'string', default: 'red' } } })
  expect(see(2)).toMatchObject({ spec: { size: 5, color: 'red' }, status: { seen: 2 } })
  expect(before.spec).toEqual({ size: 5 })
  redefine({ type: 'object', properties: { size: { type: 'integer', maximum: 4 } } })
  expect(() => see(3)).toThrow(/spec.size in body should be less than or equal to 4/)
  redefine({ type: 'object', properties: {}, 'x-kubernetes-validations': [{ rule: 'has(self.size)' }] })
  expect(() => see(3)).toThrow(/failed rule: has\(self.size\)/)
})
