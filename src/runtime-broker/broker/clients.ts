import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type {
  ConsumeFromWhere,
  ConsumerData,
  ConsumeType,
  HeartbeatData,
  MessageModel,
  SubscriptionData,
} from '../../remoting/body/heartbeat.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { consumerGroupRequest } from '../../remoting/headers/consumer-group.ts'
import type { Connection } from '../../remoting/server.ts'

/** Groups of producers, or of consumers, that clients may bring to life by heartbeats. */
const groupCountMax = 100_000

export interface Client {
  readonly connection: Connection
  readonly clientId: string
  readonly language: string
  readonly version: number
  heartbeatAtMs: number // monotonic
  heartbeatAt: number // ms since 1970, for those who list producers
}

/** A consumer group with at least one client. */
export interface ConsumerGroup {
  readonly name: string
  consumeType: ConsumeType
  messageModel: MessageModel
  consumeFromWhere: ConsumeFromWhere
  readonly clients: Map<Connection, Client>
  readonly subscriptions: Map<string, Subscription> // by topic
}

export interface Subscription {
  readonly data: SubscriptionData
  readonly tagsCodes: ReadonlySet<number> // empty: all messages
  seenAtMs: number // monotonic: the last heartbeat that named it
}

/** Who produces and who consumes, as heartbeats said. Source: Apache RocketMQ 5, ProducerManager, ConsumerManager. */
export class Clients {
  readonly #producers = new Map<string, Map<Connection, Client>>()
  readonly #consumers = new Map<string, ConsumerGroup>()
  readonly #producersById = new Map<string, Connection>() // by clientId: the open connection that said it last
  readonly #idOfProducer = new WeakMap<Connection, string>()
  readonly #groupsOf = new Map<Connection, Set<string>>() // of open connections, producers' and consumers'
  readonly #clock: Clock
  readonly #log: Log
  readonly #mayNotify: (consumerGroup: string) => boolean
  #turn = 0

  /** @param mayNotify are the clients of this group to be told when its members or subscriptions change? */
  constructor(clock: Clock, log: Log, mayNotify: (consumerGroup: string) => boolean) {
    this.#clock = clock
    this.#log = log
    this.#mayNotify = mayNotify
  }

