import type { Pod, Service } from '../workloads/objects.ts'
import { endpointsOf } from '../workloads/services.ts'

const domain = 'svc.cluster.local'

/**
 * The addresses behind `SERVICE.NAMESPACE.svc.cluster.local` and `POD.SERVICE.NAMESPACE.svc.cluster.local`: the cluster IP,
 * or for a headless Service its pods.
 */
export function addressesOf(name: string, services: Iterable<Service>, pods: readonly Pod[]): string[] | undefined {
  const plain = name.replace(/\.$/, '')
  if (!plain.endsWith(`.${domain}`)) return undefined
  const labels = plain.slice(0, -domain.length - 1).split('.')
  const namespace = labels.pop()
  const serviceName = labels.pop()
  if (labels.length > 1) return undefined
  for (const service of services) {
    if (service.metadata.name !== serviceName || service.metadata.namespace !== namespace) continue
    const serving = endpointsOf(service, pods).filter(({ isServing }) => isServing)
    const [hostname] = labels
    if (hostname === undefined) {
      const { clusterIP } = service.spec
      return clusterIP !== undefined && clusterIP !== 'None' ? [clusterIP] : serving.map(({ ip }) => ip)
    }
    const named = serving.filter(({ pod }) => pod.spec.hostname === hostname && pod.spec.subdomain === serviceName)
    return named.length > 0 ? named.map(({ ip }) => ip) : undefined
  }
  return undefined
}
