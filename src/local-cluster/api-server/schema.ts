import { type Cause, isEqual, isObject, type JsonObject } from './object.ts'

/** The structural schema of a CustomResourceDefinition: the subset of OpenAPI v3 that Kubernetes allows there. */
export interface Schema {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  description?: string
  format?: string
  nullable?: boolean
  default?: unknown
  enum?: unknown[]
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  required?: string[]
  items?: Schema
  minimum?: number
  maximum?: number
  exclusiveMinimum?: boolean
  exclusiveMaximum?: boolean
  multipleOf?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minProperties?: number
  maxProperties?: number
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  not?: Schema
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-embedded-resource'?: boolean
  'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  'x-kubernetes-list-map-keys'?: string[]
  'x-kubernetes-map-type'?: 'atomic' | 'granular'
  'x-kubernetes-validations'?: ValidationRule[]
}

export interface ValidationRule {
  rule: string
  message?: string
  messageExpression?: string
  reason?: string
  fieldPath?: string
  optionalOldSelf?: boolean
}

/** What a schema says of a field; undefined: nothing. Names like `constructor` are fields, too, and every object knows those. */
export function schemaOfField({ properties, additionalProperties: other }: Schema, key: string): Schema | undefined {
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key]
  return typeof other === 'object' ? other : undefined
}

/**
 * Fills in defaults, also inside of objects that are there; changes value. null where a default is counts as missing.
 * @param done went through this, prune and validate before: what value has of its very parts is not looked at again
 */
export function applyDefaults(schema: Schema, value: unknown, done?: unknown): void {
  if (value === done) return
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(schema.items, item)
    return
  }
  if (!isObject(value)) return
  const { properties = {}, additionalProperties: other } = schema
  for (const key of Object.keys(properties)) {
    const property = properties[key] as Schema
    const isMissing = value[key] === undefined || (value[key] === null && property.nullable !== true)
    if (isMissing && property.default !== undefined) value[key] = structuredClone(property.default)
    if (value[key] !== undefined) applyDefaults(property, value[key], partOf(done, key))
  }
  if (typeof other !== 'object') return
  for (const key of Object.keys(value))
    if (!Object.hasOwn(properties, key)) applyDefaults(other, value[key], partOf(done, key))
}

function partOf(done: unknown, key: string): unknown {
  return isObject(done) ? done[key] : undefined
}

const alwaysKnown = new Set(['apiVersion', 'kind', 'metadata']) // of an object, at its root

/**
 * Removes the fields that the schema does not know, and returns their paths (`spec.typo`); changes value.
 * @param done as of applyDefaults
 */
export function prune(schema: Schema, value: unknown, path = '', done?: unknown): string[] {
  const pruned: string[] = []
  pruneInto(schema, value, path, done, pruned)
  return pruned
}

function pruneInto(schema: Schema, value: unknown, path: string, done: unknown, pruned: string[]): void {
  if (typeof value !== 'object' || value === null || value === done) return
  if (Array.isArray(value)) {
    const { items } = schema
    if (items === undefined) return
    for (const [index, item] of value.entries()) pruneInto(items, item, `${path}[${index}]`, undefined, pruned)
    return
  }
  const fields = value as JsonObject
  const isRoot = path === '' || schema['x-kubernetes-embedded-resource'] === true
  for (const key of Object.keys(fields)) {
    if (isRoot && alwaysKnown.has(key)) continue
    const property = schemaOfField(schema, key)
    const below = path === '' ? key : `${path}.${key}`
    if (property !== undefined) pruneInto(property, fields[key], below, partOf(done, key), pruned)
    else if (schema.additionalProperties !== true && schema['x-kubernetes-preserve-unknown-fields'] !== true) {
      delete fields[key]
      pruned.push(below)
    }
  }
}

/**
 * Everything about value that the schema does not allow, CEL rules apart (cel.ts).
 * @param done as of applyDefaults
 */
export function validate(schema: Schema, value: unknown, path = '', done?: unknown): Cause[] {
  const problems: Cause[] = []
  validateInto(schema, value, path, done, problems)
  return problems
}

function validateInto(schema: Schema, value: unknown, path: string, done: unknown, problems: Cause[]): void {
  if (typeof value === 'object' && value !== null && value === done) return
  if (value === null && schema.nullable === true) return
  const wrongType = typeProblem(schema, value)
  if (wrongType !== undefined) {
    problems.push(invalid(path, `Invalid value: ${shown(value)}: ${path} in body ${wrongType}`))
    return
  }
  scalarProblems(schema, value, path, problems)
  combinationProblems(schema, value, path, problems)
  if (Array.isArray(value)) arrayProblems(schema, value, path, problems)
  else if (isObject(value)) objectProblems(schema, value, path, done, problems)
}

