import { isDeepStrictEqual } from 'node:util'
import { OperatingError } from '../base/errors.ts'
import { annotation, type Condition } from '../crds/index.ts'
import { controllerOf, isRefused, type KubeObject, mergePatch, type Note, type ResourceType } from '../kube/index.ts'
import { conditionsOf, isOwn, type Verdict } from './conditions.ts'
import { digest } from './pods.ts'
import type { Shell } from './shell.ts'

/** A deed in Kubernetes. `apply` is whole: what the object no longer says goes. */
export type KubeStep = { do: 'apply' | 'delete'; type: ResourceType; object: KubeObject }

/**
 * Makes the step true; touches nothing when it is already.
 * @throws OperatingError NAME_TAKEN when an object of that name belongs to somebody else
 */
export async function performInKubernetes(step: KubeStep, shell: Shell): Promise<void> {
  const { type, object } = step
  // the caches hold what carries our label: something of that name without it is asked for before it is overwritten
  const live = shell.world.find(type, object.metadata) ?? (await getLive(type, object, shell))
  refuseForeign(object, live)
  if (step.do === 'delete') {
    const isSame = object.metadata.uid === undefined || object.metadata.uid === live?.metadata.uid
    if (live && isSame && live.metadata.deletionTimestamp === undefined) {
      await shell.client.delete(type, live.metadata, shell.signal)
    }
    return
  }
  const wanted = withDigest(object)
  if (live && covers(live, wanted)) return
  await shell.client.apply(type, wanted, undefined, shell.signal)
}

function getLive(type: ResourceType, { metadata }: KubeObject, shell: Shell): Promise<KubeObject | undefined> {
  return shell.client.get(type, metadata.namespace ?? '', metadata.name, shell.signal)
}

/** Performs steps in order, up to the first that fails; returns why it failed. */
export async function performAll<S>(
  steps: readonly S[],
  performStep: (step: S) => Promise<void>,
  signal: AbortSignal,
): Promise<unknown> {
  for (const step of steps) {
    try {
      signal.throwIfAborted()
      await performStep(step)
    } catch (failure) {
      return failure
    }
  }
  return undefined
}

/** Adds a digest of the object to it: a field that the object lost changes the digest, though nothing else tells. */
export function withDigest(object: KubeObject): KubeObject {
  const annotations = { ...object.metadata.annotations, [annotation.applied]: digest(object) }
  return { ...object, metadata: { ...object.metadata, annotations } }
}

/** Whether live has everything that wanted says; what else it has, the API server and others filled in. */
export function covers(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(live) && live.length === wanted.length && wanted.every((item, index) => covers(live[index], item))
    )
  }
  if (typeof wanted !== 'object' || wanted === null) return Object.is(live, wanted)
  if (typeof live !== 'object' || live === null) return false
  return Object.entries(wanted).every(
    ([key, value]) => value === undefined || covers((live as Record<string, unknown>)[key], value),
  )
}

function refuseForeign(wanted: KubeObject, live: KubeObject | undefined): void {
  if (!live) return
  const owner = controllerOf(live)
  if (owner?.uid === controllerOf(wanted)?.uid) return
  throw new OperatingError('NAME_TAKEN', {
    kind: wanted.kind,
    name: wanted.metadata.name,
    owner: owner ? `${owner.kind}/${owner.name}` : 'nobody',
  })
}

/** What a pass found out about a resource. */
export interface Report<Status> {
  status: Status
  verdicts: readonly Verdict[]
  notes: readonly Note[]
}

/** How often one status is written beside what others write meanwhile, until the work queue has to try again. */
const writesMax = 3

/**
 * Writes what differs of a status from the one that is there, then tells the events that led to it. Conditions of types that are
 * not ours stay. A status that was made of an older one than is there now is refused: plans go by statuses.
 * @param options isExact: only where the whole object is still as it was read, for a status that must not be lost, or written
 *   over by who knows less
 * @returns the object as it is now, for the next write
 * @throws OperatingError KUBE_REFUSED, 409: the status is of an older one, and with isExact 404: it is gone
 */
export async function writeStatus<Status extends { conditions?: Condition[] | undefined }>(
  type: ResourceType,
  object: KubeObject & { status?: Status },
  report: Report<Status>,
  shell: Shell,
  options: { isExact?: boolean } = {},
): Promise<KubeObject & { status?: Status }> {
  const { generation = 0, uid } = object.metadata
  const { client, clock, signal } = shell
  let before: typeof object | undefined = object // as it is there: the patch must be one of that
  for (let writes = 1; ; writes++) {
    const conditions = conditionsOf(report.verdicts, before.status?.conditions, generation, clock.now())
    // through JSON: undefined fields are absent ones
    const status = JSON.parse(
      JSON.stringify({ ...report.status, observedGeneration: generation, conditions }),
    ) as Status
    const patch = mergePatch(before.status, status)
    try {
      const written = patch === undefined ? before : await patchStatus(type, before, patch, shell)
      for (const note of report.notes) shell.recorder.record(object, note)
      return { ...object, metadata: written.metadata, status }
    } catch (error) {
      if (options.isExact) throw error
      if (isRefused(error, 404)) return object // deleted in the meantime: nobody is left to be told
      if (!isRefused(error, 409) || writes >= writesMax) throw error
      before = await client.get<typeof object>(type, object.metadata.namespace ?? '', object.metadata.name, signal)
      if (before?.metadata.uid !== uid || before === undefined) return object
      if (!isDeepStrictEqual(ownPart(before.status), ownPart(object.status))) throw error
    }
  }
}

/** A status without what others say in it. */
function ownPart(status: { conditions?: Condition[] | undefined } = {}) {
  return { ...status, conditions: (status.conditions ?? []).filter(isOwn) }
}

/** A merge patch of one version: an apply would do the same, at a quarter more work for the API server. See docs/adr/0012. */
function patchStatus(
  type: ResourceType,
  { metadata }: KubeObject,
  status: unknown,
  { client, signal }: Shell,
): Promise<KubeObject> {
  const { uid, resourceVersion } = metadata
  return client.merge(type, metadata, { metadata: { uid, resourceVersion }, status }, signal, 'status')
}
