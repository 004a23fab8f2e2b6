import {
  annotation,
  type BrokerSetSpec,
  label,
  liveBrokerKeys,
  liveBrokerSettings,
  writeProperties,
} from '../../crds/index.ts'
import {
  type ConfigMap,
  configMaps,
  type KubeObject,
  type Pod,
  type PodDisruptionBudget,
  podDisruptionBudgets,
  type ResourceType,
  type Service,
  type StatefulSet,
  services,
  statefulSets,
} from '../../kube/index.ts'
import { headlessName } from '../nameserver/objects.ts'
import { digest, labelsOf, ownedBy, podOf, type Role } from '../pods.ts'
import { type BrokerSet, brokerPort, brokerVipPort, haPort, healthPort, namesrvPort } from '../resources.ts'
import { type PodRevision, podRevision } from '../revision.ts'
import { isOfRole } from '../role-name.ts'

/** Values of brokerPermission. */
export const readOnly = 4
export const readWrite = 6

const configDirectory = '/etc/rocketmq'
const dataDirectory = '/var/lib/rocketmq'
const ownConf = `${configDirectory}/$(POD_NAME).conf`

/** A broker group: brokerName, StatefulSet, ConfigMap and PodDisruptionBudget have this one name. */
export function groupName(brokerSet: string, index: number): string {
  return `${brokerSet}-${index}`
}

/** A broker's pod; its Service has the same name and gives the address under which the broker registers. */
export function memberName(brokerSet: string, index: number, ordinal: number): string {
  return `${groupName(brokerSet, index)}-${ordinal}`
}

/** Number of the broker in its group, its brokerId: 0 is the master. */
export function ordinalOf(member: KubeObject): number {
  return Number(member.metadata.name.slice(member.metadata.name.lastIndexOf('-') + 1))
}

export function roleOf(ordinal: number): 'master' | 'slave' {
  return ordinal === 0 ? 'master' : 'slave'
}

export function clusterNameOf({ metadata, spec }: BrokerSet): string {
  return spec.clusterName ?? metadata.name
}

/**
 * Where brokers find the NameServers. The Service's name stands for all of them, however many there are: brokers look it
 * up again before each registration, so that scaling NameServers restarts no broker.
 */
export function namesrvAddrOf({ metadata, spec }: BrokerSet): string {
  if (spec.externalNameServers) return spec.externalNameServers.join(';')
  const { name = '', namespace = metadata.namespace } = spec.nameServerRef ?? {}
  return `${headlessName(name)}.${namespace}.svc:${namesrvPort}`
}

export function setLabels(brokerSet: string): Record<string, string> {
  return { [label.brokerSet]: brokerSet }
}

function baseOf(desired: BrokerSet, name: string, labels: Record<string, string>) {
  const { namespace } = desired.metadata
  return { name, ...(namespace !== undefined && { namespace }), labels, ownerReferences: ownedBy(desired) }
}

const ports = [
  { name: 'broker', port: brokerPort, targetPort: brokerPort, protocol: 'TCP' },
  { name: 'broker-vip', port: brokerVipPort, targetPort: brokerVipPort, protocol: 'TCP' },
  { name: 'ha', port: haPort, targetPort: haPort, protocol: 'TCP' },
]

/** Names for the pods of all groups. */
export function peersService(desired: BrokerSet): Service {
  const { name } = desired.metadata
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: baseOf(desired, `${name}-peers`, labelsOf('broker', name, setLabels(name))),
    spec: { clusterIP: 'None', selector: setLabels(name), publishNotReadyAddresses: true, ports },
  }
}

function groupLabels(desired: BrokerSet, index: number): Record<string, string> {
  return { ...setLabels(desired.metadata.name), [label.group]: String(index) }
}

/** The promise that one broker of a group at a time is taken away at most. */
export function groupBudget(desired: BrokerSet, index: number): PodDisruptionBudget {
  const { name } = desired.metadata
  const own = groupLabels(desired, index)
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: baseOf(desired, groupName(name, index), labelsOf('broker', name, own)),
    spec: { maxUnavailable: 1, selector: { matchLabels: own } },
  }
}

/** The address of one broker. It must reach a broker that is not ready too: whoever drains or mends it calls it there. */
export function memberService(desired: BrokerSet, index: number, ordinal: number): Service {
  const { name } = desired.metadata
  const pod = memberName(name, index, ordinal)
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: baseOf(desired, pod, labelsOf('broker', name, groupLabels(desired, index))),
    spec: {
      type: 'ClusterIP',
      publishNotReadyAddresses: true,
      selector: { ...setLabels(name), 'statefulset.kubernetes.io/pod-name': pod },
      ports,
    },
  }
}

