import { verdictsAfter } from '../failure.ts'
import { performAll, performInKubernetes, writeStatus } from '../perform.ts'
import { type BrokerSet, brokerSets } from '../resources.ts'
import type { Reconcile } from '../shell.ts'
import { observe } from './observe.ts'
import { plan } from './plan.ts'

/** One pass over a BrokerSet: its groups as they should be, and whether every NameServer knows them. */
export const reconcileBrokerSet: Reconcile<BrokerSet> = async (desired, shell) => {
  // what it consists of goes with it: nothing is made for a resource that is being deleted
  if (desired.metadata.deletionTimestamp !== undefined) return { recheckAfterMs: undefined }
  const observed = await observe(desired, shell)
  const { steps, status, verdicts, notes, recheckAfterMs } = plan(
    desired,
    observed,
    shell.runtimeImage,
    shell.clock.now(),
  )
  const failure = await performAll(
    steps,
    (step) =>
      step.do === 'setPermission'
        ? shell.admin.setPermission(step.brokerAddr, step.permission)
        : performInKubernetes(step, shell),
    shell.signal,
  )
  await writeStatus(brokerSets, desired, { status, verdicts: verdictsAfter(failure, verdicts), notes }, shell)
  if (failure) throw failure
  return { recheckAfterMs }
}
