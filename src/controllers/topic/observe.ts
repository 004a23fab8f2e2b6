import { messageOf } from '../../base/errors.ts'
import { keyOf } from '../../kube/index.ts'
import type { Topic } from '../resources.ts'
import type { Shell } from '../shell.ts'
import { claimOf } from '../world.ts'
import { type Observed, type ObservedBroker, topicNameOf } from './plan.ts'

/** Looks for the BrokerSet and asks each of its serving brokers for the topic. */
export async function observe(desired: Topic, shell: Shell): Promise<Observed> {
  const { namespace = '' } = desired.metadata
  const brokerSetKey = keyOf({ metadata: { namespace, name: desired.spec.brokerSetRef.name } })
  const brokerSet = shell.world.brokerSets.get(brokerSetKey)
  const places = (brokerSet?.status?.groupStatuses ?? []).flatMap(({ name, state, address }) =>
    address !== undefined && state === 'Serving' ? [{ brokerName: name, brokerAddr: address }] : [],
  )
  const brokers = await Promise.all(
    places.map(async (place): Promise<ObservedBroker> => {
      try {
        return { ...place, has: (await shell.admin.topics(place.brokerAddr)).get(topicNameOf(desired)) }
      } catch (error) {
        return { ...place, has: undefined, trouble: messageOf(error) }
      }
    }),
  )
  const rival = othersOf(desired, shell).find((other) => ageOf(other) < ageOf(desired))
  return { brokerSet, rival, brokers }
}

/** The other Topics that speak for the same topic of the same brokers, and stay. */
export function othersOf(desired: Topic, { world }: Shell): Topic[] {
  return world.topics
    .by('claim', claimOf(desired))
    .filter(({ metadata }) => metadata.uid !== desired.metadata.uid && metadata.deletionTimestamp === undefined)
}

function ageOf({ metadata }: Topic): string {
  return `${metadata.creationTimestamp} ${metadata.uid}`
}
