import { annotation, type BrokerSetSpec, label, writeProperties } from '../../crds/index.ts'
import {
  type ConfigMap,
  configMaps,
  type KubeObject,
  type PodDisruptionBudget,
  podDisruptionBudgets,
  type ResourceType,
  type Service,
  type StatefulSet,
  services,
  statefulSets,
} from '../../kube/index.ts'
import { headlessName } from '../nameserver/objects.ts'
import { labelsOf, ownedBy, podOf } from '../pods.ts'
import { type BrokerSet, brokerPort, brokerVipPort, healthPort, namesrvPort } from '../resources.ts'
import { type PodRevision, podRevision } from '../revision.ts'

const configDirectory = '/etc/rocketmq'
const dataDirectory = '/var/lib/rocketmq'

/** A broker group: brokerName, StatefulSet and ConfigMap have this one name. */
export function groupName(brokerSet: string, index: number): string {
  return `${brokerSet}-${index}`
}

/** The group's master; its Service has the same name and gives the address under which the broker registers. */
export function masterName(brokerSet: string, index: number): string {
  return `${groupName(brokerSet, index)}-0`
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
  return `${headlessName(spec.nameServerRef?.name ?? '')}.${metadata.namespace}.svc:${namesrvPort}`
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
]

/** What all groups share: names for the pods, and the promise that one at a time is taken away at most. */
export function sharedObjects(desired: BrokerSet): [ResourceType, KubeObject][] {
  const { name } = desired.metadata
  const labels = labelsOf('broker', name, setLabels(name))
  const peers: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: baseOf(desired, `${name}-peers`, labels),
    spec: { clusterIP: 'None', selector: setLabels(name), publishNotReadyAddresses: true, ports },
  }
  const budget: PodDisruptionBudget = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: baseOf(desired, `${name}-brokers`, labels),
    spec: { maxUnavailable: 1, selector: { matchLabels: setLabels(name) } },
  }
  return [
    [services, peers],
    [podDisruptionBudgets, budget],
  ]
}

function groupLabels(desired: BrokerSet, index: number): Record<string, string> {
  return { ...setLabels(desired.metadata.name), [label.group]: String(index) }
}

/** The address of one broker. It must reach a broker that is not ready too: whoever drains or mends it calls it there. */
export function masterService(desired: BrokerSet, index: number): Service {
  const { name } = desired.metadata
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: baseOf(desired, masterName(name, index), labelsOf('broker', name, groupLabels(desired, index))),
    spec: {
      type: 'ClusterIP',
      publishNotReadyAddresses: true,
      selector: { ...setLabels(name), 'statefulset.kubernetes.io/pod-name': masterName(name, index) },
      ports,
    },
  }
}

/** What makes the pods of the set those of another revision. */
export function revisionOf(desired: BrokerSet, present: readonly StatefulSet[], runtimeImage: string): PodRevision {
  const { image, config, resources, podTemplate, nameServerRef, externalNameServers, flush, autoCreate } = desired.spec
  const { topics, groups } = autoCreate
  return podRevision(desired, {
    inputs: {
      config,
      resources,
      podTemplate,
      nameServerRef,
      externalNameServers,
      flush,
      autoCreate: { topics, groups },
    },
    image,
    runtimeImage,
    statefulSets: present,
  })
}

export interface GroupFacts {
  /** The address under which the broker is reached, given by its Service. */
  brokerIP: string
  revision: PodRevision
  /** The group's StatefulSet as it is. */
  live?: StatefulSet | undefined
  /** See podOf. */
  isDataRoots: boolean
  /** Whether the broker has its topics and groups, and may register at NameServers. */
  isAdmitted: boolean
  /** RFC 3339 when the group is being taken away. */
  drainingSince?: string | undefined
}

