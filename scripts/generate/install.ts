import { definitions, group, releaseImage as image, operatorName } from '../../src/crds/index.ts'
import { operatorValues } from './operator-values.ts'
import { block, linesInList, linesInMap, plainOf, scalar, whereSet } from './template.ts'

// What the operator is installed with, once for deploy/install.yaml and for the chart: where the two differ, the value of
// the first stands beside the expression of the second.

const defaults = operatorValues.parse({})
const namespace = operatorName
const healthPort = 8080
const tlsDirectory = '/etc/rocketmq-operator/tls'
const plurals = definitions.map(({ plural }) => plural)

const fullname = 'include "rocketmq-operator.fullname" $'
const selectorLabels = { 'app.kubernetes.io/name': operatorName, 'app.kubernetes.io/instance': operatorName }
const labels = block(
  { ...selectorLabels, 'app.kubernetes.io/part-of': operatorName },
  'include "rocketmq-operator.labels" $',
)
const selector = block(selectorLabels, 'include "rocketmq-operator.selectorLabels" $')
const name = scalar(operatorName, fullname)
const inNamespace = { namespace: scalar(namespace, '$.Release.Namespace') }

/** One object, or several that go together, of the installation. */
export interface Part {
  /** Name of the template in the chart. */
  template: string
  /** In the chart: there only where this holds. */
  condition?: string
  /** In the chart: once for each item of this list, which is `$namespace`. */
  forEachNamespace?: true
  /** The chart alone has it. */
  isChartOnly?: true
  objects: unknown[]
}

/** Everything that `kubectl apply -f deploy/install.yaml` brings into a cluster, in the order it is needed. */
export function installObjects(crds: unknown[]): unknown[] {
  const parts = operatorParts().filter(({ isChartOnly }) => !isChartOnly)
  return [namespaceObject, ...crds, ...parts.flatMap(({ objects }) => objects).map(plainOf)]
}

const namespaceObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: namespace,
    labels: {
      ...selectorLabels,
      'app.kubernetes.io/part-of': operatorName,
      'pod-security.kubernetes.io/enforce': 'restricted',
    },
  },
}

/** The operator itself, without the resource definitions: in the order in which it is applied. */
export function operatorParts(): Part[] {
  return [
    { template: 'serviceaccount', objects: [serviceAccount] },
    ...permissions,
    { template: 'leader-election', objects: [leaderRole, leaderRoleBinding] },
    { template: 'poddisruptionbudget', condition: '.Values.podDisruptionBudget.enabled', objects: [disruptionBudget] },
    {
      template: 'service',
      condition: 'or .Values.metrics.service.enabled .Values.metrics.serviceMonitor.enabled',
      objects: [metricsService],
    },
    { template: 'deployment', objects: [deployment] },
    {
      template: 'servicemonitor',
      condition: '.Values.metrics.serviceMonitor.enabled',
      isChartOnly: true,
      objects: [serviceMonitor],
    },
    {
      template: 'networkpolicy',
      condition: '.Values.networkPolicy.enabled',
      isChartOnly: true,
      objects: [networkPolicy],
    },
  ]
}

const serviceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, ...inNamespace, labels } }
const subjects = [{ kind: 'ServiceAccount', name, ...inNamespace }]
const rbac = 'rbac.authorization.k8s.io'

const made = ['get', 'list', 'watch', 'create', 'patch', 'delete'] // what a controller does with objects it makes

const rulesInNamespaces = [
  {
    apiGroups: [group],
    resources: plurals,
    verbs: ['get', 'list', 'watch', 'patch'], // patch: finalizers
  },
  {
    apiGroups: [group],
    resources: plurals.map((plural) => `${plural}/status`),
    verbs: ['patch'],
  },
  {
    apiGroups: [group], // clusters that check it ask for this before an owner may block the deletion of its children
    resources: plurals.map((plural) => `${plural}/finalizers`),
    verbs: ['update'],
  },
  { apiGroups: ['apps'], resources: ['statefulsets'], verbs: made },
  { apiGroups: [''], resources: ['services', 'configmaps'], verbs: made },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: made },
  // delete: to roll a broker; patch: to label it with its role
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch', 'delete', 'patch'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }, // patch: to count one up
  { apiGroups: [''], resources: ['persistentvolumeclaims'], verbs: ['list', 'patch'] }, // patch: to let them grow
]
const rulesInCluster = [
  // whose volumes belong to root, and whose may grow
  { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['list'] },
  {
    apiGroups: ['apiextensions.k8s.io'], // whether they are as new as the operator
    resources: ['customresourcedefinitions'],
    resourceNames: plurals.map((plural) => `${plural}.${group}`),
    verbs: ['get'],
  },
]
// whose labels decide what may be referred to from there
const rulesForAll = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] }]

function clusterRole(name: unknown, rules: unknown[]) {
  const metadata = { name, labels }
  return [
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
      subjects,
    },
  ]
}

function role(metadata: { name: unknown }, rules: unknown[]) {
  return [
    { apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'Role', name: metadata.name },
      subjects,
    },
  ]
}

/** All over the cluster, or in the namespaces that are looked at; then several releases of one name may live side by side. */
const permissions: Part[] = [
  {
    template: 'clusterrole',
    condition: 'eq .Values.watch.scope "All"',
    objects: clusterRole(name, [...rulesInNamespaces, ...rulesInCluster, ...rulesForAll]),
  },
  {
    template: 'clusterrole-reads',
    condition: 'ne .Values.watch.scope "All"',
    isChartOnly: true,
    objects: clusterRole(scalar('', `printf "%s:%s:reads" $.Release.Namespace (${fullname})`), rulesInCluster),
  },
  {
    template: 'role',
    condition: 'ne .Values.watch.scope "All"',
    forEachNamespace: true,
    isChartOnly: true,
    objects: role({ name, namespace: scalar('', '$namespace'), labels } as { name: unknown }, rulesInNamespaces),
  },
]

