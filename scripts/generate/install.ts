import { group, releaseImage as image, operatorName } from '../../src/crds/index.ts'

const namespace = operatorName
const labels = { 'app.kubernetes.io/name': operatorName, 'app.kubernetes.io/part-of': operatorName }
const healthPort = 8080

/** Everything that `kubectl apply -f deploy/install.yaml` brings into a cluster, in the order it is needed. */
export function installObjects(crds: unknown[]): unknown[] {
  return [namespaceObject, ...crds, serviceAccount, clusterRole, clusterRoleBinding, deployment]
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
      resources: ['nameservers', 'brokersets', 'topics'],
      verbs: ['get', 'list', 'watch', 'patch'], // patch: the finalizer of a Topic
    },
    {
      apiGroups: [group],
      resources: ['nameservers/status', 'brokersets/status', 'topics/status'],
      verbs: ['patch'],
    },
    {
      apiGroups: [group], // clusters that check it ask for this before an owner may block the deletion of its children
      resources: ['nameservers/finalizers', 'brokersets/finalizers', 'topics/finalizers'],
      verbs: ['update'],
    },
    { apiGroups: ['apps'], resources: ['statefulsets'], verbs: made },
    { apiGroups: [''], resources: ['services', 'configmaps'], verbs: made },
    { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: made },
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch', 'delete'] }, // delete: to roll a broker
    { apiGroups: [''], resources: ['events'], verbs: ['create'] },
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

function probe(path: string) {
  return { httpGet: { path, port: 'health' }, periodSeconds: 5, timeoutSeconds: 3 }
}

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: operatorName, namespace, labels },
  spec: {
    replicas: 1,
    strategy: { type: 'Recreate' }, // never two operators at work at the same time
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
        containers: [
          {
            name: 'operator',
            image,
            imagePullPolicy: 'IfNotPresent',
            args: ['operator', '--runtime-image', image, '--health-port', String(healthPort)],
            env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }], // where it answers probes
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