/** A group's configuration and StatefulSet. */
export function groupObjects(desired: BrokerSet, index: number, facts: GroupFacts) {
  const { brokerIP, revision, live, isDataRoots, isAdmitted, drainingSince } = facts
  const { spec } = desired
  const { name } = desired.metadata
  const group = groupName(name, index)
  const own = groupLabels(desired, index)
  const labels = labelsOf('broker', name, own)
  const config: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: baseOf(desired, group, labels),
    data: { 'broker.conf': brokerConf(desired, group, brokerIP, isAdmitted) },
  }
  const { ephemeral, size, className } = spec.storage
  const { template, podHash } = revision.templateOf(live, () =>
    podOf({
      name: 'broker',
      image: revision.image,
      args: [
        'broker',
        '-c',
        `${configDirectory}/broker.conf`,
        '--set',
        `storePathRootDir=${dataDirectory}/store`,
        '--set',
        'bindAddress=$(POD_IP)',
        '--set',
        `healthPort=${healthPort}`,
      ],
      ports: ports.map(({ name, port }) => ({ name, containerPort: port })),
      labels: { ...labels, [label.role]: 'master' },
      spread: setLabels(name),
      resources: spec.resources ?? { requests: { cpu: '100m', memory: '256Mi' } },
      podTemplate: spec.podTemplate,
      mounts: [
        { name: 'config', mountPath: configDirectory, readOnly: true },
        { name: 'data', mountPath: dataDirectory },
      ],
      volumes: [{ name: 'config', configMap: { name: group } }, ...(ephemeral ? [{ name: 'data', emptyDir: {} }] : [])],
      isDataRoots,
      podHash: revision.madeFor,
    }),
  )
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', labels: own },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: String(size) } },
      ...(className !== undefined && { storageClassName: className }),
    },
  }
  const annotations = {
    [annotation.madeFor]: revision.madeFor,
    ...(isAdmitted && { [annotation.admitted]: 'true' }),
    ...(drainingSince !== undefined && { [annotation.drainingSince]: drainingSince }),
  }
  const statefulSet = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...baseOf(desired, group, labels), annotations },
    spec: {
      replicas: 1,
      serviceName: `${name}-peers`,
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' }, // the operator rolls: one broker of the whole set at a time
      selector: { matchLabels: own },
      template,
      ...(!ephemeral && { volumeClaimTemplates: [claim] }),
    },
  }
  return { config, statefulSet, podHash }
}

/** Everything of one group except its volume, the last thing first, to be deleted. */
export function retiredObjects(desired: BrokerSet, index: number): [ResourceType, KubeObject][] {
  const { name } = desired.metadata
  const named = (type: ResourceType, childName: string): [ResourceType, KubeObject] => [
    type,
    { apiVersion: type.apiVersion, kind: type.kind, metadata: baseOf(desired, childName, {}) },
  ]
  return [
    named(statefulSets, groupName(name, index)),
    named(services, masterName(name, index)),
    named(configMaps, groupName(name, index)),
  ]
}

function brokerConf(desired: BrokerSet, brokerName: string, brokerIP: string, isAdmitted: boolean): string {
  const { spec } = desired
  const settings: Record<string, string> = {
    ...spec.config,
    brokerClusterName: clusterNameOf(desired),
    brokerName,
    brokerId: '0',
    brokerRole: 'ASYNC_MASTER',
    namesrvAddr: namesrvAddrOf(desired),
    brokerIP1: brokerIP,
    listenPort: String(brokerPort),
    flushDiskType: flushTypes[spec.flush],
    autoCreateTopicEnable: String(spec.autoCreate.topics),
    autoCreateSubscriptionGroup: String(spec.autoCreate.groups),
    registrationHeld: String(!isAdmitted), // a running broker is let go by request: its pod stays
  }
  return writeProperties(Object.entries(settings))
}

const flushTypes = { Async: 'ASYNC_FLUSH', Sync: 'SYNC_FLUSH' } as const satisfies Record<
  BrokerSetSpec['flush'],
  string
>
