import { type Log, type LogFields, silentLog } from '../../base/log.ts'
import { createHttpClient, listenHttp, nodeClock, nodeRandom } from '../../base/node/index.ts'
import { found } from '../../base/testing/eventually.ts'
import { apiVersion, customResourceDefinition, definitions } from '../../crds/index.ts'
import {
  EventRecorder,
  KubeClient,
  type KubeObject,
  namespaces,
  type Pod,
  type ResourceType,
} from '../../kube/index.ts'
import { Catalog } from '../../local-cluster/api-server/catalog.ts'
import { Registry } from '../../local-cluster/api-server/registry.ts'
import { createApiHandler } from '../../local-cluster/api-server/server.ts'
import { ObjectStore } from '../../local-cluster/api-server/store.ts'
import { startControllers } from '../../local-cluster/workloads/controllers.ts'
import { clusterIpAdmission } from '../../local-cluster/workloads/services.ts'
import { DiskUse } from '../brokerset/disk-use.ts'
import { SettledBrokers } from '../brokerset/settled.ts'
import { Resets } from '../consumergroup/reset.ts'
import { OperatorMetrics } from '../metrics.ts'
import { Operator } from '../operator.ts'
import type { Shell } from '../shell.ts'
import { World } from '../world.ts'
import { pretendBrokers } from './brokers.ts'

const namespace = 'shop'
type Kind = 'nameservers' | 'brokersets' | 'topics' | 'consumergroups'
const deadlineMs = 10_000

/**
 * An operator on the local cluster's API server. Nothing runs in the pods: they become ready as soon as they exist, and
 * a broker that was let go counts as registered everywhere.
 * @param looksEverywhere the operator looks at all namespaces, and at their labels; else at one
 * @param takesAnySpec the API server checks no spec, as if it had the definitions of another version
 * @param clock the operator's
 */
