import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { managersAfterUpdate } from './managed-fields.ts'
import { copyOf, isEqual, type JsonObject, type KubeObject, sharing } from './object.ts'
import { builtinShape } from './shape.ts'

const fields = fc.dictionary(
  fc.constantFrom('a', 'b', 'containers', 'selector'),
  fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(1, 'x', null),
      fc.array(fc.record({ name: fc.constantFrom('m', 'n'), image: tie('value') }), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'ports'), tie('value')),
    ),
  })).value,
)

test('a value that shares with an older one is what it was, and the older one where they are equal', () => {
  fc.assert(
    fc.property(fields, fields, (value, older) => {
      const before = copyOf(older)
      const shared = sharing(copyOf(value), older) as JsonObject

      expect(shared).toEqual(value)
      expect(older).toEqual(before)
      for (const key of Object.keys(value))
        if (isEqual(value[key], older[key]) && key in older) expect(shared[key]).toBe(older[key])
    }),
  )
})

test('managers are the same whether an update shares what it did not change or is a copy', () => {
  const writer = { manager: 'm', operation: 'Update' as const, apiVersion: 'v1', subresource: undefined }
  const other = { ...writer, manager: 'other' }
  const objectOf = (spec: unknown, managedFields: KubeObject['metadata']['managedFields'] = []) =>
    ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', managedFields }, spec }) as unknown as KubeObject
  fc.assert(
    fc.property(fields, fields, fields, (first, second, third) => {
      const one = managersAfterUpdate(undefined, objectOf(first), writer, builtinShape, 't1')
      const two = managersAfterUpdate(objectOf(first, one), objectOf(second), other, builtinShape, 't2')
      const before = objectOf(second, two)
      const shared = objectOf(sharing(copyOf(third), before.spec))

      const managers = managersAfterUpdate(before, objectOf(copyOf(third)), writer, builtinShape, 't3')
      expect(managersAfterUpdate(before, shared, writer, builtinShape, 't3')).toEqual(managers)
    }),
  )
})

test('an update takes what it changed from others, and what it removed from all', () => {
  const owned = (manager: string, ...keys: string[]) => {
    const fieldsV1 = { 'f:data': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) }
    return {
      manager,
      operation: 'Update' as const,
      apiVersion: 'v1',
      time: 't1',
      fieldsType: 'FieldsV1' as const,
      fieldsV1,
    }
  }
  const objectOf = (data: object, managedFields?: object) =>
    ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', managedFields }, data }) as unknown as KubeObject
  const before = objectOf({ a: 1, b: 1, c: 1 }, [owned('one', 'a', 'b'), owned('two', 'c')])
  const writer = { manager: 'two', operation: 'Update' as const, apiVersion: 'v1', subresource: undefined }

  expect(managersAfterUpdate(before, objectOf({ a: 2, c: 1 }), writer, builtinShape, 't2')).toEqual([
    { ...owned('two', 'c', 'a'), time: 't2' },
  ])
})
