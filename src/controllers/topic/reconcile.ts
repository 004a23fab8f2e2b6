import { messageOf } from '../../base/errors.ts'
import { clusterNameOf } from '../brokerset/objects.ts'
import { keepFinalizer } from '../finalizer.ts'
import { stepsToDo } from '../on-brokers/ownership.ts'
import { nameOnBrokers, type Place } from '../on-brokers/plan.ts'
import { cleanUp, driftCheckAfterMs, observe, performOnEach, throwFailing } from '../on-brokers/reconcile.ts'
import { writeStatus } from '../perform.ts'
import { follow, targetKey } from '../references.ts'
import { type BrokerSet, hostPort, namesrvPort, type Topic, topics } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import type { ObservedBroker } from './drain.ts'
import { mayBeOver, plan, reportOf, type Step, words } from './plan.ts'
import { isPlacedOn } from './wanted.ts'

/** One pass over a Topic: on every serving broker as wanted, or gone from all of them and from the NameServers. */
export const reconcileTopic: Reconcile<Topic> = async (cached, shell) => {
  const { admin, world } = shell
  const topic = nameOnBrokers(cached)
  if (cached.metadata.deletionTimestamp !== undefined) {
    const deeds = (brokerAddrs: readonly string[], brokerSet: BrokerSet) => [
      ...brokerAddrs.map((address) => admin.deleteTopic(address, topic)),
      ...namesrvAddrsOf(brokerSet, shell).map((address) => admin.deleteRoute(address, topic, clusterNameOf(brokerSet))),
    ]
    return cleanUp(topics, cached, world.topics, deeds, words, shell)
  }
  const desired = await keepFinalizer(topics, cached, cached.spec.deletionPolicy === 'Delete', shell)
  const nowMs = shell.clock.now()
  const ask = async (place: Place, peerAddrs: readonly string[]): Promise<ObservedBroker> => {
    const has = await admin.topic(place.brokerAddr, topic)
    const broker = { ...place, has, isPlaced: isPlacedOn(desired, place.brokerName) }
    const drain = mayBeOver(desired, broker, nowMs)
    if (!drain) return broker
    const unread = admin.topicUnread(place.brokerAddr, topic, drain.firstQueue, peerAddrs, shell.signal)
    return { ...broker, unread: await unread.catch((error) => ({ trouble: messageOf(error) })) }
  }
  const seen = await observe(desired, world.topics, ask, shell)
  const brokers = seen.brokers.map((one): ObservedBroker => ({ isPlaced: isPlacedOn(desired, one.brokerName), ...one }))
  const observed = { ...seen, brokers, placement: desired.spec.placement?.groups }
  const steps = plan(desired, observed, nowMs)
  const failures = await performOnEach(stepsToDo(desired, steps), (step) => perform(step, shell))
  const { recheckAfterMs, ...report } = reportOf(desired, observed, steps, failures, nowMs)
  await writeStatus(topics, desired, report, shell)
  throwFailing(report.status)
  return { recheckAfterMs: recheckAfterMs ?? driftCheckAfterMs(desired, shell.clock) }
}

async function perform({ do: deed, brokerAddr, topic }: Step, { admin }: Shell): Promise<void> {
  if (deed !== 'deleteTopic') return admin.createTopic(brokerAddr, topic)
  // NameServers keep the route of a topic that a broker deletes; one of the other brokers must not lose theirs with it
  await admin.createTopic(brokerAddr, { ...topic, perm: 0 })
  await admin.deleteTopic(brokerAddr, topic.topicName)
}

function namesrvAddrsOf(brokerSet: BrokerSet, { world }: Shell): readonly string[] {
  const { externalNameServers, nameServerRef = { name: '' } } = brokerSet.spec
  if (externalNameServers) return externalNameServers
  // routes at NameServers that do not let the set in are not its own
  if (follow(brokerSet, nameServerRef, world.nameServers, world).is === 'notAllowed') return []
  return world.pods
    .by('nameServer', targetKey(brokerSet, nameServerRef))
    .flatMap(({ status }) => (status?.podIP ? [hostPort(status.podIP, namesrvPort)] : []))
}
