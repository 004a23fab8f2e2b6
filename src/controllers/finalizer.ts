import { finalizer } from '../crds/index.ts'
import type { KubeObject, ResourceType } from '../kube/index.ts'
import type { Shell } from './shell.ts'

export function hasFinalizer({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(finalizer) ?? false
}

/** Sets our finalizer on the object or takes it away. A version that has changed meanwhile is refused, and tried again. */
export async function keepFinalizer(
  type: ResourceType,
  object: KubeObject,
  isWanted: boolean,
  { client, signal }: Shell,
): Promise<void> {
  if (hasFinalizer(object) === isWanted) return
  const { finalizers = [], resourceVersion } = object.metadata
  const others = finalizers.filter((name) => name !== finalizer)
  const patch = { metadata: { resourceVersion, finalizers: isWanted ? [...others, finalizer] : others } }
  await client.merge(type, object.metadata, patch, signal)
}
