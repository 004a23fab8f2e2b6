import { ignoredOf } from '../../crds/index.ts'
import { controllerOf, type Note, type StatefulSet, statefulSets } from '../../kube/index.ts'
import { pausable } from '../conditions.ts'
import { corrected, invalidSetting, verdictsAfter } from '../failure.ts'
import { ignoredReport } from '../ignored-config.ts'
import { type KubeStep, performAll, performInKubernetes, writeStatus } from '../perform.ts'
import { type NameServer, nameServers } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import { misfitIn } from './objects.ts'
import { observe } from './observe.ts'
import { plan } from './plan.ts'
import { routeInconsistent } from './routes.ts'

/** One pass over a NameServer: its objects, then what its pods say. */
export const reconcileNameServer: Reconcile<NameServer> = async (desired, shell) => {
  // what it consists of goes with it: nothing is made for a resource that is being deleted
  if (desired.metadata.deletionTimestamp !== undefined) return { recheckAfterMs: undefined }
  const observed = await observe(desired, shell)
  const { paused, config = {} } = desired.spec
  const misfit = misfitIn(desired) // the member that is restarted with it would not come back
  const isHalted = paused || misfit !== undefined
  const { steps, status, verdicts, notes, recheckAfterMs } = plan(
    { ...desired, spec: { ...desired.spec, paused: isHalted } },
    observed,
    shell.runtimeImage,
    shell.clock.now(),
  )
  const performStep = async (step: KubeStep) => {
    if (step.type === statefulSets) await endRollingUpdate(desired, observed.statefulSet, shell)
    await performInKubernetes(step, shell)
  }
  const failure = await performAll(isHalted ? [] : steps, performStep, shell.signal)
  const found = misfit === undefined ? verdictsAfter(failure, verdicts) : corrected(invalidSetting(misfit), verdicts)
  const ignored = ignoredReport(ignoredOf('NameServer', config), desired.status?.conditions)
  const said = [...pausable(paused, found), ...ignored.verdicts]
  const told = [...ignored.notes, ...(misfit === undefined ? notes : notes.filter(tellsWhatIs))]
  await writeStatus(nameServers, desired, { status, verdicts: said, notes: told }, shell)
  if (failure) throw failure
  return { recheckAfterMs }
}

/** Whether a note is true also where nothing is done. */
function tellsWhatIs({ reason }: Note): boolean {
  return reason.startsWith('Rollout') || reason === routeInconsistent
}

/**
 * Lets a StatefulSet of an earlier version go over to OnDelete. What the API server filled in beside RollingUpdate is
 * nobody's, so an apply does not take it away, and beside OnDelete it is refused.
 */
async function endRollingUpdate(
  desired: NameServer,
  live: StatefulSet | undefined,
  { client, signal }: Shell,
): Promise<void> {
  if (live?.spec?.updateStrategy?.rollingUpdate === undefined) return
  if (controllerOf(live)?.uid !== desired.metadata.uid) return // refused as somebody else's
  const updateStrategy = { type: 'OnDelete', rollingUpdate: null }
  const { uid } = live.metadata
  await client.merge(statefulSets, live.metadata, { metadata: { uid }, spec: { updateStrategy } }, signal)
}