/** What makes the pods of the set those of another revision. */
export function revisionOf(desired: BrokerSet, present: readonly StatefulSet[], runtimeImage: string): PodRevision {
  const { image, config, resources, podTemplate, nameServerRef, externalNameServers, flush, autoCreate } = desired.spec
  const { topics, groups } = autoCreate
  // keys that nobody reads count, too: else a version that reads one of them would restart all who have it
  const rolled = Object.entries(config ?? {}).filter(([key]) => !liveBrokerKeys.includes(key))
  const { slavesPerGroup, replication } = desired.spec
  // a setting that came later counts when it is not its default: no version restarts what an earlier one started
  const sync = replication.mode === 'Sync' ? { minInSync: minInSyncOf(desired) } : undefined
  const isOwnConf = (arg: string) => arg === ownConf
  const inputs = { resources, podTemplate, nameServerRef, externalNameServers, flush, sync }
  return podRevision(desired, {
    // running brokers take the others at request
    inputs: { ...inputs, config: rolled.length === 0 ? undefined : Object.fromEntries(rolled), autoCreate: { topics } },
    formerInputs: { ...inputs, config, autoCreate: { topics, groups } },
    image,
    runtimeImage,
    statefulSets: present,
    // of a version without slaves: all pods would be the master
    isUsable: ({ spec }) => slavesPerGroup === 0 || (spec?.containers[0]?.args ?? []).some(isOwnConf),
  })
}

export interface GroupFacts {
  /** By ordinal: the address under which the broker is reached, given by its Service. */
  brokerIPs: readonly (string | undefined)[]
  /** How many of them there are to be now. */
  replicas: number
  revision: PodRevision
  /** The group's StatefulSet as it is. */
  live?: StatefulSet | undefined
  /** See podOf. */
  isDataRoots: boolean
  /** Whether the broker has its topics and groups, and may register at NameServers. */
  isAdmitted: boolean
  /** RFC 3339 when the group is being taken away. */
  drainingSince?: string | undefined
  /** See volumesMarkOf. */
  volumes?: string | undefined
  /** See abortMarkOf. */
  drainAborted?: string | undefined
}

/** A group's configuration and StatefulSet. */
export function groupObjects(desired: BrokerSet, index: number, facts: GroupFacts) {
  const { brokerIPs, replicas, revision, live, isDataRoots, isAdmitted, drainingSince, drainAborted, volumes } = facts
  const { spec } = desired
  const { name } = desired.metadata
  const group = groupName(name, index)
  const own = groupLabels(desired, index)
  const labels = labelsOf('broker', name, own)
  const isDraining = drainingSince !== undefined
  const confs = brokerIPs.map((brokerIP, ordinal) =>
    writeProperties(Object.entries(settingsOf(desired, group, { ordinal, brokerIP, isAdmitted, isDraining }))),
  )
  const config: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: baseOf(desired, group, labels),
    data: {
      ...Object.fromEntries(confs.map((conf, ordinal) => [`${memberName(name, index, ordinal)}.conf`, conf])),
      'broker.conf': confs[0] ?? '', // for pods of a version without slaves
    },
  }
  const { ephemeral, size, className } = spec.storage
  const template = revision.templateOf(live, (podHash) =>
    podOf({
      name: 'broker',
      image: revision.image,
      args: [
        'broker',
        '-c',
        ownConf,
        '--set',
        `storePathRootDir=${dataDirectory}/store`,
        '--set',
        'bindAddress=$(POD_IP)',
        '--set',
        `healthPort=${healthPort}`,
      ],
      ports: ports.map(({ name, port }) => ({ name, containerPort: port })),
      labels, // and its role, which is the pod's own
      spread: spreadOf(setLabels(name), own),
      resources: spec.resources ?? { requests: { cpu: '100m', memory: '256Mi' } },
      podTemplate: spec.podTemplate,
      mounts: [
        { name: 'config', mountPath: configDirectory, readOnly: true },
        { name: 'data', mountPath: dataDirectory },
      ],
      volumes: [{ name: 'config', configMap: { name: group } }, ...(ephemeral ? [{ name: 'data', emptyDir: {} }] : [])],
      isDataRoots,
      podHash,
      madeOf: revision.madeOf,
    }),
  )
  // a StatefulSet's template of claims cannot be changed: the claims themselves grow
  const liveClaim = live?.spec?.volumeClaimTemplates?.[0]?.spec?.resources?.requests?.storage
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', labels: own },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: String(liveClaim ?? size) } },
      ...(className !== undefined && { storageClassName: className }),
    },
  }
  const annotations = {
    [annotation.madeFor]: revision.madeFor,
    ...(isAdmitted && { [annotation.admitted]: 'true' }),
    ...(drainingSince !== undefined && { [annotation.drainingSince]: drainingSince }),
    ...(volumes !== undefined && { [annotation.volumes]: volumes }),
    ...(drainAborted !== undefined && { [annotation.drainAborted]: drainAborted }),
  }
  const statefulSet = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...baseOf(desired, group, labels), annotations },
    spec: {
      replicas,
      serviceName: `${name}-peers`,
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' }, // the operator rolls: one broker of the whole set at a time
      selector: { matchLabels: own },
      template,
      ...(!ephemeral && { volumeClaimTemplates: [claim] }),
    },
  }
  return { config, statefulSet }
}

