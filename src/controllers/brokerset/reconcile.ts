import { messageOf } from '../../base/errors.ts'
import { ignoredOf, label, misfitOf } from '../../crds/index.ts'
import { isRefused, keyOf, type Note, persistentVolumeClaims, pods } from '../../kube/index.ts'
import { pausable, type Verdict } from '../conditions.ts'
import { corrected, invalidSetting, isRefusedForGood, verdictsAfter } from '../failure.ts'
import { ignoredReport } from '../ignored-config.ts'
import { isOlder } from '../on-brokers/reconcile.ts'
import { performAll, performInKubernetes, writeStatus } from '../perform.ts'
import { follow, targetKey } from '../references.ts'
import { type BrokerSet, brokerSets } from '../resources.ts'
import type { Reconcile, Shell } from '../shell.ts'
import type { World } from '../world.ts'
import { diskPressure } from './disk-pressure.ts'
import { observe } from './observe.ts'
import { type FurnishStep, plan, type Step } from './plan.ts'
import type { ResizeStep } from './volumes.ts'

/** One pass over a BrokerSet: its groups as they should be, and whether every NameServer knows them. */
export const reconcileBrokerSet: Reconcile<BrokerSet> = async (desired, shell) => {
  // what it consists of goes with it: nothing is made for a resource that is being deleted
  if (desired.metadata.deletionTimestamp !== undefined) return { recheckAfterMs: undefined }
  const observed = await observe(desired, shell)
  const { paused, config = {} } = desired.spec
  const misfit = misfitOf('BrokerSet', config) // a broker with it would not start again
  const refusal = refusalOf(desired, shell)
  const isHalted = paused || misfit !== undefined || refusal !== undefined
  const { steps, status, settled, verdicts, notes, recheckAfterMs } = plan(
    { ...desired, spec: { ...desired.spec, paused: isHalted } },
    observed,
    shell.runtimeImage,
    shell.clock.now(),
  )
  const failure = await performAll(isHalted ? [] : steps, (step) => performStep(step, shell), shell.signal)
  if (!failure && !isHalted) for (const { brokerAddr, state } of settled) shell.settledBrokers.add(brokerAddr, state)
  const found = faultOf(misfit, refusal, failure, verdicts)
  const ignored = ignoredReport(ignoredOf('BrokerSet', config), desired.status?.conditions)
  const said = [...pausable(paused, found), ...ignored.verdicts]
  const told = [...ignored.notes, ...(isHalted ? notes.filter(tellsWhatIs) : notes)]
  await writeStatus(brokerSets, desired, { status, verdicts: said, notes: told }, shell)
  if (failure) throw failure
  return { recheckAfterMs }
}

/** Whether a note is true also where nothing is done. */
function tellsWhatIs({ reason }: Note): boolean {
  return reason.startsWith('Rollout') || reason === diskPressure
}

function faultOf(
  misfit: string | undefined,
  refusal: string | undefined,
  failure: unknown,
  verdicts: readonly Verdict[],
): readonly Verdict[] {
  if (misfit !== undefined) return corrected(invalidSetting(misfit), verdicts)
  if (refusal === undefined) return verdictsAfter(failure, verdicts)
  return corrected({ status: 'False', reason: 'NotAllowed', message: refusal, isStalled: true }, verdicts)
}

/** Why it may not use the NameServers that it names: nothing is changed then, what runs goes on running. */
function refusalOf(desired: BrokerSet, { world }: Shell): string | undefined {
  const { nameServerRef } = desired.spec
  if (nameServerRef === undefined) return undefined
  const reference = follow(desired, nameServerRef, world.nameServers, world)
  if (reference.is === 'notAllowed') return reference.message
  const elder = elderOf(desired, nameServerRef, world)
  return (
    elder &&
    `BrokerSet ${keyOf(elder)} is older, has the same NameServers and the same names for its brokers: ${remedy}`
  )
}

const remedy = 'make this one under another name'

/** A BrokerSet of the same name in another namespace: its brokers would take the place of these at the NameServers. */
function elderOf(desired: BrokerSet, ref: { name: string; namespace?: string | undefined }, world: World) {
  const { name, uid } = desired.metadata
  return world.brokerSets
    .by('nameServer', targetKey(desired, ref))
    .filter(({ metadata }) => metadata.name === name && metadata.uid !== uid)
    .filter((one) => follow(one, one.spec.nameServerRef ?? { name: '' }, world.nameServers, world).is === 'there')
    .find((one) => isOlder(one, desired))
}

function performStep(step: Step, shell: Shell): Promise<void> {
  switch (step.do) {
    case 'setPermission':
      return shell.admin.setPermission(step.brokerAddr, step.permission)
    case 'furnish':
      return furnish(step, shell)
    case 'release':
      return shell.admin.release(step.brokerAddr)
    case 'changeSettings':
      return shell.admin.changeSettings(step.brokerAddr, step.settings)
    case 'resize':
      return resize(step, shell)
    case 'label':
      return setRole(step, shell)
    default:
      return performInKubernetes(step, shell)
  }
}

async function furnish({ brokerAddr, topics, groups }: FurnishStep, shell: Shell): Promise<void> {
  const { admin } = shell
  await createAll(topics, (topic) => admin.createTopic(brokerAddr, topic), shell)
  await createAll(groups, (group) => admin.createGroup(brokerAddr, group), shell)
}

/** So many at a time: one that fails keeps few waiting. */
const togetherMax = 1_000

/** One that the broker refuses keeps it from no service: its resource, where it has one, says so, and tries again. */
async function createAll<T>(
  all: readonly T[],
  create: (one: T) => Promise<void>,
  { log, signal }: Shell,
): Promise<void> {
  const tried = (one: T) =>
    create(one).catch((error) => {
      if (!isRefusedForGood(error)) throw error
      log.warn({ err: messageOf(error), refused: one }, 'a new broker goes without what it refused')
    })
  for (let first = 0; first < all.length; first += togetherMax) {
    signal.throwIfAborted()
    await Promise.all(all.slice(first, first + togetherMax).map(tried))
  }
}

async function resize({ claim, size }: ResizeStep, { client, signal }: Shell): Promise<void> {
  const { uid } = claim.metadata
  const patch = { metadata: { uid }, spec: { resources: { requests: { storage: size } } } }
  await client.merge(persistentVolumeClaims, claim.metadata, patch, signal)
}

async function setRole({ pod, role }: Extract<Step, { do: 'label' }>, { client, signal }: Shell): Promise<void> {
  const { uid } = pod.metadata // another pod of that name has its own turn
  try {
    await client.merge(pods, pod.metadata, { metadata: { uid, labels: { [label.role]: role } } }, signal)
  } catch (error) {
    if (!isRefused(error, 404) && !isRefused(error, 409)) throw error
  }
}
