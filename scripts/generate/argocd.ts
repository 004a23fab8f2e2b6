import { type Definition, group } from '../../src/crds/index.ts'

/** The Lua scripts that Argo CD runs on a resource, which they get as obj. */
export interface ArgocdScripts {
  /** Returns its health. */
  health: string
  /** Returns the actions that there are for it. */
  discovery: string
  /** By name: returns the resource as it is to be. */
  actions: Readonly<Record<string, string>>
}

/**
 * The patch of Argo CD's argocd-cm that makes it judge our resources, and lets people restart and pause them.
 * Source: Argo CD, operator-manual/health and operator-manual/resource_actions: keys without wildcards, one for each kind.
 */
export function argocdConfigMap(
  definitions: readonly Definition[],
  { health, discovery, actions }: ArgocdScripts,
  yamlOf: (object: unknown) => string,
): object {
  const actionsText = yamlOf({
    'discovery.lua': discovery,
    definitions: Object.entries(actions).map(([name, script]) => ({ name, 'action.lua': script })),
  })
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'argocd-cm', namespace: 'argocd', labels: { 'app.kubernetes.io/part-of': 'argocd' } },
    data: Object.fromEntries(
      definitions.flatMap(({ kind }) => [
        [`resource.customizations.health.${group}_${kind}`, health],
        [`resource.customizations.actions.${group}_${kind}`, actionsText],
      ]),
    ),
  }
}
