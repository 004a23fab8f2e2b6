import { messageOf, OperatingError } from '../../base/errors.ts'
import { type ConsumerGroupStatus, consumerGroupSpec } from '../../crds/index.ts'
import { hasFinalizer, keepFinalizer } from '../finalizer.ts'
import { type Report, writeStatus } from '../perform.ts'
import { type BrokerSet, type ConsumerGroup, consumerGroups } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import { brokerSetOf, observe, othersOf } from './observe.ts'
import { groupNameOf, isResetDue, plan, planReset, reportOf } from './plan.ts'
import { performReset } from './reset.ts'

const driftPollMs = 60_000 // nobody tells when a group is changed by hand
const resetPollMs = 5_000 // nor when its last consumer goes
const deletionGraceMs = 120_000

/** One pass over a ConsumerGroup: on every serving broker as wanted, reset where that is asked for, or gone. */
export const reconcileConsumerGroup: Reconcile<ConsumerGroup> = async (cached, shell) => {
  if (cached.metadata.deletionTimestamp !== undefined) return cleanUp(cached, shell)
  await keepFinalizer(consumerGroups, cached, cached.spec.deletionPolicy === 'Delete', shell)
  const desired = isResetDue(cached) ? await readAgain(cached, shell) : cached
  if (!desired) return { recheckAfterMs: undefined }
  const observed = await observe(desired, shell)
  const steps = plan(desired, observed)
  const failures = new Map<string, string>()
  await Promise.all(
    steps.map(async ({ brokerName, brokerAddr, group }) => {
      try {
        await shell.admin.createGroup(brokerAddr, group)
      } catch (error) {
        failures.set(brokerName, messageOf(error)) // the other brokers get theirs all the same
      }
    }),
  )
  const reset = planReset(desired, observed, steps)
  const reportWith = (lastReset: ConsumerGroupStatus['lastReset']): Report<ConsumerGroupStatus> =>
    reportOf(desired, observed, steps, failures, reset, lastReset)
  const lastReset = await performReset(
    desired,
    reset,
    (begun) => writeStatus(consumerGroups, desired, { ...reportWith(begun), notes: [] }, shell),
    shell,
  )
  const report = reportWith(lastReset)
  await writeStatus(consumerGroups, desired, report, shell)
  const [failed] = report.status.failing ?? []
  if (failed) throw new OperatingError('BROKER_FAILED', failed)
  return { recheckAfterMs: reset.do === 'wait' ? resetPollMs : driftPollMs }
}

/** The resource as the API server has it: a cache that lags would have a reset done twice. */
async function readAgain(cached: ConsumerGroup, shell: Shell): Promise<ConsumerGroup | undefined> {
  const { namespace = '', name, uid } = cached.metadata
  const live = await shell.client.get<ConsumerGroup>(consumerGroups, namespace, name, shell.signal)
  if (!live || live.metadata.uid !== uid || live.metadata.deletionTimestamp !== undefined) return undefined
  return { ...live, spec: consumerGroupSpec.parse(live.spec) }
}

/** Deletes the group from the brokers, then lets the resource go; like a Topic, it never waits for what will not come. */
async function cleanUp(desired: ConsumerGroup, shell: Shell): Promise<{ recheckAfterMs: undefined }> {
  if (!hasFinalizer(desired)) return { recheckAfterMs: undefined }
  const brokerSet = brokerSetOf(desired, shell)
  const isBrokersTask = brokerSet && brokerSet.metadata.deletionTimestamp === undefined
  if (desired.spec.deletionPolicy === 'Delete' && othersOf(desired, shell).length === 0 && isBrokersTask) {
    const failure = await deleteEverywhere(desired, brokerSet, shell)
    const waitedMs = shell.clock.now() - Date.parse(desired.metadata.deletionTimestamp as string)
    if (failure !== undefined && waitedMs < deletionGraceMs) throw failure
    if (failure !== undefined) {
      const message = `the group stays on brokers that do not answer: ${messageOf(failure)}`
      shell.recorder.record(desired, { type: 'Warning', reason: 'Orphaned', message })
    }
  }
  await keepFinalizer(consumerGroups, desired, false, shell)
  return { recheckAfterMs: undefined }
}

/** @returns why it did not come to an end everywhere */
async function deleteEverywhere(desired: ConsumerGroup, { status }: BrokerSet, shell: Shell): Promise<unknown> {
  const brokerAddrs = (status?.groupStatuses ?? []).flatMap(({ address }) => address ?? [])
  const results = await Promise.allSettled(
    brokerAddrs.map((address) => shell.admin.deleteGroup(address, groupNameOf(desired), desired.spec.deleteOffsets)),
  )
  return results.find((result) => result.status === 'rejected')?.reason
}
