import type { Doors } from '../base/doors.ts'
import { label, operatorName } from '../crds/index.ts'
import {
  type Change,
  type ConfigMap,
  configMaps,
  controllerOf,
  Informer,
  type KubeClient,
  type KubeObject,
  keyOf,
  namespaces as namespaceType,
  type Pod,
  type PodDisruptionBudget,
  podDisruptionBudgets,
  pods,
  type ResourceType,
  type Service,
  type StatefulSet,
  services,
  statefulSets,
} from '../kube/index.ts'
import { type Declared, nameOnBrokers } from './on-brokers/plan.ts'
import {
  type BrokerSet,
  brokerSets,
  type ConsumerGroup,
  consumerGroups,
  type NameServer,
  nameServers,
  type Topic,
  topics,
} from './resources.ts'

const ours = `${label.managedBy}=${operatorName}`

/** Index of children by the uid of the resource that controls them. */
const owner = { owner: (object: KubeObject) => [controllerOf(object)?.uid ?? ''] }

/** The value under which an object refers to `name`, in its own namespace or another one. */
function near(object: KubeObject, name: string | undefined, namespace = object.metadata.namespace): string[] {
  return name === undefined ? [] : [`${namespace}/${name}`]
}

/** Index of what refers to another namespace: by its own, whose labels may decide whether it may. */
function abroad({ metadata }: KubeObject, ref: { namespace?: string | undefined } | undefined): string[] {
  return ref?.namespace === undefined || ref.namespace === metadata.namespace ? [] : [metadata.namespace ?? '']
}

/** What a Topic or a ConsumerGroup speaks for: one name on the brokers of one set. */
export function claimOf(declared: Declared): string {
  const { namespace = declared.metadata.namespace, name } = brokerSetRefOf(declared) ?? {}
  return `${namespace}/${name}/${nameOnBrokers(declared)}`
}

/** Also of a spec as another version may have had it: an index must take whatever the API server has. */
function brokerSetRefOf({ spec }: { spec: { brokerSetRef?: LooseRef } }): LooseRef | undefined {
  return spec?.brokerSetRef
}

interface LooseRef {
  name?: string
  namespace?: string | undefined
}

/** All that the operator sees of Kubernetes: caches that follow the API server in some namespaces, or in all. */
export class World {
  readonly nameServers: Sight<NameServer>
  readonly brokerSets: Sight<BrokerSet>
  readonly topics: Sight<Topic>
  readonly consumerGroups: Sight<ConsumerGroup>
  readonly statefulSets: Sight<StatefulSet>
  readonly services: Sight<Service>
  readonly configMaps: Sight<ConfigMap>
  readonly pods: Sight<Pod>
  readonly podDisruptionBudgets: Sight<PodDisruptionBudget>
  readonly #all: Sight<KubeObject>[]
  readonly #seen: readonly string[]
  /** undefined: this operator does not read them. */
  readonly namespaces: Sight<KubeObject> | undefined

