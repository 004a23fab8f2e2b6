import type * as api from '@kubernetes/client-node'

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** metav1.ObjectMeta as JSON carries it: times are RFC 3339 texts. */
export interface ObjectMeta {
  name: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  creationTimestamp?: string
  deletionTimestamp?: string
  managedFields?: unknown
}

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

export interface Resource<Spec, Status> extends KubeObject {
  spec: Spec
  status?: Status
}

type Typed<T> = Omit<T, 'apiVersion' | 'kind' | 'metadata'> & KubeObject
export type StatefulSet = Typed<api.V1StatefulSet>
export type Service = Typed<api.V1Service>
export type ConfigMap = Typed<api.V1ConfigMap>
export type Pod = Typed<api.V1Pod>
export type PodDisruptionBudget = Typed<api.V1PodDisruptionBudget>
export type PersistentVolumeClaim = Typed<api.V1PersistentVolumeClaim>
export type StorageClass = Typed<api.V1StorageClass>
export type PodSpec = api.V1PodSpec

/** How a kind is addressed. */
export interface ResourceType {
  apiVersion: string
  kind: string
  plural: string
}

export const statefulSets: ResourceType = { apiVersion: 'apps/v1', kind: 'StatefulSet', plural: 'statefulsets' }
export const services: ResourceType = { apiVersion: 'v1', kind: 'Service', plural: 'services' }
export const configMaps: ResourceType = { apiVersion: 'v1', kind: 'ConfigMap', plural: 'configmaps' }
export const pods: ResourceType = { apiVersion: 'v1', kind: 'Pod', plural: 'pods' }
export const events: ResourceType = { apiVersion: 'v1', kind: 'Event', plural: 'events' }
export const leases: ResourceType = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', plural: 'leases' }
export const podDisruptionBudgets: ResourceType = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
}

export const persistentVolumeClaims: ResourceType = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
}

/** Cluster-wide. */
export const namespaces: ResourceType = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' }

/** Cluster-wide. */
export const customResourceDefinitions: ResourceType = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
}

/** Cluster-wide. */
export const storageClasses: ResourceType = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  plural: 'storageclasses',
}

/** Where an object of a namespace lies: `namespace/name`, the key of caches and queues. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)
}
