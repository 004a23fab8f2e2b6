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
  } else if (isBranch(value, shape, path)) {
    for (const key of Object.keys(value)) {
      const element = `f:${key}`
      collect(value[key], shape.field(key), [...path, element], textBelow(text, element), fields)
    }
  } else fields.set(text, { path, value })
}

/** Whether the fields of a value have owners of their own. */
function isBranch(value: unknown, shape: Shape, path: Path): value is JsonObject {
  return isObject(value) && (path.length === 0 || (!shape.isAtomicMap && Object.keys(value).length > 0))
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

/** What an update did to the leaves of an object, by the text of their paths. */
interface Difference {
  changed: Map<string, Path> // new, or of another value
  gone: Map<string, Path>
}

/** Goes only where the two are not the same value, so it is quick where the newer shares what it did not change. */
function compare(before: unknown, after: unknown, shape: Shape, path: Path, text: string, found: Difference): void {
  if (before === after || (path.length <= unownedDepthMax && unowned.has(text))) return
  if (isBranch(before, shape, path) && isBranch(after, shape, path)) {
    for (const key of Object.keys(after)) {
      if (before[key] === after[key] && Object.hasOwn(before, key)) continue
      const element = `f:${key}`
      const [below, belowText] = [[...path, element], textBelow(text, element)]
      if (Object.hasOwn(before, key)) compare(before[key], after[key], shape.field(key), below, belowText, found)
      else tellAll(after[key], shape.field(key), below, belowText, found.changed)
    }
    for (const key of Object.keys(before)) {
      if (Object.hasOwn(after, key)) continue
      const element = `f:${key}`
      tellAll(before[key], shape.field(key), [...path, element], textBelow(text, element), found.gone)
    }
    return
  }
  const old: Fields = new Map()
  collect(before, shape, path, text, old)
  const fields: Fields = new Map()
  collect(after, shape, path, text, fields)
  for (const [leaf, { path: at, value }] of fields) {
    const was = old.get(leaf)
    if (was === undefined || !isEqual(was.value, value)) found.changed.set(leaf, at)
  }
  for (const [leaf, { path: at }] of old) if (!fields.has(leaf)) found.gone.set(leaf, at)
}

function tellAll(value: unknown, shape: Shape, path: Path, text: string, paths: Map<string, Path>): void {
  const fields: Fields = new Map()
  collect(value, shape, path, text, fields)
  for (const [leaf, { path: at }] of fields) paths.set(leaf, at)
}

/** Whether a tree has a path among its own, not only as the way to others. */
export function owns(tree: unknown, path: Path): boolean {
  let at = tree
  for (const element of path) at = isObject(at) ? at[element] : undefined
  return isObject(at) && (Object.hasOwn(at, '.') || Object.keys(at).length === 0)
}

/**
 * The managers after an update: what it changed is the writer's alone, what it removed is nobody's. A path that never was
 * a leaf here (an owner of a parent of it) stays.
 * @param before undefined for a new object
 */
export function managersAfterUpdate(
  before: KubeObject | undefined,
  after: KubeObject,
  writer: Writer,
  shape: Shape,
  now: string,
): ManagedFields[] {
  const found: Difference = { changed: new Map(), gone: new Map() }
  compare(before ?? {}, after, shape, [], '', found)
  const changed = [...found.changed]
  const gone = [...found.gone.values()]
  const result: ManagedFields[] = []
  let isWriterThere = false
  for (const entry of before?.metadata.managedFields ?? []) {
    const isWriter = isOf(entry, writer)
    isWriterThere ||= isWriter
    const isTouched =
      gone.some((path) => owns(entry.fieldsV1, path)) ||
      changed.some(([, path]) => owns(entry.fieldsV1, path) !== isWriter)
    if (!isTouched) {
      result.push(entry)
      continue
    }
    const paths = fromFieldsV1(entry.fieldsV1)
    for (const text of found.gone.keys()) paths.delete(text)
    for (const [text, path] of changed) {
      if (isWriter) paths.set(text, path)
      else paths.delete(text)
    }
    const kept = entryWith(entry, paths.values(), now)
    if (kept !== undefined) result.push(kept)
  }
  if (!isWriterThere && changed.length > 0) {
    const entry = entryWith(newEntry(writer, now), found.changed.values(), now)
    if (entry !== undefined) result.push(entry)
  }
  return result
}