export async function startCluster({
  leads = true,
  takesAnySpec = false,
  looksEverywhere = false,
  clock = nodeClock,
} = {}) {
  const doors = { clock: nodeClock, random: nodeRandom, log: silentLog }
  const passes: string[] = []
  const store = new ObjectStore()
  const registry = new Registry(store, new Catalog(), doors)
  registry.admit(clusterIpAdmission('127.99', () => store.list('/services')))
  const workloads = startControllers(registry, doors)
  const handle = createApiHandler({ registry, token: 'secret', readLog: async function* () {} }, doors)
  const server = await listenHttp({ host: '127.0.0.1', port: 0, bodyBytesMax: 1_000_000 }, handle)
  const http = createHttpClient()
  const access = {
    server: `http://127.0.0.1:${server.address.port}`,
    source: 'test',
    credentials: async () => ({ headers: { authorization: 'Bearer secret' } }),
  }
  const client = new KubeClient(access, http, 'rocketmq-operator')

  const { brokers, admin, begin } = pretendBrokers(store)
  const podsNow = () => store.list('/pods') as unknown as Pod[]

  // in the place of a kubelet
  const stopListening = store.listen(() => nodeClock.endOfTurn(readyPods))
  let podCount = 0
  function readyPods(): void {
    for (const pod of podsNow()) {
      if (pod.status?.podIP !== undefined) continue
      begin(pod)
      const status = {
        phase: 'Running',
        podIP: `127.98.0.${++podCount}`,
        conditions: [{ type: 'Ready', status: 'True' }],
      }
      store.put('/pods', { ...pod, status } as never)
    }
  }

  const create = (type: ResourceType, name: string, spec: object, where: string) =>
    client.create(type, {
      apiVersion: type.apiVersion,
      kind: type.kind,
      metadata: { name, namespace: where },
      spec,
    } as KubeObject)
  const maybeLoose = takesAnySpec ? loose : (definition: object) => definition
  const definitionType = { apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions', kind: '' }
  for (const definition of definitions)
    await client.create(definitionType, maybeLoose(customResourceDefinition(definition)) as never)
  const createNamespace = (name: string, labels: Record<string, string> = {}) =>
    client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } } as KubeObject)
  await createNamespace(namespace)

  const newOperator = (runtimeImage = 'localhost/mq:1') =>
    new Operator(
      {
        client,
        admin,
        namespaces: looksEverywhere ? [] : [namespace],
        readsNamespaces: looksEverywhere,
        runtimeImage,
        metrics: new OperatorMetrics(),
      },
      { ...doors, clock, log: passLog(passes, {}) },
    )
  let operator = newOperator()
  await operator.follow()
  if (leads) operator.lead()

  return {
    admin,
    brokers,
    /** Of all passes that have ended, `Kind namespace/name`. */
    passes,
    client,
    createNamespace,
    create: (kind: Kind, name: string, spec: object, where = namespace) => create(typeOf(kind), name, spec, where),
    change: (kind: Kind, name: string, patch: object, where = namespace) =>
      client.merge(typeOf(kind), { name, namespace: where }, patch),
    /** What a pass works with, besides the operator's own. */
    async newShell(): Promise<Shell & AsyncDisposable> {
      const world = new World(client, [namespace], doors)
      const over = new AbortController()
      const running = world.run(over.signal)
      await world.synced
      return {
        client,
        world,
        admin,
        recorder: new EventRecorder(client, 'test', doors),
        resets: new Resets(),
        settledBrokers: new SettledBrokers(nodeClock),
        diskUse: new DiskUse(admin, doors),
        clock: nodeClock,
        log: silentLog,
        runtimeImage: 'localhost/mq:1',
        signal: new AbortController().signal,
        async [Symbol.asyncDispose]() {
          over.abort()
          await running
        },
      }
    },
    remove: (kind: Kind, name: string, where = namespace) => client.delete(typeOf(kind), { name, namespace: where }),
    /** Objects of one kind as they are now, the newest version of each. */
    list: (collection: string) => store.list(collection) as unknown as KubeObject[],
    get: <T extends KubeObject>(kind: Kind, name: string, where = namespace) =>
      store.get(`${apiVersion.split('/')[0]}/${kind}`, where, name) as unknown as T | undefined,
    revision: () => store.revision,
    lead: () => operator.lead(),
    /** Ends the operator in the middle of whatever it does, and starts another one, maybe of another version. */
    async replaceOperator(runtimeImage?: string): Promise<void> {
      const stopped = operator.stop()
      operator = newOperator(runtimeImage)
      await stopped
      await operator.follow()
      operator.lead()
    },
    async eventually(holds: () => boolean): Promise<void> {
      await found(holds, deadlineMs)
    },
    async stop() {
      await operator.stop()
      stopListening()
      workloads.stop()
      http.close()
      await server.close()
    },
  }
}

/** A log that keeps whose passes have ended, and nothing else. */
function passLog(passes: string[], bound: LogFields): Log {
  const hear = ({ name, elapsedMs }: LogFields) => {
    if (elapsedMs !== undefined) passes.push(`${bound.kind} ${name}`)
  }
  return {
    ...silentLog,
    warn: hear,
    debug: hear,
    with: (fields) => passLog(passes, { ...bound, ...fields }),
  }
}

interface LooseDefinition {
  spec: { versions: { schema: { openAPIV3Schema: { properties: Record<string, object> } } }[] }
}

/** A definition as another version may have had it. */
function loose(definition: object): object {
  const copy = structuredClone(definition) as LooseDefinition
  for (const { schema } of copy.spec.versions) {
    schema.openAPIV3Schema.properties.spec = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  }
  return copy
}

function definitionOf(plural: Kind) {
  return definitions.find((one) => one.plural === plural)!
}

function typeOf(plural: Kind): ResourceType {
  return { apiVersion, kind: definitionOf(plural).kind, plural }
}
