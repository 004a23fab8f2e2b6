import {
  type BrokerSet,
  brokerPort,
  type ConsumerGroup,
  type NameServer,
  type Topic,
} from '../../src/controllers/resources.ts'
import { brokerKey, type PretendedBroker } from '../../src/controllers/testing/brokers.ts'
import { label } from '../../src/crds/index.ts'
import type { Pod, ResourceType, Service } from '../../src/kube/index.ts'
import { type Clients, producerPollMs } from './clients.ts'
import { isReady, type Stage, type Witness } from './stage.ts'

const listMsMax = 120_000 - 1_000 // so old a client's list of NameServers may be; looked at now and then
const toldMax = 5 // times in a story
const consumersBackMs = 60_000 // so late consumers come back to a broker that began anew
const newsMsMax = 15_000 // so late an operator may be to know what was asked for

/** What was asked for, as far as rules go by it. */
interface Asked {
  askedMs: number
  groups: number
  slavesPerGroup: number
  replicas: number // of NameServers
  scaleIn: Pick<BrokerSet['spec']['scaleIn'], 'policy' | 'timeoutSeconds' | 'onTimeout'>
}

/** Of a resource, as a user may change it. */
export interface Patch {
  metadata?: object
  spec?: Partial<Omit<Asked, 'askedMs' | 'scaleIn'>> & {
    scaleIn?: Partial<Asked['scaleIn']>
    resetOffset?: Partial<NonNullable<ConsumerGroup['spec']['resetOffset']>> | null
    [field: string]: unknown
  }
}

/**
 * What is watched all the time: what an operator asks of the API server and of brokers, seen before it is done.
 * @see docs/testing.md
 */
export class Rules {
  restarts = 0
  removals = 0
  events = 0
  readonly #stage: Stage
  readonly #clients: Clients
  readonly #violated: (rule: string) => void
  readonly #asked: Asked[]
  readonly #forced = new Map<number, boolean>() // resets, by their timestamp: whether consumers may be online
  readonly #resets = new Set<string>()
  readonly #ownedSinceMs = new Map<string, number>() // by plural: since when the resource says that it owns what brokers have
  readonly #servingSinceMs = new Map<string, number>() // by uid of pods: since when NameServers may know the broker
  readonly #madeLateMs = new Map<string, number>() // by plural: when brokers got what no resource wants any more
  readonly #told = new Map<string, number>() // by what is said of what
  readonly #listedMs = new Map<string, number>() // by pod: when a NameServer was last in the list that clients are given
  #nameServers: { uid: string | undefined; replicas: number; mayAllGo: boolean } | undefined // as last seen
  #placedMs = Number.NEGATIVE_INFINITY // when the topic was last for some groups only

  constructor(stage: Stage, clients: Clients, first: Omit<Asked, 'askedMs'>, violated: (rule: string) => void) {
    this.#stage = stage
    this.#clients = clients
    this.#violated = violated
    this.#asked = [{ askedMs: 0, ...first }]
    this.#guardTopics()
    this.#guardGroups()
  }

  /** Told of what a user asks for, before the API server is. */
  asks({ kind }: ResourceType, { spec = {} }: Patch): void {
    const last = this.#asked.at(-1) as Asked
    const { groups = last.groups, slavesPerGroup = last.slavesPerGroup, replicas = last.replicas } = spec
    const scaleIn = { ...last.scaleIn, ...spec.scaleIn }
    this.#asked.push({ askedMs: this.#nowMs, groups, slavesPerGroup, replicas, scaleIn })
    const reset = kind === 'ConsumerGroup' ? spec.resetOffset : undefined
    if (reset?.timestamp !== undefined) this.#forced.set(Date.parse(reset.timestamp), reset.force ?? false)
  }

