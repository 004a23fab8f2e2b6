import {
  elementOf,
  entryWith,
  type Fields,
  fieldsOf,
  fromFieldsV1,
  isOf,
  newEntry,
  owns,
  type Path,
  textOf,
  type Writer,
} from './managed-fields.ts'
import {
  type Cause,
  copyOf,
  isEqual,
  isObject,
  type JsonObject,
  type KubeObject,
  type ManagedFields,
  refusal,
} from './object.ts'
import type { Shape } from './shape.ts'

/**
 * Server-side apply: the object as it would be, with its new managedFields. Fields that the writer applied before, does
 * not apply now and nobody else owns are removed.
 * @param live undefined when the object is yet to be made
 * @throws KUBE_REFUSED 409 when another manager owns a field that this one would change, unless forced
 */
export function apply(
  live: KubeObject | undefined,
  applied: KubeObject,
  writer: Writer,
  options: { force: boolean; shape: Shape; now: string },
): KubeObject {
  const { force, shape, now } = options
  const wanted = fieldsOf(applied, shape)
  const managers = live?.metadata.managedFields ?? []
  const mine = managers.find((entry) => isOf(entry, writer))
  const others = managers.filter((entry) => entry !== mine)

  const taken = new Map<ManagedFields, Set<string>>() // what others lose, by the text of its path
  const conflicts: Cause[] = []
  let current: Fields | undefined // made where others have something of what is wanted
  for (const [text, { path, value }] of wanted) {
    for (const entry of others) {
      if (!owns(entry.fieldsV1, path)) continue
      current ??= fieldsOf(live, shape)
      if (isEqual(current.get(text)?.value, value)) break
      if (force) taken.set(entry, (taken.get(entry) ?? new Set()).add(text))
      else
        conflicts.push({
          reason: 'FieldManagerConflict',
          field: shown(path),
          message: `conflict with ${described(entry)}`,
        })
    }
  }
  if (conflicts.length > 0) throw conflictOf(conflicts)

  const merged = merge(live, applied, shape) as KubeObject
  const pathsOf = (entry: ManagedFields) => {
    const paths = fromFieldsV1(entry.fieldsV1)
    for (const text of taken.get(entry) ?? []) paths.delete(text)
    return paths
  }
  const paths = [...wanted.values()].map(({ path }) => path)
  const own = entryWith(mine ?? newEntry(writer, now), paths, now)
  if (mine !== undefined && own !== mine) {
    const owned = new Set(others.flatMap((entry) => [...pathsOf(entry).keys()]))
    const before = [...fromFieldsV1(mine.fieldsV1)]
    const gone = before.filter(([text]) => !wanted.has(text) && !owned.has(text)).map(([, path]) => path)
    const isKept = (path: Path) => [...wanted.keys(), ...owned].some((text) => startsWith(text, textOf(path)))
    // Shortest first: an item that goes altogether goes before its fields, while its keys still tell which one it is.
    gone.sort((a, b) => a.length - b.length)
    for (const path of gone) if (!isKept(path) && !isKeyOfItem(path)) removeAt(merged, path, shape, isKept)
  }

  const kept = managers.map((entry) => {
    if (entry === mine) return own
    return taken.has(entry) ? entryWith(entry, pathsOf(entry).values(), now) : entry
  })
  if (mine === undefined) kept.push(own)
  merged.metadata.managedFields = kept.filter((entry) => entry !== undefined)
  return merged
}

function isKeyOfItem(path: Path): boolean {
  const item = path.at(-2) ?? ''
  return item.startsWith('k:') && Object.hasOwn(JSON.parse(item.slice(2)), (path.at(-1) ?? '').slice(2))
}

function startsWith(text: string, prefix: string): boolean {
  return text === prefix || text.startsWith(`${prefix}\n`)
}

function described({ manager, apiVersion, subresource, operation, time }: ManagedFields): string {
  const who = `"${manager}"${subresource === undefined ? '' : ` with subresource "${subresource}"`}`
  return operation === 'Update' ? `${who} using ${apiVersion} at ${time}` : who
}

