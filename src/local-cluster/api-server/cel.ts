import { Environment } from '@marcbachmann/cel-js'
import { messageOf } from '../../base/errors.ts'
import { quantityOf } from '../../base/quantity.ts'
import { type Cause, isObject, type JsonObject } from './object.ts'
import { type Schema, schemaOfField, type ValidationRule } from './schema.ts'

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

interface RulesAt {
  own: { rule: ValidationRule; isTransition: boolean }[]
  /** Whether there are any, and any on transitions, here or below. */
  some: boolean
  transitions: boolean
}

const rulesOf = new WeakMap<Schema, RulesAt>()

function rulesAt(schema: Schema): RulesAt {
  let rules = rulesOf.get(schema)
  if (rules !== undefined) return rules
  const own = (schema['x-kubernetes-validations'] ?? []).map((rule) => {
    return { rule, isTransition: /\boldSelf\b/.test(rule.rule) }
  })
  const { properties = {}, items, additionalProperties: other } = schema
  const below = [...Object.values(properties), items, typeof other === 'object' ? other : undefined].flatMap((one) =>
    one === undefined ? [] : [rulesAt(one)],
  )
  rules = {
    own,
    some: own.length > 0 || below.some(({ some }) => some),
    transitions: own.some(({ isTransition }) => isTransition) || below.some(({ transitions }) => transitions),
  }
  rulesOf.set(schema, rules)
  return rules
}

/**
 * Runs the CEL rules of a schema over a value that it has validated. A rule that mentions oldSelf is a transition rule:
 * it runs only where there is an old value. Items of a list are matched with old ones in lists of type map only.
 * @param isOldChecked the old value kept these rules: where the new one has its very parts, only transition rules run
 */
export function checkRules(schema: Schema, value: unknown, old: unknown, isOldChecked = false, path = ''): Cause[] {
  const problems: Cause[] = []
  checkInto(schema, value, old, isOldChecked, path, problems)
  return problems
}

function checkInto(
  schema: Schema,
  value: unknown,
  old: unknown,
  isOldChecked: boolean,
  path: string,
  problems: Cause[],
): void {
  if (value === undefined || value === null) return
  const { own, some, transitions } = rulesAt(schema)
  const isKept = isOldChecked && value === old
  if (!some || (isKept && !transitions)) return
  const run = own.filter(({ isTransition }) => (isTransition ? old !== undefined : !isKept))
  if (run.length > 0) {
    const self = celValue(schema, value)
    const both = { self, oldSelf: run.some(({ isTransition }) => isTransition) ? celValue(schema, old) : undefined }
    for (const { rule, isTransition } of run)
      problems.push(...broken(rule, isTransition ? both : { self }, value, path))
  }
  if (Array.isArray(value)) {
    const { items } = schema
    if (items === undefined || !rulesAt(items).some) return
    const keys = schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : []
    for (const [index, item] of value.entries()) {
      const before =
        keys.length > 0 && Array.isArray(old)
          ? old.find((candidate) => keys.every((key) => candidate?.[key] === (item as never)?.[key]))
          : undefined
      checkInto(items, item, before, isOldChecked, `${path}[${index}]`, problems)
    }
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      const property = schemaOfField(schema, key)
      if (property === undefined || !rulesAt(property).some) continue
      const before = isObject(old) ? old[key] : undefined
      checkInto(property, value[key], before, isOldChecked, path ? `${path}.${key}` : key, problems)
    }
  }
}

function broken(rule: ValidationRule, context: Context, value: unknown, path: string): Cause[] {
  const field = `${path}${rule.fieldPath ?? ''}`.replace(/^\./, '') || '<nil>' // as the real one calls the object itself
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
  const fields: JsonObject = {}
  for (const key of Object.keys(value)) fields[key] = celValue(schema && schemaOfField(schema, key), value[key])
  return fields
}
