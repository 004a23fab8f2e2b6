import { label, type NameServerStatus } from '../../crds/index.ts'
import type { Note, Pod, StatefulSet } from '../../kube/index.ts'
import { type Readiness, readiness, type Verdict, verdict } from '../conditions.ts'
import type { KubeStep } from '../perform.ts'
import { isPodReady, podHashOf, podTrouble } from '../pods.ts'
import type { NameServer } from '../resources.ts'
import { addressOf, objectsOf } from './objects.ts'

export interface Plan {
  steps: KubeStep[]
  status: NameServerStatus
  verdicts: Verdict[]
  notes: Note[]
}

/** Plans one pass: the objects as they should be, and what their pods say. */
export function plan(
  desired: NameServer,
  pods: readonly Pod[],
  statefulSet: StatefulSet | undefined,
  runtimeImage: string,
): Plan {
  const { spec } = desired
  const { name } = desired.metadata
  const { children, podHash } = objectsOf(desired, statefulSet, runtimeImage)
  const alive = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined)
  const wanted = Array.from({ length: spec.replicas }, (_, ordinal) =>
    alive.find((pod) => pod.metadata.name === `${name}-${ordinal}`),
  )
  const ready = alive.filter(isPodReady)
  const isComplete = wanted.every((pod) => pod?.status?.podIP !== undefined)
  // an address list that leaves members out would split the cluster: the last whole one stays
  const address = isComplete ? addressOf(desired, spec.replicas) : desired.status?.address

  const judged = judge(spec.replicas, wanted, alive, podHash)
  const wasReady =
    desired.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  return {
    steps: children.map(([type, object]) => ({ do: 'apply', type, object })),
    status: {
      replicas: alive.length,
      readyReplicas: ready.length,
      selector: `${label.nameServer}=${name}`,
      ...(address !== undefined && { address }),
    },
    verdicts: [
      ...readiness(judged),
      verdict('Available', ready.length > 0, judged.reason, `${ready.length} of ${spec.replicas} NameServers answer`),
    ],
    notes:
      judged.status === 'True' && !wasReady
        ? [{ type: 'Normal', reason: 'NameServersReady', message: judged.message }]
        : [],
  }
}

function judge(
  replicas: number,
  wanted: readonly (Pod | undefined)[],
  alive: readonly Pod[],
  podHash: string,
): Readiness {
  const notReady = wanted.findIndex((pod) => pod === undefined || !isPodReady(pod))
  if (notReady >= 0) {
    const readyCount = wanted.filter((pod) => pod && isPodReady(pod)).length
    const message = `${readyCount} of ${replicas} NameServers are ready; number ${notReady}: ${podTrouble(wanted[notReady])}`
    return { status: 'False', reason: 'PodsNotReady', message }
  }
  const current = wanted.filter((pod) => podHashOf(pod) === podHash).length
  if (current < replicas) {
    return {
      status: 'False',
      reason: 'RollingOut',
      message: `${current} of ${replicas} NameServers have the new settings`,
    }
  }
  if (alive.length > replicas) {
    return { status: 'False', reason: 'ScalingIn', message: `${alive.length - replicas} NameServers are being stopped` }
  }
  return { status: 'True', reason: 'AllReady', message: `${replicas} of ${replicas} NameServers are ready` }
}
