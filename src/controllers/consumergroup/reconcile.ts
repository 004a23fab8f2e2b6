import { type ConsumerGroupStatus, consumerGroupSpec } from '../../crds/index.ts'
import { keepFinalizer } from '../finalizer.ts'
import { stepsToDo } from '../on-brokers/ownership.ts'
import { nameOnBrokers, type Place } from '../on-brokers/plan.ts'
import { cleanUp, driftCheckAfterMs, observe, performOnEach, throwFailing } from '../on-brokers/reconcile.ts'
import { type Report, writeStatus } from '../perform.ts'
import { type ConsumerGroup, consumerGroups } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import { isResetDue, type ObservedBroker, plan, planReset, reportOf, words } from './plan.ts'
import { performReset } from './reset.ts'

const resetPollMs = 5_000 // nobody tells when a group's last consumer goes

/** One pass over a ConsumerGroup: on every serving broker as wanted, reset where that is asked for, or gone. */
export const reconcileConsumerGroup: Reconcile<ConsumerGroup> = async (cached, shell) => {
  const { admin, world } = shell
  const groupName = nameOnBrokers(cached)
  if (cached.metadata.deletionTimestamp !== undefined) {
    const deeds = (brokerAddrs: readonly string[]) =>
      brokerAddrs.map((address) => admin.deleteGroup(address, groupName, cached.spec.deleteOffsets))
    return cleanUp(consumerGroups, cached, world.consumerGroups, deeds, words, shell)
  }
  const kept = await keepFinalizer(consumerGroups, cached, cached.spec.deletionPolicy === 'Delete', shell)
  const desired = isResetDue(kept) ? await readAgain(kept, shell) : kept
  if (!desired) return { recheckAfterMs: undefined }
  const ask = async (place: Place): Promise<ObservedBroker> => {
    const has = (await admin.groups(place.brokerAddr)).get(groupName)
    const asksUse = has !== undefined && isResetDue(desired)
    return { ...place, has, use: asksUse ? await admin.groupUse(place.brokerAddr, groupName) : undefined }
  }
  const observed = await observe(desired, world.consumerGroups, ask, shell)
  const steps = plan(desired, observed)
  const failures = await performOnEach(stepsToDo(desired, steps), (step) =>
    admin.createGroup(step.brokerAddr, step.group),
  )
  const reset = planReset(desired, observed, steps, shell.resets.find(desired) !== undefined)
  const reportWith = (lastReset: ConsumerGroupStatus['lastReset']): Report<ConsumerGroupStatus> =>
    reportOf(desired, observed, steps, failures, reset, lastReset)
  const isExact = true // a cache that lags must not take a reset's end back, nor a former operator write over its heir's
  let current: Parameters<typeof writeStatus<ConsumerGroupStatus>>[1] = desired
  const lastReset = await performReset(
    desired,
    reset,
    async (begun) => {
      current = await writeStatus(consumerGroups, current, { ...reportWith(begun), notes: [] }, shell, { isExact })
    },
    shell,
  )
  const report = reportWith(lastReset)
  await writeStatus(consumerGroups, current, report, shell, { isExact })
  if (lastReset?.result !== 'Running') shell.resets.end(desired)
  throwFailing(report.status)
  const looksSoon = reset.do === 'giveUp' || (reset.do === 'wait' && reset.reason !== 'InvalidSpec')
  return { recheckAfterMs: looksSoon ? resetPollMs : driftCheckAfterMs(desired, shell.clock) }
}

/** The resource as the API server has it: a cache that lags would have a reset done twice. */
async function readAgain(cached: ConsumerGroup, shell: Shell): Promise<ConsumerGroup | undefined> {
  const { namespace = '', name, uid } = cached.metadata
  const live = await shell.client.get<ConsumerGroup>(consumerGroups, namespace, name, shell.signal)
  if (!live || live.metadata.uid !== uid || live.metadata.deletionTimestamp !== undefined) return undefined
  return { ...live, spec: consumerGroupSpec.parse(live.spec) }
}
