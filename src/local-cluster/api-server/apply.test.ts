import { expect, test } from '@jest/globals'
import { apply } from './apply.ts'
import { fieldsOf, fromFieldsV1, toFieldsV1 } from './managed-fields.ts'
import type { KubeObject } from './object.ts'
import { builtinShape } from './shape.ts'

function applied(manager: string, live: KubeObject | undefined, fields: object, force = false): KubeObject {
  const metadata = { name: 'x' } as KubeObject['metadata']
  const writer = { manager, operation: 'Apply' as const, apiVersion: 'v1', subresource: undefined }
  const object: KubeObject = { apiVersion: 'v1', kind: 'Thing', metadata, ...fields }
  return apply(live, object, writer, { force, shape: builtinShape, now: '2030-01-01T00:00:00Z' })
}

const pod = (...containers: object[]) => ({ spec: { containers } })

test('a field that is no longer applied goes, unless somebody else has it too', () => {
  const one = applied('one', undefined, { data: { a: '1', b: '1' } })
  const both = applied('two', one, { data: { b: '1' } })

  expect(applied('one', both, { data: {} })).toMatchObject({ data: { b: '1' } })
  expect(applied('one', both, { data: {} }).data).not.toHaveProperty('a')
})

test('an item goes with its last owner, and only whole', () => {
  const one = applied(
    'one',
    undefined,
    pod({ name: 'a', image: '1', env: [{ name: 'X', value: '1' }] }, { name: 'b', image: '1' }),
  )
  const two = applied('two', one, pod({ name: 'b', workingDir: '/' }))

  const less = applied('one', two, pod({ name: 'a', image: '1' }))
  expect(less.spec).toEqual({
    containers: [
      { name: 'a', image: '1' },
      { name: 'b', workingDir: '/' },
    ],
  })
  expect((applied('two', less, pod()).spec as { containers: object[] }).containers).toEqual([{ name: 'a', image: '1' }])
})

test('a conflict names who has the field and where it is', () => {
  const one = applied('one', undefined, pod({ name: 'a', image: '1' }))

  expect(() => applied('two', one, pod({ name: 'a', image: '2' }))).toThrow(
    'conflict with "one": .spec.containers[name="a"].image',
  )
  expect(applied('two', one, pod({ name: 'a', image: '1' })).metadata.managedFields).toHaveLength(2)
})

test('applying does not change what it is applied to', () => {
  const one = applied('one', undefined, {
    data: { a: '1' },
    ...pod({ name: 'a', image: '1' }, { name: 'b', image: '1' }),
  })
  const before = structuredClone(one)
  applied('one', one, pod({ name: 'b', image: '2' }))

  expect(one).toEqual(before)
})

test('FieldsV1 says again what it was made from', () => {
  const object = {
    spec: { ports: [{ containerPort: 1 }], containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] },
    empty: {},
  }
  const fields = fieldsOf(object, builtinShape)
  const tree = toFieldsV1([...fields.values()].map(({ path }) => path))

  expect([...fromFieldsV1(tree).keys()].sort()).toEqual([...fields.keys()].sort())
  expect(tree).toMatchObject({
    'f:spec': {
      'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': {} } } },
    },
  })
})
