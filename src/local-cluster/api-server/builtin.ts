import { type Cause, isEqual, isObject, type JsonObject, type KubeObject, objectAt, valueAt } from './object.ts'
import { ageOf, type Column, humanDuration, type Resource } from './resource.ts'

type Read = (object: KubeObject, nowMs: number) => unknown

function column(name: string, read: Read, priority = 0, type = 'string'): Column {
  return { name, type, priority, description: '', read, ...(name === 'Name' && { format: 'name' }) }
}

function field(...path: string[]): Read {
  return (object) => valueAt(object, path)
}

function list(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

const name = column('Name', (object) => object.metadata.name)
const age = column('Age', (object, nowMs) => ageOf(object.metadata, nowMs))

function resource(
  group: string,
  version: string,
  kind: string,
  plural: string,
  more: Partial<Omit<Resource, 'columns'>> & { columns?: Column[] } = {},
): Resource {
  return {
    group,
    version,
    kind,
    plural,
    singular: kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    collection: `${group}/${plural}`,
    hasStatus: false,
    hasGeneration: false,
    scale: undefined,
    schema: undefined,
    ...more,
    columns: more.columns?.some(({ name }) => name === 'Name') ? more.columns : [name, ...(more.columns ?? []), age],
  }
}

/** Sets fields that are missing. */
function defaults(target: JsonObject, values: JsonObject): void {
  for (const [key, value] of Object.entries(values)) if (target[key] === undefined) target[key] = value
}

function specOf(object: KubeObject): JsonObject {
  if (!isObject(object.spec)) object.spec = {}
  return object.spec as JsonObject
}

function completePodSpec(spec: JsonObject): void {
  defaults(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  })
  for (const volume of list(spec.volumes)) {
    for (const source of ['configMap', 'secret'])
      if (isObject(volume[source])) defaults(volume[source], { defaultMode: 420 })
  }
  for (const container of [...list(spec.containers), ...list(spec.initContainers)]) {
    defaults(container, {
      resources: {},
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy: /:(?!latest$)[^/]+$/.test(String(container.image)) ? 'IfNotPresent' : 'Always',
    })
    for (const port of list(container.ports)) defaults(port, { protocol: 'TCP' })
    for (const env of list(container.env)) {
      if (isObject(objectAt(env, 'valueFrom').fieldRef))
        defaults(objectAt(env, 'valueFrom', 'fieldRef'), { apiVersion: 'v1' })
    }
    for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
      if (!isObject(probe)) continue
      defaults(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 })
      if (isObject(probe.httpGet)) defaults(probe.httpGet, { path: '/', scheme: 'HTTP' })
    }
  }
}

function completeStatefulSet(object: KubeObject): void {
  const spec = specOf(object)
  defaults(spec, {
    replicas: 1,
    podManagementPolicy: 'OrderedReady',
    updateStrategy: {},
    revisionHistoryLimit: 10,
    persistentVolumeClaimRetentionPolicy: {},
  })
  const strategy = objectAt(spec, 'updateStrategy')
  defaults(strategy, { type: 'RollingUpdate' })
  if (strategy.type === 'RollingUpdate') {
    defaults(strategy, { rollingUpdate: {} })
    defaults(objectAt(strategy, 'rollingUpdate'), { partition: 0 })
  }
  defaults(objectAt(spec, 'persistentVolumeClaimRetentionPolicy'), { whenDeleted: 'Retain', whenScaled: 'Retain' })
  completePodSpec(objectAt(spec, 'template', 'spec'))
  for (const claim of list(spec.volumeClaimTemplates)) {
    defaults(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', status: { phase: 'Pending' } })
    defaults(objectAt(claim, 'spec'), { volumeMode: 'Filesystem' })
  }
}

/** An immutable ConfigMap or Secret; metadata may change. Source: Kubernetes, ValidateConfigMapUpdate. */
function immutableProblems(object: KubeObject, old: KubeObject | undefined): Cause[] {
  if (old?.immutable !== true) return []
  const message = 'Forbidden: field is immutable when `immutable` is set'
  return ['immutable', 'data', 'binaryData']
    .filter((field) => !isEqual(object[field], old[field]))
    .map((field) => ({ reason: 'FieldValueForbidden', field, message }))
}

const changeableOfSet = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]

