import { finalizer } from '../crds/index.ts'
import { isRefused, type KubeObject, type ResourceType } from '../kube/index.ts'
import type { Shell } from './shell.ts'

export function hasFinalizer({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false
}

/**
 * Sets our finalizer on the object or takes it away. A version that has changed meanwhile is refused, and tried again.
 * @returns the object as it is now: what is written of it next must be of that version
 */
export async function keepFinalizer<T extends KubeObject>(
  type: ResourceType,
  object: T,
  isWanted: boolean,
  { client, signal }: Shell,
): Promise<T> {
  if (hasFinalizer(object) === isWanted) return object
  const { finalizers = [], resourceVersion } = object.metadata
  const others = finalizers.filter((name) => name !== finalizer)
  const patch = { metadata: { resourceVersion, finalizers: isWanted ? [...others, finalizer] : others } }
  const kept = await client.merge(type, object.metadata, patch, signal).catch((error) => {
    if (isWanted || !isRefused(error, 404)) throw error
    return object // whoever removes a namespace or the definition may have taken it away first
  })
  const metadata = {
    ...object.metadata,
    resourceVersion: kept.metadata.resourceVersion,
    finalizers: patch.metadata.finalizers,
  }
  return { ...object, metadata }
}
