import { createHash } from 'node:crypto'
import type { Catalog } from './catalog.ts'
import type { JsonObject } from './object.ts'
import { groupVersionOf, type Resource } from './resource.ts'
import type { Schema } from './schema.ts'

/** OpenAPI v3, as far as kubectl reads it: `explain` the schemas, `apply` the query parameters of PATCH. */
export function openApiIndex(catalog: Catalog): object {
  const paths: JsonObject = {}
  for (const { group, version } of catalog.all()) {
    const path = group === '' ? `api/${version}` : `apis/${group}/${version}`
    if (paths[path] !== undefined) continue
    const hash = createHash('sha256')
      .update(JSON.stringify(openApiOf(catalog, group, version)))
      .digest('hex')
      .slice(0, 32)
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }
  }
  return { paths }
}

/** The document of one group and version; undefined when nobody serves it. */
export function openApiOf(catalog: Catalog, group: string, version: string): object | undefined {
  const resources = catalog.all().filter((one) => one.group === group && one.version === version)
  if (resources.length === 0) return undefined
  const schemas = resources.map((resource) => [schemaName(resource), schemaOf(resource)])
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1' },
    paths: Object.fromEntries(resources.map((resource) => [pathOf(resource), operationsOf(resource)])),
    components: { schemas: { ...Object.fromEntries(schemas), [objectMeta]: metaSchema } },
  }
}

const objectMeta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'
const metaSchema = {
  type: 'object',
  description: 'ObjectMeta is metadata that all persisted resources must have.',
  properties: {
    name: { type: 'string', description: 'Name must be unique within a namespace.' },
    namespace: { type: 'string', description: 'Namespace defines the space within which each name must be unique.' },
    labels: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Map of string keys and values to organize and select objects.',
    },
    annotations: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Unstructured key value map for arbitrary metadata.',
    },
  },
}

function schemaName({ group, version, kind }: Resource): string {
  return `${group === '' ? 'core' : group}.${version}.${kind}`
}

function schemaOf(resource: Resource, definitions = '#/components/schemas/'): object {
  const { group, version, kind, schema } = resource
  const own = schema ?? builtinSchema(resource)
  return {
    ...own,
    properties: {
      apiVersion: { type: 'string', description: 'The versioned schema of this representation of an object.' },
      kind: { type: 'string', description: 'The REST resource this object represents.' },
      ...own.properties,
      metadata: { allOf: [{ $ref: `${definitions}${objectMeta}` }], description: 'Standard object metadata.' },
    },
    'x-kubernetes-group-version-kind': [{ group, version, kind }],
  }
}

/** Of a kind whose fields are not checked: what it surely has. */
function builtinSchema({ hasStatus, hasGeneration }: Resource): Schema {
  const any: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  return {
    ...any,
    properties: { ...((hasStatus || hasGeneration) && { spec: any }), ...(hasStatus && { status: any }) },
  }
}

/** OpenAPI v2 of all groups in one document, for clients from before v3: definitions, and the ways to one object. */
export function openApiV2Of(catalog: Catalog): object {
  const resources = catalog.all()
  const definitions = resources.map((one) => [schemaName(one), schemaOf(one, '#/definitions/')])
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: 'v1' },
    paths: Object.fromEntries(resources.map((resource) => [pathOf(resource), operationsOf(resource)])),
    definitions: { ...Object.fromEntries(definitions), [objectMeta]: metaSchema },
  }
}

export const openApiV2Protobuf = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

/**
 * OpenAPI v2 as protobuf, with a version and a title alone: kubectl asks for it when v3 does not have the kind, and must get one to
 * go on to its own words, that there is no such kind. Source: gnostic, openapiv2.Document.
 */
export const emptyOpenApiV2 = '\n\u00032.0\u0012\u0010\n\u000aKubernetes\u0012\u0002v1'

function pathOf(resource: Resource): string {
  const root = resource.group === '' ? '/api' : '/apis'
  const namespace = resource.namespaced ? '/namespaces/{namespace}' : ''
  return `${root}/${groupVersionOf(resource)}${namespace}/${resource.plural}/{name}`
}

function operationsOf({ group, version, kind }: Resource): object {
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name) => {
    return { name, in: 'query', schema: { type: name === 'force' ? 'boolean' : 'string', uniqueItems: true } }
  })
  const responses = { '200': { description: 'OK' } }
  const shared = { responses, 'x-kubernetes-group-version-kind': { group, version, kind } }
  return {
    get: { ...shared, 'x-kubernetes-action': 'get' },
    put: { ...shared, 'x-kubernetes-action': 'put', parameters: parameters.slice(0, 3) },
    patch: { ...shared, 'x-kubernetes-action': 'patch', parameters },
  }
}