/** Source: Kubernetes, ValidateStatefulSetSpec and ValidateStatefulSetUpdate. */
function statefulSetProblems(object: KubeObject, old: KubeObject | undefined): Cause[] {
  const problems: Cause[] = []
  const spec = objectAt(object.spec)
  const tell = (reason: string, field: string, message: string) => problems.push({ reason, field, message })
  if (Number(spec.replicas) < 0) {
    const message = `Invalid value: ${spec.replicas}: must be greater than or equal to 0`
    tell('FieldValueInvalid', 'spec.replicas', message)
  }
  const labels = objectAt(spec, 'template', 'metadata', 'labels')
  const isSelected = Object.entries(objectAt(spec, 'selector', 'matchLabels')).every(
    ([key, value]) => labels[key] === value,
  )
  if (!isSelected) {
    const message = `Invalid value: ${JSON.stringify(labels)}: \`selector\` does not match template \`labels\``
    tell('FieldValueInvalid', 'spec.template.metadata.labels', message)
  }
  const { type, rollingUpdate } = objectAt(spec, 'updateStrategy')
  if (type === 'OnDelete' && rollingUpdate !== undefined) {
    const message = "Invalid value: true: only allowed for updateStrategy 'RollingUpdate'"
    tell('FieldValueInvalid', 'spec.updateStrategy.rollingUpdate', message)
  }
  const before = objectAt(old?.spec)
  const isFixed = (key: string) => !changeableOfSet.includes(key)
  if (
    old !== undefined &&
    [...Object.keys({ ...before, ...spec })].some((key) => isFixed(key) && !isEqual(spec[key], before[key]))
  ) {
    const names = changeableOfSet.map((name) => `'${name}'`)
    const allowed = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
    const message = `Forbidden: updates to statefulset spec for fields other than ${allowed} are forbidden`
    tell('FieldValueForbidden', 'spec', message)
  }
  return problems
}