/** In the operator's own namespace: the one among several that works holds a Lease here. */
const leaderName = scalar(`${operatorName}-leader`, `printf "%s-leader" (${fullname})`)
const [leaderRole, leaderRoleBinding] = role({ name: leaderName, ...inNamespace, labels } as { name: unknown }, [
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] }, // create cannot be limited to a name
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: [name],
    verbs: ['get', 'patch'],
  },
  { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }, // about the operator's own pod
])

const disruptionBudget = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name, ...inNamespace, labels },
  spec: {
    maxUnavailable: scalar(defaults.podDisruptionBudget.maxUnavailable, '$.Values.podDisruptionBudget.maxUnavailable'),
    selector: { matchLabels: selector },
  },
}

const metricsPort = 'http-metrics'

const metricsService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: scalar(`${operatorName}-metrics`, `printf "%s-metrics" (${fullname})`),
    ...inNamespace,
    labels,
  },
  spec: {
    type: 'ClusterIP',
    selector,
    ports: [{ name: metricsPort, port: healthPort, targetPort: 'health', protocol: 'TCP' }],
  },
}

const serviceMonitor = {
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'ServiceMonitor',
  metadata: {
    name,
    ...inNamespace,
    labels: block(
      {},
      'merge (dict) $.Values.metrics.serviceMonitor.labels (fromYaml (include "rocketmq-operator.labels" $)) | toYaml',
    ),
  },
  spec: {
    selector: { matchLabels: selector },
    endpoints: [{ port: metricsPort, interval: scalar('', '$.Values.metrics.serviceMonitor.interval | quote') }],
  },
}

const networkPolicy = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, ...inNamespace, labels },
  spec: {
    podSelector: { matchLabels: selector },
    policyTypes: ['Ingress'],
    ingress: [
      {
        ports: [{ port: healthPort, protocol: 'TCP' }],
        ...whereSet('from', '$.Values.networkPolicy.from'),
      },
    ],
  },
}

function probe(path: string) {
  return { httpGet: { path, port: 'health' }, periodSeconds: 5, timeoutSeconds: 3 }
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, ...inNamespace, labels },
  spec: {
    replicas: scalar(defaults.replicas, '$.Values.replicas'), // one works, the other one is ready to: it has seen everything already
    selector: { matchLabels: selector },
    template: {
      metadata: {
        labels: block(
          { ...selectorLabels, 'app.kubernetes.io/part-of': operatorName },
          'include "rocketmq-operator.podLabels" $',
        ),
        ...whereSet('annotations', '$.Values.podAnnotations'),
      },
      spec: {
        serviceAccountName: name,
        ...whereSet('imagePullSecrets', '$.Values.imagePullSecrets'),
        ...linesInMap('{{- with $.Values.priorityClassName }}', 'priorityClassName: {{ . | quote }}', '{{- end }}'),
        ...whereSet('nodeSelector', '$.Values.nodeSelector'),
        ...whereSet('tolerations', '$.Values.tolerations'),
        ...whereSet('affinity', '$.Values.affinity'),
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 10001,
          runAsGroup: 10001,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        terminationGracePeriodSeconds: 30,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'ScheduleAnyway',
            labelSelector: { matchLabels: selector },
          },
        ],
        containers: [
          {
            name: 'operator',
            image: scalar(image, 'include "rocketmq-operator.image" $ | quote'),
            imagePullPolicy: scalar(defaults.image.pullPolicy, '$.Values.image.pullPolicy'),
            args: [
              'operator',
              '--runtime-image',
              scalar(image, `$.Values.runtimeImage | default (include "rocketmq-operator.image" $) | quote`),
              '--lease',
              scalar(`$(POD_NAMESPACE)/${operatorName}`, `printf "$(POD_NAMESPACE)/%s" (${fullname})`),
              '--health-port',
              String(healthPort),
              '--log-level',
              scalar(defaults.logLevel, '$.Values.logLevel'),
              linesInList(
                '{{- range include "rocketmq-operator.namespaces" $ | fromJsonArray }}',
                '- --namespace',
                '- {{ . | quote }}',
                '{{- end }}',
                '{{- if $.Values.tls.enabled }}',
                '- --tls.enable',
                '{{- if $.Values.tls.secretName }}',
                '- --tls.config.file',
                `- ${tlsDirectory}/tls.properties`,
                '{{- end }}',
                '{{- end }}',
              ),
            ],
            env: [
              { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }, // where it answers probes
              { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
              { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } }, // for events about it
            ],
            ports: [{ name: 'health', containerPort: healthPort }],
            livenessProbe: { ...probe('/livez'), failureThreshold: 6 },
            readinessProbe: probe('/readyz'),
            resources: block(defaults.resources, 'toYaml $.Values.resources'),
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            },
            ...whereTls('volumeMounts:', '  - name: tls', `    mountPath: ${tlsDirectory}`, '    readOnly: true'),
          },
        ],
        ...whereTls(
          'volumes:',
          '  - name: tls',
          '    secret:',
          '      secretName: {{ $.Values.tls.secretName | quote }}',
        ),
      },
    },
  },
}

function whereTls(...lines: string[]): Record<string, null> {
  return linesInMap('{{- if and $.Values.tls.enabled $.Values.tls.secretName }}', ...lines, '{{- end }}')
}