  /** Looks at what rules need to have seen; now and then. */
  tick(): void {
    this.#notePlacement()
    this.#watchNameServers()
    for (const plural of ['topics', 'consumergroups'] as const) {
      const resource = this.#stage.resource<Topic | ConsumerGroup>(plural)
      const { uid, deletionTimestamp } = resource?.metadata ?? {}
      const isOwner = deletionTimestamp === undefined && uid !== undefined && resource?.status?.owner === uid
      if (!isOwner) this.#ownedSinceMs.delete(plural)
      else if (!this.#ownedSinceMs.has(plural)) this.#ownedSinceMs.set(plural, this.#nowMs)
    }
    const pods = this.#brokerPods()
    const uids = pods.map(({ metadata }) => metadata.uid)
    for (const uid of this.#servingSinceMs.keys()) if (!uids.includes(uid)) this.#servingSinceMs.delete(uid)
    for (const pod of pods) {
      const { uid = '' } = pod.metadata
      const isServing = isReady(pod) && this.#brokerOf(pod)?.isHeld === false
      if (!isServing) this.#servingSinceMs.delete(uid)
      else if (!this.#servingSinceMs.has(uid)) this.#servingSinceMs.set(uid, this.#nowMs)
    }
  }

  /** A request of an operator to the API server. */
  arrives(method: string, path: string): void {
    this.#notePlacement()
    if (method !== 'DELETE') return
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (path.includes('/statefulsets/')) this.#removes(name)
    if (path.includes('/pods/')) this.#restarts(name)
  }

  /**
   * An event: what comes again is told again after ten minutes only, by one and the same operator, and none is told of what
   * does not change.
   */
  tells({ involvedObject: { kind, uid } = {}, reason, message }: Parameters<Witness['tells']>[0]): void {
    if (reason === undefined) return // that an earlier one came again
    this.events++
    const said = `${kind} ${uid} ${reason} ${message}`
    const count = (this.#told.get(said) ?? 0) + 1
    this.#told.set(said, count)
    const most = toldMax + this.#stage.crashes // an operator that begins knows of no event
    if (count > most) this.#violated(`${kind} is told ${count} times: ${reason}: ${message}`)
  }

  /** A master that registers must have what clients will look for there. */
  releases(broker: PretendedBroker): void {
    if (this.#nowMs < newsMsMax) return // the operator may not know yet what there is
    const mayBeElsewhere = this.#nowMs - this.#placedMs < newsMsMax
    const isMissing =
      (!broker.topics.has('orders') && !mayBeElsewhere && this.#isOwned('topics')) ||
      (!broker.groups.has('billing') && this.#isOwned('consumergroups'))
    if (isMissing) this.#violated('a broker is let go without its topics and groups')
  }

  /**
   * For a Topic or ConsumerGroup that is to be deleted with what brokers have of it.
   * @returns what to ask once it is gone: brokers that served all the time must not have it any more
   */
  noteDeletion({ kind, metadata, spec, status }: Topic | ConsumerGroup): () => void {
    const sets = () => this.#stage.resource<BrokerSet>('brokersets')
    const uid = sets()?.metadata.uid
    const isOwner = status?.owner === metadata.uid && (metadata.finalizers ?? []).length > 0
    const before = [...this.#servingSinceMs].filter(([, sinceMs]) => this.#nowMs - sinceMs > newsMsMax)
    const uids = before.map(([pod]) => pod)
    const askedMs = this.#nowMs
    if (spec.deletionPolicy !== 'Delete' || !isOwner || !uid || sets()?.spec.hibernate) return () => {}
    return () => {
      if (sets()?.metadata.uid !== uid || sets()?.spec.hibernate) return // it went, or sleeps: nobody could be asked
      // a watch that was set back shows it as it was before: no API server does that to one and the same operator
      if ((this.#madeLateMs.get(kind === 'Topic' ? 'topics' : 'consumergroups') ?? 0) > askedMs) return
      for (const pod of this.#brokerPods()) {
        const broker = this.#brokerOf(pod)
        if (!uids.includes(pod.metadata.uid ?? '') || !pod.metadata.name.endsWith('-0')) continue
        if (broker?.[kind === 'Topic' ? 'topics' : 'groups'].has(metadata.name))
          this.#violated(`${pod.metadata.name} still has ${metadata.name}, whose ${kind} is gone`)
      }
    }
  }

  get #nowMs(): number {
    return this.#stage.clock.monotonicMs()
  }

  #notePlacement(): void {
    if (this.#stage.resource<Topic>('topics')?.spec.placement) this.#placedMs = this.#nowMs
  }

  #isOwned(plural: string): boolean {
    return this.#nowMs - (this.#ownedSinceMs.get(plural) ?? Number.POSITIVE_INFINITY) > newsMsMax
  }

  #brokerPods(): Pod[] {
    return this.#stage.pods().filter(({ metadata }) => metadata.labels?.[label.group] !== undefined)
  }

  #brokerOf(pod: Pod): PretendedBroker | undefined {
    return this.#stage.pretended.brokers.get(brokerKey(pod))
  }

  /** What may be in force for an operator: news are some seconds late. */
  #inForce(): Asked[] {
    const newsMs = this.#nowMs - newsMsMax
    return this.#asked.slice(
      Math.max(
        0,
        this.#asked.findLastIndex(({ askedMs }) => askedMs < newsMs),
      ),
    )
  }

  /** The smallest number that an operator may know of. */
  #fewest(count: 'groups' | 'slavesPerGroup' | 'replicas'): number {
    return Math.min(...this.#inForce().map((one) => one[count]))
  }

  /** Whether a group may go with something unread: by policy, or since it was wanted last for so long ago. */
  #mayGoUnread(group: number): boolean {
    const last = this.#asked.findLastIndex(({ groups }) => groups > group)
    const tooManyMs = this.#nowMs - (this.#asked[last + 1]?.askedMs ?? this.#nowMs)
    return this.#inForce().some(({ scaleIn: { policy, timeoutSeconds, onTimeout } }) => {
      if (policy === 'Force') return true
      return policy === 'Drain' && onTimeout === 'Force' && tooManyMs > (timeoutSeconds - 1) * 1000 // written down in whole seconds
    })
  }

  /** A NameServer that is too many serves until clients know the list without it. */
  #watchNameServers(): void {
    const set = this.#stage.statefulSets().find(({ metadata }) => metadata.name === 'mq')
    const { uid, replicas = 0 } = { uid: set?.metadata.uid, replicas: set?.spec?.replicas ?? 0 }
    const before = this.#nameServers?.uid === uid ? this.#nameServers : undefined
    const nameServer = this.#stage.resource<NameServer>('nameservers')
    const mayAllGo = nameServer?.spec.hibernate === true // and some be back before the next look
    const isWatched = replicas > 0 && !mayAllGo && before?.mayAllGo !== true
    for (let ordinal = replicas; isWatched && ordinal < (before?.replicas ?? 0); ordinal++) {
      const ms = this.#nowMs - (this.#listedMs.get(`mq-${ordinal}`) ?? Number.NEGATIVE_INFINITY)
      if (ms < listMsMax) this.#violated(`mq-${ordinal} goes ${ms} ms after clients were told to ask it`)
    }
    this.#nameServers = { uid, replicas, mayAllGo }
    const { address = '' } = nameServer?.status ?? {}
    for (const place of address.split(';')) this.#listedMs.set(place.slice(0, place.indexOf('.')), this.#nowMs)
  }

