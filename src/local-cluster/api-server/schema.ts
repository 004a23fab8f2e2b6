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

/** Fills in defaults, also inside of objects that are there; changes value. null where a default is counts as missing. */
export function applyDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(schema.items, item)
    return
  }
  if (!isObject(value)) return
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const isMissing = value[key] === undefined || (value[key] === null && property.nullable !== true)
    if (isMissing && property.default !== undefined) value[key] = structuredClone(property.default)
    if (value[key] !== undefined) applyDefaults(property, value[key])
  }
  const other = schema.additionalProperties
  if (typeof other !== 'object') return
  for (const [key, field] of Object.entries(value)) if (!schema.properties?.[key]) applyDefaults(other, field)
}

const alwaysKnown = new Set(['apiVersion', 'kind', 'metadata']) // of an object, at its root

/** Removes the fields that the schema does not know, and returns their paths (`spec.typo`); changes value. */
export function prune(schema: Schema, value: unknown, path = ''): string[] {
  if (Array.isArray(value)) {
    const items = schema.items
    return items === undefined ? [] : value.flatMap((item, index) => prune(items, item, `${path}[${index}]`))
  }
  if (!isObject(value)) return []
  const isRoot = path === '' || schema['x-kubernetes-embedded-resource'] === true
  return Object.keys(value).flatMap((key) => {
    const below = path === '' ? key : `${path}.${key}`
    const property = schema.properties?.[key]
    if (isRoot && alwaysKnown.has(key)) return []
    if (property !== undefined) return prune(property, value[key], below)
    if (typeof schema.additionalProperties === 'object') return prune(schema.additionalProperties, value[key], below)
    if (schema.additionalProperties === true || schema['x-kubernetes-preserve-unknown-fields'] === true) return []
    delete value[key]
    return [below]
  })
}

/** Everything about value that the schema does not allow, CEL rules apart (cel.ts). */
export function validate(schema: Schema, value: unknown, path = ''): Cause[] {
  if (value === null && schema.nullable === true) return []
  const wrongType = typeProblem(schema, value)
  if (wrongType !== undefined) return [invalid(path, `Invalid value: ${shown(value)}: ${path} in body ${wrongType}`)]
  const problems = [...scalarProblems(schema, value, path), ...combinationProblems(schema, value, path)]
  if (Array.isArray(value)) problems.push(...arrayProblems(schema, value, path))
  if (isObject(value)) problems.push(...objectProblems(schema, value, path))
  return problems
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

function scalarProblems(schema: Schema, value: unknown, path: string): Cause[] {
  const problems: Cause[] = []
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
    const length = [...value].length
    if (schema.maxLength !== undefined && length > schema.maxLength)
      problems.push(invalid(path, `Too long: may not be more than ${schema.maxLength} bytes`, 'FieldValueTooLong'))
    if (schema.minLength !== undefined && length < schema.minLength)
      wrong(`should be at least ${schema.minLength} chars long`)
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value))
      wrong(`should match '${schema.pattern}'`)
    if (schema.format === 'date-time' && !isDateTime(value))
      wrong(`must be of type date-time: ${JSON.stringify(value)}`)
  }
  return problems
}

function isDateTime(text: string): boolean {
  return (
    /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i.test(text) && !Number.isNaN(Date.parse(text))
  )
}

function combinationProblems(schema: Schema, value: unknown, path: string): Cause[] {
  const fits = (branch: Schema) => validate(branch, value, path).length === 0
  const wrong = (words: string) => [invalid(path, `Invalid value: ${shown(value)}: ${path} in body ${words}`)]
  const problems = (schema.allOf ?? []).flatMap((branch) => validate(branch, value, path))
  if (schema.anyOf !== undefined && !schema.anyOf.some(fits))
    problems.push(...wrong('must validate at least one schema (anyOf)'))
  if (schema.oneOf !== undefined && schema.oneOf.filter(fits).length !== 1)
    problems.push(...wrong('must validate one and only one schema (oneOf)'))
  if (schema.not !== undefined && fits(schema.not)) problems.push(...wrong('must not validate the schema (not)'))
  return problems
}

function arrayProblems(schema: Schema, value: unknown[], path: string): Cause[] {
  const problems: Cause[] = []
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
    if (schema.items !== undefined) problems.push(...validate(schema.items, item, `${path}[${index}]`))
  }
  return problems
}

function listIdentity(schema: Schema, item: unknown): string | undefined {
  if (schema['x-kubernetes-list-type'] === 'set' || schema.uniqueItems === true) return JSON.stringify(item)
  if (schema['x-kubernetes-list-type'] !== 'map' || !isObject(item)) return undefined
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  return JSON.stringify(Object.fromEntries(keys.map((key) => [key, item[key]])))
}

function objectProblems(schema: Schema, value: JsonObject, path: string): Cause[] {
  const below = (key: string) => (path === '' ? key : `${path}.${key}`)
  const problems = (schema.required ?? [])
    .filter((key) => value[key] === undefined)
    .map((key) => invalid(below(key), 'Required value', 'FieldValueRequired'))
  const count = Object.keys(value).length
  if (schema.maxProperties !== undefined && count > schema.maxProperties)
    problems.push(
      invalid(path, `Too many: ${count}: must have at most ${schema.maxProperties} items`, 'FieldValueTooMany'),
    )
  if (schema.minProperties !== undefined && count < schema.minProperties)
    problems.push(
      invalid(path, `Invalid value: ${count}: ${path} in body should have at least ${schema.minProperties} properties`),
    )
  for (const [key, field] of Object.entries(value)) {
    const property =
      schema.properties?.[key] ??
      (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined)
    if (property !== undefined) problems.push(...validate(property, field, below(key)))
  }
  return problems
}
