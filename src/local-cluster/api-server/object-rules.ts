import { type Cause, type JsonObject, type KubeObject, type ObjectMeta, objectAt, refusal } from './object.ts'
import { groupVersionOf, type Resource } from './resource.ts'

/** Whether nothing holds a deleted object back any more. */
export function isReleased(object: KubeObject): boolean {
  const holds = [object.metadata.finalizers, object.kind === 'Namespace' ? objectAt(object.spec).finalizers : undefined]
  return holds.every((finalizers) => !Array.isArray(finalizers) || finalizers.length === 0)
}

/** What a change of counts up the generation: all but metadata and status. */
export function contentOf(object: KubeObject): JsonObject {
  const { metadata: _, status: __, apiVersion: ___, ...content } = object
  return content
}

export function keepOnly(object: KubeObject, fields: readonly string[]): void {
  for (const key of Object.keys(object))
    if (!['apiVersion', 'kind', 'metadata', ...fields].includes(key)) delete object[key]
  const { name, namespace } = object.metadata
  object.metadata = { name, ...(namespace !== undefined && { namespace }) } as ObjectMeta
}

/** Metadata after a write: what only the API server may set stays. */
export function keptMeta(old: ObjectMeta, sent: Partial<ObjectMeta>): ObjectMeta {
  const { labels, annotations, finalizers, ownerReferences, managedFields } = sent
  const { generation, deletionTimestamp, deletionGracePeriodSeconds, generateName, namespace } = old
  return {
    name: old.name,
    ...(generateName !== undefined && { generateName }),
    ...(namespace !== undefined && { namespace }),
    uid: old.uid,
    resourceVersion: old.resourceVersion,
    ...(generation !== undefined && { generation }),
    creationTimestamp: old.creationTimestamp,
    ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    ...(deletionGracePeriodSeconds !== undefined && { deletionGracePeriodSeconds }),
    ...(labels != null && { labels }),
    ...(annotations != null && { annotations }),
    ...(finalizers != null && finalizers.length > 0 && { finalizers }),
    ...(ownerReferences != null && ownerReferences.length > 0 && { ownerReferences }),
    ...(managedFields != null && { managedFields }),
  }
}

export function checkIdentity(
  resource: Resource,
  object: KubeObject,
  namespace: string | undefined,
  name: string,
): void {
  const apiVersion = groupVersionOf(resource)
  if (object.apiVersion !== undefined && object.apiVersion !== apiVersion)
    throw refusal(
      400,
      'BadRequest',
      `the API version in the data (${object.apiVersion}) does not match the expected API version (${apiVersion})`,
    )
  if (resource.schema !== undefined && object.kind !== undefined && object.kind !== resource.kind) {
    const message = `Invalid value: ${JSON.stringify(object.kind)}: must be ${resource.kind}`
    throw invalid(resource, name, [{ reason: 'FieldValueInvalid', field: 'kind', message }])
  }
  if (object.kind !== undefined && object.kind !== resource.kind)
    throw refusal(
      400,
      'BadRequest',
      `the kind in the data (${object.kind}) does not match the expected kind (${resource.kind})`,
    )
  const sent = objectAt(object.metadata)
  if (sent.name !== undefined && sent.name !== name)
    throw refusal(
      400,
      'BadRequest',
      `the name of the object (${sent.name}) does not match the name on the URL (${name})`,
    )
  if (resource.namespaced && sent.namespace !== undefined && sent.namespace !== (namespace ?? 'default'))
    throw refusal(
      400,
      'BadRequest',
      `the namespace of the provided object does not match the namespace sent on the request`,
    )
}

const qualifiedKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion']

/** @param old what the object was; while it is being deleted, finalizers may only go */
export function metaProblems(
  { name, labels, annotations, finalizers = [] }: ObjectMeta,
  { group, schema }: Resource,
  old?: ObjectMeta,
): Cause[] {
  const problems: Cause[] = []
  for (const [field, keys] of Object.entries({ labels, annotations })) {
    for (const key of Object.keys(keys ?? {})) {
      if (qualifiedKey.test(key)) continue
      const message = `Invalid value: ${JSON.stringify(key)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`
      problems.push({ reason: 'FieldValueInvalid', field: `metadata.${field}`, message })
    }
  }
  for (const [index, finalizer] of finalizers.entries()) {
    if (group !== '' || schema !== undefined || finalizer.includes('/') || standardFinalizers.includes(finalizer))
      continue
    const message = `Invalid value: ${JSON.stringify(finalizer)}: name is neither a standard finalizer name nor is it fully qualified`
    problems.push({ reason: 'FieldValueInvalid', field: `metadata.finalizers[${index}]`, message })
  }
  const added = finalizers.filter((finalizer) => old?.finalizers?.includes(finalizer) !== true)
  if (old?.deletionTimestamp !== undefined && added.length > 0) {
    const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((one) => JSON.stringify(one)).join(', ')}}`
    problems.push({ reason: 'FieldValueForbidden', field: 'metadata.finalizers', message })
  }
  if (!/^[a-z0-9:]([-a-z0-9.:]*[a-z0-9:])?$/.test(name) || name.length > 253)
    problems.push({
      reason: 'FieldValueInvalid',
      field: 'metadata.name',
      message: `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character`,
    })
  for (const value of Object.values(labels ?? {})) {
    if (!/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value) || value.length > 63)
      problems.push({
        reason: 'FieldValueInvalid',
        field: 'metadata.labels',
        message: `Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`,
      })
  }
  return problems
}

export function invalid(resource: Resource, name: string, causes: Cause[]): Error {
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`
  const list = causes.map(({ field, message }) => `${field}: ${message}`)
  const said = list.length === 1 ? list[0] : `[${list.join(', ')}]`
  return refusal(422, 'Invalid', `${kind} "${name}" is invalid: ${said}`, {
    ...{ name, group: resource.group, kind: resource.kind, causes }, // kubectl says whose fields they are
  })
}
