import { expect, test } from '@jest/globals'
import { quantityOf } from '../../base/quantity.ts'
import { checkRules, ruleProblems } from './cel.ts'
import { applyDefaults, prune, type Schema, validate } from './schema.ts'
import { shapeOf } from './shape.ts'

function problems(schema: Schema, value: unknown): string[] {
  return validate(schema, value, 'spec').map(({ field, message }) => `${field}: ${message}`)
}

test('defaults go into objects and items that are there, and make none', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      size: { type: 'integer', default: 1 },
      nested: { type: 'object', properties: { on: { type: 'boolean', default: true } } },
      made: { type: 'object', default: {}, properties: { depth: { type: 'integer', default: 2 } } },
      list: { type: 'array', items: { type: 'object', properties: { port: { type: 'integer', default: 9876 } } } },
    },
  }
  const value = { size: null, list: [{}, { port: 1 }] }
  applyDefaults(schema, value)

  expect(value).toEqual({ size: 1, made: { depth: 2 }, list: [{ port: 9876 }, { port: 1 }] })
})

test('unknown fields go, except where the schema keeps them', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      known: { type: 'object', properties: { a: { type: 'string' } } },
      open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      map: { type: 'object', additionalProperties: { type: 'object', properties: { a: { type: 'string' } } } },
    },
  }
  const value = {
    apiVersion: 'v1',
    metadata: {},
    known: { a: '1', b: '2' },
    open: { x: 1 },
    map: { k: { z: 1 } },
    top: 1,
  }

  expect(prune(schema, value)).toEqual(['known.b', 'map.k.z', 'top'])
  expect(value).toEqual({ apiVersion: 'v1', metadata: {}, known: { a: '1' }, open: { x: 1 }, map: { k: {} } })
})

test.each<[Schema, unknown, string]>([
  [{ type: 'integer', minimum: 1 }, 0, 'should be greater than or equal to 1'],
  [{ type: 'integer' }, 1.5, 'must be of type integer: "number"'],
  [{ type: 'string', pattern: '^[a-z]+$' }, 'A', "should match '^[a-z]+$'"],
  [{ type: 'string', format: 'date-time' }, 'yesterday', 'must be of type date-time: "yesterday"'],
  [{ type: 'string', format: 'date-time' }, '2026-13-01T00:00:00Z', 'must be of type date-time'],
  [{ type: 'string', maxLength: 2 }, 'äöü', 'Too long: may not be more than 2 bytes'],
  [{ enum: ['Sync', 'Async'] }, 'x', 'Unsupported value: "x": supported values: "Sync", "Async"'],
  [{ type: 'array', maxItems: 1 }, [1, 2], 'Too many: 2'],
  [{ type: 'array', 'x-kubernetes-list-type': 'set' }, ['a', 'a'], 'Duplicate value: "a"'],
  [{ type: 'object', required: ['a'] }, {}, 'Required value'],
  [{ 'x-kubernetes-int-or-string': true }, true, 'must be of type integer or string'],
  [{ anyOf: [{ type: 'string' }, { type: 'integer' }] }, true, 'anyOf'],
])('%j refuses %j', (schema, value, words) => {
  expect(problems(schema, value).join()).toContain(words)
})

test.each<[Schema, unknown]>([
  [{ type: 'number' }, 1],
  [{ type: 'string', nullable: true }, null],
  [{ type: 'string', format: 'date-time' }, '2026-01-02T03:04:05.6+02:00'],
  [{ 'x-kubernetes-int-or-string': true }, '25%'],
  [{ type: 'object', additionalProperties: { type: 'string' } }, { a: 'b' }],
])('%j takes %j', (schema, value) => {
  expect(problems(schema, value)).toEqual([])
})

test.each(['constructor', 'toString'])('a field that is called %s is one like others', (key) => {
  const entry: Schema = {
    type: 'object',
    properties: { text: { type: 'string', maxLength: 2, default: 'abc' } },
    'x-kubernetes-validations': [{ rule: 'self.text.size() < 3' }],
    'x-kubernetes-map-type': 'atomic',
  }
  const map: Schema = { type: 'object', additionalProperties: entry }
  const value = { [key]: {} }
  applyDefaults(map, value)

  expect(value).toEqual({ [key]: { text: 'abc' } })
  expect(problems(map, value)).toEqual([`spec.${key}.text: Too long: may not be more than 2 bytes`])
  expect(checkRules(map, value, undefined)).toMatchObject([{ field: key }])
  expect(shapeOf(map).field(key).isAtomicMap).toBe(true)
  expect(prune({ type: 'object', properties: {} }, value)).toEqual([key])
})

test('a CEL rule speaks of its own place, and one about changes needs something that was there', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      size: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self >= oldSelf', message: 'may only grow' }] },
      storage: {
        type: 'string',
        'x-kubernetes-validations': [{ rule: "quantity(self).compareTo(quantity('1Gi')) >= 0" }],
      },
    },
  }

  expect(checkRules(schema, { size: 1 }, undefined)).toEqual([])
  expect(checkRules(schema, { size: 2, storage: '2Gi' }, { size: 1 })).toEqual([])
  expect(checkRules(schema, { size: 1 }, { size: 2 })).toEqual([
    { reason: 'FieldValueInvalid', field: 'size', message: 'Invalid value: 1: may only grow' },
  ])
  expect(checkRules(schema, { storage: '900Mi' }, undefined)[0]?.message).toContain('failed rule')
})

test('a rule that does not compile, and one that fails while it runs, are told and not skipped', () => {
  expect(ruleProblems({ 'x-kubernetes-validations': [{ rule: 'self.' }] })[0]?.message).toContain('compilation failed')
  const schema: Schema = { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.missing > 1' }] }
  expect(checkRules(schema, {}, undefined)[0]?.message).toContain('evaluating rule: self.missing > 1')
})

test.each([
  ['1Gi', 2 ** 30],
  ['100m', 0.1],
  ['1.5e3', 1500],
  ['2G', 2e9],
  ['12', 12],
  ['1 Gi', Number.NaN],
  ['', Number.NaN],
])('the quantity %j is %d', (text, value) => {
  expect(quantityOf(text)).toBe(value)
})

test('where an old value kept the rules, its parts are looked at again only by rules about changes', () => {
  const value = { a: { size: 1 } }
  const schemaWith = (rule: string): Schema => {
    const size: Schema = { type: 'object', 'x-kubernetes-validations': [{ rule }] }
    return { type: 'object', properties: { a: size } }
  }

  expect(checkRules(schemaWith('self.size > 1'), value, value, true)).toEqual([])
  expect(checkRules(schemaWith('self.size > 1'), value, value, false)).toHaveLength(1)
  expect(checkRules(schemaWith('self.size > oldSelf.size'), value, value, true)).toHaveLength(1)
})
