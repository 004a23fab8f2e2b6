import type { KubeObject, ObjectMeta } from '../api-server/object.ts'

/** The fields of built-in kinds that the local cluster acts on; all others are kept as they are. */
export interface Pod extends KubeObject {
  spec: PodSpec
  status?: PodStatus
}

export interface PodSpec {
  containers: Container[]
  initContainers?: Container[]
  volumes?: Volume[]
  nodeName?: string
  hostname?: string
  subdomain?: string
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  terminationGracePeriodSeconds?: number
  [field: string]: unknown
}

export interface PodStatus {
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
  podIP?: string
  conditions?: Condition[]
  containerStatuses?: ContainerStatus[]
  [field: string]: unknown
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  lastTransitionTime?: string
  reason?: string
  message?: string
}

export interface ContainerStatus {
  name: string
  image: string
  imageID: string
  ready: boolean
  started: boolean
  restartCount: number
  state: ContainerState
  lastState: ContainerState
  containerID?: string
}

export interface ContainerState {
  waiting?: { reason: string; message?: string }
  running?: { startedAt: string }
  terminated?: {
    exitCode: number
    signal?: number
    reason: string
    message?: string
    startedAt: string
    finishedAt: string
  }
}

export interface Container {
  name: string
  image: string
  command?: string[]
  args?: string[]
  workingDir?: string
  ports?: { name?: string; containerPort: number; protocol?: string }[]
  env?: EnvVar[]
  envFrom?: { prefix?: string; configMapRef?: KeySource; secretRef?: KeySource }[]
  volumeMounts?: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[]
  livenessProbe?: Probe
  readinessProbe?: Probe
  startupProbe?: Probe
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError'
  [field: string]: unknown
}

interface KeySource {
  name: string
  optional?: boolean
}

export interface EnvVar {
  name: string
  value?: string
  valueFrom?: {
    fieldRef?: { fieldPath: string }
    resourceFieldRef?: { resource: string; divisor?: string }
    configMapKeyRef?: KeySource & { key: string }
    secretKeyRef?: KeySource & { key: string }
  }
}

export interface Probe {
  httpGet?: { path?: string; port: number | string }
  tcpSocket?: { port: number | string }
  exec?: { command: string[] }
  initialDelaySeconds?: number
  periodSeconds?: number
  timeoutSeconds?: number
  successThreshold?: number
  failureThreshold?: number
}

export interface Volume {
  name: string
  emptyDir?: object
  configMap?: { name: string; optional?: boolean; items?: { key: string; path: string }[] }
  secret?: { secretName: string; optional?: boolean; items?: { key: string; path: string }[] }
  persistentVolumeClaim?: { claimName: string }
  [source: string]: unknown
}

export interface Service extends KubeObject {
  spec: {
    type?: string
    clusterIP?: string
    clusterIPs?: string[]
    selector?: Record<string, string>
    publishNotReadyAddresses?: boolean
    ports?: { name?: string; port: number; targetPort?: number | string; protocol?: string }[]
    [field: string]: unknown
  }
}

export interface StatefulSet extends KubeObject {
  spec: {
    replicas: number
    serviceName: string
    podManagementPolicy: 'OrderedReady' | 'Parallel'
    updateStrategy: { type: 'OnDelete' | 'RollingUpdate'; rollingUpdate?: { partition?: number } }
    minReadySeconds?: number
    ordinals?: { start?: number }
    selector: object
    template: { metadata?: Partial<ObjectMeta>; spec: PodSpec }
    volumeClaimTemplates?: KubeObject[]
    persistentVolumeClaimRetentionPolicy?: { whenDeleted?: string; whenScaled?: string }
    [field: string]: unknown
  }
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
}
