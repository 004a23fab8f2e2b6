import { OperatingError } from '../../base/errors.ts'

/** A JSON object whose fields nobody has checked. */
export type JsonObject = Record<string, unknown>

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** One manager's fields; fieldsV1 is the tree that Kubernetes calls FieldsV1. */
export interface ManagedFields {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  time: string
  fieldsType: 'FieldsV1'
  fieldsV1: JsonObject
  subresource?: string
}

export interface ObjectMeta {
  name: string
  generateName?: string
  namespace?: string
  uid: string
  resourceVersion: string
  generation?: number
  creationTimestamp: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  managedFields?: ManagedFields[]
}

/** Whatever the API server keeps. A stored object is never changed in place: every change stores a new one. */
export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
  [field: string]: unknown
}

/** Why one field was refused, as Status.details.causes has it. */
export interface Cause {
  reason?: string
  message: string
  field: string
}

/** A refusal in the words of the Kubernetes API; the HTTP edge turns its facts into a Status object. */
export function refusal(
  status: number,
  reason: string,
  message: string,
  details: { name?: string; group?: string; kind?: string; causes?: Cause[]; retryAfterSeconds?: number } = {},
): OperatingError {
  return new OperatingError('KUBE_REFUSED', { status, reason, message, ...details })
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object in a field, or an empty one: for reading through optional levels. */
export function objectAt(value: unknown, ...path: string[]): JsonObject {
  let at = value
  for (const key of path) at = isObject(at) ? at[key] : undefined
  return isObject(at) ? at : {}
}

export function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value
  for (const key of path) at = isObject(at) ? at[key] : undefined
  return at
}

/** Sets a value below objects that are made where they are missing. Changes target. */
export function setAt(target: JsonObject, path: readonly string[], value: unknown): void {
  let at = target
  for (const key of path.slice(0, -1)) {
    if (!isObject(at[key])) at[key] = {}
    at = at[key] as JsonObject
  }
  const last = path.at(-1)
  if (last !== undefined) at[last] = value
}

/** A deep copy without what JSON has no word for: an undefined field is no field. */
export function copyOf<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyOf) as T
  if (!isObject(value)) return value
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) {
    const field = value[key]
    if (field !== undefined) copy[key] = typeof field === 'object' ? copyOf(field) : field
  }
  return copy as T
}

/**
 * A value with all that it has in common with an older one taken from there, so that what is equal is the same: whoever
 * compares the two looks only at what differs.
 * @param value the caller's own: its parts are replaced
 */
export function sharing<T>(value: T, older: unknown): T {
  if (typeof value !== 'object' || value === null || typeof older !== 'object' || older === null) return value
  if (value === older) return value
  const keys = Object.keys(value)
  const [ours, theirs] = [value as JsonObject, older as JsonObject]
  let isSame = Array.isArray(value) === Array.isArray(older) && keys.length === Object.keys(older).length
  for (const key of keys) {
    const isCommon = Object.hasOwn(theirs, key)
    if (isCommon) ours[key] = sharing(ours[key], theirs[key])
    isSame &&= isCommon && Object.is(ours[key], theirs[key])
  }
  return isSame ? (older as T) : value
}

/** Of JSON values. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqual(item, b[index]))
  }
  if (!isObject(a) || !isObject(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const key of keys) if (!Object.hasOwn(b, key) || !isEqual(a[key], b[key])) return false
  return true
}

/** JSON with the keys of objects in order: equal values have equal texts. */
export function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_, field) =>
    isObject(field) ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1))) : field,
  )
}

let last: { object: KubeObject; text: string } | undefined

/** JSON of an object as it is stored. The last text is kept: a write is answered and told to every watch in one turn. */
export function jsonOf(object: KubeObject): string {
  if (last?.object !== object) last = { object, text: JSON.stringify(object) }
  return last.text
}

/** RFC 3339 in whole seconds, as metav1.Time. */
export function timestamp(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
