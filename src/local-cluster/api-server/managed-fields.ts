import { isEqual, isObject, type JsonObject, type KubeObject, type ManagedFields } from './object.ts'
import type { Shape } from './shape.ts'

/** A path into an object in FieldsV1's words: `f:name`, `k:{"name":"x"}` (a list item), `v:"x"` (a set's member). */
export type Path = readonly string[]

/** Paths with the values that lie there, by their text. */
export type Fields = Map<string, { path: Path; value: unknown }>

export function textOf(path: Path): string {
  return path.join('\n') // JSON in a `k:` has no bare line feed
}

/** Nobody owns these: the API server writes them, or they say which object it is. */
const unowned = new Set(
  [
    ['f:apiVersion'],
    ['f:kind'],
    ...['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp'].map(
      (field) => ['f:metadata', `f:${field}`],
    ),
    ...['deletionGracePeriodSeconds', 'managedFields', 'selfLink', 'generateName'].map((field) => [
      'f:metadata',
      `f:${field}`,
    ]),
  ].map(textOf),
)

const unownedDepthMax = 2

/** All leaves of an object: scalars, empty and atomic values, and the items of lists that have identities. */
export function fieldsOf(object: unknown, shape: Shape): Fields {
  const fields: Fields = new Map()
  collect(object, shape, [], '', fields)
  return fields
}

/** @param text of path */
function collect(value: unknown, shape: Shape, path: Path, text: string, fields: Fields): void {
  if (path.length <= unownedDepthMax && unowned.has(text)) return
  if (Array.isArray(value)) {
    const { list } = shape
    if (list === 'atomic' || value.length === 0) {
      fields.set(text, { path, value })
      return
    }
    const itemShape = shape.item()
    for (const item of value) {
      const element = elementOf(item, list)
      const below = [...path, element]
      const belowText = textBelow(text, element)
      fields.set(belowText, { path: below, value: list === 'set' ? item : presence })
      if (list !== 'set') collect(item, itemShape, below, belowText, fields)
    }
  } else if (isObject(value) && (path.length === 0 || (!shape.isAtomicMap && Object.keys(value).length > 0))) {
    for (const key of Object.keys(value)) {
      const element = `f:${key}`
      collect(value[key], shape.field(key), [...path, element], textBelow(text, element), fields)
    }
  } else fields.set(text, { path, value })
}

function textBelow(text: string, element: string): string {
  return text === '' ? element : `${text}\n${element}`
}

/** Stands for "this item is in the list", whatever else is in the item. */
const presence = true

export function elementOf(item: unknown, list: 'set' | readonly string[]): string {
  if (list === 'set') return `v:${JSON.stringify(item)}`
  const keys = list.map((key) => [key, isObject(item) ? (item[key] ?? implied[key]) : undefined])
  return `k:${JSON.stringify(Object.fromEntries(keys))}`
}

const implied: Record<string, unknown> = { protocol: 'TCP' } // a port's key that may be left out

export function toFieldsV1(fields: Iterable<Path>): JsonObject {
  const tree: JsonObject = {}
  for (const path of fields) {
    let at = tree
    for (const element of path) at = (at[element] ??= {}) as JsonObject
    if (path.at(-1)?.startsWith('k:')) at['.'] = {}
  }
  return tree
}

export function fromFieldsV1(tree: unknown): Map<string, Path> {
  const paths = new Map<string, Path>()
  collectPaths(tree, [], '', paths)
  return paths
}

function collectPaths(tree: unknown, path: Path, text: string, paths: Map<string, Path>): void {
  if (!isObject(tree)) return
  const keys = Object.keys(tree)
  if (path.length > 0 && (keys.length === 0 || keys.includes('.'))) paths.set(text, path)
  for (const key of keys) {
    if (key !== '.') collectPaths(tree[key], [...path, key], textBelow(text, key), paths)
  }
}

/** Who a write is from. */
export interface Writer {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  subresource: string | undefined
}

export function isOf(entry: ManagedFields, writer: Writer): boolean {
  return (
    entry.manager === writer.manager && entry.operation === writer.operation && entry.subresource === writer.subresource
  )
}

/** The entry with other paths; undefined when none are left. Its time changes only when its paths do. */
export function entryWith(entry: ManagedFields, paths: Iterable<Path>, now: string): ManagedFields | undefined {
  const fieldsV1 = toFieldsV1(paths)
  if (Object.keys(fieldsV1).length === 0) return undefined
  return isEqual(fieldsV1, entry.fieldsV1) ? entry : { ...entry, fieldsV1, time: now }
}

export function newEntry(writer: Writer, now: string): ManagedFields {
  return {
    manager: writer.manager,
    operation: writer.operation,
    apiVersion: writer.apiVersion,
    time: now,
    fieldsType: 'FieldsV1',
    fieldsV1: {},
    ...(writer.subresource !== undefined && { subresource: writer.subresource }),
  }
}

/**
 * The managers after an update: what it changed is the writer's alone, what it removed is nobody's.
 * @param before undefined for a new object
 */
export function managersAfterUpdate(
  before: KubeObject | undefined,
  after: KubeObject,
  writer: Writer,
  shape: Shape,
  now: string,
): ManagedFields[] {
  const old = before === undefined ? new Map() : fieldsOf(before, shape)
  const fields = fieldsOf(after, shape)
  const changed = new Map<string, Path>()
  for (const [text, { path, value }] of fields) {
    if (!old.has(text) || !isEqual(old.get(text)?.value, value)) changed.set(text, path)
  }
  const managers = before?.metadata.managedFields ?? []
  const result: ManagedFields[] = []
  let isWriterThere = false
  for (const entry of managers) {
    const isWriter = isOf(entry, writer)
    isWriterThere ||= isWriter
    const paths = new Map(
      [...fromFieldsV1(entry.fieldsV1)].filter(
        ([text]) => (isWriter || !changed.has(text)) && stillThere(text, fields, old),
      ),
    )
    if (isWriter) for (const [text, path] of changed) paths.set(text, path)
    const kept = entryWith(entry, paths.values(), now)
    if (kept !== undefined) result.push(kept)
  }
  if (!isWriterThere && changed.size > 0) {
    const entry = entryWith(newEntry(writer, now), changed.values(), now)
    if (entry !== undefined) result.push(entry)
  }
  return result
}

/** A path that never was a leaf here (an owner of a parent of it) stays. */
function stillThere(text: string, fields: Fields, old: Fields): boolean {
  return fields.has(text) || !old.has(text)
}
