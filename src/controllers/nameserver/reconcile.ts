import { keyOf } from '../../kube/index.ts'
import { pausable } from '../conditions.ts'
import { verdictsAfter } from '../failure.ts'
import { performAll, performInKubernetes, writeStatus } from '../perform.ts'
import { type NameServer, nameServers } from '../resources.ts'
import type { Reconcile } from '../shell.ts'
import { plan } from './plan.ts'

/** One pass over a NameServer: its objects, then what its pods say. */
export const reconcileNameServer: Reconcile<NameServer> = async (desired, shell) => {
  // what it consists of goes with it: nothing is made for a resource that is being deleted
  if (desired.metadata.deletionTimestamp !== undefined) return { recheckAfterMs: undefined }
  const pods = shell.world.pods.by('nameServer', keyOf(desired))
  const statefulSet = shell.world.statefulSets.get(keyOf(desired)) // it has the NameServer's name
  const users = shell.world.brokerSets
    .by('nameServer', keyOf(desired))
    .filter(({ metadata, spec }) => !spec.hibernate && metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.name)
  const { steps, status, verdicts, notes } = plan(desired, pods, statefulSet, shell.runtimeImage, users.sort())
  const { paused } = desired.spec
  const failure = await performAll(paused ? [] : steps, (step) => performInKubernetes(step, shell), shell.signal)
  await writeStatus(
    nameServers,
    desired,
    { status, verdicts: pausable(paused, verdictsAfter(failure, verdicts)), notes },
    shell,
  )
  if (failure) throw failure
  return { recheckAfterMs: undefined } // pods, children and the resource itself wake it
}
