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

/** The value under which an object refers to `name` in its own namespace. */
function near(object: KubeObject, name: string | undefined): string[] {
  return name === undefined ? [] : [`${object.metadata.namespace}/${name}`]
}

/** What a Topic or a ConsumerGroup speaks for: one name on the brokers of one set. */
export function claimOf(declared: Declared): string {
  return `${declared.metadata.namespace}/${brokerSetNameOf(declared)}/${nameOnBrokers(declared)}`
}

/** Also of a spec as another version may have had it: an index must take whatever the API server has. */
function brokerSetNameOf({ spec }: { spec: { brokerSetRef?: { name?: string } } }): string | undefined {
  return spec?.brokerSetRef?.name
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

  /** @param namespaces [] means all of them */
  constructor(client: KubeClient, namespaces: readonly string[], doors: Pick<Doors, 'clock' | 'random' | 'log'>) {
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
      nameServer: (brokerSet) => near(brokerSet, brokerSet.spec?.nameServerRef?.name),
    })
    this.topics = sight<Topic>(topics, {
      brokerSet: (topic) => near(topic, brokerSetNameOf(topic)),
      claim: (topic) => [claimOf(topic)],
    })
    this.consumerGroups = sight<ConsumerGroup>(consumerGroups, {
      brokerSet: (group) => near(group, brokerSetNameOf(group)),
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
    this.#all = [
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
