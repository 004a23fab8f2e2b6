import { createHash } from 'node:crypto'
import { canonicalText, copyOf, type KubeObject, type ObjectMeta } from '../api-server/object.ts'
import { isReady, type Pod, type StatefulSet } from './objects.ts'

export type Step = { do: 'createPod' | 'createClaim'; object: KubeObject } | { do: 'deletePod'; name: string }

export interface StatefulSetPlan {
  steps: Step[]
  status: Record<string, unknown>
}

const revisionLabel = 'controller-revision-hash'

/**
 * Plans one pass over a StatefulSet. OrderedReady goes one pod at a time and waits for it, Parallel does not. A pod that
 * is made anew always has the newest template; RollingUpdate takes old ones away, the last first, OnDelete leaves them.
 * @param pods those that the set owns
 * @param claimNames the PersistentVolumeClaims that are there already
 */
export function planStatefulSet(
  set: StatefulSet,
  pods: readonly Pod[],
  claimNames: ReadonlySet<string>,
): StatefulSetPlan {
  const { spec, metadata } = set
  const start = spec.ordinals?.start ?? 0
  const revision = revisionOf(set)
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]))
  const wanted = metadata.deletionTimestamp === undefined ? spec.replicas : 0
  const ordinals = Array.from({ length: wanted }, (_, index) => start + index)
  const isOrdered = spec.podManagementPolicy !== 'Parallel'
  const steps: Step[] = []

  if (metadata.deletionTimestamp === undefined) {
    steps.push(...missing(set, ordinals, byOrdinal, claimNames, revision, isOrdered))
    if (steps.length === 0) {
      const surplus = [...byOrdinal].filter(([ordinal]) => !ordinals.includes(ordinal)).sort(([a], [b]) => b - a)
      const going = surplus.filter(([, { metadata }]) => metadata.deletionTimestamp === undefined)
      const mayGo = !isOrdered ? going : surplus.length === going.length ? going.slice(0, 1) : []
      for (const [, pod] of mayGo) steps.push({ do: 'deletePod', name: pod.metadata.name })
    }
    if (steps.length === 0 && spec.updateStrategy.type === 'RollingUpdate') {
      const partition = spec.updateStrategy.rollingUpdate?.partition ?? 0
      const old = nextToUpdate(ordinals.filter((ordinal) => ordinal >= partition).reverse(), byOrdinal, revision)
      if (old !== undefined) steps.push({ do: 'deletePod', name: old.metadata.name })
    }
  }
  return { steps, status: statusOf(set, pods, revision) }
}

/** The pods to make, and the claims that they need first. A pod that ended is taken away, to be made anew. */
function missing(
  set: StatefulSet,
  ordinals: readonly number[],
  byOrdinal: ReadonlyMap<number, Pod>,
  claimNames: ReadonlySet<string>,
  revision: string,
  isOrdered: boolean,
): Step[] {
  const steps: Step[] = []
  for (const ordinal of ordinals) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined) {
      const claims = claimsOf(set, ordinal).filter(({ metadata }) => !claimNames.has(metadata.name))
      steps.push(...claims.map((object): Step => ({ do: 'createClaim', object })))
      steps.push({ do: 'createPod', object: podOf(set, ordinal, revision) })
    } else if (
      ['Failed', 'Succeeded'].includes(pod.status?.phase ?? '') &&
      pod.metadata.deletionTimestamp === undefined
    )
      steps.push({ do: 'deletePod', name: pod.metadata.name })
    if (isOrdered && (pod === undefined || !isReady(pod) || pod.metadata.deletionTimestamp !== undefined)) break
  }
  return steps
}

/** The last pod of an old revision, if all behind it are well. */
function nextToUpdate(
  lastFirst: readonly number[],
  byOrdinal: ReadonlyMap<number, Pod>,
  revision: string,
): Pod | undefined {
  for (const ordinal of lastFirst) {
    const pod = byOrdinal.get(ordinal)
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return undefined
    if (pod.metadata.labels?.[revisionLabel] !== revision) return pod
    if (!isReady(pod)) return undefined
  }
  return undefined
}

