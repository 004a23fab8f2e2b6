import { type DataVersion, isSameDataVersion } from '../../remoting/body/data-version.ts'
import type { RegisteredTopic } from '../../remoting/body/register-broker.ts'
import type { TopicQueueMappingInfo } from '../../remoting/body/topic-queue-mapping.ts'
import { BrokerGroup, type BrokerIdentity, brokerKey, type MinBrokerIdChange, masterId } from './broker-group.ts'
import type { Routes } from './routes.ts'

/** What a broker says when it registers. */
export interface Registration extends BrokerIdentity {
  haServerAddr: string
  /** undefined: a broker older than acting masters; its slaves never stand in for it. */
  enableActingMaster: boolean | undefined
  zoneName: string | undefined
  /** The broker's own expiry. */
  timeoutMs: number | undefined
  dataVersion: DataVersion
  /** undefined: those of its last registration, as hasMerged said. */
  topics: readonly RegisteredTopic[] | undefined
  mappings: ReadonlyMap<string, TopicQueueMappingInfo>
  filterServers: string[]
  print: BodyPrint
}

/** Tells two registrations of one broker with the same version apart. */
export interface BodyPrint {
  crc32: number
  bytes: number
}

export type RegisterResult =
  | {
      status: 'registered'
      master?: { brokerAddr: string; haServerAddr: string }
      isNew: boolean
      /** Topics that were not taken, as there are as many as there may be. */
      refusedTopics: number
      change?: MinBrokerIdChange | undefined
    }
  | { status: 'outdated' } // its id belongs to a newer holder
  | { status: 'refused' }

/** A connection by which a broker registered: its end is the broker's end. */
export interface Link {
  close(): void
}

/** A broker that is no more. */
export type Gone = BrokerIdentity & { link: Link; change: MinBrokerIdChange | undefined }

interface LiveBroker extends BrokerIdentity {
  readonly link: Link
  seenAtMs: number
  readonly timeoutMs: number
  readonly dataVersion: DataVersion
  readonly haServerAddr: string
  readonly print: BodyPrint
  /** The group's edits when this broker's topics were merged whole; undefined: they are not. */
  mergedAt: number | undefined
}

const brokersMaxDefault = 4096
const timeoutMsDefault = 120_000
const stepTopics = 200 // about a tenth of a millisecond

/**
 * Which brokers live: who registers is merged into the routes, who leaves, breaks off or falls silent is taken out of them.
 * Times are monotonic milliseconds. Source: Apache RocketMQ 5, RouteInfoManager.
 */
export class BrokerRegistry {
  readonly #routes: Routes
  readonly #live = new Map<string, LiveBroker>() // by brokerKey
  readonly #brokersMax: number

  constructor(routes: Routes, brokersMax = brokersMaxDefault) {
    this.#routes = routes
    this.#brokersMax = brokersMax
  }

  get count(): number {
    return this.#live.size
  }

  /** Whether a registration's topics need not be read: they are those that its broker registered last, and all are here. */
  hasMerged(broker: BrokerIdentity, isActingMasterKnown: boolean, dataVersion: DataVersion, print: BodyPrint): boolean {
    const live = this.#live.get(brokerKey(broker))
    const group = this.#routes.groupOf(broker.brokerName)
    if (live === undefined || group === undefined) return false
    if (live.brokerName !== broker.brokerName || group.addrs.get(broker.brokerId) !== broker.brokerAddr) return false
    if (!isSameDataVersion(live.dataVersion, dataVersion)) return false
    if (live.print.crc32 !== print.crc32 || live.print.bytes !== print.bytes) return false
    return !group.isSpokenForBy(broker.brokerId, isActingMasterKnown) || live.mergedAt === group.edits
  }

