import { label, type NameServerStatus } from '../../crds/index.ts'
import type { Note, Pod, StatefulSet } from '../../kube/index.ts'
import { type Readiness, readiness, type Verdict, verdict } from '../conditions.ts'
import { asleepVerdicts, type Sleep, sleepNotes, sleepVerdict } from '../hibernation.ts'
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

/**
 * Plans one pass: the objects as they should be, and what their pods say.
 * @param users BrokerSets that refer to it and are awake
 */
export function plan(
  desired: NameServer,
  pods: readonly Pod[],
  statefulSet: StatefulSet | undefined,
  runtimeImage: string,
  users: readonly string[] = [],
): Plan {
  const { spec, status: before } = desired
  const { name } = desired.metadata
  const sleep = sleepOf(desired, pods, users)
  const isAsleep = sleep.is === 'asleep'
  const { children, podHash } = objectsOf(desired, statefulSet, runtimeImage, isAsleep ? 0 : spec.replicas)
  const alive = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined)
  const wanted = Array.from({ length: spec.replicas }, (_, ordinal) =>
    alive.find((pod) => pod.metadata.name === `${name}-${ordinal}`),
  )
  const ready = alive.filter(isPodReady)
  const isComplete = wanted.every((pod) => pod?.status?.podIP !== undefined)
  // an address list that leaves members out would split the cluster: the last whole one stays
  const address = isComplete && !isAsleep ? addressOf(desired, spec.replicas) : desired.status?.address

  const judged = judge(spec.replicas, wanted, alive, podHash, sleep)
  const wasReady = before?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  return {
    steps: children.map(([type, object]) => ({ do: 'apply', type, object })),
    status: {
      replicas: alive.length,
      readyReplicas: ready.length,
      selector: `${label.nameServer}=${name}`,
      ...(address !== undefined && { address }),
    },
    verdicts: [
      ...(sleep.is === 'asleep'
        ? asleepVerdicts(sleep, ['Available'])
        : [
            ...readiness(judged),
            verdict('Available', ready.length > 0, judged.reason, `${ready.length} of ${spec.replicas} answer`),
          ]),
      sleepVerdict(sleep),
    ],
    notes: [
      ...sleepNotes(sleep, before?.conditions),
      ...(judged.status === 'True' && !wasReady && !isAsleep
        ? [{ type: 'Normal' as const, reason: 'NameServersReady', message: judged.message }]
        : []),
    ],
  }
}

function sleepOf({ spec }: NameServer, pods: readonly Pod[], users: readonly string[]): Sleep {
  if (!spec.hibernate) return { is: 'awake' }
  if (users.length > 0) {
    const message = `awake and registered here: BrokerSet ${users.slice(0, 3).join(', ')}; set their spec.hibernate first`
    return { is: 'refused', message }
  }
  return { is: 'asleep', pods: pods.map(({ metadata }) => metadata.name), what: 'no NameServer runs' }
}

function judge(
  replicas: number,
  wanted: readonly (Pod | undefined)[],
  alive: readonly Pod[],
  podHash: string,
  sleep: Sleep,
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
  if (sleep.is === 'refused') {
    return { status: 'False', reason: 'HibernationRefused', message: sleep.message, isStalled: true }
  }
  return { status: 'True', reason: 'AllReady', message: `${replicas} of ${replicas} NameServers are ready` }
}
