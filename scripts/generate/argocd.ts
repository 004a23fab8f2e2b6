import { type Definition, group } from '../../src/crds/index.ts'

/**
 * The patch of Argo CD's argocd-cm that makes it judge our resources.
 * @param healthLua a script that gets the resource as obj and returns its health
 * Source: Argo CD, operator-manual/health: keys without wildcards, one for each kind.
 */
export function argocdConfigMap(definitions: readonly Definition[], healthLua: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'argocd-cm', namespace: 'argocd', labels: { 'app.kubernetes.io/part-of': 'argocd' } },
    data: Object.fromEntries(
      definitions.map(({ kind }) => [`resource.customizations.health.${group}_${kind}`, healthLua]),
    ),
  }
}
