import { z } from 'zod'
import type { CelRule } from './fields.ts'
import { apiVersion, group, version } from './group.ts'

/** What makes a custom resource: its names, its two schemas and what kubectl shows of it. */
export interface Definition {
  kind: string
  plural: string
  singular: string
  shortName: string
  describes: string
  spec: z.ZodType
  status: z.ZodType
  /** Rules over the whole object, such as on metadata.name. */
  rules: CelRule[]
  scale?: { spec: string; status: string }
  columns: { name: string; type: 'string' | 'integer' | 'date'; jsonPath: string; wide?: true; describes: string }[]
}

/** How src/kube addresses the resource. */
export function resourceType(definition: Definition) {
  return { apiVersion, kind: definition.kind, plural: definition.plural }
}

/** The CustomResourceDefinition object. Source: apiextensions.k8s.io/v1. */
export function customResourceDefinition(definition: Definition) {
  const { kind, plural, singular, shortName, scale } = definition
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { 'app.kubernetes.io/part-of': 'rocketmq-operator' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName], categories: ['rocketmq'] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: definition.describes,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec: structural(definition.spec, 'What is wanted.'),
                status: structural(definition.status, 'What was seen last.'),
              },
              'x-kubernetes-validations': definition.rules,
            },
          },
          subresources: {
            status: {},
            ...(scale && {
              scale: {
                specReplicasPath: scale.spec,
                statusReplicasPath: scale.status,
                labelSelectorPath: '.status.selector',
              },
            }),
          },
          additionalPrinterColumns: definition.columns.map(({ name, type, jsonPath, wide, describes }) => ({
            name,
            type,
            jsonPath,
            description: describes,
            ...(wide && { priority: 1 }),
          })),
        },
      ],
    },
  }
}

type Schema = Record<string, unknown> & { properties?: Record<string, Schema>; items?: Schema }

/**
 * The OpenAPI form of a zod schema, made structural: what Kubernetes does not allow or should not fill in is left out.
 * Defaults stay for plain fields of the first level only: deeper ones would be written into the object of whoever
 * keeps it in Git. The operator fills those in itself when it parses the spec, and the description names them.
 */
export function structural(schema: z.ZodType, describes: string): Schema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Schema
  delete json.$schema
  return { description: describes, ...tidy(json, 0) }
}

function tidy(schema: Schema, depth: number): Schema {
  const { default: preset, properties, items, additionalProperties, anyOf, ...rest } = schema
  const tidied: Schema = rest
  if (rest.type === 'integer') tidyInteger(tidied)
  if (preset !== undefined && typeof preset !== 'object') {
    if (depth === 1) tidied.default = preset
    else tidied.description = `${rest.description ?? ''} Default ${preset}.`.trim()
  }
  if (rest['x-kubernetes-int-or-string'] === true)
    return { anyOf: [{ type: 'integer' }, { type: 'string' }], ...tidied }
  if (anyOf) throw new Error('a structural schema has no unions')
  if (items) tidied.items = tidy(items, depth + 1)
  if (rest['x-kubernetes-preserve-unknown-fields'] === true) return tidied
  if (properties && Object.keys(properties).length > 0) {
    tidied.properties = Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [name, tidy(property, depth + 1)]),
    )
  }
  if (additionalProperties !== undefined) tidied.additionalProperties = tidy(additionalProperties as Schema, depth + 1)
  return tidied
}

/** Leaves the limits that the format says already: of int32, or JavaScript's own for what Kubernetes counts in int64. */
function tidyInteger(schema: Schema): void {
  schema.format ??= 'int32'
  if (schema.minimum === Number.MIN_SAFE_INTEGER || schema.minimum === -(2 ** 31)) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER || schema.maximum === 2 ** 31 - 1) delete schema.maximum
}
