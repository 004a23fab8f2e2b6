import { objectAt, valueAt } from '../api-server/object.ts'
import type { Container, EnvVar, Pod } from '../workloads/objects.ts'

/** Where a container's paths really are: the local cluster has no mount namespaces, so volumes are folders. */
export interface Mount {
  mountPath: string
  folder: string
}

/** Reads the data of a ConfigMap or Secret of the pod's namespace; undefined when there is none. */
export type ReadData = (kind: 'configMap' | 'secret', name: string) => Record<string, Buffer> | undefined

/** A pod that cannot be started as it is; the kubelet shows the reason and tries again. */
export class ConfigurationProblem extends Error {
  override readonly name = 'ConfigurationProblem'
}

/**
 * Replaces mount paths by the folders behind them, as whole path prefixes: with /data mounted, `dir=/data/x` changes and
 * `/database` does not. The longest mount path wins.
 */
export function mapPaths(text: string, mounts: readonly Mount[]): string {
  const sorted = [...mounts].sort((a, b) => b.mountPath.length - a.mountPath.length)
  if (sorted.length === 0) return text
  const paths = sorted.map(({ mountPath }) => mountPath.replace(/\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pattern = new RegExp(`(?<![\\w./-])(?:${paths.map((path) => `(${path})`).join('|')})(?=$|[/\\s:;,"'])`, 'g')
  return text.replace(pattern, (...match) => {
    const groups = match.slice(1, 1 + sorted.length)
    return sorted[groups.findIndex((group) => group !== undefined)]?.folder ?? match[0]
  })
}

/** `$(NAME)` becomes a variable's value, `$$(NAME)` the text `$(NAME)`; an unknown name stays as it is. */
export function expand(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (whole, name?: string) =>
    name === undefined ? '$' : (variables[name] ?? whole),
  )
}

/** The variables of a container, in the order Kubernetes evaluates them. @throws ConfigurationProblem */
export function variablesOf(pod: Pod, container: Container, read: ReadData): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    for (const [kind, source] of [['configMap', configMapRef] as const, ['secret', secretRef] as const]) {
      if (source === undefined) continue
      const data = read(kind, source.name)
      if (data === undefined && source.optional !== true)
        throw new ConfigurationProblem(`${kind} "${source.name}" not found`)
      for (const [key, bytes] of Object.entries(data ?? {})) variables[prefix + key] = bytes.toString('utf8')
    }
  }
  for (const env of container.env ?? []) {
    const value = resolveValue(env, pod, container, variables, read)
    if (value !== undefined) variables[env.name] = value
  }
  return variables
}

function resolveValue(
  env: EnvVar,
  pod: Pod,
  container: Container,
  known: Readonly<Record<string, string>>,
  read: ReadData,
): string | undefined {
  if (env.valueFrom === undefined) return expand(env.value ?? '', known)
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = env.valueFrom
  if (fieldRef !== undefined) return fieldOf(pod, fieldRef.fieldPath)
  if (resourceFieldRef !== undefined) {
    const [group = '', name = ''] = resourceFieldRef.resource.split('.')
    return String(objectAt(container.resources, group)[name] ?? '0')
  }
  for (const [kind, source] of [['configMap', configMapKeyRef] as const, ['secret', secretKeyRef] as const]) {
    if (source === undefined) continue
    const bytes = read(kind, source.name)?.[source.key]
    if (bytes !== undefined) return bytes.toString('utf8')
    if (source.optional !== true)
      throw new ConfigurationProblem(`couldn't find key ${source.key} in ${kind} ${source.name}`)
  }
  return undefined
}

function fieldOf(pod: Pod, path: string): string {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path)
  if (keyed !== null) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] as string] ?? ''
  const value =
    path === 'spec.serviceAccountName' ? (pod.spec.serviceAccountName ?? 'default') : valueAt(pod, path.split('.'))
  if (value === undefined) throw new ConfigurationProblem(`the pod has no ${path}`)
  return String(value)
}
