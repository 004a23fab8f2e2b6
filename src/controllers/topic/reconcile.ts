import { keyOf } from '../../kube/index.ts'
import { clusterNameOf } from '../brokerset/objects.ts'
import { keepFinalizer } from '../finalizer.ts'
import { nameOnBrokers } from '../on-brokers/plan.ts'
import { cleanUp, driftPollMs, observe, performOnEach, throwFailing } from '../on-brokers/reconcile.ts'
import { writeStatus } from '../perform.ts'
import { type BrokerSet, hostPort, namesrvPort, type Topic, topics } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import { plan, reportOf, words } from './plan.ts'

/** One pass over a Topic: on every serving broker as wanted, or gone from all of them and from the NameServers. */
export const reconcileTopic: Reconcile<Topic> = async (desired, shell) => {
  const { admin, world } = shell
  const topic = nameOnBrokers(desired)
  if (desired.metadata.deletionTimestamp !== undefined) {
    const deeds = (brokerAddrs: readonly string[], brokerSet: BrokerSet) => [
      ...brokerAddrs.map((address) => admin.deleteTopic(address, topic)),
      ...namesrvAddrsOf(brokerSet, shell).map((address) => admin.deleteRoute(address, topic, clusterNameOf(brokerSet))),
    ]
    return cleanUp(topics, desired, world.topics, deeds, words, shell)
  }
  await keepFinalizer(topics, desired, desired.spec.deletionPolicy === 'Delete', shell)
  const observed = await observe(
    desired,
    world.topics,
    async (place) => ({ ...place, has: (await admin.topics(place.brokerAddr)).get(topic) }),
    shell,
  )
  const steps = plan(desired, observed)
  const failures = await performOnEach(desired.spec.paused ? [] : steps, (step) =>
    admin.createTopic(step.brokerAddr, step.topic),
  )
  const report = reportOf(desired, observed, steps, failures)
  await writeStatus(topics, desired, report, shell)
  throwFailing(report.status)
  return { recheckAfterMs: driftPollMs }
}

function namesrvAddrsOf({ metadata, spec }: BrokerSet, { world }: Shell): readonly string[] {
  const nameServer = keyOf({ metadata: { namespace: metadata.namespace ?? '', name: spec.nameServerRef?.name ?? '' } })
  return (
    spec.externalNameServers ??
    world.pods
      .by('nameServer', nameServer)
      .flatMap(({ status }) => (status?.podIP ? [hostPort(status.podIP, namesrvPort)] : []))
  )
}
