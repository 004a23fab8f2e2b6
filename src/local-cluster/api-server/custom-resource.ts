import { messageOf } from '../../base/errors.ts'
import { ruleProblems } from './cel.ts'
import { parseJsonPath } from './json-path.ts'
import { type Cause, isObject, type KubeObject, objectAt } from './object.ts'
import { ageOf, type Column, humanDuration, type Resource, type ScalePaths } from './resource.ts'
import type { Schema } from './schema.ts'

interface CrdVersion {
  name: string
  served: boolean
  storage: boolean
  schema?: { openAPIV3Schema?: Schema }
  subresources?: {
    status?: object
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string }
  }
  additionalPrinterColumns?: {
    name: string
    type: string
    jsonPath: string
    priority?: number
    description?: string
    format?: string
  }[]
}

interface CrdSpec {
  group: string
  scope: 'Namespaced' | 'Cluster'
  names: {
    kind: string
    plural: string
    singular?: string
    listKind?: string
    shortNames?: string[]
    categories?: string[]
  }
  versions: CrdVersion[]
}

function specOf(crd: KubeObject): CrdSpec {
  return crd.spec as CrdSpec
}

/** What is wrong with a CustomResourceDefinition; a good one may be turned into resources. */
export function crdProblems(crd: KubeObject): Cause[] {
  const spec = objectAt(crd.spec)
  const names = objectAt(spec.names)
  const required: [string, unknown][] = [
    ['spec.group', spec.group],
    ['spec.names.kind', names.kind],
    ['spec.names.plural', names.plural],
    ['spec.scope', spec.scope],
  ]
  const missing = required
    .filter(([, value]) => typeof value !== 'string' || value === '')
    .map(([field]): Cause => ({ reason: 'FieldValueRequired', field, message: 'Required value' }))
  if (missing.length > 0) return missing
  const invalid = (field: string, message: string): Cause => ({ reason: 'FieldValueInvalid', field, message })
  const {
    group,
    names: { plural },
    versions,
  } = specOf(crd)
  const problems: Cause[] = []
  if (crd.metadata.name !== `${plural}.${group}`)
    problems.push(invalid('metadata.name', `must be spec.names.plural+"."+spec.group`))
  if (!Array.isArray(versions) || versions.filter(({ storage }) => storage).length !== 1)
    return [...problems, invalid('spec.versions', 'must have exactly one version marked as storage version')]
  for (const [index, version] of versions.entries()) {
    const at = `spec.versions[${index}]`
    if (!isObject(version.schema?.openAPIV3Schema))
      problems.push({
        reason: 'FieldValueRequired',
        field: `${at}.schema.openAPIV3Schema`,
        message: 'schemas are required',
      })
    else problems.push(...ruleProblems(version.schema.openAPIV3Schema, `${at}.schema.openAPIV3Schema`))
    for (const [number, column] of (version.additionalPrinterColumns ?? []).entries()) {
      try {
        parseJsonPath(column.jsonPath)
      } catch (error) {
        problems.push(invalid(`${at}.additionalPrinterColumns[${number}].jsonPath`, messageOf(error)))
      }
    }
  }
  return problems
}

/** Fills in the names that a CustomResourceDefinition may leave out. Changes crd. */
export function completeCrd(crd: KubeObject): void {
  const spec = objectAt(crd.spec)
  const names = objectAt(spec.names)
  names.singular ??= String(names.kind).toLowerCase()
  names.listKind ??= `${names.kind}List`
  spec.conversion ??= { strategy: 'None' }
}

/** The status that says the API serves this definition. */
export function establishedStatus(crd: KubeObject, now: string): object {
  const { names, versions } = specOf(crd)
  const condition = (type: string, reason: string, message: string) => {
    return { type, status: 'True', lastTransitionTime: now, reason, message }
  }
  return {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: names,
    storedVersions: versions.filter(({ storage }) => storage).map(({ name }) => name),
  }
}

/** The resources that a CustomResourceDefinition adds: one for each served version. */
export function resourcesOf(crd: KubeObject): Resource[] {
  const { group, scope, names, versions } = specOf(crd)
  return versions
    .filter(({ served }) => served)
    .map((version) => ({
      group,
      version: version.name,
      kind: names.kind,
      plural: names.plural,
      singular: names.singular ?? names.kind.toLowerCase(),
      shortNames: names.shortNames ?? [],
      categories: names.categories ?? [],
      namespaced: scope === 'Namespaced',
      collection: `${group}/${names.plural}`,
      hasStatus: version.subresources?.status !== undefined,
      hasGeneration: true,
      scale: scaleOf(version),
      columns: columnsOf(version),
      schema: version.schema?.openAPIV3Schema,
    }))
}

function scaleOf({ subresources }: CrdVersion): ScalePaths | undefined {
  const scale = subresources?.scale
  if (scale === undefined) return undefined
  const steps = (path: string) => path.replace(/^\./, '').split('.')
  return {
    specReplicas: steps(scale.specReplicasPath),
    statusReplicas: steps(scale.statusReplicasPath),
    labelSelector: scale.labelSelectorPath === undefined ? undefined : steps(scale.labelSelectorPath),
  }
}

function columnsOf({ additionalPrinterColumns }: CrdVersion): Column[] {
  const name: Column = {
    name: 'Name',
    type: 'string',
    format: 'name',
    priority: 0,
    description: '',
    read: (object) => object.metadata.name,
  }
  const age: Column = {
    name: 'Age',
    type: 'date',
    priority: 0,
    description: '',
    read: (object, nowMs) => ageOf(object.metadata, nowMs),
  }
  if (additionalPrinterColumns === undefined) return [name, age]
  const columns = additionalPrinterColumns.map(
    ({ jsonPath, type, name, priority = 0, description = '', format }): Column => {
      const read = parseJsonPath(jsonPath)
      const shown = (value: unknown, nowMs: number) =>
        type === 'date' && value !== undefined ? humanDuration(nowMs - Date.parse(String(value))) : value
      return {
        name,
        type,
        priority,
        description,
        ...(format !== undefined && { format }),
        read: (object, nowMs) => shown(read(object), nowMs),
      }
    },
  )
  return [name, ...columns]
}