function completeService(object: KubeObject): void {
  const spec = specOf(object)
  defaults(spec, { type: 'ClusterIP', sessionAffinity: 'None' })
  if (spec.type === 'ExternalName') return
  defaults(spec, { ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack', internalTrafficPolicy: 'Cluster' })
  for (const port of list(spec.ports)) defaults(port, { protocol: 'TCP', targetPort: port.port })
}

function podStatus(pod: KubeObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating'
  for (const { state } of list(objectAt(pod, 'status').containerStatuses)) {
    const reason = objectAt(state, 'waiting').reason ?? objectAt(state, 'terminated').reason
    if (reason !== undefined) return String(reason)
  }
  return String(objectAt(pod, 'status').reason ?? objectAt(pod, 'status').phase ?? 'Pending')
}

function podRestarts(pod: KubeObject, nowMs: number): string {
  const statuses = list(objectAt(pod, 'status').containerStatuses)
  const count = statuses.reduce((sum, { restartCount }) => sum + Number(restartCount ?? 0), 0)
  const ends = statuses.map(({ lastState }) => Date.parse(String(objectAt(lastState, 'terminated').finishedAt)))
  const last = Math.max(...ends.filter((end) => !Number.isNaN(end)), 0)
  return count > 0 && last > 0 ? `${count} (${humanDuration(nowMs - last)} ago)` : String(count)
}

function readinessGates(pod: KubeObject): string {
  const gates = list(objectAt(pod, 'spec').readinessGates)
  const isTrue = (type: unknown) =>
    list(objectAt(pod, 'status').conditions).some((one) => one.type === type && one.status === 'True')
  return gates.length === 0
    ? '<none>'
    : `${gates.filter(({ conditionType }) => isTrue(conditionType)).length}/${gates.length}`
}

const podColumns = [
  name,
  column('Ready', (pod) => {
    const statuses = list(objectAt(pod, 'status').containerStatuses)
    return `${statuses.filter(({ ready }) => ready === true).length}/${list(objectAt(pod, 'spec').containers).length}`
  }),
  column('Status', podStatus),
  column('Restarts', podRestarts),
  age,
  column('IP', (pod) => objectAt(pod, 'status').podIP ?? '<none>', 1),
  column('Node', (pod) => objectAt(pod, 'spec').nodeName ?? '<none>', 1),
  column('Nominated Node', (pod) => objectAt(pod, 'status').nominatedNodeName ?? '<none>', 1),
  column('Readiness Gates', (pod) => readinessGates(pod), 1),
]

const serviceColumns = [
  name,
  column('Type', field('spec', 'type')),
  column('Cluster-IP', (service) => objectAt(service, 'spec').clusterIP ?? '<none>'),
  column('External-IP', () => '<none>'),
  column('Port(s)', (service) => {
    const ports = list(objectAt(service, 'spec').ports)
    return ports.map(({ port, protocol }) => `${port}/${protocol}`).join(',') || '<none>'
  }),
  age,
  column(
    'Selector',
    (service) => {
      const labels = Object.entries(objectAt(service, 'spec', 'selector'))
      return labels.map(([key, value]) => `${key}=${value}`).join(',') || '<none>'
    },
    1,
  ),
]

function seenAgo(time: unknown, { metadata }: KubeObject, nowMs: number): string {
  return humanDuration(nowMs - Date.parse(String(time ?? metadata.creationTimestamp)))
}

const eventColumns = [
  column('Last Seen', (event, nowMs) => {
    return seenAgo(event.lastTimestamp ?? event.eventTime, event, nowMs)
  }),
  column('Type', field('type')),
  column('Reason', field('reason')),
  column('Object', (event) => {
    const { kind, name } = objectAt(event.involvedObject ?? event.regarding)
    return `${String(kind).toLowerCase()}/${name}`
  }),
  column('Subobject', (event) => objectAt(event.involvedObject ?? event.regarding).fieldPath ?? '', 1),
  column('Source', (event) => event.reportingComponent || (objectAt(event.source).component ?? ''), 1),
  column('Message', (event) => event.message ?? event.note),
  column('First Seen', (event, nowMs) => seenAgo(event.firstTimestamp ?? event.eventTime, event, nowMs), 1),
  column('Count', (event) => event.count ?? objectAt(event.series).count ?? 1, 1, 'integer'),
  { ...name, priority: 1 },
]

/** events.k8s.io/v1 names the fields of a core/v1 Event differently; one collection holds both. */
const eventConversion = {
  toStored({ note, regarding, reportingController, reportingInstance, related, ...event }: KubeObject): KubeObject {
    return {
      ...event,
      apiVersion: 'v1',
      message: note,
      involvedObject: regarding,
      related,
      reportingComponent: reportingController,
      reportingInstance,
      source: { component: reportingController },
      firstTimestamp: event.deprecatedFirstTimestamp ?? event.eventTime,
      lastTimestamp: objectAt(event.series).lastObservedTime ?? event.deprecatedLastTimestamp ?? event.eventTime,
      count: objectAt(event.series).count ?? event.deprecatedCount ?? 1,
    }
  },
  fromStored({
    message,
    involvedObject,
    reportingComponent,
    source,
    count,
    firstTimestamp,
    lastTimestamp,
    ...event
  }: KubeObject): KubeObject {
    return {
      ...event,
      apiVersion: 'events.k8s.io/v1',
      note: message,
      regarding: involvedObject,
      reportingController: reportingComponent || objectAt(source).component,
      deprecatedSource: source,
      deprecatedCount: count,
      deprecatedFirstTimestamp: firstTimestamp,
      deprecatedLastTimestamp: lastTimestamp,
    }
  },
}

function containersOf(set: KubeObject): JsonObject[] {
  return list(objectAt(set, 'spec', 'template', 'spec').containers)
}

function ratio(part: readonly string[], whole: readonly string[]): Read {
  return (object) => `${valueAt(object, part) ?? 0}/${valueAt(object, whole) ?? 0}`
}

const rbac = 'rbac.authorization.k8s.io'

/** Every built-in kind that the local cluster serves. Stored only: those that nothing here acts on, such as roles. */
export const builtinResources: readonly Resource[] = [
  resource('', 'v1', 'Namespace', 'namespaces', {
    namespaced: false,
    shortNames: ['ns'],
    hasStatus: true,
    columns: [column('Status', field('status', 'phase'))],
    complete(object) {
      defaults(specOf(object), { finalizers: ['kubernetes'] })
      if (!isObject(object.status)) object.status = { phase: 'Active' }
      object.metadata.labels = { ...object.metadata.labels, 'kubernetes.io/metadata.name': object.metadata.name }
    },
  }),
  resource('', 'v1', 'Node', 'nodes', {
    namespaced: false,
    shortNames: ['no'],
    hasStatus: true,
    columns: [column('Status', () => 'Ready'), column('Version', field('status', 'nodeInfo', 'kubeletVersion'))],
  }),
  resource('', 'v1', 'Pod', 'pods', {
    shortNames: ['po'],
    categories: ['all'],
    hasStatus: true,
    columns: podColumns,
    complete(object, old) {
      completePodSpec(specOf(object))
      if (old === undefined) object.status = { phase: 'Pending', qosClass: 'BestEffort' }
    },
  }),
  resource('', 'v1', 'Service', 'services', {
    shortNames: ['svc'],
    categories: ['all'],
    hasStatus: true,
    columns: serviceColumns,
    complete(object) {
      completeService(object)
      if (!isObject(object.status)) object.status = { loadBalancer: {} }
    },
  }),
  resource('', 'v1', 'Endpoints', 'endpoints', {
    shortNames: ['ep'],
    singular: 'endpoints',
    columns: [
      column('Endpoints', (object) => {
        const all = list(object.subsets).flatMap(({ addresses, ports }) =>
          list(addresses).flatMap(({ ip }) => list(ports).map(({ port }) => `${ip}:${port}`)),
        )
        return all.slice(0, 3).join(',') + (all.length > 3 ? ` + ${all.length - 3} more...` : '') || '<none>'
      }),
    ],
  }),
  resource('', 'v1', 'ConfigMap', 'configmaps', {
    shortNames: ['cm'],
    columns: [
      column(
        'Data',
        (object) => Object.keys({ ...objectAt(object.data), ...objectAt(object.binaryData) }).length,
        0,
        'integer',
      ),
    ],
    problemsOf: immutableProblems,
  }),
  resource('', 'v1', 'Secret', 'secrets', {
    problemsOf: immutableProblems,
    columns: [column('Type', field('type')), column('Data', (object) => Object.keys(objectAt(object.data)).length)],
    complete(object) {
      defaults(object, { type: 'Opaque' })
      const plain = Object.entries(objectAt(object.stringData))
      if (plain.length === 0) return
      const encoded = plain.map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')])
      object.data = { ...objectAt(object.data), ...Object.fromEntries(encoded) }
      delete object.stringData
    },
  }),
  resource('', 'v1', 'ServiceAccount', 'serviceaccounts', {
    shortNames: ['sa'],
    columns: [column('Secrets', (account) => list(account.secrets).length, 0, 'integer')],
  }),
  resource('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims', {
    shortNames: ['pvc'],
    hasStatus: true,
    columns: [
      name,
      column('Status', field('status', 'phase')),
      column('Volume', field('spec', 'volumeName')),
      column('Capacity', field('status', 'capacity', 'storage')),
      column('Access Modes', () => 'RWO'),
      column('StorageClass', field('spec', 'storageClassName')),
      column('VolumeAttributesClass', (claim) => objectAt(claim.spec).volumeAttributesClassName ?? '<unset>'),
      age,
      column('VolumeMode', field('spec', 'volumeMode'), 1),
    ],
    complete(object, old) {
      defaults(specOf(object), { volumeMode: 'Filesystem', storageClassName: 'standard' })
      if (old === undefined) object.status = { phase: 'Pending' }
    },
  }),
  resource('', 'v1', 'Event', 'events', { shortNames: ['ev'], columns: eventColumns }),
  resource('events.k8s.io', 'v1', 'Event', 'events', {
    shortNames: ['ev'],
    columns: eventColumns,
    collection: '/events',
    convert: eventConversion,
  }),
  resource('apps', 'v1', 'StatefulSet', 'statefulsets', {
    shortNames: ['sts'],
    categories: ['all'],
    hasStatus: true,
    hasGeneration: true,
    scale: { specReplicas: ['spec', 'replicas'], statusReplicas: ['status', 'replicas'], labelSelector: undefined },
    columns: [
      name,
      column('Ready', ratio(['status', 'readyReplicas'], ['spec', 'replicas'])),
      age,
      column(
        'Containers',
        (set) =>
          containersOf(set)
            .map((one) => one.name)
            .join(','),
        1,
      ),
      column(
        'Images',
        (set) =>
          containersOf(set)
            .map((one) => one.image)
            .join(','),
        1,
      ),
    ],
    complete(object, old) {
      completeStatefulSet(object)
      if (old === undefined) object.status = { replicas: 0 }
    },
    problemsOf: statefulSetProblems,
  }),
  resource('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets', {
    shortNames: ['pdb'],
    hasStatus: true,
    hasGeneration: true,
    columns: [
      column('Min Available', (object) => objectAt(object, 'spec').minAvailable ?? 'N/A'),
      column('Max Unavailable', (object) => objectAt(object, 'spec').maxUnavailable ?? 'N/A'),
      column('Allowed Disruptions', (object) => objectAt(object.status).disruptionsAllowed ?? 0, 0, 'integer'),
    ],
  }),
  resource('coordination.k8s.io', 'v1', 'Lease', 'leases', {
    columns: [column('Holder', field('spec', 'holderIdentity'))],
  }),
  resource(rbac, 'v1', 'Role', 'roles'),
  resource(rbac, 'v1', 'RoleBinding', 'rolebindings'),
  resource(rbac, 'v1', 'ClusterRole', 'clusterroles', { namespaced: false }),
  resource(rbac, 'v1', 'ClusterRoleBinding', 'clusterrolebindings', { namespaced: false }),
  resource('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', {
    namespaced: false,
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    hasStatus: true,
    hasGeneration: true,
    columns: [column('Created At', (object) => object.metadata.creationTimestamp)],
  }),
]
