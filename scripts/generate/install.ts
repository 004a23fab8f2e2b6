import { definitions, group, releaseImage as image, operatorName } from '../../src/crds/index.ts'

const namespace = operatorName
const labels = { 'app.kubernetes.io/name': operatorName, 'app.kubernetes.io/part-of': operatorName }
const healthPort = 8080
const plurals = definitions.map(({ plural }) => plural)

/** Everything that `kubectl apply -f deploy/install.yaml` brings into a cluster, in the order it is needed. */
export function installObjects(crds: unknown[]): unknown[] {
  return [
    namespaceObject,
    ...crds,
    serviceAccount,
    clusterRole,
    clusterRoleBinding,
    leaderRole,
    leaderRoleBinding,
    disruptionBudget,
    deployment,
  ]
}

const namespaceObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: namespace, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
}

const serviceAccount = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: operatorName, namespace, labels } }

const made = ['get', 'list', 'watch', 'create', 'patch', 'delete'] // what a controller does with objects it makes

const clusterRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: operatorName, labels },
  rules: [
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
    { apiGroups: ['storage.k8s.io'], resources: ['storageclasses'], verbs: ['list'] }, // whose volumes belong to root
  ],
}

const clusterRoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: operatorName, labels },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: operatorName },
  subjects: [{ kind: 'ServiceAccount', name: operatorName, namespace }],
}

/** The one among several operators that works holds a Lease here. */
const leaderRole = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: { name: operatorName, namespace, labels },
  rules: [
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] }, // create cannot be limited to a name
    {
      apiGroups: ['coordination.k8s.io'],
      resources: ['leases'],
      resourceNames: [operatorName],
      verbs: ['get', 'patch'],
    },
  ],
}

const leaderRoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: operatorName, namespace, labels },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: operatorName },
  subjects: [{ kind: 'ServiceAccount', name: operatorName, namespace }],
}

const disruptionBudget = {
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: operatorName, namespace, labels },
  spec: { maxUnavailable: 1, selector: { matchLabels: { 'app.kubernetes.io/name': operatorName } } },
}

function probe(path: string) {
  return { httpGet: { path, port: 'health' }, periodSeconds: 5, timeoutSeconds: 3 }
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: operatorName, namespace, labels },
  spec: {
    replicas: 2, // one works, the other one is ready to: it has seen everything already
    selector: { matchLabels: { 'app.kubernetes.io/name': operatorName } },
    template: {
      metadata: { labels },
      spec: {
        serviceAccountName: operatorName,
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
            labelSelector: { matchLabels: { 'app.kubernetes.io/name': operatorName } },
          },
        ],
        containers: [
          {
            name: 'operator',
            image,
            imagePullPolicy: 'IfNotPresent',
            args: [
              'operator',
              '--runtime-image',
              image,
              '--lease',
              `$(POD_NAMESPACE)/${operatorName}`,
              '--health-port',
              String(healthPort),
            ],
            env: [
              { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }, // where it answers probes
              { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
            ],
            ports: [{ name: 'health', containerPort: healthPort }],
            livenessProbe: { ...probe('/livez'), failureThreshold: 6 },
            readinessProbe: probe('/readyz'),
            resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ['ALL'] },
            },
          },
        ],
      },
    },
  },
}
