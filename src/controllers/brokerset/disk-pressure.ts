import { type DiskPressure, diskPressures, type GroupStatus, type Retention, retentionOf } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import { type Verdict, verdict } from '../conditions.ts'
import type { BrokerSet } from '../resources.ts'
import { roleOf } from './objects.ts'
import type { ObservedMember } from './observe.ts'

/** The condition and the event. */
export const diskPressure = 'DiskPressure'

/** A volume that messages fill by their age alone is as full as expiredGo allows at all times, now and then by one segment more. */
const slackPercent = 5
/** What was said of a volume holds until it is so much emptier: it must not be said anew with each segment that comes or goes. */
const holdPercent = 3
const namedMax = 3

/** Above how many percent each is so; those that a broker with these settings never comes to are left out. */
function thresholds({ limits, isOldestRemoved }: Retention, role: 'master' | 'slave'): [DiskPressure, number][] {
  const { expiredGo, oldestGo, sendsRefused } = limits
  const all: [DiskPressure, number, boolean][] = [
    ['AboveRetention', Math.min(expiredGo + slackPercent, sendsRefused), true],
    ['OldestRemoved', oldestGo, isOldestRemoved],
    ['SendsRefused', sendsRefused, role === 'master'],
  ]
  return all.flatMap(([pressure, percent, isPossible]) => (isPossible ? [[pressure, percent]] : []))
}

/** Of how full its volume is, what it does about that; of a broker that does not say, what is known of it already. */
export function diskPressureOf(desired: BrokerSet, member: ObservedMember): DiskPressure | undefined {
  const before = pressureBefore(desired, member.name)
  const { diskUsedRatio, ordinal } = member
  if (diskUsedRatio === undefined) return before
  return thresholds(retentionOf(desired.spec.config ?? {}), roleOf(ordinal))
    .filter(([pressure, percent]) => {
      const isHeld = before !== undefined && diskPressures.indexOf(before) >= diskPressures.indexOf(pressure)
      return diskUsedRatio * 100 > percent - (isHeld ? holdPercent : 0)
    })
    .at(-1)?.[0]
}

function pressureBefore({ status }: BrokerSet, pod: string): DiskPressure | undefined {
  for (const { members = [] } of status?.groupStatuses ?? []) {
    const member = members.find((one) => one.pod === pod)
    if (member) return member.disk
  }
  return undefined
}

/** Names of the pods of which it is said. */
function podsWith(pressure: DiskPressure, statuses: readonly GroupStatus[]): string[] {
  return statuses.flatMap(({ members = [] }) => members.flatMap(({ pod, disk }) => (disk === pressure ? [pod] : [])))
}

/** The condition DiskPressure: True while the volume of a broker is fuller than its settings of retention allow for. */
export function diskVerdict(desired: BrokerSet, statuses: readonly GroupStatus[]): Verdict {
  const worst = diskPressures.findLast((pressure) => podsWith(pressure, statuses).length > 0)
  if (worst === undefined) {
    return verdict(diskPressure, false, 'NoPressure', 'no broker says that its volume is too full')
  }
  return verdict(
    diskPressure,
    true,
    worst,
    diskText(desired, (pressure) => podsWith(pressure, statuses)),
  )
}

/** The event of that: told when a broker comes to it, or to a worse one. */
export function diskNotes(desired: BrokerSet, statuses: readonly GroupStatus[]): Note[] {
  const newIn = (pressure: DiskPressure) =>
    podsWith(pressure, statuses).filter((pod) => {
      const before = pressureBefore(desired, pod)
      return before === undefined || diskPressures.indexOf(before) < diskPressures.indexOf(pressure)
    })
  if (diskPressures.every((pressure) => newIn(pressure).length === 0)) return []
  return [{ type: 'Warning', reason: diskPressure, message: diskText(desired, newIn) }]
}

/** Which brokers are how full, the worst first, and what helps. */
function diskText({ spec }: BrokerSet, podsOf: (pressure: DiskPressure) => readonly string[]): string {
  const retention = retentionOf(spec.config ?? {})
  const { hours, limits } = retention
  const percents = new Map(thresholds(retention, 'master'))
  const what: Record<DiskPressure, string> = {
    AboveRetention: `expired messages are removed at any hour from ${limits.expiredGo} % on, and that is not enough`,
    OldestRemoved: `the oldest messages are removed before their ${hours} h are over`,
    SendsRefused: 'no messages are taken',
  }
  const texts = [...diskPressures].reverse().flatMap((pressure) => {
    const pods = podsOf(pressure)
    if (pods.length === 0) return []
    const more = pods.length > namedMax ? ` and ${pods.length - namedMax} more` : ''
    const names = `${pods.slice(0, namedMax).join(', ')}${more}`
    return [`${names}: the volume is more than ${percents.get(pressure)} % full, ${what[pressure]}`]
  })
  const room = spec.storage.ephemeral ? "make room on their nodes' disks" : 'raise spec.storage.size'
  return `${texts.join('; ')}. To mend it ${room}, or shorten fileReservedTime (${hours} h) in spec.config`
}
