import { type KubeObject, keyOf } from './object.ts'

/** Where `kubectl apply` keeps the whole object once more, as a text. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** What changed: before and after; before alone: it is gone, after alone: it is new. */
export interface Change<T> {
  before: T | undefined
  after: T | undefined
}

/** The objects of one kind as the API server last showed them, found by key or by an index. */
export class Cache<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  readonly #indexOf: Record<string, (object: T) => readonly string[]>
  readonly #indexes = new Map<string, Map<string, Set<string>>>()

  /** @param indexOf for each index, the values under which an object is found */
  constructor(indexOf: Record<string, (object: T) => readonly string[]> = {}) {
    this.#indexOf = indexOf
    for (const index of Object.keys(indexOf)) this.#indexes.set(index, new Map())
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  all(): Iterable<T> {
    return this.#objects.values()
  }

  get size(): number {
    return this.#objects.size
  }

  /** The objects that an index has under value, ordered by key. */
  by(index: string, value: string): T[] {
    const keys = this.#indexes.get(index)?.get(value) ?? []
    return [...keys].sort().flatMap((key) => this.#objects.get(key) ?? [])
  }

  put(given: T): Change<T> {
    const object = lean(given)
    const key = keyOf(object)
    const before = this.#objects.get(key)
    if (before) this.#unindex(key, before)
    this.#objects.set(key, object)
    for (const [index, valuesOf] of Object.entries(this.#indexOf)) {
      const values = this.#indexes.get(index)
      for (const value of valuesOf(object)) {
        const keys = values?.get(value)
        if (keys) keys.add(key)
        else values?.set(value, new Set([key]))
      }
    }
    return { before, after: object }
  }

  remove(object: T): Change<T> {
    const key = keyOf(object)
    const before = this.#objects.get(key)
    if (before) this.#unindex(key, before)
    this.#objects.delete(key)
    return { before: before ?? object, after: undefined }
  }

  /** Makes the cache hold these objects and no others. */
  replace(objects: readonly T[]): Change<T>[] {
    const kept = new Set(objects.map(keyOf))
    const gone = [...this.#objects.values()].filter((object) => !kept.has(keyOf(object)))
    const changes = gone.map((object) => this.remove(object))
    for (const object of objects) {
      const before = this.#objects.get(keyOf(object))
      if (before?.metadata.resourceVersion !== object.metadata.resourceVersion) changes.push(this.put(object))
    }
    return changes
  }

  #unindex(key: string, object: T): void {
    for (const [index, valuesOf] of Object.entries(this.#indexOf)) {
      const values = this.#indexes.get(index)
      for (const value of valuesOf(object)) {
        const keys = values?.get(value)
        keys?.delete(key)
        if (keys?.size === 0) values?.delete(value)
      }
    }
  }
}

/** Without what is half the size of an object, and nobody here reads. A copy: to V8 an object that lost a field is a hash table, thrice as large. */
function lean<T extends KubeObject>(object: T): T {
  const { managedFields: _managedFields, ...metadata } = object.metadata
  if (metadata.annotations?.[lastApplied] !== undefined) {
    const { [lastApplied]: _lastApplied, ...annotations } = metadata.annotations
    metadata.annotations = annotations
  }
  return { ...object, metadata }
}
