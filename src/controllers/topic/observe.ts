import { messageOf } from '../../base/errors.ts'
import { keyOf } from '../../kube/index.ts'
import type { Topic } from '../resources.ts'
import type { Shell } from '../shell.ts'
import { type Observed, type ObservedBroker, topicNameOf } from './plan.ts'

/** Looks for the BrokerSet and asks each of its serving brokers for the topic. */
export async function observe(desired: Topic, shell: Shell): Promise<Observed> {
  const { namespace = '' } = desired.metadata
  const brokerSetKey = keyOf({ metadata: { namespace, name: desired.spec.brokerSetRef.name } })
  const brokerSet = shell.world.brokerSets.get(brokerSetKey)
  const rivals = shell.world.topics
    .by('brokerSet', brokerSetKey)
    .filter((other) => topicNameOf(other) === topicNameOf(desired) && isOlder(other, desired))
  const places = (brokerSet?.status?.groupStatuses ?? []).flatMap(({ name, state, address }) =>
    address !== undefined && state === 'Serving' ? [{ brokerName: name, brokerAddr: address }] : [],
  )
  const brokers = await Promise.all(
    places.map(async (place): Promise<ObservedBroker> => {
      try {
        return { ...place, has: await shell.admin.topic(place.brokerAddr, topicNameOf(desired)) }
      } catch (error) {
        return { ...place, has: undefined, trouble: messageOf(error) }
      }
    }),
  )
  return { brokerSet, rival: rivals[0], brokers }
}

function isOlder(a: Topic, b: Topic): boolean {
  const age = ({ metadata }: Topic) => `${metadata.creationTimestamp} ${metadata.uid}`
  return a.metadata.deletionTimestamp === undefined && age(a) < age(b)
}
