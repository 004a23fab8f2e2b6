import type { KubeObject } from './api-server/object.ts'
import type { Registry } from './api-server/registry.ts'
import type { Resource } from './api-server/resource.ts'

/** Where the operator runs: one pod, which the kubelet starts again when it ends. */
export const operatorPod = { namespace: 'rocketmq-operator', name: 'rocketmq-operator' }

const manager = 'local-cluster'
const image = 'localhost/rocketmq-operator:local'
const healthPort = 8080

/** The project's image stands for this checkout, whatever its registry and tag; other images cannot run here. */
export function runtimeEntrypoint(command: string[]): (image: string) => string[] | undefined {
  return (image) => (/(^|\/)rocketmq-operator([:@]|$)/.test(image) ? command : undefined)
}

/** Puts the operator into the cluster. It reaches the API by a kubeconfig in a Secret: no service account is mounted here. */
export function operatorManifest(registry: Registry, kubeconfig: string): void {
  const { namespace, name } = operatorPod
  const apply = (plural: string, object: object) =>
    registry.patch(
      registry.catalog.find('', 'v1', plural) as Resource,
      plural === 'namespaces' ? undefined : namespace,
      (object as KubeObject).metadata.name,
      'apply',
      object,
      { manager, force: true },
    )
  const labels = { 'app.kubernetes.io/name': name }
  const probe = (path: string) => ({ httpGet: { path, port: 'health' }, periodSeconds: 5, timeoutSeconds: 3 })
  apply('namespaces', { metadata: { name: namespace } })
  apply('secrets', { metadata: { name, labels }, data: { kubeconfig: Buffer.from(kubeconfig).toString('base64') } })
  apply('pods', {
    metadata: { name, labels },
    spec: {
      containers: [
        {
          name: 'operator',
          image,
          args: [
            'operator',
            '--kubeconfig',
            '/etc/rocketmq-operator/kubeconfig',
            '--runtime-image',
            image,
            '--health-port',
            String(healthPort),
          ],
          ports: [{ name: 'health', containerPort: healthPort }],
          livenessProbe: probe('/livez'),
          readinessProbe: probe('/readyz'),
          volumeMounts: [{ name: 'access', mountPath: '/etc/rocketmq-operator' }],
        },
      ],
      volumes: [{ name: 'access', secret: { secretName: name } }],
    },
  })
}
