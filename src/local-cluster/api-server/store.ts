import type { KubeObject } from './object.ts'
import { refusal } from './object.ts'

export interface Change {
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  revision: number
  collection: string
  object: KubeObject
  /** What the object was before this change. */
  previous: KubeObject | undefined
}

/** What a restart keeps: the objects of each collection and the revision they were at. */
export interface Snapshot {
  revision: number
  collections: Record<string, KubeObject[]>
}

const changesMax = 5_000 // older ones are forgotten: a watch or a page from before them gets 410 and lists again

export function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`
}

/**
 * All objects with one revision over them, and the last changesMax changes: enough for watches that resume and for
 * lists that are read page by page as of one revision. A collection is named `group/plural`.
 */
export class ObjectStore {
  #revision: number
  readonly #collections = new Map<string, Map<string, KubeObject>>()
  readonly #sorted = new Map<string, readonly KubeObject[]>() // collections as they are now, where somebody asked
  readonly #changes: Change[] = []
  readonly #listeners = new Set<(change: Change) => void>()

  constructor(snapshot: Snapshot = { revision: 0, collections: {} }) {
    // A gap at every start: what was handed out after the snapshot was written must not be handed out again.
    this.#revision = snapshot.revision + 1_000
    for (const [name, objects] of Object.entries(snapshot.collections)) {
      const collection = this.#collection(name)
      for (const object of objects) collection.set(keyOf(object.metadata.namespace, object.metadata.name), object)
    }
  }

  get revision(): number {
    return this.#revision
  }

  get(collection: string, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.#collections.get(collection)?.get(keyOf(namespace, name))
  }

  /** Sorted by namespace and name; as of a revision when one is given. @throws KUBE_REFUSED 410 when that is forgotten */
  list(collection: string, revision?: number): KubeObject[] {
    const now = this.#collections.get(collection) ?? new Map<string, KubeObject>()
    if (revision !== undefined && revision < this.#revision) return sorted(this.#asOf(collection, revision, now))
    let objects = this.#sorted.get(collection)
    if (objects === undefined) this.#sorted.set(collection, (objects = sorted(now)))
    return [...objects]
  }

  collections(): string[] {
    return [...this.#collections.keys()]
  }

  /** Stores the object under the next revision and returns it as it is now. Takes ownership of object. */
  put(collection: string, object: KubeObject): KubeObject {
    const objects = this.#collection(collection)
    const key = keyOf(object.metadata.namespace, object.metadata.name)
    const previous = objects.get(key)
    object.metadata.resourceVersion = String(this.#nextRevision())
    objects.set(key, object)
    this.#tell({ type: previous ? 'MODIFIED' : 'ADDED', revision: this.#revision, collection, object, previous })
    return object
  }

  /** Returns the object as it was last, with the revision of its removal. */
  remove(collection: string, namespace: string | undefined, name: string): KubeObject | undefined {
    const objects = this.#collection(collection)
    const previous = objects.get(keyOf(namespace, name))
    if (previous === undefined) return undefined
    objects.delete(keyOf(namespace, name))
    const resourceVersion = String(this.#nextRevision())
    const object = { ...previous, metadata: { ...previous.metadata, resourceVersion } }
    this.#tell({ type: 'DELETED', revision: this.#revision, collection, object, previous })
    return object
  }

  /** Calls listener for every later change, in order, within the turn that made it. Returns the way to stop. */
  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The changes of a collection after a revision, oldest first. @throws KUBE_REFUSED 410 when some are forgotten */
  changesAfter(collection: string, revision: number): Change[] {
    this.#checkRemembered(revision)
    return this.#changes.filter((change) => change.revision > revision && change.collection === collection)
  }

  snapshot(): Snapshot {
    const collections: Record<string, KubeObject[]> = {}
    for (const [name, objects] of this.#collections) collections[name] = [...objects.values()]
    return { revision: this.#revision, collections }
  }

  #asOf(collection: string, revision: number, now: ReadonlyMap<string, KubeObject>): Map<string, KubeObject> {
    const then = new Map(now)
    for (const { object, previous } of this.changesAfter(collection, revision).reverse()) {
      const key = keyOf(object.metadata.namespace, object.metadata.name)
      if (previous === undefined) then.delete(key)
      else then.set(key, previous)
    }
    return then
  }

  #checkRemembered(revision: number): void {
    const oldest = this.#changes[0]?.revision ?? this.#revision + 1
    if (revision < oldest - 1) throw refusal(410, 'Expired', `too old resource version: ${revision} (${oldest - 1})`)
  }

  #collection(name: string): Map<string, KubeObject> {
    let collection = this.#collections.get(name)
    if (collection === undefined) this.#collections.set(name, (collection = new Map()))
    return collection
  }

  #nextRevision(): number {
    return ++this.#revision
  }

  #tell(change: Change): void {
    this.#sorted.delete(change.collection)
    this.#changes.push(change)
    if (this.#changes.length > changesMax * 1.1) this.#changes.splice(0, this.#changes.length - changesMax)
    for (const listener of this.#listeners) listener(change)
  }
}

function sorted(objects: ReadonlyMap<string, KubeObject>): KubeObject[] {
  return [...objects.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
}
