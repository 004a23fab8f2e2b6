import type { BrokerSet } from '../resources.ts'
import type { ObservedGroup, ObservedMember } from './observe.ts'

/** The brokers that a group is to have. One that leaves as a whole keeps what it has; if it slept, it wakes for that. */
export function wantedMembers(
  desired: BrokerSet,
  { index, members, statefulSet }: ObservedGroup,
): readonly ObservedMember[] {
  const { groups, slavesPerGroup } = desired.spec
  const count = index < groups ? 1 + slavesPerGroup : statefulSet?.spec?.replicas || 1 + slavesPerGroup
  return members.filter(({ ordinal }) => ordinal < count)
}