function conflictOf(conflicts: Cause[]): Error {
  const said = conflicts.map(({ message, field }) => `${message}: ${field}`).join('\n')
  const count = `${conflicts.length} conflict${conflicts.length > 1 ? 's' : ''}`
  return refusal(409, 'Conflict', `Apply failed with ${count}: ${said}`, { causes: conflicts })
}

/** `.spec.containers[name="a"].image`, as people write paths. */
function shown(path: Path): string {
  return path
    .map((element) => {
      const value = element.slice(2)
      if (element.startsWith('f:')) return `.${value}`
      if (element.startsWith('v:')) return `[=${value}]`
      const keys = Object.entries(JSON.parse(value) as JsonObject)
      return `[${keys.map(([key, part]) => `${key}=${JSON.stringify(part)}`).join(',')}]`
    })
    .join('')
}

function merge(live: unknown, applied: unknown, shape: Shape): unknown {
  if (isObject(applied) && isObject(live) && !shape.isAtomicMap) {
    const merged: JsonObject = { ...live }
    for (const [key, value] of Object.entries(applied)) merged[key] = merge(live[key], value, shape.field(key))
    return merged
  }
  if (Array.isArray(applied) && Array.isArray(live) && shape.list !== 'atomic') return mergeLists(live, applied, shape)
  return copyOf(applied)
}

/** The writer's order for its own items; those of others keep their place among them, as far as both orders allow. */
function mergeLists(live: unknown[], applied: unknown[], shape: Shape): unknown[] {
  const list = shape.list as 'set' | readonly string[]
  const known = new Map(live.map((item) => [elementOf(item, list), item]))
  const waiting = new Set(applied.map((item) => elementOf(item, list)))
  const merged: unknown[] = []
  const rest = [...known]
  const takeOthers = () => {
    while (rest[0] !== undefined && !waiting.has(rest[0][0])) {
      const [element, item] = rest.shift() as [string, unknown]
      if (known.has(element)) merged.push(item)
    }
  }
  for (const item of applied) {
    takeOthers()
    const element = elementOf(item, list)
    merged.push(list === 'set' ? item : merge(known.get(element), item, shape.item()))
    waiting.delete(element)
    known.delete(element) // taken: its place in the live order says nothing any more
  }
  takeOthers()
  return merged
}

/** Removes what lies at a path, and parents that this leaves empty unless somebody still has them. Changes root. */
function removeAt(root: JsonObject, path: Path, shape: Shape, isKept: (path: Path) => boolean): void {
  const isEmpty = remove(root, path, 0, shape)
  const parent = path.slice(0, -1)
  if (isEmpty && parent.length > 1 && !isKept(parent)) removeAt(root, parent, shape, isKept)
}

/** Copies what it changes, since merge shares untouched parts with the live object. @returns whether the holder is empty now */
function remove(at: JsonObject | unknown[], path: Path, depth: number, shape: Shape): boolean {
  const element = path[depth] as string
  const isLast = depth === path.length - 1
  if (Array.isArray(at)) {
    if (shape.list === 'atomic') return false
    const { list } = shape
    const index = at.findIndex((item) => elementOf(item, list) === element)
    if (index < 0) return false
    if (isLast) at.splice(index, 1)
    else {
      const item = copyShallow(at[index] as JsonObject)
      at[index] = item
      return remove(item, path, depth + 1, shape.item())
    }
    return at.length === 0
  }
  const key = element.slice(2)
  if (!(key in at)) return false
  if (isLast) delete at[key]
  else {
    const below = at[key]
    if (!isObject(below) && !Array.isArray(below)) return false
    return remove((at[key] = copyShallow(below)), path, depth + 1, shape.field(key))
  }
  return Object.keys(at).length === 0
}

function copyShallow<T>(value: T): T {
  return (Array.isArray(value) ? [...value] : { ...value }) as T
}
