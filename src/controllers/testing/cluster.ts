import { silentLog } from '../../base/log.ts'
import { createHttpClient, listenHttp, nodeClock, nodeRandom } from '../../base/node/index.ts'
import { subscriptionGroupConfig } from '../../client/index.ts'
import { apiVersion, customResourceDefinition, definitions, label, liveBrokerSettings } from '../../crds/index.ts'
import {
  type ConfigMap,
  EventRecorder,
  KubeClient,
  type KubeObject,
  type Pod,
  type ResourceType,
  type Service,
} from '../../kube/index.ts'
import { Catalog } from '../../local-cluster/api-server/catalog.ts'
import { Registry } from '../../local-cluster/api-server/registry.ts'
import { createApiHandler } from '../../local-cluster/api-server/server.ts'
import { ObjectStore } from '../../local-cluster/api-server/store.ts'
import { startControllers } from '../../local-cluster/workloads/controllers.ts'
import { clusterIpAdmission } from '../../local-cluster/workloads/services.ts'
import type { BrokerGroup, BrokerTopic, GroupUse, MqAdmin, Unread } from '../admin.ts'
import { SettledBrokers } from '../brokerset/settled.ts'
import { Resets } from '../consumergroup/reset.ts'
import { OperatorMetrics } from '../metrics.ts'
import { Operator } from '../operator.ts'
import { brokerPort } from '../resources.ts'
import type { Shell } from '../shell.ts'
import { World } from '../world.ts'

const namespace = 'shop'
type Kind = 'nameservers' | 'brokersets' | 'topics' | 'consumergroups'
const deadlineMs = 10_000
const pollMs = 10

/** What a broker of the pretended cluster has; the last of it slaves alone. */
export interface PretendedBroker {
  topics: Map<string, BrokerTopic>
  groups: Map<string, BrokerGroup>
  /** How groups are used there, by name. */
  uses: Map<string, GroupUse>
  resets: { consumerGroup: string; topic: string; timestampMs: number }[]
  isHeld: boolean
  /** Topics that it had when it was let go. */
  registeredWith: string[] | undefined
  /** And consumer groups. */
  registeredGroups: string[]
  /** Live settings, as its last process read them from its configuration, and as they were changed since. */
  settings: Map<string, string>
  /** brokerPermission of these. */
  permission: number
  unread: Unread[]
  isFollowing: boolean
  lagBytes: number
}

const logBytes = 2 ** 40

/** Where `brokers` has the broker of a pod or Service: `0` is the master of group 0, `0-1` its first slave. */
function brokerKey({ metadata }: KubeObject): string {
  const group = metadata.labels?.[label.group] ?? ''
  const ordinal = metadata.name.split('-').at(-1)
  return ordinal === '0' ? group : `${group}-${ordinal}`
}

/**
 * An operator on the local cluster's API server. Nothing runs in the pods: they become ready as soon as they exist, and
 * a broker that was let go counts as registered everywhere.
 * @param takesAnySpec the API server checks no spec, as if it had the definitions of another version
 */
