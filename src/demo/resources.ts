import type { Clock } from '../base/clock.ts'
import { OperatingError } from '../base/errors.ts'
import type { BrokerSetSpec, BrokerSetStatus, Condition, NameServerStatus, TopicStatus } from '../crds/index.ts'
import type { KubeClient, KubeObject, Resource, ResourceType } from '../kube/index.ts'

const pollMs = 100

export type BrokerSet = Resource<BrokerSetSpec, BrokerSetStatus>

interface Conditioned extends KubeObject {
  status?: { observedGeneration?: number; conditions?: Condition[] }
}

/** Why a resource is not ready yet, in the operator's words; undefined when it is, for the spec that it has now. */
export function unreadiness(object: Conditioned | undefined): string | undefined {
  if (object === undefined) return 'not there yet'
  const ready = object.status?.conditions?.find(({ type }) => type === 'Ready')
  if (ready === undefined) return 'not seen by the operator yet'
  if (ready.observedGeneration !== object.metadata.generation) return 'a change is under way'
  return ready.status === 'True' ? undefined : `${ready.reason}: ${ready.message}`
}

/** The few numbers of a ready resource's status that say what there is. */
export function describe({ kind, status = {} }: KubeObject & { status?: object }): string {
  const numbers = status as NameServerStatus & BrokerSetStatus & Pick<TopicStatus, 'queues' | 'brokers'>
  switch (kind) {
    case 'NameServer':
      return `${numbers.readyReplicas} of ${numbers.replicas} pods`
    case 'BrokerSet':
      return `${numbers.readyGroups} of ${numbers.groups} broker groups registered`
    case 'Topic':
      return `${numbers.queues?.write} queues`
    default:
      return `on ${numbers.brokers?.synced} of ${numbers.brokers?.desired} brokers`
  }
}

/**
 * Waits until a resource is ready and says what it waits for.
 * @throws OperatingError DEADLINE_EXCEEDED with what was missing last
 */
export async function awaitReady<T extends Conditioned>(
  client: KubeClient,
  type: ResourceType,
  name: { namespace: string; name: string },
  options: { timeoutMs: number; tell: (missing: string) => void; clock: Clock; signal: AbortSignal },
): Promise<T> {
  const { timeoutMs, tell, clock, signal } = options
  const deadline = clock.monotonicMs() + timeoutMs
  for (;;) {
    const object = await client.get<T>(type, name.namespace, name.name)
    const missing = unreadiness(object)
    if (object !== undefined && missing === undefined) return object
    tell(missing ?? '')
    if (clock.monotonicMs() > deadline)
      throw new OperatingError('DEADLINE_EXCEEDED', { kind: type.kind, name: name.name, timeoutMs, missing })
    await clock.sleep(pollMs, signal)
  }
}

/** Polls until look finds something. @throws OperatingError DEADLINE_EXCEEDED */
export async function awaitFound<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { timeoutMs, clock, signal }: { timeoutMs: number; clock: Clock; signal: AbortSignal },
): Promise<T> {
  const deadline = clock.monotonicMs() + timeoutMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (clock.monotonicMs() > deadline) throw new OperatingError('DEADLINE_EXCEEDED', { what, timeoutMs })
    await clock.sleep(pollMs, signal)
  }
}
