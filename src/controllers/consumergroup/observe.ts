import { messageOf } from '../../base/errors.ts'
import { keyOf } from '../../kube/index.ts'
import type { BrokerSet, ConsumerGroup } from '../resources.ts'
import type { Shell } from '../shell.ts'
import { groupClaimOf } from '../world.ts'
import { groupNameOf, isResetDue, type Observed, type ObservedBroker } from './plan.ts'

/** Looks for the BrokerSet and asks each of its serving brokers for the group and, before a reset, who uses it. */
export async function observe(desired: ConsumerGroup, shell: Shell): Promise<Observed> {
  const brokerSet = brokerSetOf(desired, shell)
  const groupName = groupNameOf(desired)
  const places = (brokerSet?.status?.groupStatuses ?? []).flatMap(({ name, state, address }) =>
    address !== undefined && state === 'Serving' ? [{ brokerName: name, brokerAddr: address }] : [],
  )
  const brokers = await Promise.all(
    places.map(async (place): Promise<ObservedBroker> => {
      try {
        const has = (await shell.admin.groups(place.brokerAddr)).get(groupName)
        const asksUse = has !== undefined && isResetDue(desired)
        return { ...place, has, use: asksUse ? await shell.admin.groupUse(place.brokerAddr, groupName) : undefined }
      } catch (error) {
        return { ...place, has: undefined, use: undefined, trouble: messageOf(error) }
      }
    }),
  )
  const rival = othersOf(desired, shell).find((other) => ageOf(other) < ageOf(desired))
  return { brokerSet, rival, brokers }
}

export function brokerSetOf({ metadata, spec }: ConsumerGroup, { world }: Shell): BrokerSet | undefined {
  return world.brokerSets.get(
    keyOf({ metadata: { namespace: metadata.namespace ?? '', name: spec.brokerSetRef.name } }),
  )
}

/** The other ConsumerGroups that speak for the same group of the same brokers, and stay. */
export function othersOf(desired: ConsumerGroup, { world }: Pick<Shell, 'world'>): ConsumerGroup[] {
  return world.consumerGroups
    .by('claim', groupClaimOf(desired))
    .filter(({ metadata }) => metadata.uid !== desired.metadata.uid && metadata.deletionTimestamp === undefined)
}

/** Whether it is the oldest of those that speak for its group, and stays. */
export function isSpeaker(group: ConsumerGroup, shell: Pick<Shell, 'world'>): boolean {
  if (group.metadata.deletionTimestamp !== undefined) return false
  return othersOf(group, shell).every((other) => ageOf(other) >= ageOf(group))
}

function ageOf({ metadata }: ConsumerGroup): string {
  return `${metadata.creationTimestamp} ${metadata.uid}`
}
