import { messageOf, OperatingError } from '../../base/errors.ts'
import { keyOf } from '../../kube/index.ts'
import { clusterNameOf } from '../brokerset/objects.ts'
import { hasFinalizer, keepFinalizer } from '../finalizer.ts'
import { writeStatus } from '../perform.ts'
import { type BrokerSet, hostPort, namesrvPort, type Topic, topics } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import { observe, othersOf } from './observe.ts'
import { plan, reportOf, topicNameOf } from './plan.ts'

const driftPollMs = 60_000 // nobody tells when a topic is changed by hand
/** How long the deletion of a Topic waits for brokers that do not answer; then the topic is left where it is. */
const deletionGraceMs = 120_000

/** One pass over a Topic: on every serving broker as wanted, or gone from all of them. */
export const reconcileTopic: Reconcile<Topic> = async (desired, shell) => {
  if (desired.metadata.deletionTimestamp !== undefined) return cleanUp(desired, shell)
  await keepFinalizer(topics, desired, desired.spec.deletionPolicy === 'Delete', shell)
  const observed = await observe(desired, shell)
  const steps = plan(desired, observed)
  const failures = new Map<string, string>()
  await Promise.all(
    steps.map(async ({ brokerName, brokerAddr, topic }) => {
      try {
        await shell.admin.createTopic(brokerAddr, topic)
      } catch (error) {
        failures.set(brokerName, messageOf(error)) // the other brokers get theirs all the same
      }
    }),
  )
  const report = reportOf(desired, observed, steps, failures)
  await writeStatus(topics, desired, report, shell)
  const [failed] = report.status.failing ?? []
  if (failed) throw new OperatingError('BROKER_FAILED', failed)
  return { recheckAfterMs: driftPollMs }
}

/**
 * Deletes the topic from brokers and NameServers, then lets the resource go. It never waits for what will not come: a
 * BrokerSet that is gone took the topic with it, and brokers that stay silent are given a while, not for ever. A topic
 * that another resource speaks for, too, is that one's from now on, with its messages.
 */
async function cleanUp(desired: Topic, shell: Shell): Promise<{ recheckAfterMs: undefined }> {
  if (!hasFinalizer(desired)) return { recheckAfterMs: undefined }
  const { namespace = '' } = desired.metadata
  const brokerSet = shell.world.brokerSets.get(keyOf({ metadata: { namespace, name: desired.spec.brokerSetRef.name } }))
  if (
    desired.spec.deletionPolicy === 'Delete' &&
    othersOf(desired, shell).length === 0 &&
    brokerSet &&
    brokerSet.metadata.deletionTimestamp === undefined
  ) {
    const failure = await deleteEverywhere(desired, brokerSet, shell)
    const waitedMs = shell.clock.now() - Date.parse(desired.metadata.deletionTimestamp as string)
    if (failure !== undefined && waitedMs < deletionGraceMs) throw failure
    if (failure !== undefined) {
      const message = `the topic stays on brokers that do not answer: ${messageOf(failure)}`
      shell.recorder.record(desired, { type: 'Warning', reason: 'Orphaned', message })
    }
  }
  await keepFinalizer(topics, desired, false, shell)
  return { recheckAfterMs: undefined }
}

/** @returns why it did not come to an end everywhere */
async function deleteEverywhere(desired: Topic, brokerSet: BrokerSet, shell: Shell): Promise<unknown> {
  const topic = topicNameOf(desired)
  const brokerAddrs = (brokerSet.status?.groupStatuses ?? []).flatMap(({ address }) => address ?? [])
  const nameServer = keyOf({
    metadata: { namespace: brokerSet.metadata.namespace ?? '', name: brokerSet.spec.nameServerRef?.name ?? '' },
  })
  const namesrvAddrs =
    brokerSet.spec.externalNameServers ??
    shell.world.pods
      .by('nameServer', nameServer)
      .flatMap(({ status }) => (status?.podIP ? [hostPort(status.podIP, namesrvPort)] : []))
  const deeds = [
    ...brokerAddrs.map((address) => shell.admin.deleteTopic(address, topic)),
    ...namesrvAddrs.map((address) => shell.admin.deleteRoute(address, topic, clusterNameOf(brokerSet))),
  ]
  const results = await Promise.allSettled(deeds)
  return results.find((result) => result.status === 'rejected')?.reason
}
