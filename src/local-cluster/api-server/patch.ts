import { copyOf, isEqual, isObject, type JsonObject, refusal } from './object.ts'
import { builtinShape, type Shape } from './shape.ts'

/** RFC 7386: null removes, objects are merged, anything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return copyOf(patch)
  const merged: JsonObject = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else merged[key] = mergePatch(merged[key], value)
  }
  return merged
}

/** RFC 6902. @throws KUBE_REFUSED 422 when an operation does not apply */
export function jsonPatch(target: unknown, operations: unknown): unknown {
  if (!Array.isArray(operations)) throw refusal(400, 'BadRequest', 'a JSON patch is a list of operations')
  const root = { at: copyOf(target) }
  for (const { op, path, from, value } of operations) {
    const steps = stepsOf(path)
    switch (op) {
      case 'add':
        write(root, steps, copyOf(value), true)
        break
      case 'replace':
        read(root, steps)
        write(root, steps, copyOf(value), false)
        break
      case 'remove':
        remove(root, steps)
        break
      case 'copy':
        write(root, steps, copyOf(read(root, stepsOf(from))), true)
        break
      case 'move': {
        const moved = read(root, stepsOf(from))
        remove(root, stepsOf(from))
        write(root, steps, moved, true)
        break
      }
      case 'test':
        if (!isEqual(read(root, steps), value)) throw unfit(`testing path ${path} failed`)
        break
      default:
        throw refusal(400, 'BadRequest', `no operation of a JSON patch: ${op}`)
    }
  }
  return root.at
}

function unfit(message: string): Error {
  return refusal(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`)
}

/** The steps from a holder object `{ at: document }`, so that the document itself can be replaced too. */
function stepsOf(pointer: unknown): string[] {
  const text = String(pointer)
  if (text !== '' && !text.startsWith('/')) throw refusal(400, 'BadRequest', `no JSON pointer: ${text}`)
  const steps = text.split('/').slice(1)
  return ['at', ...steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))]
}

function read(from: unknown, steps: string[]): unknown {
  let at = from
  for (const step of steps) {
    const next = Array.isArray(at) ? at[indexIn(at, step)] : isObject(at) ? at[step] : undefined
    if (next === undefined) throw unfit(`no value at ${steps.slice(1).join('/')}`)
    at = next
  }
  return at
}

function write(root: JsonObject, steps: string[], value: unknown, isAdd: boolean): void {
  const parent = read(root, steps.slice(0, -1))
  const last = steps.at(-1) as string
  if (Array.isArray(parent)) parent.splice(last === '-' ? parent.length : indexIn(parent, last), isAdd ? 0 : 1, value)
  else if (isObject(parent)) parent[last] = value
  else throw unfit(`no object at ${steps.slice(1, -1).join('/')}`)
}

function remove(root: JsonObject, steps: string[]): void {
  read(root, steps)
  const parent = read(root, steps.slice(0, -1))
  const last = steps.at(-1) as string
  if (Array.isArray(parent)) parent.splice(indexIn(parent, last), 1)
  else delete (parent as JsonObject)[last]
}

function indexIn(list: unknown[], step: string): number {
  const index = Number(step)
  if (!/^\d+$/.test(step) || index > list.length) throw unfit(`no index ${step} in a list of ${list.length}`)
  return index
}

const order = '$setElementOrder/'
const drop = '$deleteFromPrimitiveList/'

/**
 * Kubernetes' strategic merge patch: lists of objects with a merge key are merged item by item, and a few directives
 * (`$patch`, `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`) are obeyed.
 */
export function strategicMerge(target: unknown, patch: unknown, shape: Shape = builtinShape): unknown {
  if (!isObject(patch)) return copyOf(patch)
  if (patch.$patch === 'replace') return withoutDirectives(patch)
  if (patch.$patch === 'delete') return {}
  const merged: JsonObject = isObject(target) ? { ...target } : {}
  if (Array.isArray(patch.$retainKeys))
    for (const key of Object.keys(merged)) if (!patch.$retainKeys.includes(key)) delete merged[key]
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(drop)) {
      const name = key.slice(drop.length)
      const gone = Array.isArray(value) ? value : []
      if (Array.isArray(merged[name])) merged[name] = merged[name].filter((item) => !gone.includes(item))
    } else if (!key.startsWith('$')) {
      if (value === null) delete merged[key]
      else if (Array.isArray(value)) merged[key] = mergeList(merged[key], value, patch[order + key], shape.field(key))
      else merged[key] = strategicMerge(merged[key], value, shape.field(key))
    }
  }
  return merged
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return copyOf(Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith('$'))))
}

function mergeList(target: unknown, patch: unknown[], wanted: unknown, shape: Shape): unknown[] {
  const { list } = shape
  const before = Array.isArray(target) ? target : []
  if (list === 'set') return sorted([...new Set([...before, ...patch])], wanted, (item) => item)
  const key = Array.isArray(list) ? (list[0] as string) : undefined
  if (key === undefined || patch.some((item) => isObject(item) && item.$patch === 'replace'))
    return copyOf(patch.filter((item) => !isObject(item) || item.$patch !== 'replace'))
  const merged = [...before]
  for (const item of patch) {
    if (!isObject(item)) throw refusal(400, 'BadRequest', `an item of a list merged by ${key} is no object`)
    const index = merged.findIndex((candidate) => isObject(candidate) && candidate[key] === item[key])
    if (item.$patch === 'delete') {
      if (index >= 0) merged.splice(index, 1)
    } else if (index >= 0) merged[index] = strategicMerge(merged[index], item, shape.item())
    else merged.push(strategicMerge({}, item, shape.item()))
  }
  return sorted(merged, wanted, (item) => (item as JsonObject)[key])
}

/** Items that the order names come in that order, the others keep their places behind them. */
function sorted(items: unknown[], wanted: unknown, keyOf: (item: unknown) => unknown): unknown[] {
  if (!Array.isArray(wanted)) return items
  const places = wanted.map((item) => (isObject(item) ? keyOf(item) : item))
  const place = (item: unknown) => {
    const index = places.indexOf(keyOf(item))
    return index < 0 ? places.length : index
  }
  return [...items].sort((a, b) => place(a) - place(b))
}
