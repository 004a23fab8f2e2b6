import { pausable } from '../conditions.ts'
import { verdictsAfter } from '../failure.ts'
import { performAll, performInKubernetes, writeStatus } from '../perform.ts'
import { type NameServer, nameServers } from '../resources.ts'
import type { Reconcile } from '../shell.ts'
import { observe } from './observe.ts'
import { plan } from './plan.ts'

/** One pass over a NameServer: its objects, then what its pods say. */
export const reconcileNameServer: Reconcile<NameServer> = async (desired, shell) => {
  // what it consists of goes with it: nothing is made for a resource that is being deleted
  if (desired.metadata.deletionTimestamp !== undefined) return { recheckAfterMs: undefined }
  const observed = await observe(desired, shell)
  const { steps, status, verdicts, notes, recheckAfterMs } = plan(
    desired,
    observed,
    shell.runtimeImage,
    shell.clock.now(),
  )
  const { paused } = desired.spec
  const failure = await performAll(paused ? [] : steps, (step) => performInKubernetes(step, shell), shell.signal)
  const said = pausable(paused, verdictsAfter(failure, verdicts))
  await writeStatus(nameServers, desired, { status, verdicts: said, notes }, shell)
  if (failure) throw failure
  return { recheckAfterMs }
}
