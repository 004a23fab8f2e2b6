import { bytesOf } from '../../base/quantity.ts'
import { annotation } from '../../crds/index.ts'
import type { Note, PersistentVolumeClaim, StatefulSet, StorageClass } from '../../kube/index.ts'
import { type Verdict, verdict } from '../conditions.ts'
import type { BrokerSet } from '../resources.ts'
import { memberName } from './objects.ts'

/** Volumes of a set, as they were asked for now; classes only where a volume is to grow. */
export type ObservedVolumes =
  | { claims: readonly PersistentVolumeClaim[]; classes: readonly StorageClass[] }
  | { trouble: string }

export interface ResizeStep {
  do: 'resize'
  claim: PersistentVolumeClaim
  size: string
}

export interface VolumesPlan {
  steps: ResizeStep[]
  verdict: Verdict
  notes: Note[]
  /** Groups whose volumes have the size, by index: nobody looks at them again before another size is wanted. */
  settled: (index: number) => boolean
}

const namedMax = 3

/** What a group's volumes are to be, for the annotation volumes of its StatefulSet when they are. */
export function volumesMarkOf({ spec }: BrokerSet): string {
  return `${spec.storage.size} for each of ${1 + spec.slavesPerGroup}`
}

/** Whether the group's volumes were seen with the size that is wanted. */
export function areVolumesSettled(desired: BrokerSet, statefulSet: StatefulSet | undefined): boolean {
  return statefulSet?.metadata.annotations?.[annotation.volumes] === volumesMarkOf(desired)
}

/**
 * Plans how volumes grow: by their claims alone. The template of a StatefulSet cannot be changed and is left as it is; what
 * is made from it later, for one more slave, grows as the others did.
 * @param indexes of the groups that stay
 * @param volumes undefined: all of them were seen with the size that is wanted
 */
export function planVolumes(
  desired: BrokerSet,
  indexes: readonly number[],
  volumes: ObservedVolumes | undefined,
): VolumesPlan {
  const { storage, slavesPerGroup } = desired.spec
  const before = desired.status?.conditions?.find(({ type }) => type === 'VolumesResized')
  const say = (holds: boolean, reason: string, message: string) => verdict('VolumesResized', holds, reason, message)
  const plain = (said: Verdict, settled: boolean): VolumesPlan => {
    return { steps: [], verdict: said, notes: [], settled: () => settled }
  }
  if (storage.ephemeral) return plain(say(true, 'NoVolumes', 'storage.ephemeral: there are no volumes'), false)
  const whole = say(true, 'AllResized', `every volume that is there has ${storage.size} or more`)
  if (!volumes) return plain(whole, true)
  if ('trouble' in volumes) return plain(say(false, 'Unknown', `claims cannot be listed: ${volumes.trouble}`), false)

  const size = bytesOf(storage.size)
  const steps: ResizeStep[] = []
  const refused: string[] = []
  const growing: string[] = []
  const unsettled = new Set<number>()
  for (const index of indexes) {
    for (let ordinal = 0; ordinal <= slavesPerGroup; ordinal++) {
      const name = `data-${memberName(desired.metadata.name, index, ordinal)}`
      const claim = volumes.claims.find(({ metadata }) => metadata.name === name)
      const isAsked = claim !== undefined && !(bytesOf(claim.spec?.resources?.requests?.storage ?? 0) < size)
      const capacity = claim?.status?.capacity?.storage // undefined: it is still being made, with what it asks for
      if (isAsked && (capacity === undefined || !(bytesOf(capacity) < size))) continue
      unsettled.add(index)
      if (!claim) continue
      const className = claim.spec?.storageClassName
      const fixed = volumes.classes.find(({ metadata }) => metadata.name === className)?.allowVolumeExpansion !== true
      const isKnown = volumes.classes.some(({ metadata }) => metadata.name === className)
      if (!isAsked && isKnown && fixed) refused.push(`${name} (StorageClass ${className})`)
      else {
        if (!isAsked) steps.push({ do: 'resize', claim, size: String(storage.size) })
        growing.push(`${name}${troubleOf(claim)}`)
      }
    }
  }
  const said =
    refused.length > 0
      ? say(false, 'ExpansionNotAllowed', `allowVolumeExpansion is not true, so these cannot grow: ${listed(refused)}`)
      : growing.length > 0
        ? say(false, 'Resizing', `growing to ${storage.size}: ${listed(growing)}`)
        : whole
  const notes: Note[] = []
  if (refused.length > 0 && before?.reason !== 'ExpansionNotAllowed') {
    notes.push({ type: 'Warning', reason: 'VolumeExpansionFailed', message: said.message })
  }
  if (steps.length > 0) {
    const names = listed(steps.map(({ claim }) => claim.metadata.name))
    notes.push({ type: 'Normal', reason: 'VolumeExpansionRequested', message: `${storage.size} for ${names}` })
  }
  if (said === whole && before?.status === 'False') {
    notes.push({ type: 'Normal', reason: 'VolumeExpansionCompleted', message: whole.message })
  }
  return { steps, verdict: said, notes, settled: (index) => indexes.includes(index) && !unsettled.has(index) }
}

/** What holds a volume up, in the words of whoever makes it grow. */
function troubleOf({ status }: PersistentVolumeClaim): string {
  const trouble = status?.conditions?.find(({ type, status }) => type !== 'Resizing' && status === 'True')
  if (!trouble) return ''
  const remedy =
    trouble.type === 'FileSystemResizePending' ? 'its pod may have to be made anew: rocketmq.alt/restart-at' : ''
  return ` (${[trouble.type, trouble.message, remedy].filter(Boolean).join(': ')})`
}

function listed(names: readonly string[]): string {
  const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : ''
  return `${names.slice(0, namedMax).join(', ')}${more}`
}
