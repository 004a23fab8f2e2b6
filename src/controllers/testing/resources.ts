import {
  annotation,
  apiVersion,
  type BrokerSetStatus,
  brokerSetSpec,
  consumerGroupSpec,
  type NameServerStatus,
  nameServerSpec,
  topicSpec,
} from '../../crds/index.ts'
import type { Pod, Service, StatefulSet } from '../../kube/index.ts'
import type { BrokerSet, ConsumerGroup, NameServer, Topic } from '../resources.ts'

/** Resources and children as the API server would show them, for tests. */
const metadata = (name: string) => ({ name, namespace: 'shop', uid: `uid-${name}`, generation: 1 })

export function nameServer(spec: object = {}, status?: NameServerStatus): NameServer {
  const resource = { apiVersion, kind: 'NameServer', metadata: metadata('mq'), spec: nameServerSpec.parse(spec) }
  return status ? { ...resource, status } : resource
}

export function brokerSet(spec: object = {}, status?: BrokerSetStatus): BrokerSet {
  const parsed = brokerSetSpec.parse({ nameServerRef: { name: 'mq' }, ...spec })
  const resource = { apiVersion, kind: 'BrokerSet', metadata: metadata('b'), spec: parsed }
  return status ? { ...resource, status } : resource
}

/** One that owns its topic. */
export function topic(spec: object = {}, status: Topic['status'] = {}): Topic {
  const parsed = topicSpec.parse({ brokerSetRef: { name: 'b' }, ...spec })
  const owned = { owner: 'uid-orders', ...status }
  return { apiVersion, kind: 'Topic', metadata: metadata('orders'), spec: parsed, status: owned }
}

/** One that owns its group. */
export function consumerGroup(spec: object = {}, status: ConsumerGroup['status'] = {}): ConsumerGroup {
  const parsed = consumerGroupSpec.parse({ brokerSetRef: { name: 'b' }, ...spec })
  const owned = { owner: 'uid-billing', ...status }
  return { apiVersion, kind: 'ConsumerGroup', metadata: metadata('billing'), spec: parsed, status: owned }
}

export function pod(name: string, { ready = true, hash = '', ip = '10.0.0.1' } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: `uid-${name}`, annotations: { [annotation.podHash]: hash } },
    status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }
}

export function service(name: string, clusterIP: string): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec: { clusterIP } }
}

/** A StatefulSet whose controller has seen its template. @param given image: of an earlier pass, maybe of another operator */
export function statefulSet(name: string, hash: string, { image = 'localhost/mq:1', replicas = 1 } = {}): StatefulSet {
  const args = ['broker', '-c', '/etc/rocketmq/$(POD_NAME).conf']
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, namespace: 'shop', generation: 3, annotations: { [annotation.madeFor]: hash } },
    spec: {
      replicas,
      template: { metadata: { annotations: { [annotation.podHash]: hash } }, spec: { containers: [{ image, args }] } },
    },
    status: { observedGeneration: 3 },
  } as unknown as StatefulSet
}