  /**
   * Merges one registration, in steps between which anything but another registration may happen.
   * @param isComplete topics that it does not name are gone from this broker
   */
  *registering(
    registration: Registration,
    link: Link,
    nowMs: number,
    isComplete = false,
  ): Generator<void, RegisterResult> {
    const { clusterName, brokerName, brokerId, brokerAddr, dataVersion, topics } = registration
    const routes = this.#routes
    const key = brokerKey(registration)
    const known = this.#live.get(key)
    if (known === undefined && this.#live.size >= this.#brokersMax) return { status: 'refused' }
    // Who has another name at an old address: nobody would ever notice that it is gone by the old one.
    if (known !== undefined && known.brokerName !== brokerName) this.unregister(known)

    const group = routes.groupOf(brokerName) ?? new BrokerGroup(registration)
    const holder = group.addrs.get(brokerId)
    if (holder !== undefined && holder !== brokerAddr) {
      const stateVersion = this.#live.get(brokerKey({ clusterName, brokerAddr: holder }))?.dataVersion.stateVersion
      if (stateVersion !== undefined && stateVersion > dataVersion.stateVersion) {
        this.#forget(key) // an old master that comes back late
        return { status: 'outdated' }
      }
    }
    // A single topic is an increment to what is known, never a broker's first word.
    if (holder === undefined && topics?.length === 1) return { status: 'refused' }

    routes.addGroup(group, clusterName)
    const minBefore = group.addrs.size === 0 ? masterId : group.minId
    const enableActingMaster = registration.enableActingMaster ?? false
    group.join(registration, { enableActingMaster, zoneName: registration.zoneName })
    const live: LiveBroker = {
      clusterName,
      brokerName,
      brokerId,
      brokerAddr,
      link,
      seenAtMs: nowMs,
      timeoutMs: registration.timeoutMs ?? timeoutMsDefault,
      dataVersion,
      haServerAddr: registration.haServerAddr,
      print: registration.print,
      mergedAt: topics === undefined ? known?.mergedAt : undefined,
    }
    this.#live.set(key, live)
    if (registration.filterServers.length > 0) routes.filterServers.set(key, registration.filterServers)
    else if (topics !== undefined) routes.filterServers.delete(key)

    let refusedTopics = 0
    if (topics !== undefined && group.isSpokenForBy(brokerId, registration.enableActingMaster !== undefined)) {
      const isChanged =
        holder === undefined || known === undefined || !isSameDataVersion(known.dataVersion, dataVersion)
      const isActing = brokerId !== masterId && enableActingMaster
      const mergedAt = group.edits
      for (let at = 0; at < topics.length; at++) {
        const topic = topics[at]!
        if ((isChanged || !group.topics.has(topic.topicName)) && !routes.putTopic(group, topic, isActing))
          refusedTopics++
        if (at % stepTopics !== stepTopics - 1) continue
        yield
        if (this.#live.get(key) !== live) return { status: 'registered', isNew: false, refusedTopics } // it left meanwhile
      }
      if (isChanged) for (const [topic, mapping] of registration.mappings) group.mappings.set(topic, mapping)
      if (isComplete && registration.mappings.size === 0) routes.keepTopics(group, topics)
      live.mergedAt = mergedAt
    }
    const master = brokerId === masterId ? undefined : this.#masterOf(group)
    const change = brokerId < minBefore ? group.arrival(registration.haServerAddr) : undefined
    return { status: 'registered', isNew: known === undefined, refusedTopics, ...(master && { master }), change }
  }

  /** @returns what its group has to hear, if it acts for lost masters */
  unregister(broker: BrokerIdentity): MinBrokerIdChange | undefined {
    this.#forget(brokerKey(broker))
    const group = this.#routes.groupOf(broker.brokerName)
    if (group === undefined) return undefined
    const wasMin = group.addrs.size > 0 && group.minId === broker.brokerId
    group.leave(broker.brokerAddr)
    if (group.addrs.size === 0) {
      this.#routes.removeGroup(group)
      return undefined
    }
    if (!group.enableActingMaster) return undefined
    // Slaves that act for their master serve reads only.
    if (!group.addrs.has(masterId)) group.setWritable(false)
    return wasMin ? group.departure(broker.brokerAddr) : undefined
  }

  /** Forgets the brokers whose last registration came by this connection. @returns them */
  unregisterLink(link: Link): Gone[] {
    return this.#unregisterAll((broker) => broker.link === link)
  }

  /** Forgets the brokers that were silent for longer than their timeout. @returns them, with their connections */
  unregisterSilent(nowMs: number): Gone[] {
    return this.#unregisterAll(({ seenAtMs, timeoutMs }) => nowMs - seenAtMs > timeoutMs)
  }

  /** Notes a sign of life; one from a broker that is not registered counts for nothing. */
  refresh(broker: { clusterName: string; brokerAddr: string }, nowMs: number): void {
    const live = this.#live.get(brokerKey(broker))
    if (live !== undefined) live.seenAtMs = nowMs
  }

  /** The version of its topics that a broker registered with. */
  dataVersionOf(broker: { clusterName: string; brokerAddr: string }): DataVersion | undefined {
    return this.#live.get(brokerKey(broker))?.dataVersion
  }

  #masterOf(group: BrokerGroup): { brokerAddr: string; haServerAddr: string } | undefined {
    const brokerAddr = group.addrs.get(masterId)
    const live = brokerAddr && this.#live.get(brokerKey({ clusterName: group.clusterName, brokerAddr }))
    return live ? { brokerAddr: live.brokerAddr, haServerAddr: live.haServerAddr } : undefined
  }

  #forget(key: string): void {
    this.#live.delete(key)
    this.#routes.filterServers.delete(key)
  }

  #unregisterAll(isGone: (broker: LiveBroker) => boolean): Gone[] {
    const gone = [...this.#live.values()].filter(isGone)
    return gone.map((broker) => ({ ...broker, change: this.unregister(broker) }))
  }
}
