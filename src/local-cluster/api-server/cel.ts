import { Environment } from '@marcbachmann/cel-js'
import { messageOf } from '../../base/errors.ts'
import { quantityOf } from '../../base/quantity.ts'
import { type Cause, isObject } from './object.ts'
import type { Schema, ValidationRule } from './schema.ts'

const environment = new Environment()
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn')
  .registerFunction('quantity(string): double', (text: string) => quantityOf(text))
  .registerFunction('isQuantity(string): bool', (text: string) => !Number.isNaN(quantityOf(text)))
  .registerFunction('double.compareTo(double): int', (a: number, b: number) => BigInt(Math.sign(a - b)))
  .registerFunction('double.isGreaterThan(double): bool', (a: number, b: number) => a > b)
  .registerFunction('double.isLessThan(double): bool', (a: number, b: number) => a < b)
  .registerFunction('list.isSorted(): bool', (list: (string | number)[]) =>
    list.every((item, index) => index === 0 || (list[index - 1] as typeof item) <= item),
  )

interface Context {
  self: unknown
  oldSelf?: unknown
}
type Program = (context: Context) => unknown

const programs = new Map<string, Program>() // one for each rule of each CRD, so as many as people wrote

function programOf(rule: string): Program {
  let program = programs.get(rule)
  if (program === undefined) programs.set(rule, (program = environment.parse(rule) as Program))
  return program
}

/** Says what is wrong with the rules of a schema before anybody relies on them. */
export function ruleProblems(schema: Schema, path = ''): Cause[] {
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap(({ rule }): Cause[] => {
    try {
      programOf(rule)
      return []
    } catch (error) {
      return [{ reason: 'FieldValueInvalid', field: path, message: `compilation failed: ${rule}: ${messageOf(error)}` }]
    }
  })
  const properties = Object.entries(schema.properties ?? {})
  return [
    ...own,
    ...properties.flatMap(([key, property]) => ruleProblems(property, `${path}.properties[${key}]`)),
    ...(schema.items === undefined ? [] : ruleProblems(schema.items, `${path}.items`)),
    ...(typeof schema.additionalProperties === 'object'
      ? ruleProblems(schema.additionalProperties, `${path}.additionalProperties`)
      : []),
  ]
}

/**
 * Runs the CEL rules of a schema over a value that it has validated. A rule that mentions oldSelf is a transition rule:
 * it runs only where there is an old value. Items of a list are matched with old ones in lists of type map only.
 */
export function checkRules(schema: Schema, value: unknown, old: unknown, path = ''): Cause[] {
  if (value === undefined || value === null) return []
  const rules = schema['x-kubernetes-validations'] ?? []
  const context = rules.length === 0 ? undefined : { self: celValue(schema, value), oldSelf: celValue(schema, old) }
  const problems = rules.flatMap((rule) => broken(rule, context!, value, path))
  if (isObject(value)) {
    for (const [key, field] of Object.entries(value)) {
      const property =
        schema.properties?.[key] ??
        (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined)
      if (property === undefined) continue
      problems.push(...checkRules(property, field, isObject(old) ? old[key] : undefined, path ? `${path}.${key}` : key))
    }
  }
  if (Array.isArray(value) && schema.items !== undefined) {
    const { items } = schema
    const keys = schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : []
    for (const [index, item] of value.entries()) {
      const before =
        keys.length > 0 && Array.isArray(old)
          ? old.find((candidate) => keys.every((key) => candidate?.[key] === (item as never)?.[key]))
          : undefined
      problems.push(...checkRules(items, item, before, `${path}[${index}]`))
    }
  }
  return problems
}

function broken(rule: ValidationRule, both: Context, value: unknown, path: string): Cause[] {
  const isTransition = /\boldSelf\b/.test(rule.rule)
  if (isTransition && both.oldSelf === undefined) return []
  const context = isTransition ? both : { self: both.self }
  const field = `${path}${rule.fieldPath ?? ''}`
  const kind = Array.isArray(value) ? 'array' : typeof value
  const shown = typeof value === 'object' ? `"${kind}"` : JSON.stringify(value)
  try {
    if (programOf(rule.rule)(context) === true) return []
    const said = rule.messageExpression && programOf(rule.messageExpression)(context)
    const message = typeof said === 'string' ? said : (rule.message ?? `failed rule: ${rule.rule}`)
    return [{ reason: rule.reason ?? 'FieldValueInvalid', field, message: `Invalid value: ${shown}: ${message}` }]
  } catch (error) {
    return [
      {
        reason: 'FieldValueInvalid',
        field,
        message: `Invalid value: ${shown}: ${messageOf(error)} evaluating rule: ${rule.rule}`,
      },
    ]
  }
}

/** CEL has integers apart from doubles; JSON does not, so the schema decides. */
function celValue(schema: Schema | undefined, value: unknown): unknown {
  if (typeof value === 'number') return schema?.type === 'number' || !Number.isInteger(value) ? value : BigInt(value)
  if (Array.isArray(value)) return value.map((item) => celValue(schema?.items, item))
  if (!isObject(value)) return value
  const other = typeof schema?.additionalProperties === 'object' ? schema.additionalProperties : undefined
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, celValue(schema?.properties?.[key] ?? other, field)]),
  )
}
