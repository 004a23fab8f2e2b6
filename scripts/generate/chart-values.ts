import { stringify } from 'yaml'
import { z } from 'zod'

export interface JsonSchema {
  type?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  anyOf?: JsonSchema[]
  properties?: Record<string, JsonSchema>
  additionalProperties?: boolean | JsonSchema
  [keyword: string]: unknown
}

/** The schema that Helm checks values with. A chart may be part of another one: then Helm adds `global`. */
export function valuesSchema(title: string, values: z.ZodType): JsonSchema {
  const schema = jsonSchemaOf(values)
  const global = { type: 'object', description: 'Values that Helm shares with all charts of a release; not read here.' }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    ...schema,
    properties: { ...schema.properties, global },
  }
}

export function jsonSchemaOf(values: z.ZodType): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(values, { target: 'draft-7', io: 'input' }) as JsonSchema
  return schema
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** values.yaml: each value with its default, under what it means. */
export function valuesYaml({ properties = {} }: JsonSchema, indent = ''): string {
  return Object.entries(properties)
    .map(([key, schema]) => {
      const about = comment(schema, indent)
      if (isGroup(schema)) return `${about}${indent}${key}:\n${valuesYaml(schema, `${indent}  `)}`
      const text = stringify({ [key]: schema.default ?? emptyOf(schema) }, { lineWidth: 0 })
      return `${about}${text.trimEnd().replaceAll(/^/gm, indent)}\n`
    })
    .join(indent === '' ? '\n' : '')
}

/** Rows of a Markdown table: value, type, default, meaning. */
export function valuesRows({ properties = {} }: JsonSchema, path = ''): string[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const at = path === '' ? key : `${path}.${key}`
    const { default: preset, enum: choices, description = '', additionalProperties } = schema
    const entry = typeof additionalProperties === 'object' && additionalProperties.properties
    const inner = hasKeys(schema)
      ? valuesRows(schema, at)
      : entry
        ? valuesRows({ properties: entry }, `${at}.NAME`)
        : []
    if (isGroup(schema)) return inner
    const type = choices ? choices.join(', ') : (schema.type ?? schema.anyOf?.map(({ type }) => type).join(' or '))
    const shown =
      preset === undefined || (inner.length > 0 && JSON.stringify(preset) === '{}')
        ? ''
        : `\`${JSON.stringify(preset)}\``
    return [`| \`${at}\` | ${type} | ${shown} | ${description.replaceAll('|', '\\|')} |`, ...inner]
  })
}

/** A map of the values, and not a value that is a map: those say what they mean. */
function isGroup(schema: JsonSchema): boolean {
  return hasKeys(schema) && schema.description === undefined
}

function hasKeys({ properties = {} }: JsonSchema): boolean {
  return Object.keys(properties).length > 0
}

function emptyOf({ type }: JsonSchema): unknown {
  return type === 'array' ? [] : type === 'object' ? {} : null
}

function comment({ description = '', enum: choices }: JsonSchema, indent: string): string {
  const text = choices ? `${description} One of ${choices.join(', ')}.` : description
  const lines: string[] = []
  for (const word of text.trim().split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && `${indent}# ${last} ${word}`.length <= 120) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return text === '' ? '' : lines.map((line) => `${indent}# ${line}\n`).join('')
}
