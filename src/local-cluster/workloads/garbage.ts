import type { KubeObject } from '../api-server/object.ts'
import type { Registry } from '../api-server/registry.ts'

const foreground = 'foregroundDeletion'
const orphan = 'orphan'

/**
 * Owner references kept true: what has owners and none that lives is deleted; an owner that is deleted in the foreground
 * waits for its dependents; one that leaves orphans lets them go first.
 */
export function collectGarbage(registry: Registry): void {
  const owners = new Map<string, KubeObject>()
  const dependents = new Map<string, { resource: Parameters<Registry['delete']>[0]; object: KubeObject }[]>()
  const resources = registry.catalog.collections()
  for (const resource of resources) {
    for (const object of registry.store.list(resource.collection)) {
      owners.set(object.metadata.uid, object)
      for (const { uid } of object.metadata.ownerReferences ?? []) {
        const list = dependents.get(uid) ?? []
        list.push({ resource, object })
        dependents.set(uid, list)
      }
    }
  }
  const released = new Set<string>() // dependents of orphaning owners
  for (const resource of resources) {
    for (const owner of registry.store.list(resource.collection)) {
      const { deletionTimestamp, finalizers = [], uid } = owner.metadata
      if (deletionTimestamp === undefined) continue
      const below = dependents.get(uid) ?? []
      if (finalizers.includes(orphan)) {
        for (const { resource: kind, object } of below) {
          release(registry, kind, object, uid)
          released.add(object.metadata.uid)
        }
        dropFinalizer(registry, resource, owner, orphan)
      } else if (finalizers.includes(foreground)) {
        for (const { resource: kind, object } of below) {
          if (object.metadata.deletionTimestamp === undefined) remove(registry, kind, object, 'Foreground')
        }
        const blocking = below.filter(
          ({ resource: kind, object }) =>
            registry.find(kind, object.metadata.namespace, object.metadata.name)?.metadata.uid ===
              object.metadata.uid &&
            object.metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion),
        )
        if (blocking.length === 0) dropFinalizer(registry, resource, owner, foreground)
      }
    }
  }
  for (const [uid, below] of dependents) {
    if (owners.has(uid)) continue
    for (const { resource, object } of below) {
      const { ownerReferences = [], deletionTimestamp } = object.metadata
      if (deletionTimestamp !== undefined || released.has(object.metadata.uid)) continue
      if (ownerReferences.some((reference) => owners.has(reference.uid))) continue
      remove(registry, resource, object, 'Background')
    }
  }
}

type Kind = Parameters<Registry['delete']>[0]

function remove(
  registry: Registry,
  resource: Kind,
  { metadata }: KubeObject,
  propagationPolicy: 'Background' | 'Foreground',
): void {
  const found = registry.find(resource, metadata.namespace, metadata.name)
  if (found?.metadata.uid === metadata.uid)
    registry.delete(resource, metadata.namespace, metadata.name, { propagationPolicy })
}

function release(registry: Registry, resource: Kind, object: KubeObject, ownerUid: string): void {
  const ownerReferences = object.metadata.ownerReferences?.filter(({ uid }) => uid !== ownerUid) ?? []
  const next = { ...object, metadata: { ...object.metadata, ownerReferences } }
  registry.update(resource, object.metadata.namespace, next, { manager: 'garbage-collector' })
}

function dropFinalizer(registry: Registry, resource: Kind, object: KubeObject, finalizer: string): void {
  const finalizers = object.metadata.finalizers?.filter((name) => name !== finalizer) ?? []
  const next = { ...object, metadata: { ...object.metadata, finalizers } }
  registry.update(resource, object.metadata.namespace, next, { manager: 'garbage-collector' })
}
