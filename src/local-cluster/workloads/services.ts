import type { KubeObject } from '../api-server/object.ts'
import { refusal } from '../api-server/object.ts'
import type { Resource } from '../api-server/resource.ts'
import { isReady, type Pod, type Service } from './objects.ts'

/** One pod behind a Service. */
export interface Endpoint {
  pod: Pod
  ip: string
  /** Whether traffic may go there: the pod is ready, or the Service does not ask. */
  isServing: boolean
}

/** The pods that a Service selects and that have an address. */
export function endpointsOf(service: Service, pods: Iterable<Pod>): Endpoint[] {
  const selector = Object.entries(service.spec.selector ?? {})
  if (selector.length === 0) return []
  const found: Endpoint[] = []
  for (const pod of pods) {
    const { labels = {}, namespace } = pod.metadata
    const ip = pod.status?.podIP
    const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
    if (namespace !== service.metadata.namespace || ip === undefined || isOver) continue
    if (!selector.every(([key, value]) => labels[key] === value)) continue
    const isUp = isReady(pod) && pod.metadata.deletionTimestamp === undefined
    found.push({ pod, ip, isServing: service.spec.publishNotReadyAddresses === true || isUp })
  }
  return found
}

/** The pod's port that a Service port leads to; undefined for a name that no container has. */
export function targetPortOf(port: { port: number; targetPort?: number | string }, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target
  return pod.spec.containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === target)?.containerPort
}

/** The Endpoints object of a Service with a selector. */
export function endpointsObject(service: Service, endpoints: readonly Endpoint[]): KubeObject {
  const { name, namespace, uid, labels } = service.metadata
  const address = ({ ip, pod }: Endpoint) => ({
    ip,
    ...(pod.spec.subdomain === name && pod.spec.hostname && { hostname: pod.spec.hostname }),
    targetRef: { kind: 'Pod', name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
  })
  const serving = endpoints.filter(({ isServing }) => isServing).map(address)
  const others = endpoints.filter(({ isServing }) => !isServing).map(address)
  const [first] = endpoints
  const ports = (service.spec.ports ?? []).map((port) => ({
    ...(port.name !== undefined && { name: port.name }),
    port: (first && targetPortOf(port, first.pod)) ?? port.port,
    protocol: 'TCP',
  }))
  const subset = {
    ...(serving.length > 0 && { addresses: serving }),
    ...(others.length > 0 && { notReadyAddresses: others }),
    ports,
  }
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      name,
      namespace,
      ...(labels !== undefined && { labels }),
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid, controller: true }],
    } as KubeObject['metadata'],
    ...(endpoints.length > 0 && { subsets: [subset] }),
  }
}

/**
 * Gives each Service its cluster IP when it is stored, as the API server does: `a.b.1.0` to `a.b.15.255` of the cluster's
 * /16. An address that a Service brings is taken when it lies there and is free.
 * @param prefix the first two numbers, such as `127.42`
 */
export function clusterIpAdmission(prefix: string, services: () => Iterable<KubeObject>) {
  const rangeSize = 15 * 256
  return (resource: Resource, object: KubeObject, old: KubeObject | undefined): void => {
    if (resource.collection !== '/services') return
    const { spec } = object as Service
    const before = (old as Service | undefined)?.spec.clusterIP
    if (spec.type === 'ExternalName') return
    if (before !== undefined && spec.clusterIP !== undefined && spec.clusterIP !== before)
      throw refusal(
        422,
        'Invalid',
        `Service "${object.metadata.name}" is invalid: spec.clusterIPs[0]: Invalid value: "${spec.clusterIP}": may not change once set`,
      )
    let clusterIP = spec.clusterIP ?? before
    if (clusterIP !== 'None' && !isInRange(clusterIP)) {
      const used = new Set([...services()].map((service) => (service as Service).spec.clusterIP))
      let index = 1
      while (index < rangeSize && used.has(addressAt(index))) index++
      if (index === rangeSize) throw refusal(500, 'InternalError', 'failed to allocate a serviceIP: range is full')
      clusterIP = addressAt(index)
    }
    spec.clusterIP = clusterIP as string
    spec.clusterIPs = [spec.clusterIP]
  }

  function addressAt(index: number): string {
    return `${prefix}.${1 + (index >> 8)}.${index & 255}`
  }

  function isInRange(ip: string | undefined): boolean {
    if (!ip?.startsWith(`${prefix}.`)) return false
    const third = Number(ip.split('.')[2])
    return third >= 1 && third <= 15
  }
}