  #removes(name: string): void {
    this.removals++
    const group = name.slice(name.lastIndexOf('-') + 1)
    const unread = this.#stage.pretended.brokers.get(group)?.unread ?? []
    if (unread.length > 0 && !this.#mayGoUnread(Number(group)))
      this.#violated(`${name} goes with ${JSON.stringify(unread)} unread`)
    const quiet = this.#nowMs - (this.#clients.acceptedAtMs.get(group) ?? Number.NEGATIVE_INFINITY)
    const { uptimeMs = Number.POSITIVE_INFINITY } = this.#stage.pretended.brokers.get(group) ?? {}
    if (uptimeMs < consumersBackMs && this.#isRunning(group) && !this.#mayGoUnread(Number(group)))
      this.#violated(`${name} goes ${uptimeMs} ms after its broker began: consumers may not be back`)
    if (quiet < producerPollMs) this.#violated(`${name} goes ${quiet} ms after it took a message`)
  }

  #isRunning(group: string): boolean {
    return this.#brokerPods().some((pod) => pod.metadata.labels?.[label.group] === group && isReady(pod))
  }

  #restarts(name: string): void {
    const pod = this.#stage.pods().find(({ metadata }) => metadata.name === name)
    if (!pod || !isReady(pod)) return // gone already, or not serving: nobody loses by it
    this.restarts++
    if (pod.metadata.labels?.[label.nameServer] !== undefined) this.#restartsNameServer(pod)
    else this.#restartsBroker(pod)
  }

  #restartsBroker({ metadata: { name, labels } }: Pod): void {
    const group = labels?.[label.group]
    const set = this.#stage.statefulSets().find(({ metadata }) => metadata.name === `b-${group}`)
    const isLeaving = Number(group) >= this.#fewest('groups') // it goes with its volumes: nothing waits for its slaves
    // a slave that is to go is not waited for either
    const last = Math.min((set?.spec?.replicas ?? 0) - 1, this.#fewest('slavesPerGroup'))
    for (let ordinal = 0; ordinal <= last; ordinal++) {
      const other = this.#stage.pods().find(({ metadata }) => metadata.name === `b-${group}-${ordinal}`)
      if (other?.metadata.name === name) continue
      if (!other || !isReady(other)) this.#violated(`${name} is restarted while b-${group}-${ordinal} does not run`)
      else if (!isLeaving && !this.#brokerOf(other)?.isFollowing)
        this.#violated(`${name} is restarted before ${other.metadata.name} follows`)
    }
  }

  /** Clients must find somebody who can tell them of every broker. */
  #restartsNameServer(pod: Pod): void {
    const { name } = pod.metadata
    for (let ordinal = 0; ordinal < this.#fewest('replicas'); ordinal++) {
      const other = this.#stage.pods().find(({ metadata }) => metadata.name === `mq-${ordinal}`)
      if (other?.metadata.name === name) continue
      if (!other || !isReady(other)) this.#violated(`${name} is restarted while mq-${ordinal} does not run`)
      else this.#knowsNoLess(other, pod)
    }
  }

  #knowsNoLess(other: Pod, goes: Pod): void {
    const services = this.#stage.store.list('/services') as unknown as Service[]
    for (const { metadata } of this.#brokerPods()) {
      const sinceMs = this.#servingSinceMs.get(metadata.uid ?? '') ?? Number.POSITIVE_INFINITY
      if (this.#nowMs - sinceMs < newsMsMax) continue // it may have come since the operator asked
      const address = services.find((service) => service.metadata.name === metadata.name)?.spec?.clusterIP
      const brokerAddr = `${address}:${brokerPort}`
      if (this.#stage.isKnown(brokerAddr, goes) && !this.#stage.isKnown(brokerAddr, other))
        this.#violated(`${goes.metadata.name} is restarted before ${other.metadata.name} knows ${metadata.name}`)
    }
  }

  /** Whether its resource is being deleted with what brokers have of it. */
  #goesWithResource(plural: 'topics' | 'consumergroups'): boolean {
    const resource = this.#stage.resource<Topic | ConsumerGroup>(plural)
    return resource?.metadata.deletionTimestamp !== undefined && resource.spec.deletionPolicy === 'Delete'
  }

  #noteMaking(plural: 'topics' | 'consumergroups'): void {
    const metadata = this.#stage.resource<Topic | ConsumerGroup>(plural)?.metadata
    if (!metadata || metadata.deletionTimestamp !== undefined) this.#madeLateMs.set(plural, this.#nowMs)
  }

  /** No queue goes while somebody has to read it. */
  #guardTopics(): void {
    const { admin, brokers } = this.#stage.pretended
    const { createTopic, deleteTopic } = admin
    const goes = (brokerAddr: string, firstQueue: number) => {
      const pod = this.#stage.podAt(brokerAddr)
      const broker = pod && brokers.get(brokerKey(pod))
      const unread = broker?.unread.filter(({ queueId = 0 }) => queueId >= firstQueue) ?? []
      if (unread.length > 0)
        this.#violated(`${pod?.metadata.name}: queues from ${firstQueue} on go with ${JSON.stringify(unread)} unread`)
      const count = broker?.topics.get('orders')?.readQueueNums ?? 0
      for (const [queueId, seenMs] of this.#clients.routes.get(pod?.metadata.labels?.[label.group] ?? '') ?? []) {
        const ms = this.#nowMs - seenMs
        if (queueId >= firstQueue && queueId < count && ms < producerPollMs)
          this.#violated(`${pod?.metadata.name}: queue ${queueId} goes ${ms} ms after it took messages`)
      }
    }
    admin.createTopic = async (brokerAddr, topic) => {
      if (topic.topicName === 'orders') goes(brokerAddr, topic.readQueueNums)
      this.#noteMaking('topics')
      await createTopic(brokerAddr, topic)
    }
    admin.deleteTopic = async (brokerAddr, topic) => {
      if (!this.#goesWithResource('topics')) {
        goes(brokerAddr, 0)
        if (this.#nowMs - this.#placedMs > newsMsMax) this.#violated(`${topic} goes though nobody asked for that`)
      }
      await deleteTopic(brokerAddr, topic)
      const pod = this.#stage.podAt(brokerAddr)
      const broker = pod && this.#brokerOf(pod)
      if (broker) broker.unread = [] // one that is made anew has none of it
      this.#clients.routes.delete(pod?.metadata.labels?.[label.group] ?? '')
    }
  }

  /** A consumer group goes with its resource only, and is reset once for each request, with nobody online. */
  #guardGroups(): void {
    const { admin } = this.#stage.pretended
    const { createGroup, deleteGroup, resetOffset } = admin
    admin.createGroup = (brokerAddr, group) => {
      this.#noteMaking('consumergroups')
      return createGroup(brokerAddr, group)
    }
    admin.deleteGroup = async (brokerAddr, consumerGroup, isOffsetCleaned) => {
      if (!this.#goesWithResource('consumergroups'))
        this.#violated(`${consumerGroup} goes though nobody asked for that`)
      await deleteGroup(brokerAddr, consumerGroup, isOffsetCleaned)
    }
    admin.resetOffset = async (brokerAddr, consumerGroup, topic, timestampMs) => {
      const place = `${topic} at ${this.#stage.podAt(brokerAddr)?.metadata.name}`
      const key = `${place} to ${timestampMs}`
      if (this.#resets.has(key)) this.#violated(`${consumerGroup} is reset a second time for one request, in ${place}`)
      this.#resets.add(key)
      // consumers come back to a broker some time after it began
      const isSeen = [...this.#servingSinceMs.values()].some((sinceMs) => this.#nowMs - sinceMs > newsMsMax)
      if (!this.#forced.get(timestampMs) && isSeen && this.#clients.onlineMs > newsMsMax)
        this.#violated(`${consumerGroup} is reset in ${place} while consumers are online`)
      return resetOffset(brokerAddr, consumerGroup, topic, timestampMs)
    }
  }
}