/** The brokers of a group on different nodes, its zones and the nodes of all groups as even as may be. */
function spreadOf(all: Record<string, string>, own: Record<string, string>): Role['spread'] {
  const evenly = (topologyKey: string, matchLabels: Record<string, string>) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels },
  })
  return {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: own } },
        ],
      },
    },
    topologySpreadConstraints: [evenly('kubernetes.io/hostname', all), evenly('topology.kubernetes.io/zone', own)],
  }
}

/** Everything of one group except its volumes, the last thing first, to be deleted. */
export function retiredObjects(
  desired: BrokerSet,
  index: number,
  ordinals: readonly number[],
): [ResourceType, KubeObject][] {
  const group = groupName(desired.metadata.name, index)
  return [
    named(desired, statefulSets, group),
    ...ordinals.map((ordinal) => named(desired, services, memberName(desired.metadata.name, index, ordinal))),
    named(desired, podDisruptionBudgets, group),
    named(desired, configMaps, group),
  ]
}

/** A child by its name, to be deleted. */
export function named(desired: BrokerSet, type: ResourceType, childName: string): [ResourceType, KubeObject] {
  return [type, { apiVersion: type.apiVersion, kind: type.kind, metadata: baseOf(desired, childName, {}) }]
}

function minInSyncOf({ spec }: BrokerSet): number {
  return spec.replication.minInSync ?? 2
}

interface MemberFacts {
  ordinal: number
  brokerIP: string | undefined
  isAdmitted: boolean
  isDraining: boolean
}

/** Live settings that a broker is to run with. */
export function liveSettingsOf(desired: BrokerSet, ordinal: number, isDraining: boolean): Record<string, string> {
  return liveBrokerSettings(settingsOf(desired, '', { ordinal, brokerIP: undefined, isAdmitted: true, isDraining }))
}

/** What tells one process and its settings from others: a container that starts again reads its configuration again. */
export function settingsState(wanted: Readonly<Record<string, string>>, pod: Pod | undefined): string {
  return digest([wanted, pod?.metadata.uid, pod?.status?.containerStatuses?.find(isOfRole)?.restartCount ?? 0])
}

function settingsOf(
  desired: BrokerSet,
  brokerName: string,
  { ordinal, brokerIP, isAdmitted, isDraining }: MemberFacts,
): Record<string, string> {
  const { spec } = desired
  const isSync = spec.replication.mode === 'Sync'
  const role: Record<string, string> =
    ordinal > 0
      ? { brokerRole: 'SLAVE' } // NameServers tell it where its master is; what it is to serve it has from there
      : {
          brokerRole: isSync ? 'SYNC_MASTER' : 'ASYNC_MASTER',
          ...(isSync && { inSyncReplicas: String(minInSyncOf(desired)) }),
          registrationHeld: String(!isAdmitted), // a running broker is let go by request: its pod stays
          ...(isDraining && { brokerPermission: String(readOnly) }), // one that restarts takes no messages either
        }
  return {
    ...spec.config,
    brokerClusterName: clusterNameOf(desired),
    brokerName,
    brokerId: String(ordinal),
    namesrvAddr: namesrvAddrOf(desired),
    ...(brokerIP !== undefined && { brokerIP1: brokerIP }),
    listenPort: String(brokerPort),
    flushDiskType: flushTypes[spec.flush],
    autoCreateTopicEnable: String(spec.autoCreate.topics),
    autoCreateSubscriptionGroup: String(spec.autoCreate.groups),
    ...role,
  }
}

const flushTypes = { Async: 'ASYNC_FLUSH', Sync: 'SYNC_FLUSH' } as const satisfies Record<
  BrokerSetSpec['flush'],
  string
>