function invalid(field: string, message: string, reason = 'FieldValueInvalid'): Cause {
  return { reason, message, field }
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(typeOf(value)) : JSON.stringify(value)
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

function typeProblem(schema: Schema, value: unknown): string | undefined {
  const type = typeOf(value)
  if (schema['x-kubernetes-int-or-string'] === true) {
    return type === 'integer' || type === 'string' ? undefined : 'must be of type integer or string'
  }
  if (schema.type === undefined || schema.type === type || (schema.type === 'number' && type === 'integer')) return
  return `must be of type ${schema.type}: "${type}"`
}

function scalarProblems(schema: Schema, value: unknown, path: string, problems: Cause[]): void {
  const wrong = (words: string) =>
    problems.push(invalid(path, `Invalid value: ${shown(value)}: ${path} in body ${words}`))
  if (schema.enum !== undefined && !schema.enum.some((allowed) => isEqual(allowed, value))) {
    const supported = schema.enum.map((allowed) => JSON.stringify(allowed)).join(', ')
    problems.push(
      invalid(path, `Unsupported value: ${shown(value)}: supported values: ${supported}`, 'FieldValueNotSupported'),
    )
  }
  if (typeof value === 'number') {
    const { minimum, maximum, multipleOf } = schema
    if (minimum !== undefined && (value < minimum || (schema.exclusiveMinimum === true && value === minimum)))
      wrong(`should be greater than ${schema.exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`)
    if (maximum !== undefined && (value > maximum || (schema.exclusiveMaximum === true && value === maximum)))
      wrong(`should be less than ${schema.exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`)
    if (multipleOf !== undefined && value % multipleOf !== 0) wrong(`should be a multiple of ${multipleOf}`)
    if (schema.format === 'int32' && (value > 2 ** 31 - 1 || value < -(2 ** 31))) wrong('must be of type int32')
  }
  if (typeof value === 'string') {
    const { maxLength, minLength } = schema
    const length = maxLength === undefined && minLength === undefined ? 0 : [...value].length
    if (maxLength !== undefined && length > maxLength)
      problems.push(invalid(path, `Too long: may not be more than ${maxLength} bytes`, 'FieldValueTooLong'))
    if (minLength !== undefined && length < minLength) wrong(`should be at least ${minLength} chars long`)
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value))
      wrong(`should match '${schema.pattern}'`)
    if (schema.format === 'date-time' && !isDateTime(value))
      wrong(`must be of type date-time: ${JSON.stringify(value)}`)
  }
}

function isDateTime(text: string): boolean {
  return (
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i.test(text) && !Number.isNaN(Date.parse(text))
  )
}

function combinationProblems(schema: Schema, value: unknown, path: string, problems: Cause[]): void {
  const { allOf = [], anyOf, oneOf, not } = schema
  const fits = (branch: Schema) => validate(branch, value, path).length === 0
  const wrong = (words: string) =>
    problems.push(invalid(path, `Invalid value: ${shown(value)}: ${path} in body ${words}`))
  for (const branch of allOf) validateInto(branch, value, path, undefined, problems)
  if (anyOf !== undefined && !anyOf.some(fits)) wrong('must validate at least one schema (anyOf)')
  if (oneOf !== undefined && oneOf.filter(fits).length !== 1) wrong('must validate one and only one schema (oneOf)')
  if (not !== undefined && fits(not)) wrong('must not validate the schema (not)')
}

function arrayProblems(schema: Schema, value: unknown[], path: string, problems: Cause[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    problems.push(
      invalid(path, `Too many: ${value.length}: must have at most ${schema.maxItems} items`, 'FieldValueTooMany'),
    )
  if (schema.minItems !== undefined && value.length < schema.minItems)
    problems.push(
      invalid(path, `Invalid value: ${value.length}: ${path} in body should have at least ${schema.minItems} items`),
    )
  const seen = new Set<string>()
  for (const [index, item] of value.entries()) {
    const identity = listIdentity(schema, item)
    if (identity !== undefined && seen.has(identity))
      problems.push(invalid(`${path}[${index}]`, `Duplicate value: ${identity}`, 'FieldValueDuplicate'))
    else if (identity !== undefined) seen.add(identity)
    if (schema.items !== undefined) validateInto(schema.items, item, `${path}[${index}]`, undefined, problems)
  }
}

function listIdentity(schema: Schema, item: unknown): string | undefined {
  if (schema['x-kubernetes-list-type'] === 'set' || schema.uniqueItems === true) return JSON.stringify(item)
  if (schema['x-kubernetes-list-type'] !== 'map' || !isObject(item)) return undefined
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  return JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key]])))
}

function objectProblems(schema: Schema, value: JsonObject, path: string, done: unknown, problems: Cause[]): void {
  const { required = [], minProperties, maxProperties } = schema
  const below = (key: string) => (path === '' ? key : `${path}.${key}`)
  for (const key of required)
    if (value[key] === undefined) problems.push(invalid(below(key), 'Required value', 'FieldValueRequired'))
  const keys = Object.keys(value)
  const count = keys.length
  if (maxProperties !== undefined && count > maxProperties)
    problems.push(invalid(path, `Too many: ${count}: must have at most ${maxProperties} items`, 'FieldValueTooMany'))
  if (minProperties !== undefined && count < minProperties)
    problems.push(
      invalid(path, `Invalid value: ${count}: ${path} in body should have at least ${minProperties} properties`),
    )
  for (const key of keys) {
    const property = schemaOfField(schema, key)
    if (property !== undefined) validateInto(property, value[key], below(key), partOf(done, key), problems)
  }
}
