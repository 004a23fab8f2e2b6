import type { Cause, KubeObject, ObjectMeta } from './object.ts'
import type { Schema } from './schema.ts'

/** One column that `kubectl get` shows; priority 0 always, 1 with -o wide. */
export interface Column {
  name: string
  type: string
  priority: number
  description: string
  format?: string
  read(object: KubeObject, nowMs: number): unknown
}

export interface ScalePaths {
  specReplicas: readonly string[]
  statusReplicas: readonly string[]
  labelSelector: readonly string[] | undefined
}

/** A kind of object that the API serves in one version. */
export interface Resource {
  group: string // '' is the core group
  version: string
  kind: string
  plural: string
  singular: string
  shortNames: readonly string[]
  categories: readonly string[]
  namespaced: boolean
  /** Where its objects are kept: `group/plural`. Versions of one resource share it. */
  collection: string
  hasStatus: boolean
  /** Whether a change of anything but metadata and status counts up metadata.generation. */
  hasGeneration: boolean
  scale: ScalePaths | undefined
  columns: readonly Column[]
  /** undefined: a built-in kind, whose fields are not checked. */
  schema: Schema | undefined
  /** Fills in what the API server itself writes into a new object or a new spec. Changes object. */
  complete?(object: KubeObject, old: KubeObject | undefined): void
  /** What the API server refuses of a built-in kind, or of a change of it, once it is complete. */
  problemsOf?(object: KubeObject, old: KubeObject | undefined): Cause[]
  /** A version that stores its objects in another form (events.k8s.io): to and from the stored one. */
  convert?: { toStored(object: KubeObject): KubeObject; fromStored(object: KubeObject): KubeObject }
}

export function groupVersionOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`
}

/** `pods` or `statefulsets.apps`: how messages name a resource. */
export function qualifiedName({ plural, group }: Resource): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** What Kubernetes' duration.HumanDuration prints: `45s`, `3m10s`, `5h2m`, `3d4h`. */
export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`
  return `${days}d`
}

export function ageOf({ creationTimestamp }: ObjectMeta, nowMs: number): string {
  return humanDuration(nowMs - Date.parse(creationTimestamp))
}
