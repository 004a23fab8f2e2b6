import type { Pod, Service } from '../../kube/index.ts'
import { downMsOf, podHashOf } from '../pods.ts'
import type { BrokerSet } from '../resources.ts'
import { hasTemplate, type PodRevision } from '../revision.ts'
import type { RollGroup } from '../roll.ts'
import type { RolloutMember } from '../rollout.ts'
import { isWhole, registrationMissing } from './judge.ts'
import type { ObservedGroup, ObservedMember } from './observe.ts'
import { wantedMembers } from './wanted-members.ts'

export function rollOf(
  desired: BrokerSet,
  group: ObservedGroup,
  nameServers: number,
  revision: PodRevision,
  nowMs: number,
): RollGroup {
  const { index, statefulSet } = group
  return {
    index,
    isLeaving: index >= desired.spec.groups,
    // else the StatefulSet's controller would make the old pod again
    hasTemplate: hasTemplate(statefulSet, revision.podHashFor(statefulSet)),
    members: wantedMembers(desired, group).map((member) => ({
      ordinal: member.ordinal,
      isPresent: member.pod !== undefined && member.pod.metadata.deletionTimestamp === undefined,
      isReady: member.isPodReady,
      isWhole: isWhole(member, nameServers),
      isOutdated: isOutdated(group, member, revision),
      downMs: downMsOf(member.pod, nowMs),
    })),
  }
}

export function rolloutMembers(
  { statefulSet, members }: ObservedGroup,
  { hasTemplate, ...roll }: RollGroup,
): RolloutMember[] {
  return roll.members.flatMap((one) => {
    const member = members.find(({ ordinal }) => ordinal === one.ordinal)
    return member ? [{ ...one, name: member.name, pod: member.pod, statefulSet, hasTemplate }] : []
  })
}

/** @param missing names of ready brokers that not all NameServers know, for long */
export function registrationWait(missing: readonly string[]) {
  const [name] = missing
  if (name === undefined) return undefined
  const message =
    `the rollout waits for ${name}, which does not register at every NameServer. ` +
    `The condition Registered names those that do not know it, kubectl logs ${name} says why; kubectl delete pod ${name} starts it anew`
  return { reason: registrationMissing, message }
}

export function isOutdated(
  { statefulSet }: ObservedGroup,
  { pod, service }: ObservedMember,
  revision: PodRevision,
): boolean {
  return pod !== undefined && (podHashOf(pod) !== revision.podHashFor(statefulSet) || isOlder(pod, service))
}

/** Whether a broker began before its Service was made (again): it knows itself under another address. */
export function isOlder(pod: Pod, service: Service | undefined): boolean {
  const madeMs = ({ metadata }: Pod | Service) => Date.parse(metadata.creationTimestamp ?? '')
  return service !== undefined && madeMs(pod) < madeMs(service)
}
