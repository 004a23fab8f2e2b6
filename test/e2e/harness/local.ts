import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOperatingError } from '../../../src/base/errors.ts'
import { createLog, listenHttp, nodeDoors } from '../../../src/base/node/index.ts'
import type { KubeObject } from '../../../src/local-cluster/api-server/object.ts'
import type { Registry } from '../../../src/local-cluster/api-server/registry.ts'
import type { Resource } from '../../../src/local-cluster/api-server/resource.ts'
import { parseLabelSelector } from '../../../src/local-cluster/api-server/selectors.ts'
import { startCluster } from '../../../src/local-cluster/cluster.ts'
import { operatorManifest, operatorPod, runtimeEntrypoint } from '../../../src/local-cluster/operator.ts'
import { type Item, type Kube, NoAnswer } from './kube.ts'

const projectDir = join(import.meta.dirname, '../../..')
const writer = { manager: 'e2e', force: true }

/** The local cluster with the operator in it, in this process; its pods are processes of their own. */
export interface LocalKubernetes {
  in(namespace: string): Kube
  /** For kubectl: the file's path. */
  kubeconfig: string
  /** What pods logged, the operator's among them; each with its file's name. */
  logs(): { name: string; text: string }[]
  /** Ends it, and leaves nothing of it. */
  close(): Promise<void>
}

export async function openLocal(): Promise<LocalKubernetes> {
  const folder = mkdtempSync(join(tmpdir(), 'rocketmq-e2e-'))
  const crds = join(projectDir, 'deploy/crds')
  const manifests = readdirSync(crds)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => readFileSync(join(crds, name), 'utf8'))
  const entrypoint = runtimeEntrypoint([process.execPath, join(projectDir, 'src/main.js')])
  const doors = { ...nodeDoors(createLog('error', { component: 'local-cluster' })), listenHttp }
  const cluster = await startCluster({ folder, port: 0, manifests, entrypoint }, doors)
  const killAll = () => cluster.killNow()
  process.once('exit', killAll)
  operatorManifest(cluster.registry, readFileSync(cluster.kubeconfig, 'utf8'))
  return {
    in: (namespace) => new LocalKube(cluster.registry, namespace),
    kubeconfig: cluster.kubeconfig,
    logs: () =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.log'))
        .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') })),
    async close() {
      await cluster.stop()
      process.off('exit', killAll)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export { operatorPod }

class LocalKube implements Kube {
  readonly namespace: string
  readonly #registry: Registry

  constructor(registry: Registry, namespace: string) {
    this.#registry = registry
    this.namespace = namespace
  }

  in(namespace: string): Kube {
    return new LocalKube(this.#registry, namespace)
  }

  async apply(...objects: object[]): Promise<void> {
    for (const object of objects as KubeObject[]) {
      const resource = this.#registry.catalog.findKind(object.apiVersion, object.kind)
      if (resource === undefined) throw new Error(`no such kind here: ${object.apiVersion} ${object.kind}`)
      answered(() => this.#registry.patch(resource, this.#at(resource), object.metadata.name, 'apply', object, writer))
    }
  }

  async find(kind: string, name: string): Promise<Item | undefined> {
    const resource = this.#resource(kind)
    return this.#registry.find(resource, this.#at(resource), name)
  }

  async list(kinds: string, selector = ''): Promise<Item[]> {
    const matches = parseLabelSelector(selector)
    return kinds.split(',').flatMap((kind) => {
      const resource = this.#resource(kind)
      return this.#registry.store
        .list(resource.collection)
        .filter((object) => !resource.namespaced || object.metadata.namespace === this.namespace)
        .filter(matches)
    })
  }

  async patch(kind: string, name: string, patch: object): Promise<void> {
    const resource = this.#resource(kind)
    answered(() => this.#registry.patch(resource, this.#at(resource), name, 'merge', patch, writer))
  }

  async remove(kind: string, name: string, { isForced = false } = {}): Promise<void> {
    const resource = this.#resource(kind)
    const options = isForced ? { gracePeriodSeconds: 0 } : {}
    answered(() => this.#registry.delete(resource, this.#at(resource), name, options))
  }

  #at(resource: Resource): string | undefined {
    return resource.namespaced ? this.namespace : undefined
  }

  #resource(kind: string): Resource {
    const found = this.#registry.catalog.all().find(({ plural }) => plural === kind)
    if (found === undefined) throw new Error(`no such kind here: ${kind}`)
    return found
  }
}

/** As kubectl does it: what is refused is said in the API server's words. */
function answered(deed: () => unknown): void {
  try {
    deed()
  } catch (error) {
    if (isOperatingError(error, 'KUBE_REFUSED')) throw new NoAnswer(JSON.stringify(error.facts))
    throw error
  }
}