  /**
   * @param namespaces [] means all of them
   * @param readsNamespaces whether it may list and watch Namespaces, for their labels
   */
  constructor(
    client: KubeClient,
    namespaces: readonly string[],
    doors: Pick<Doors, 'clock' | 'random' | 'log'>,
    readsNamespaces = false,
  ) {
    this.#seen = namespaces
    const sight = <T extends KubeObject>(
      type: ResourceType,
      indexes: Record<string, (object: T) => readonly string[]>,
      labelSelector?: string,
    ) =>
      new Sight<T>(
        type,
        (namespaces.length > 0 ? namespaces : [undefined]).map((namespace): [string | undefined, Informer<T>] => [
          namespace,
          new Informer<T>(client, { type, namespace, labelSelector }, indexes, doors),
        ]),
      )
    this.nameServers = sight<NameServer>(nameServers, {})
    this.brokerSets = sight<BrokerSet>(brokerSets, {
      nameServer: (brokerSet) => {
        const { name, namespace }: LooseRef = brokerSet.spec?.nameServerRef ?? {}
        return near(brokerSet, name, namespace)
      },
      abroad: (brokerSet) => abroad(brokerSet, brokerSet.spec?.nameServerRef),
    })
    this.topics = sight<Topic>(topics, {
      brokerSet: (topic) => near(topic, brokerSetRefOf(topic)?.name, brokerSetRefOf(topic)?.namespace),
      abroad: (topic) => abroad(topic, brokerSetRefOf(topic)),
      claim: (topic) => [claimOf(topic)],
    })
    this.consumerGroups = sight<ConsumerGroup>(consumerGroups, {
      brokerSet: (group) => near(group, brokerSetRefOf(group)?.name, brokerSetRefOf(group)?.namespace),
      abroad: (group) => abroad(group, brokerSetRefOf(group)),
      claim: (group) => [claimOf(group)],
    })
    this.statefulSets = sight<StatefulSet>(statefulSets, owner, ours)
    this.services = sight<Service>(services, owner, ours)
    this.configMaps = sight<ConfigMap>(configMaps, owner, ours)
    this.podDisruptionBudgets = sight<PodDisruptionBudget>(podDisruptionBudgets, owner, ours)
    this.pods = sight<Pod>(
      pods,
      {
        nameServer: (pod) => near(pod, pod.metadata.labels?.[label.nameServer]),
        brokerSet: (pod) => near(pod, pod.metadata.labels?.[label.brokerSet]),
      },
      ours,
    )
    this.namespaces = readsNamespaces ? sight<KubeObject>(namespaceType, {}) : undefined
    this.#all = [
      ...(this.namespaces ? [this.namespaces] : []),
      this.nameServers,
      this.brokerSets,
      this.topics,
      this.consumerGroups,
      this.statefulSets,
      this.services,
      this.configMaps,
      this.podDisruptionBudgets,
      this.pods,
    ] as Sight<KubeObject>[]
  }

  find(type: ResourceType, meta: { namespace?: string; name: string }): KubeObject | undefined {
    return this.#all.find((sight) => sight.type === type)?.get(keyOf({ metadata: meta }))
  }

  /** Whether this operator looks at a namespace at all. */
  isSeen(namespace: string): boolean {
    return this.#seen.length === 0 || this.#seen.includes(namespace)
  }

  /** undefined: it may not read them, or there is no such namespace. */
  labelsOfNamespace(name: string): Readonly<Record<string, string>> | undefined {
    const namespace = this.namespaces?.get(keyOf({ metadata: { name, namespace: '' } }))
    return namespace && (namespace.metadata.labels ?? {})
  }

  get children(): readonly Sight<KubeObject>[] {
    return [this.statefulSets, this.services, this.configMaps, this.podDisruptionBudgets] as Sight<KubeObject>[]
  }

  /** Follows the API server until signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.flatMap((sight) => sight.informers.map((informer) => informer.run(signal))))
  }

  get synced(): Promise<unknown> {
    return Promise.all(this.#all.flatMap((sight) => sight.informers.map((informer) => informer.synced)))
  }

  /** Kinds that have not been seen whole yet. */
  get missing(): string[] {
    return this.#all
      .filter((sight) => !sight.informers.every((informer) => informer.hasSynced))
      .map(({ type }) => type.kind)
  }
}

/** One kind, in all the namespaces that are looked at. */
export class Sight<T extends KubeObject> {
  readonly type: ResourceType
  readonly #byNamespace: ReadonlyMap<string | undefined, Informer<T>>

  constructor(type: ResourceType, informers: readonly [string | undefined, Informer<T>][]) {
    this.type = type
    this.#byNamespace = new Map(informers)
  }

  get informers(): Informer<T>[] {
    return [...this.#byNamespace.values()]
  }

  get(key: string): T | undefined {
    return this.#of(key.slice(0, key.indexOf('/')))?.cache.get(key)
  }

  by(index: string, value: string): T[] {
    return this.informers.flatMap((informer) => informer.cache.by(index, value))
  }

  *all(): Iterable<T> {
    for (const informer of this.informers) yield* informer.cache.all()
  }

  onChange(listener: (change: Change<T>) => void): void {
    for (const informer of this.informers) informer.onChange(listener)
  }

  #of(namespace: string): Informer<T> | undefined {
    return this.#byNamespace.get(namespace) ?? this.#byNamespace.get(undefined)
  }
}
