import type { AllowedNamespaces, LabelSelector } from '../crds/index.ts'
import { type KubeObject, keyOf } from '../kube/index.ts'
import type { Sight, World } from './world.ts'

/** What a resource refers to, in its own namespace or, where that lets it, in another one. */
export type Reference<T> =
  | { is: 'there'; object: T }
  | { is: 'missing'; message: string }
  /** What it says of the target is its name alone: who may not use it may not learn of it either. */
  | { is: 'notAllowed'; message: string }

interface Ref {
  name: string
  namespace?: string | undefined
}

/** The key under which caches have what `from` refers to. */
export function targetKey({ metadata }: Pick<KubeObject, 'metadata'>, { name, namespace }: Ref): string {
  return keyOf({ metadata: { name, namespace: namespace ?? metadata.namespace ?? '' } })
}

/** Finds what a resource refers to, and whether it may. */
export function follow<T extends KubeObject & { spec: { allowedNamespaces?: AllowedNamespaces | undefined } }>(
  from: KubeObject,
  ref: Ref,
  sight: Sight<T>,
  world: Pick<World, 'isSeen' | 'labelsOfNamespace'>,
): Reference<T> {
  const { kind } = sight.type
  const own = from.metadata.namespace ?? ''
  const namespace = ref.namespace ?? own
  const target = namespace === own ? `${kind} ${ref.name}` : `${kind} ${namespace}/${ref.name}`
  if (!world.isSeen(namespace)) {
    const message = `${target}: this operator looks at other namespaces only (--namespace, or watch in its chart)`
    return { is: 'notAllowed', message }
  }
  const object = sight.get(targetKey(from, ref))
  if (!object) return { is: 'missing', message: `${target} does not exist` }
  if (namespace === own) return { is: 'there', object }
  const labels = world.labelsOfNamespace(own)
  if (admits(object.spec.allowedNamespaces, labels)) return { is: 'there', object }
  const blind =
    labels === undefined
      ? '; selectors let nobody in here, since this operator may not read the labels of namespaces'
      : ''
  return {
    is: 'notAllowed',
    message: `${target} lets nobody in from namespace ${own}: see its spec.allowedNamespaces${blind}`,
  }
}

/** @param labels of another namespace than the target's; undefined: nobody knows them */
export function admits(
  allowed: AllowedNamespaces | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (allowed?.from === 'All') return true
  return allowed?.from === 'Selector' && labels !== undefined && selects(allowed.selector ?? {}, labels)
}

/** Source: Kubernetes, metav1.LabelSelector. An empty one selects everything. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  const isMet = ({ key, operator, values = [] }: (typeof matchExpressions)[number]) => {
    const value = labels[key]
    switch (operator) {
      case 'Exists':
        return value !== undefined
      case 'DoesNotExist':
        return value === undefined
      case 'In':
        return value !== undefined && values.includes(value)
      case 'NotIn':
        return value === undefined || !values.includes(value)
    }
  }
  return Object.entries(matchLabels).every(([key, value]) => labels[key] === value) && matchExpressions.every(isMet)
}
