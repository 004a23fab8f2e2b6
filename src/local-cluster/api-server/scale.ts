import { copyOf, type KubeObject, type ObjectMeta, objectAt, refusal, setAt, valueAt } from './object.ts'
import type { Resource } from './resource.ts'

/** The autoscaling/v1 Scale of an object. @throws KUBE_REFUSED 404 when its kind has none */
export function scaleOf(resource: Resource, object: KubeObject): KubeObject {
  const { scale } = resource
  if (scale === undefined) throw refusal(404, 'NotFound', 'the server could not find the requested resource')
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: Number(valueAt(object, scale.specReplicas) ?? 0) },
    status: {
      replicas: Number(valueAt(object, scale.statusReplicas) ?? 0),
      selector:
        scale.labelSelector === undefined ? selectorText(object) : String(valueAt(object, scale.labelSelector) ?? ''),
    },
  }
}

/** The object as a changed Scale wants it; conflicts are found where the object is stored. */
export function withScale(resource: Resource, object: KubeObject, scale: KubeObject): KubeObject {
  const replicas = objectAt(scale.spec).replicas ?? 0
  if (resource.scale === undefined || !Number.isInteger(replicas) || Number(replicas) < 0)
    throw refusal(
      422,
      'Invalid',
      `Scale.autoscaling "${object.metadata.name}" is invalid: spec.replicas: Invalid value: ${replicas}`,
    )
  const next = copyOf(object)
  setAt(next, resource.scale.specReplicas, replicas)
  const { resourceVersion } = objectAt(scale.metadata) as Partial<ObjectMeta>
  if (resourceVersion) next.metadata.resourceVersion = resourceVersion
  return next
}

function selectorText(object: KubeObject): string {
  const labels = Object.entries(objectAt(object, 'spec', 'selector', 'matchLabels'))
  return labels.map(([key, value]) => `${key}=${value}`).join(',')
}
