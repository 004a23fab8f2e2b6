import type { Clock } from '../../base/clock.ts'
import { isOperatingError, messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { isEqual, type KubeObject, objectAt } from '../api-server/object.ts'
import type { Registry } from '../api-server/registry.ts'
import type { Resource } from '../api-server/resource.ts'
import type { Change } from '../api-server/store.ts'
import { collectGarbage } from './garbage.ts'
import type { Pod, Service, StatefulSet } from './objects.ts'
import { endpointsObject, endpointsOf } from './services.ts'
import { isOrphanOf, ownerOf, planStatefulSet } from './statefulset.ts'

const manager = 'local-cluster'
const passesMax = 50 // in one turn; more means two rules undo each other, and the next turn goes on
const retryMs = 500
const eventLifeMs = 3_600_000 // as kube-apiserver keeps them
const eventCheckMs = 60_000
const eventsMax = 2_000 // the oldest go first

/**
 * What kube-controller-manager does for the kinds that are served: one pass over all objects at the end of each turn of
 * the event loop that changed something of concern, until a pass changes nothing. A local cluster is small enough for that.
 */
export function startControllers(registry: Registry, doors: { clock: Clock; log: Log }): { stop(): void } {
  let isScheduled = false
  let isStopped = false
  const all = { workloads: true, owners: true }
  let concern = { ...all }
  const schedule = () => {
    if (isScheduled || isStopped) return
    isScheduled = true
    doors.clock.endOfTurn(run)
  }
  const run = () => {
    isScheduled = false
    if (isStopped) return
    try {
      for (let passes = 0; passes < passesMax && (concern.workloads || concern.owners); passes++) {
        const { workloads, owners } = concern
        concern = { workloads: false, owners: false }
        if (workloads) syncWorkloads(registry, doors.log)
        if (owners) collectGarbage(registry)
      }
      if (concern.workloads || concern.owners) schedule()
    } catch (error) {
      doors.log.error({ err: error }, 'a pass of the controllers failed')
      concern = { ...all }
      doors.clock.after(retryMs, schedule).unref()
    }
  }
  const stop = registry.store.listen((change) => {
    concern.workloads ||= isOfWorkloads(change)
    concern.owners ||= isOfOwners(change)
    if (concern.workloads || concern.owners) schedule()
  })
  const expiry = doors.clock.every(eventCheckMs, () => expireEvents(registry, doors.clock.now()))
  schedule()
  return {
    stop() {
      isStopped = true
      stop()
      expiry.cancel()
    },
  }
}

const workloads = new Set([
  'apps/statefulsets',
  '/pods',
  '/services',
  '/endpoints',
  '/persistentvolumeclaims',
  '/namespaces',
])

/** Whether a change may ask for something of the workloads, or for the next object of a namespace that is being emptied. */
function isOfWorkloads({ collection, type, object }: Change): boolean {
  return workloads.has(collection) || type === 'DELETED' || object.metadata.deletionTimestamp !== undefined
}

/** Whether owners and what they own may not fit each other any more. */
function isOfOwners({ type, object: { metadata }, previous }: Change): boolean {
  if (type === 'DELETED' || metadata.deletionTimestamp !== undefined) return true
  return (
    metadata.ownerReferences !== undefined && !isEqual(metadata.ownerReferences, previous?.metadata.ownerReferences)
  )
}

function syncWorkloads(registry: Registry, log: Log): void {
  const kinds = new Kinds(registry)
  const pods = registry.store.list('/pods') as Pod[]
  for (const set of registry.store.list('apps/statefulsets') as StatefulSet[])
    syncStatefulSet(registry, kinds, set, pods, log)
  for (const service of registry.store.list('/services') as Service[]) syncEndpoints(registry, kinds, service, pods)
  for (const claim of registry.store.list('/persistentvolumeclaims')) bindClaim(registry, kinds, claim)
  for (const namespace of registry.store.list('/namespaces')) emptyNamespace(registry, kinds, namespace)
}

function expireEvents(registry: Registry, nowMs: number): void {
  const events = registry.store.list('/events').map((event) => {
    return {
      event,
      seenMs: Date.parse(String(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp)),
    }
  })
  events.sort((a, b) => b.seenMs - a.seenMs)
  for (const [index, { event, seenMs }] of events.entries()) {
    const { namespace, name } = event.metadata
    if (index >= eventsMax || nowMs - seenMs > eventLifeMs) registry.store.remove('/events', namespace, name)
  }
}

class Kinds {
  readonly pod: Resource
  readonly claim: Resource
  readonly statefulSet: Resource
  readonly endpoints: Resource
  readonly namespace: Resource

  constructor({ catalog }: Registry) {
    const kind = (group: string, plural: string) => catalog.find(group, 'v1', plural) as Resource
    this.pod = kind('', 'pods')
    this.claim = kind('', 'persistentvolumeclaims')
    this.statefulSet = kind('apps', 'statefulsets')
    this.endpoints = kind('', 'endpoints')
    this.namespace = kind('', 'namespaces')
  }
}

function syncStatefulSet(registry: Registry, kinds: Kinds, set: StatefulSet, all: readonly Pod[], log: Log): void {
  const { name, namespace, uid, deletionTimestamp } = set.metadata
  const orphans = deletionTimestamp === undefined ? all.filter((pod) => isOrphanOf(set, pod)) : []
  for (const { metadata, ...pod } of orphans) {
    const ownerReferences = [...(metadata.ownerReferences ?? []), ...ownerOf(set)]
    registry.update(kinds.pod, namespace, { ...pod, metadata: { ...metadata, ownerReferences } }, { manager })
  }
  if (orphans.length > 0) return // the change of the pods wakes the next pass
  const pods = all.filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
  const claims = registry.store
    .list('/persistentvolumeclaims')
    .filter(({ metadata }) => metadata.namespace === namespace)
  const { steps, status } = planStatefulSet(set, pods, new Set(claims.map(({ metadata }) => metadata.name)))
  for (const step of steps) {
    try {
      if (step.do === 'deletePod') registry.delete(kinds.pod, namespace, step.name, {})
      else registry.create(step.do === 'createPod' ? kinds.pod : kinds.claim, namespace, step.object, { manager })
    } catch (error) {
      // A pod of that name may belong to somebody else, or its namespace may be going: the set waits.
      if (!isOperatingError(error, 'KUBE_REFUSED')) throw error
      log.debug({ kind: 'StatefulSet', namespace, name, err: messageOf(error) }, 'step refused')
    }
  }
  if (!isEqual(set.status, status))
    registry.update(kinds.statefulSet, namespace, { ...set, status }, { manager, subresource: 'status' })
}

function syncEndpoints(registry: Registry, kinds: Kinds, service: Service, pods: readonly Pod[]): void {
  const { name, namespace, deletionTimestamp } = service.metadata
  if (service.spec.selector === undefined || deletionTimestamp !== undefined || isTerminating(registry, namespace))
    return
  const wanted = endpointsObject(service, endpointsOf(service, pods))
  const found = registry.find(kinds.endpoints, namespace, name)
  if (found === undefined) registry.create(kinds.endpoints, namespace, wanted, { manager })
  else if (!isEqual(found.subsets, wanted.subsets))
    registry.update(
      kinds.endpoints,
      namespace,
      { ...wanted, metadata: { ...found.metadata, ...wanted.metadata } },
      { manager },
    )
}

function isTerminating(registry: Registry, namespace: string | undefined): boolean {
  return registry.store.get('/namespaces', undefined, namespace ?? '')?.metadata.deletionTimestamp !== undefined
}

/** A claim is bound, and grows, at once: its volume is a folder that the kubelet makes when a pod needs it. */
function bindClaim(registry: Registry, kinds: Kinds, claim: KubeObject): void {
  const before = objectAt(claim.status)
  if (before.phase === 'Bound' && isEqual(before.capacity, objectAt(claim.spec, 'resources', 'requests'))) return
  const { name, namespace, uid } = claim.metadata
  const volumeName = `pvc-${uid}`
  const spec = { ...objectAt(claim.spec), volumeName }
  const bound = registry.update(kinds.claim, namespace, { ...claim, spec }, { manager })
  const capacity = objectAt(spec, 'resources', 'requests')
  const status = { phase: 'Bound', accessModes: objectAt(claim.spec).accessModes ?? ['ReadWriteOnce'], capacity }
  registry.update(
    kinds.claim,
    namespace,
    { ...bound, metadata: { ...bound.metadata, name }, status },
    { manager, subresource: 'status' },
  )
}

/** A namespace that is deleted takes its objects along, and goes when the last one has. */
function emptyNamespace(registry: Registry, kinds: Kinds, namespace: KubeObject): void {
  if (namespace.metadata.deletionTimestamp === undefined) return
  const { name } = namespace.metadata
  let count = 0
  for (const resource of registry.catalog.collections().filter(({ namespaced }) => namespaced)) {
    for (const { metadata } of registry.store.list(resource.collection)) {
      if (metadata.namespace !== name) continue
      if (metadata.deletionTimestamp === undefined) registry.delete(resource, name, metadata.name, {})
      if (registry.find(resource, name, metadata.name) !== undefined) count++
    }
  }
  if (count > 0) return
  const spec = { ...objectAt(namespace.spec), finalizers: [] }
  registry.update(kinds.namespace, undefined, { ...namespace, spec }, { manager })
}
