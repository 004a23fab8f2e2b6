import { hash } from 'node:crypto'
import { annotation, label, operatorName, type PodTemplate } from '../crds/index.ts'
import type { KubeObject, OwnerReference, Pod, PodSpec, StatefulSet } from '../kube/index.ts'
import { versionOf } from './image-version.ts'
import { healthPort } from './resources.ts'
import type { RoleName } from './role-name.ts'

const user = 10001 // of the image; its group owns the volumes
const terminationMessagePolicy = 'FallbackToLogsOnError' // why a container ended is in the pod's status, and from there in ours
const labelLengthMax = 63
const startupSecondsMax = 600 // a broker reads its log again after a crash

export interface Role {
  name: RoleName
  image: string
  args: string[]
  ports: { name: string; containerPort: number }[]
  labels: Record<string, string>
  /** Where its pods should be, seen from each other; a pod template that says the same wins. */
  spread: Pick<PodSpec, 'affinity' | 'topologySpreadConstraints'>
  resources: object
  podTemplate: PodTemplate | undefined
  mounts: { name: string; mountPath: string; readOnly?: boolean }[]
  volumes: NonNullable<PodSpec['volumes']>
  /** The volume `data` belongs to root, and Kubernetes does not change that: a first container hands it over. */
  isDataRoots: boolean
  /** Tells these pods from those of another revision. */
  podHash: string
  /** See PodRevision. */
  madeOf: string
}

/**
 * The pod template of a role: restricted by every rule of Kubernetes' pod security. Paths are given in arguments alone, so that
 * whoever runs the pod sees all of them.
 */
export function podOf(role: Role) {
  const { podTemplate = {} } = role
  const { labels, annotations, terminationGracePeriodSeconds = 60, ...placement } = podTemplate
  const probe = { timeoutSeconds: 3, periodSeconds: 2 }
  return {
    metadata: {
      labels: { [label.version]: versionLabel(role.image), ...labels, ...role.labels },
      annotations: { ...annotations, [annotation.podHash]: role.podHash, [annotation.madeOf]: role.madeOf },
    },
    spec: {
      ...role.spread,
      ...placement,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: user,
        runAsGroup: user,
        fsGroup: user,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(role.isDataRoots && { initContainers: [ownerOf(role)] }),
      containers: [
        {
          name: role.name,
          image: role.image,
          imagePullPolicy: 'IfNotPresent',
          terminationMessagePolicy,
          args: role.args,
          env: [
            { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          ],
          ports: [...role.ports, { name: 'health', containerPort: healthPort }],
          startupProbe: {
            httpGet: { path: '/livez', port: healthPort },
            periodSeconds: 1,
            failureThreshold: startupSecondsMax,
          },
          livenessProbe: { httpGet: { path: '/livez', port: healthPort }, ...probe, failureThreshold: 15 },
          readinessProbe: { httpGet: { path: '/readyz', port: healthPort }, ...probe, failureThreshold: 2 },
          resources: role.resources,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          volumeMounts: role.mounts,
        },
      ],
      volumes: role.volumes,
    },
  }
}

/** The version of an image as a label may have it: letters and digits around what else there is. */
export function versionLabel(image: string): string {
  const text = versionOf(image)
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, labelLengthMax)
  return text.replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
}

const handOverName = 'hand-over-volume'

/** The one container that is root, and may do nothing with it but give the volume's top folder away. */
function ownerOf(role: Role) {
  const mounts = role.mounts.filter(({ name }) => name === 'data')
  return {
    name: handOverName,
    image: role.image,
    imagePullPolicy: 'IfNotPresent',
    terminationMessagePolicy,
    command: ['chown', `${user}:${user}`, ...mounts.map(({ mountPath }) => mountPath)],
    resources: role.resources,
    securityContext: {
      runAsNonRoot: false,
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['CHOWN'] },
    },
    volumeMounts: mounts,
  }
}

/** Whether the pods of a StatefulSet hand their volume over, as it was decided when it was made. */
export function handsOver(statefulSet: StatefulSet): boolean {
  return statefulSet.spec?.template.spec?.initContainers?.some(({ name }) => name === handOverName) ?? false
}

/** Labels of everything that is made for one resource. */
export function labelsOf(component: string, instance: string, own: Record<string, string>): Record<string, string> {
  return {
    [label.name]: 'rocketmq',
    [label.component]: component,
    [label.instance]: instance,
    [label.partOf]: 'rocketmq',
    [label.managedBy]: operatorName,
    ...own,
  }
}

/** Makes owner the one that controls a child: the child goes when it goes. */
export function ownedBy(owner: KubeObject): OwnerReference[] {
  const { apiVersion, kind, metadata } = owner
  return [
    { apiVersion, kind, name: metadata.name, uid: metadata.uid as string, controller: true, blockOwnerDeletion: true },
  ]
}

/** A short digest of any JSON value. */
export function digest(value: unknown): string {
  return hash('sha256', JSON.stringify(value)).slice(0, 16)
}

export function isPodReady(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
}

/** How long a pod has not been ready; 0 when it is, or when nobody knows. @param nowMs milliseconds since 1970 */
export function downMsOf(pod: Pod | undefined, nowMs: number): number {
  if (!pod || isPodReady(pod)) return 0
  const condition = pod.status?.conditions?.find(({ type, status }) => type === 'Ready' && status !== 'True')
  const sinceMs = Date.parse(String(condition?.lastTransitionTime ?? pod.metadata.creationTimestamp))
  return Number.isNaN(sinceMs) ? 0 : Math.max(0, nowMs - sinceMs)
}

/** How long a pod has been ready; 0 when it is not, or when nobody knows. @param nowMs milliseconds since 1970 */
export function readyMsOf(pod: Pod | undefined, nowMs: number): number {
  if (!pod || !isPodReady(pod)) return 0
  const condition = pod.status?.conditions?.find(({ type }) => type === 'Ready')
  const sinceMs = Date.parse(String(condition?.lastTransitionTime))
  return Number.isNaN(sinceMs) ? 0 : Math.max(0, nowMs - sinceMs)
}

export function podHashOf(
  pod: { metadata?: { annotations?: Record<string, string> } } | undefined,
): string | undefined {
  return pod?.metadata?.annotations?.[annotation.podHash]
}