function statusOf(set: StatefulSet, pods: readonly Pod[], revision: string): Record<string, unknown> {
  const before = (set.status ?? {}) as { currentRevision?: string }
  const updated = pods.filter(({ metadata }) => metadata.labels?.[revisionLabel] === revision)
  // OnDelete is never rolled out: the old revision stays the current one, as the real controller has it.
  const isRolling = set.spec.updateStrategy.type === 'RollingUpdate'
  const isRolledOut =
    isRolling && updated.length === pods.length && pods.length === set.spec.replicas && updated.every(isReady)
  const currentRevision = isRolledOut ? revision : (before.currentRevision ?? revision)
  const ready = pods.filter(isReady).length
  return {
    observedGeneration: set.metadata.generation,
    replicas: pods.length,
    readyReplicas: ready,
    availableReplicas: ready,
    currentReplicas: pods.filter(({ metadata }) => metadata.labels?.[revisionLabel] === currentRevision).length,
    updatedReplicas: updated.length,
    currentRevision,
    updateRevision: revision,
    collisionCount: 0,
  }
}

/** Named after the template's digest, which is not taken again for a generation that was seen before. */
function revisionOf({ metadata, spec, status }: StatefulSet): string {
  const { observedGeneration, updateRevision } = (status ?? {}) as {
    observedGeneration?: number
    updateRevision?: string
  }
  if (updateRevision !== undefined && observedGeneration === metadata.generation) return updateRevision
  const hash = createHash('sha256').update(canonicalText(spec.template)).digest('hex').slice(0, 10)
  return `${metadata.name}-${hash}`
}

function ordinalOf(set: StatefulSet, { metadata }: Pick<Pod, 'metadata'>): number {
  return Number(metadata.name.slice(set.metadata.name.length + 1))
}

/** Whether the pod is one that the set would have made, and nobody controls it: it is taken over. */
export function isOrphanOf(set: StatefulSet, { metadata }: Pod): boolean {
  if (metadata.namespace !== set.metadata.namespace || metadata.deletionTimestamp !== undefined) return false
  if (metadata.ownerReferences?.some(({ controller }) => controller) === true) return false
  const labels = Object.entries((set.spec.selector as { matchLabels?: Record<string, string> }).matchLabels ?? {})
  const isNamed = metadata.name.startsWith(`${set.metadata.name}-`) && Number.isInteger(ordinalOf(set, { metadata }))
  return isNamed && labels.length > 0 && labels.every(([key, value]) => metadata.labels?.[key] === value)
}

export function ownerOf({ metadata }: StatefulSet) {
  const { name, uid } = metadata
  return [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name, uid, controller: true, blockOwnerDeletion: true }]
}

function claimsOf(set: StatefulSet, ordinal: number): KubeObject[] {
  const isOwned = set.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete'
  return (set.spec.volumeClaimTemplates ?? []).map((template) => {
    const claim = copyOf(template)
    const { labels, annotations } = template.metadata
    claim.metadata = {
      name: `${template.metadata.name}-${set.metadata.name}-${ordinal}`,
      namespace: set.metadata.namespace,
      labels: { ...labels, ...((set.spec.selector as { matchLabels?: object }).matchLabels ?? {}) },
      ...(annotations !== undefined && { annotations }),
      ...(isOwned && { ownerReferences: ownerOf(set) }),
    } as KubeObject['metadata']
    return claim
  })
}

function podOf(set: StatefulSet, ordinal: number, revision: string): KubeObject {
  const { template, serviceName, volumeClaimTemplates = [] } = set.spec
  const name = `${set.metadata.name}-${ordinal}`
  const claims = volumeClaimTemplates.map(({ metadata }) => ({
    name: metadata.name,
    persistentVolumeClaim: { claimName: `${metadata.name}-${name}` },
  }))
  const ownNames = new Set(claims.map((claim) => claim.name))
  const volumes = [...(template.spec.volumes ?? []).filter((volume) => !ownNames.has(volume.name)), ...claims]
  const labels = {
    ...template.metadata?.labels,
    'apps.kubernetes.io/pod-index': String(ordinal),
    'statefulset.kubernetes.io/pod-name': name,
    [revisionLabel]: revision,
  }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      generateName: `${set.metadata.name}-`,
      namespace: set.metadata.namespace,
      labels,
      ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
      ownerReferences: ownerOf(set),
    } as Partial<ObjectMeta> as ObjectMeta,
    spec: { ...copyOf(template.spec), volumes, hostname: name, subdomain: serviceName },
  }
}
