import type { JsonObject, KubeObject } from './object.ts'
import type { Resource } from './resource.ts'

export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** The meta.k8s.io/v1 Table that `kubectl get` prints. */
export function tableOf(
  resource: Resource,
  objects: readonly KubeObject[],
  metadata: JsonObject,
  options: { include: IncludeObject; withHeader: boolean; nowMs: number },
): object {
  const { include, withHeader, nowMs } = options
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withHeader
      ? resource.columns.map(({ name, type, format = '', description, priority }) => ({
          name,
          type,
          format,
          description,
          priority,
        }))
      : null,
    rows: objects.map((object) => ({
      cells: resource.columns.map(({ read }) => cell(read(object, nowMs))),
      ...(include !== 'None' && { object: include === 'Object' ? object : partial(object) }),
    })),
  }
}

function cell(value: unknown): unknown {
  if (value === undefined) return null
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value
}

/** An object of which only the metadata is told. */
export function partial({ metadata }: KubeObject): object {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
}
