import type { Log } from '../base/log.ts'
import { definitions, group } from '../crds/index.ts'
import {
  customResourceDefinitions,
  type EventRecorder,
  isRefused,
  type KubeClient,
  type KubeObject,
  namespaces,
  storageClasses,
} from '../kube/index.ts'

/** What an operator does where it may read more than its own resources, and does without where it may not. */
export type Feature = 'namespaceSelectors' | 'storageClasses' | 'definitionCheck'

interface Row {
  /** What it reads for that. */
  reads: string
  /** What is not so without it. */
  without: string
  /** Whether there is no such thing here in any case. */
  isMeant: (namespacesSeen: readonly string[]) => boolean
  ask: (client: KubeClient) => Promise<unknown>
}

const features: Record<Feature, Row> = {
  namespaceSelectors: {
    reads: 'list namespaces',
    without: 'allowedNamespaces with a selector lets nobody in',
    isMeant: (seen) => seen.length === 0, // one that looks at some namespaces only does not look at labels of others
    ask: (client) => client.listPage({ type: namespaces }, { limit: 1 }),
  },
  storageClasses: {
    reads: 'list storageclasses',
    without:
      'volumes that belong to root are not handed over to brokers, and whether a StorageClass lets volumes grow is not known',
    isMeant: () => true,
    ask: (client) => client.listPage({ type: storageClasses }, { limit: 1 }),
  },
  definitionCheck: {
    reads: 'get customresourcedefinitions',
    without: 'nobody looks whether the resource definitions are as new as this operator',
    isMeant: () => true,
    ask: (client) => client.get(customResourceDefinitions, '', `${definitions[0]?.plural}.${group}`),
  },
}

const remedy = 'apply deploy/install.yaml again, or upgrade the release of the chart'

/**
 * Which of them this operator has to do without, since a role of an earlier release, or one made by hand, does not let it.
 * @param namespacesSeen [] means all of them
 * @throws OperatingError KUBE_REFUSED, HTTP_FAILED
 */
export async function disabledFeatures(client: KubeClient, namespacesSeen: readonly string[]): Promise<Feature[]> {
  const disabled: Feature[] = []
  for (const [feature, { isMeant, ask }] of Object.entries(features) as [Feature, Row][]) {
    if (!isMeant(namespacesSeen)) continue
    try {
      await ask(client)
    } catch (error) {
      if (isRefused(error, 403)) disabled.push(feature)
      else if (!isRefused(error, 404)) throw error // an API server without storage classes
    }
  }
  return disabled
}

/**
 * Says what this operator does without, in the log and at its pod.
 * @param about its own pod; undefined: it is in none, and the log alone tells
 */
export function sayDisabled(
  disabled: readonly Feature[],
  recorder: EventRecorder,
  about: KubeObject | undefined,
  log: Log,
): void {
  for (const feature of disabled) {
    const { reads, without } = features[feature]
    log.warn(
      { feature, reads, without, remedy },
      'something is switched off, since this operator may not read what it needs for it',
    )
    const message = `${without}: this operator may not ${reads}. To mend it ${remedy}, and restart the operator`
    if (about) recorder.record(about, { type: 'Warning', reason: 'FeatureDisabled', message })
  }
}
