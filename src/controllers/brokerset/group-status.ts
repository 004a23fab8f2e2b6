import type { GroupState, GroupStatus, MemberStatus } from '../../crds/index.ts'
import type { BrokerSet } from '../resources.ts'
import { diskPressureOf } from './disk-pressure.ts'
import { isInSync, isWhole, lagText } from './judge.ts'
import { addressOf, type ObservedGroup, type ObservedMember } from './observe.ts'
import { wantedMembers } from './wanted-members.ts'

export function stateBefore(desired: BrokerSet, brokerName: string): GroupState | undefined {
  return desired.status?.groupStatuses?.find(({ name }) => name === brokerName)?.state
}

export function groupStatusOf(
  desired: BrokerSet,
  group: ObservedGroup,
  nameServers: number,
  draining: GroupStatus['draining'],
): GroupStatus {
  const [master] = group.members
  const address = addressOf(master.service)
  const members = wantedMembers(desired, group).map((member) => memberStatusOf(desired, member, nameServers))
  const said = { name: group.brokerName, ...(address !== undefined && { address }), members }
  if (draining) return { ...said, state: 'Draining', draining }
  if (desired.spec.hibernate) return { ...said, state: 'Hibernated' }
  if (isWhole(master, nameServers)) return { ...said, state: 'Serving' }
  const before = stateBefore(desired, group.brokerName)
  // one that wakes has served: what is on its volumes is somebody's, and nobody may take the set for a new one
  const hasServed = before === 'Serving' || before === 'Degraded' || (before === 'Hibernated' && group.isAdmitted)
  if (hasServed) return { ...said, state: 'Degraded' }
  return { ...said, state: master.pod?.status?.phase === 'Running' ? 'Registering' : 'Creating' }
}

function memberStatusOf(desired: BrokerSet, member: ObservedMember, nameServers: number): MemberStatus {
  const { ordinal, name, isPodReady, registeredCount, sync } = member
  const ready = isPodReady && nameServers > 0 && registeredCount >= nameServers
  const node = member.pod?.spec?.nodeName
  const disk = diskPressureOf(desired, member)
  const place = { ...(node !== undefined && { node }), ...(disk && { disk }) }
  if (ordinal === 0) return { pod: name, role: 'Master', ready, ...place }
  const inSync = isInSync(member)
  const lag = !inSync && sync && 'lagBytes' in sync ? lagText(sync.lagBytes) : undefined
  return { pod: name, role: 'Slave', ready, inSync, ...(lag !== undefined && { lag }), ...place }
}