export async function startCluster({ leads = true, takesAnySpec = false } = {}) {
  const doors = { clock: nodeClock, random: nodeRandom, log: silentLog }
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

  const brokers = new Map<string, PretendedBroker>()
  const ofAddress = (brokerAddr: string) => {
    const service = servicesNow().find(({ spec }) => `${spec?.clusterIP}:${brokerPort}` === brokerAddr)
    const broker = service && brokers.get(brokerKey(service))
    if (!broker) throw new Error(`no broker at ${brokerAddr}`)
    return broker
  }
  const servicesNow = () => store.list('/services') as unknown as Service[]
  const podsNow = () => store.list('/pods') as unknown as Pod[]

  const configurationOf = ({ metadata }: Pod) => {
    const configs = store.list('/configmaps') as unknown as ConfigMap[]
    const text = configs.map(({ data }) => data?.[`${metadata.name}.conf`]).find((conf) => conf !== undefined) ?? ''
    return Object.fromEntries(text.split('\n').map((line) => line.split('=') as [string, string]))
  }

  const admin: MqAdmin = {
    brokers: async () =>
      podsNow()
        .filter(({ metadata, status }) => metadata.labels?.[label.brokerSet] && status?.podIP)
        .filter((pod) => brokers.get(brokerKey(pod))?.isHeld === false)
        .map(({ metadata }) => {
          const brokerSet = metadata.labels?.[label.brokerSet] as string
          const service = servicesNow().find((one) => one.metadata.name === metadata.name)
          return {
            clusterName: brokerSet,
            brokerName: `${brokerSet}-${metadata.labels?.[label.group]}`,
            brokerId: Number(metadata.name.split('-').at(-1)),
            brokerAddr: `${service?.spec?.clusterIP}:${brokerPort}`,
          }
        }),
    haStatus: async (brokerAddr) => {
      const { isFollowing, lagBytes } = ofAddress(brokerAddr)
      const client = {
        masterAddr: 'master:10912',
        lastReadTimestamp: 0,
        lastWriteTimestamp: 0,
        transferredByteInSecond: 0,
      }
      return {
        master: false,
        masterCommitLogMaxOffset: logBytes,
        inSyncSlaveNums: 0,
        haConnectionInfo: [],
        haClientRuntimeInfo: {
          ...client,
          masterFlushOffset: 0,
          maxOffset: logBytes - lagBytes,
          activated: isFollowing,
        },
      }
    },
    topics: async (brokerAddr) => ofAddress(brokerAddr).topics,
    groups: async (brokerAddr) => ofAddress(brokerAddr).groups,
    createGroup: async (brokerAddr, group) => {
      ofAddress(brokerAddr).groups.set(group.groupName, subscriptionGroupConfig(group.groupName, group))
    },
    deleteGroup: async (brokerAddr, consumerGroup, isOffsetCleaned) => {
      ofAddress(brokerAddr).groups.delete(consumerGroup)
      if (isOffsetCleaned) ofAddress(brokerAddr).uses.delete(consumerGroup)
    },
    groupUse: async (brokerAddr, consumerGroup) =>
      ofAddress(brokerAddr).uses.get(consumerGroup) ?? { clients: 0, topics: [] },
    resetOffset: async (brokerAddr, consumerGroup, topic, timestampMs) => {
      const { resets, topics } = ofAddress(brokerAddr)
      const queues = topics.get(topic)?.readQueueNums ?? 0
      if (queues > 0) resets.push({ consumerGroup, topic, timestampMs })
      return queues
    },
    isHeld: async (brokerAddr) => ofAddress(brokerAddr).isHeld,
    release: async (brokerAddr) => {
      const broker = ofAddress(brokerAddr)
      broker.registeredWith = [...broker.topics.keys()]
      broker.registeredGroups = [...broker.groups.keys()]
      broker.isHeld = false
    },
    createTopic: async (brokerAddr, topic) => void ofAddress(brokerAddr).topics.set(topic.topicName, topic),
    deleteTopic: async (brokerAddr, topic) => void ofAddress(brokerAddr).topics.delete(topic),
    deleteRoute: async () => {},
    settings: async (brokerAddr) => ofAddress(brokerAddr).settings,
    changeSettings: async (brokerAddr, settings) => {
      for (const [key, value] of Object.entries(settings)) ofAddress(brokerAddr).settings.set(key, value)
    },
    permission: async (brokerAddr) => ofAddress(brokerAddr).permission,
    setPermission: async (brokerAddr, permission) => {
      ofAddress(brokerAddr).permission = permission
    },
    unread: async (brokerAddr) => ofAddress(brokerAddr).unread,
    close: async () => {},
  }

  // in the place of a kubelet
  const stopListening = store.listen(() => nodeClock.endOfTurn(readyPods))
  let podCount = 0
  function readyPods(): void {
    for (const pod of podsNow()) {
      if (pod.status?.podIP !== undefined) continue
      if (pod.metadata.labels?.[label.group] !== undefined && !brokers.has(brokerKey(pod))) {
        brokers.set(brokerKey(pod), {
          topics: new Map(),
          groups: new Map(),
          uses: new Map(),
          resets: [],
          isHeld: pod.metadata.name.endsWith('-0'),
          registeredWith: undefined,
          registeredGroups: [],
          settings: new Map(),
          get permission() {
            return Number(this.settings.get('brokerPermission'))
          },
          set permission(permission: number) {
            this.settings.set('brokerPermission', String(permission))
          },
          unread: [],
          isFollowing: true,
          lagBytes: 0,
        })
      }
      const broker = brokers.get(brokerKey(pod))
      if (broker) broker.settings = new Map(Object.entries(liveBrokerSettings(configurationOf(pod))))
      const status = {
        phase: 'Running',
        podIP: `127.98.0.${++podCount}`,
        conditions: [{ type: 'Ready', status: 'True' }],
      }
      store.put('/pods', { ...pod, status } as never)
    }
  }

  const create = (type: ResourceType, name: string, spec: object) =>
    client.create(type, {
      apiVersion: type.apiVersion,
      kind: type.kind,
      metadata: { name, namespace },
      spec,
    } as KubeObject)
  const maybeLoose = takesAnySpec ? loose : (definition: object) => definition
  const definitionType = { apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions', kind: '' }
  for (const definition of definitions)
    await client.create(definitionType, maybeLoose(customResourceDefinition(definition)) as never)
  await client.create({ apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' }, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  } as KubeObject)

  const newOperator = (runtimeImage = 'localhost/mq:1') =>
    new Operator({ client, admin, namespaces: [namespace], runtimeImage, metrics: new OperatorMetrics() }, doors)
  let operator = newOperator()
  await operator.follow()
  if (leads) operator.lead()

  return {
    admin,
    brokers,
    client,
    create: (kind: Kind, name: string, spec: object) => create(typeOf(kind), name, spec),
    change: (kind: Kind, name: string, patch: object) => client.merge(typeOf(kind), { name, namespace }, patch),
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
    remove: (kind: Kind, name: string) => client.delete(typeOf(kind), { name, namespace }),
    /** Objects of one kind as they are now, the newest version of each. */
    list: (collection: string) => store.list(collection) as unknown as KubeObject[],
    get: <T extends KubeObject>(kind: Kind, name: string) =>
      store.get(`${apiVersion.split('/')[0]}/${kind}`, namespace, name) as unknown as T | undefined,
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
      const endMs = nodeClock.monotonicMs() + deadlineMs
      while (!holds()) {
        if (nodeClock.monotonicMs() > endMs) throw new Error(`not within ${deadlineMs} ms: ${holds}`)
        await nodeClock.sleep(pollMs)
      }
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
