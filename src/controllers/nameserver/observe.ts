import { messageOf } from '../../base/errors.ts'
import { keyOf, type Pod, type StatefulSet } from '../../kube/index.ts'
import { isPodReady } from '../pods.ts'
import { follow } from '../references.ts'
import { hostPort, type NameServer, namesrvPort } from '../resources.ts'
import type { Shell } from '../shell.ts'

export interface ObservedMember {
  pod: Pod
  isReady: boolean
  /** The brokers that it knows, each as one text; undefined: it does not answer. */
  brokers: ReadonlySet<string> | undefined
}

export interface Observed {
  statefulSet: StatefulSet | undefined
  /** Pods that are there, by ordinal; not those that are being deleted. */
  members: readonly ObservedMember[]
  /** Names of pods that are there still, those being deleted too. */
  pods: readonly string[]
  /** BrokerSets that refer to it and are awake, by name. */
  users: readonly string[]
}

/** Looks at Kubernetes, and asks each NameServer that is ready for the brokers that it knows. */
export async function observe(desired: NameServer, shell: Shell): Promise<Observed> {
  const { world } = shell
  const key = keyOf(desired)
  const pods = world.pods.by('nameServer', key).sort((a, b) => ordinalOf(a) - ordinalOf(b))
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const members = alive.map(async (pod) => {
    const isReady = isPodReady(pod)
    return { pod, isReady, brokers: isReady ? await brokersOf(pod, shell) : undefined }
  })
  const users = world.brokerSets
    .by('nameServer', key)
    .filter(({ metadata, spec }) => !spec.hibernate && metadata.deletionTimestamp === undefined)
    .filter((one) => follow(one, one.spec.nameServerRef ?? { name: '' }, world.nameServers, world).is === 'there')
    .map(({ metadata: { name, namespace } }) =>
      namespace === desired.metadata.namespace ? name : `${namespace}/${name}`,
    )
  return {
    statefulSet: world.statefulSets.get(key), // it has the NameServer's name
    members: await Promise.all(members),
    pods: pods.map(({ metadata }) => metadata.name),
    users: users.sort(),
  }
}

export function ordinalOf({ metadata }: Pod): number {
  return Number(metadata.name.slice(metadata.name.lastIndexOf('-') + 1))
}

/** By pod address: names are for those who live in the cluster, and the operator may run outside. */
async function brokersOf({ status }: Pod, { admin, log }: Shell): Promise<ReadonlySet<string> | undefined> {
  if (!status?.podIP) return undefined
  const namesrvAddr = hostPort(status.podIP, namesrvPort)
  try {
    const places = await admin.brokers(namesrvAddr)
    return new Set(places.map(({ brokerName, brokerId, brokerAddr }) => `${brokerName}:${brokerId} at ${brokerAddr}`))
  } catch (error) {
    log.debug({ namesrvAddr, err: messageOf(error) }, 'the NameServer does not say its brokers')
    return undefined
  }
}