  registerProducer(group: string, connection: Connection, heartbeat: HeartbeatData): void {
    let clients = this.#producers.get(group)
    if (clients === undefined) {
      if (this.#producers.size >= groupCountMax) return
      this.#producers.set(group, (clients = new Map()))
    }
    this.#touch(group, clients, connection, heartbeat.clientID)
    this.#noteId(heartbeat.clientID, connection)
  }

  /** @returns whether the group's members or subscriptions changed; its clients have been told then */
  registerConsumer(consumer: ConsumerData, connection: Connection, heartbeat: HeartbeatData): boolean {
    const { groupName } = consumer
    let group = this.#consumers.get(groupName)
    if (group === undefined) {
      if (this.#consumers.size >= groupCountMax) return false
      group = {
        name: groupName,
        consumeType: consumer.consumeType,
        messageModel: consumer.messageModel,
        consumeFromWhere: consumer.consumeFromWhere,
        clients: new Map(),
        subscriptions: new Map(),
      }
      this.#consumers.set(groupName, group)
    }
    group.consumeType = consumer.consumeType
    group.messageModel = consumer.messageModel
    group.consumeFromWhere = consumer.consumeFromWhere
    const isNew = this.#touch(groupName, group.clients, connection, heartbeat.clientID)
    const isOther = this.#updateSubscriptions(group, consumer.subscriptionDataSet)
    if (isNew || isOther) this.#notify(group)
    return isNew || isOther
  }

  unregisterProducer(group: string, connection: Connection): void {
    const clients = this.#producers.get(group)
    if (clients?.delete(connection) && clients.size === 0) this.#producers.delete(group)
  }

  unregisterConsumer(groupName: string, connection: Connection): void {
    const group = this.#consumers.get(groupName)
    if (!group?.clients.delete(connection)) return
    if (group.clients.size === 0) this.#consumers.delete(groupName)
    else this.#notify(group)
  }

  consumerGroup(group: string): ConsumerGroup | undefined {
    return this.#consumers.get(group)
  }

  consumerGroups(): Iterable<ConsumerGroup> {
    return this.#consumers.values()
  }

  producers(group: string): Iterable<Client> | undefined {
    return this.#producers.get(group)?.values()
  }

  /** Each time another producer of the group; undefined: none is connected. */
  nextProducer(group: string): Client | undefined {
    const clients = [...(this.#producers.get(group)?.values() ?? [])].filter(({ connection }) => connection.isOpen)
    return clients[this.#turn++ % Math.max(1, clients.length)]
  }

  /** The connection of a client that produces, whatever its groups. */
  findProducer(clientId: string): Connection | undefined {
    return this.#producersById.get(clientId)
  }

  producerGroups(): Iterable<[string, Map<Connection, Client>]> {
    return this.#producers.entries()
  }

  get counts(): { producerGroups: number; consumerGroups: number } {
    return { producerGroups: this.#producers.size, consumerGroups: this.#consumers.size }
  }

  findConsumer(group: string, clientId: string): Client | undefined {
    for (const client of this.#consumers.get(group)?.clients.values() ?? []) {
      if (client.clientId === clientId) return client
    }
    return undefined
  }

  /** Groups with a live consumer that subscribes to topic. */
  groupsOf(topic: string): string[] {
    return [...this.#consumers.values()].filter((group) => group.subscriptions.has(topic)).map(({ name }) => name)
  }

  /** Drops clients and subscriptions that no heartbeat named for so long, and closes such clients' connections. */
  expire({ clientTtlMs, subscriptionTtlMs }: { clientTtlMs: number; subscriptionTtlMs: number }): void {
    const now = this.#clock.monotonicMs()
    const silent = new Set<Client>()
    const clientTables = [...this.#producers.values(), ...[...this.#consumers.values()].map(({ clients }) => clients)]
    for (const clients of clientTables) {
      for (const client of clients.values()) if (now - client.heartbeatAtMs > clientTtlMs) silent.add(client)
    }
    for (const { connection, clientId } of silent) {
      this.#log.warn({ clientId }, 'client dropped: no heartbeat')
      connection.close()
      this.#forget(connection)
    }
    for (const { subscriptions } of this.#consumers.values()) {
      for (const [topic, { seenAtMs }] of subscriptions)
        if (now - seenAtMs > subscriptionTtlMs) subscriptions.delete(topic)
    }
  }

  /** @returns whether the connection was new there */
  #touch(group: string, clients: Map<Connection, Client>, connection: Connection, clientId: string): boolean {
    const known = clients.get(connection)
    const heartbeatAtMs = this.#clock.monotonicMs()
    const heartbeatAt = this.#clock.now()
    if (known?.clientId === clientId) {
      known.heartbeatAtMs = heartbeatAtMs
      known.heartbeatAt = heartbeatAt
      return false
    }
    const { language, version } = connection
    clients.set(connection, { connection, clientId, language, version, heartbeatAtMs, heartbeatAt })
    const groups = this.#groupsOf.get(connection)
    if (groups !== undefined) groups.add(group)
    else {
      this.#groupsOf.set(connection, new Set([group]))
      connection.onClose(() => this.#forget(connection))
    }
    return true
  }

  /** The newest subVersion of a topic wins; topics that are not in the list are subscribed no more. */
  #updateSubscriptions(group: ConsumerGroup, list: readonly SubscriptionData[]): boolean {
    const seenAtMs = this.#clock.monotonicMs()
    let isChanged = false
    for (const data of list) {
      const known = group.subscriptions.get(data.topic)
      if (known === undefined || data.subVersion > known.data.subVersion) {
        if (known === undefined) isChanged = true
        group.subscriptions.set(data.topic, { data, tagsCodes: new Set(data.codeSet), seenAtMs })
      } else known.seenAtMs = seenAtMs
    }
    for (const topic of group.subscriptions.keys()) {
      if (list.some((data) => data.topic === topic)) continue
      group.subscriptions.delete(topic)
      isChanged = true
    }
    return isChanged
  }

  #forget(connection: Connection): void {
    for (const group of this.#groupsOf.get(connection) ?? []) {
      this.unregisterProducer(group, connection)
      this.unregisterConsumer(group, connection)
    }
    this.#groupsOf.delete(connection)
    this.#forgetId(connection)
  }

  #noteId(clientId: string, connection: Connection): void {
    if (this.#producersById.get(clientId) === connection) return
    this.#forgetId(connection) // it may go by another name now
    this.#producersById.set(clientId, connection)
    this.#idOfProducer.set(connection, clientId)
  }

  #forgetId(connection: Connection): void {
    const clientId = this.#idOfProducer.get(connection)
    if (clientId !== undefined && this.#producersById.get(clientId) === connection) this.#producersById.delete(clientId)
  }

  #notify(group: ConsumerGroup): void {
    if (group.messageModel === 'BROADCASTING' || !this.#mayNotify(group.name)) return
    const extFields = consumerGroupRequest.encode({ consumerGroup: group.name })
    for (const { connection } of group.clients.values()) {
      connection.oneway({ code: RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, extFields })
    }
  }
}
