import { annotation } from '../crds/index.ts'
import type { KubeObject, Pod, StatefulSet } from '../kube/index.ts'
import { digest, podHashOf } from './pods.ts'

export type Template = NonNullable<StatefulSet['spec']>['template']

/**
 * Which pods a resource wants. What its user set decides that, not how this version of the operator renders it: a
 * StatefulSet keeps its template as it once was rendered, image and all, until something that was set changes. So another
 * version of the operator restarts nothing.
 */
export interface PodRevision {
  /** Digest of what was set; the pod hash of what is rendered for it. */
  madeFor: string
  /** Image of pods that are rendered now. */
  image: string
  /** What of it was set, each for itself: for annotation.madeOf. Decides nothing. */
  madeOf: string
  /** How pods that are made for a StatefulSet now are told from others. */
  podHashFor(statefulSet: StatefulSet | undefined): string
  /** The template that a StatefulSet keeps, else the one that is rendered. */
  templateOf(statefulSet: StatefulSet | undefined, render: (podHash: string) => object): object
}

export interface RevisionFacts {
  /** What the user set and a pod is made anew for; undefined fields are none. */
  inputs: Readonly<Record<string, unknown>>
  /** The same as earlier versions wrote them down: what they made for these is kept. */
  formerInputs?: Readonly<Record<string, unknown>>
  /** As the user set it. */
  image: string | undefined
  runtimeImage: string
  /** Those that the resource has. */
  statefulSets: readonly StatefulSet[]
  /** Whether pods can still be made of a template, whoever rendered it; else it is rendered anew and restarts nobody. */
  isUsable?: (template: Template) => boolean
}

/** The revision of a resource. `restart-at` counts as set: any new value is a restart, and brings the newest image. */
export function podRevision(
  resource: KubeObject & { status?: { observedGeneration?: number | undefined } },
  facts: RevisionFacts,
): PodRevision {
  const { inputs, formerInputs = inputs, image, runtimeImage, statefulSets, isUsable = () => true } = facts
  const { generation, annotations } = resource.metadata
  const restartAt = annotations?.[annotation.restartAt]
  const madeFor = digest(sorted({ ...inputs, image, restartAt }))
  const formerMadeFor = digest(sorted({ ...formerInputs, image, restartAt }))
  // a version before this annotation made it: for this spec, if the spec was seen then
  const isSpecSeen = generation !== undefined && resource.status?.observedGeneration === generation
  const keptBy = (statefulSet: StatefulSet | undefined) => {
    const template = statefulSet?.spec?.template
    const podHash = podHashOf(template as never)
    if (template === undefined || podHash === undefined) return undefined
    const mark = statefulSet?.metadata.annotations?.[annotation.madeFor]
    return (mark === undefined ? isSpecSeen : mark === madeFor || mark === formerMadeFor)
      ? { template, podHash }
      : undefined
  }
  const podHashFor = (statefulSet: StatefulSet | undefined) => keptBy(statefulSet)?.podHash ?? madeFor
  const imagesInUse = statefulSets.flatMap((one) => keptBy(one)?.template.spec?.containers[0]?.image ?? [])
  const imageNow = image ?? imagesInUse[0] ?? runtimeImage
  return {
    madeFor,
    image: imageNow,
    madeOf: partsText({ ...inputs, image: imageNow, restartAt }),
    podHashFor,
    templateOf(statefulSet, render) {
      const kept = keptBy(statefulSet)
      return kept && isUsable(kept.template) ? kept.template : render(podHashFor(statefulSet))
    },
  }
}

/** Whether pods that are made now get the template of this hash: its controller has seen it. */
export function hasTemplate(statefulSet: StatefulSet | undefined, podHash: string): boolean {
  return (
    podHashOf(statefulSet?.spec?.template as never) === podHash &&
    (statefulSet?.status?.observedGeneration ?? 0) >= (statefulSet?.metadata.generation ?? 0)
  )
}

/** What may be another one about a pod, and how events name it. */
const causes: Readonly<Record<string, string>> = {
  image: 'ImageChanged',
  resources: 'ResourcesChanged',
  podTemplate: 'PodTemplateChanged',
  nameServerRef: 'NameServersChanged',
  externalNameServers: 'NameServersChanged',
  restartAt: 'ManualRestart',
}

/** Why a pod gives way to one of the StatefulSet's template: stable words; none when one of the two was made before they were written down. */
export function causesOf(pod: Pod, statefulSet: StatefulSet | undefined): string[] {
  const before = partsOf(pod)
  const after = statefulSet && partsOf(statefulSet.spec?.template as never)
  if (!before || !after) return []
  const names = [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name))
  return [...new Set(names.map((name) => causes[name] ?? 'StaticConfigChanged'))].sort()
}

/** What is said of a restart. */
export function restartText(pod: Pod, statefulSet: StatefulSet | undefined, others: readonly string[] = []): string {
  const why = [...causesOf(pod, statefulSet), ...others]
  return `restarting ${pod.metadata.name}: ${why.length > 0 ? why.join(', ') : 'its settings or its template changed'}`
}

function partsText(parts: Readonly<Record<string, unknown>>): string {
  const set = Object.entries(parts).filter(([, value]) => value !== undefined)
  return set.map(([name, value]) => `${name}=${digest(sorted(value)).slice(0, 8)}`).join(',')
}

function partsOf({
  metadata,
}: {
  metadata?: { annotations?: Record<string, string> }
}): Map<string, string> | undefined {
  const text = metadata?.annotations?.[annotation.madeOf]
  return text === undefined ? undefined : new Map(text.split(',').map((part) => part.split('=') as [string, string]))
}

/** Keys in order: in what order somebody wrote settings down does not matter. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]))
}
