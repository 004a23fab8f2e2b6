import type { Pod } from '../kube/index.ts'
import { isOfRole } from './role-name.ts'

const digestShown = 'sha256:'.length + 12
const lengthMax = 128 // of a tag; a digest is cut

/** What tells an image from others of its name: its tag, else the first digits of its digest. Without either it is `latest`. */
export function versionOf(image: string): string {
  const [named = '', digest] = image.split('@')
  const tag = named.slice(named.lastIndexOf('/') + 1).split(':')[1] // a registry may have a port
  return (tag || digest?.slice(0, digestShown) || 'latest').slice(0, lengthMax)
}

/**
 * The version that pods run, by the image of their own container. While some of them run the one that is wanted and others
 * do not yet, it is that of the others: it changes when the last pod has.
 * @param wanted the version that they are to have
 * @returns undefined: there are no pods
 */
export function versionInUse(pods: readonly Pod[], wanted: string): string | undefined {
  const versions = pods.flatMap((pod) => imageOf(pod) ?? []).map(versionOf)
  const others = versions.filter((version) => version !== wanted).sort() // whatever the order of pods, the same one
  return others[0] ?? versions[0]
}

function imageOf({ spec }: Pod): string | undefined {
  return spec?.containers.find(isOfRole)?.image
}
