import { annotation, label, misfitOf, writeProperties } from '../../crds/index.ts'
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
import { labelsOf, ownedBy, podOf } from '../pods.ts'
import { healthPort, type NameServer, namesrvPort } from '../resources.ts'
import { hasTemplate, podRevision } from '../revision.ts'

const configDirectory = '/etc/rocketmq'
const dataDirectory = '/var/lib/rocketmq'

/** The Service whose name has one address for each NameServer, ready or not. */
export function headlessName(nameServer: string): string {
  return `${nameServer}-headless`
}

/** namesrvAddr of clients: each NameServer under a name that stays its own. */
export function addressOf(nameServer: NameServer, replicas: number): string {
  const { name, namespace } = nameServer.metadata
  const host = (ordinal: number) => `${name}-${ordinal}.${headlessName(name)}.${namespace}.svc:${namesrvPort}`
  return Array.from({ length: replicas }, (_, ordinal) => host(ordinal)).join(';')
}

/** A setting that its pods would not start with: as long as there is one, nothing is changed for it. */
export function misfitIn({ spec }: NameServer): string | undefined {
  return misfitOf('NameServer', spec.config ?? {})
}

export function podLabels(name: string): Record<string, string> {
  return { [label.nameServer]: name }
}

/** What makes its pods those of another revision. */
export function revisionOf(desired: NameServer, statefulSet: StatefulSet | undefined, runtimeImage: string) {
  const { image, config, resources, podTemplate } = desired.spec
  return podRevision(desired, {
    inputs: { config, resources, podTemplate },
    image,
    runtimeImage,
    statefulSets: statefulSet ? [statefulSet] : [],
  })
}

/**
 * Everything that a NameServer consists of in Kubernetes.
 * @param replicas how many pods there are to be now
 * @param leavingSince see annotation.leavingSince
 */
export function objectsOf(
  desired: NameServer,
  live: StatefulSet | undefined,
  runtimeImage: string,
  replicas = desired.spec.replicas,
  leavingSince?: string,
) {
  const { spec } = desired
  const { name, namespace } = desired.metadata
  const labels = labelsOf('namesrv', name, podLabels(name))
  const base = (childName: string) => ({
    name: childName,
    ...(namespace !== undefined && { namespace }),
    labels,
    ownerReferences: ownedBy(desired),
  })
  const ports = [{ name: 'namesrv', port: namesrvPort, targetPort: namesrvPort, protocol: 'TCP' }]
  const configuration = writeProperties(Object.entries(spec.config ?? {}))

  const config: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: base(`${name}-namesrv`),
    data: { 'namesrv.conf': configuration },
  }
  const headless: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: base(headlessName(name)),
    spec: { clusterIP: 'None', selector: podLabels(name), publishNotReadyAddresses: true, ports },
  }
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: base(name),
    spec: { type: 'ClusterIP', selector: podLabels(name), ports },
  }
  const budget: PodDisruptionBudget = {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: base(`${name}-namesrv`),
    spec: { maxUnavailable: 1, selector: { matchLabels: podLabels(name) } },
  }
  const revision = revisionOf(desired, live, runtimeImage)
  const template = revision.templateOf(live, (podHash) =>
    podOf({
      name: 'namesrv',
      image: revision.image,
      args: [
        'namesrv',
        '-c',
        `${configDirectory}/namesrv.conf`,
        '--set',
        `listenPort=${namesrvPort}`,
        '--set',
        'bindAddress=$(POD_IP)',
        '--set',
        `healthPort=${healthPort}`,
        '--set',
        `kvConfigPath=${dataDirectory}/kvConfig.json`,
        '--set',
        `configStorePath=${dataDirectory}/namesrv.properties`,
      ],
      ports: [{ name: 'namesrv', containerPort: namesrvPort }],
      labels,
      spread: {
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'ScheduleAnyway',
            labelSelector: { matchLabels: podLabels(name) },
          },
        ],
      },
      resources: spec.resources ?? { requests: { cpu: '50m', memory: '96Mi' } },
      podTemplate: spec.podTemplate,
      mounts: [
        { name: 'config', mountPath: configDirectory, readOnly: true },
        { name: 'data', mountPath: dataDirectory },
      ],
      volumes: [
        { name: 'config', configMap: { name: `${name}-namesrv` } },
        { name: 'data', emptyDir: {} },
      ],
      isDataRoots: false,
      podHash,
      madeOf: revision.madeOf,
    }),
  )
  const statefulSet = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      ...base(name),
      annotations: {
        [annotation.madeFor]: revision.madeFor,
        ...(leavingSince !== undefined && { [annotation.leavingSince]: leavingSince }),
      },
    },
    spec: {
      replicas,
      serviceName: headlessName(name),
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' }, // the operator rolls: none goes before the others know all brokers
      selector: { matchLabels: podLabels(name) },
      template,
    },
  }
  const children: [ResourceType, KubeObject][] = [
    [configMaps, config],
    [services, headless],
    [services, service],
    [podDisruptionBudgets, budget],
    [statefulSets, statefulSet],
  ]
  const podHash = revision.podHashFor(live)
  return {
    children,
    podHash,
    madeFor: revision.madeFor,
    image: revision.image,
    hasTemplate: hasTemplate(live, podHash),
  }
}
