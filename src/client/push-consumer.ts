import type { Timer } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import { RequestCode } from '../remoting/codes.ts'
import { consumerSendMsgBackRequest } from '../remoting/headers/consumer-send-msg-back.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { Dispatcher } from './dispatcher.ts'
import { Heartbeats } from './heartbeats.ts'
import { answerBroker, groupOfConsumer } from './membership.ts'
import { checkName, type MessageQueue, queueKey, type ReceivedMessage } from './message.ts'
import { type OffsetStore, offsetsAtBrokers, offsetsInMemory } from './offset-store.ts'
import { OrderlyDispatcher } from './orderly-dispatcher.ts'
import { type Held, ProcessQueue } from './process-queue.ts'
import { productionDoors } from './production-doors.ts'
import { type PullContext, type PullLimits, pullLimits, pullLoop } from './puller.ts'
import { lockRenewalMs, QueueLocks } from './queue-locks.ts'
import { type ConsumeFrom, retryPrefix, startOffset } from './queue-offsets.ts'
import { Rebalancer } from './rebalancer.ts'
import { receivedMessage } from './received.ts'
import type { Route } from './routes.ts'
import { type Subscription, subscribe } from './subscription.ts'

export interface PushConsumerOptions extends ClusterOptions, Partial<PullLimits> {
  consumerGroup: string
  /** What is wanted of each topic: tags joined by `||`, or `*`. All members of a group must want the same. */
  subscriptions: Readonly<Record<string, string>>
  /**
   * Consumes one message. Returning acknowledges it; throwing asks for another try: after 10 s, then ever later (orderly:
   * every suspendCurrentQueueMs), up to maxReconsumeTimes tries, and then it goes to the topic %DLQ%consumerGroup.
   */
  onMessage: (message: ReceivedMessage) => void | Promise<void>
  /** CLUSTERING (the default): members share the messages. BROADCASTING: each gets all, and a failure is only logged. */
  messageModel?: 'CLUSTERING' | 'BROADCASTING'
  /**
   * Whether the messages of a queue are consumed one after the other, by one member of the group at a time (false). One
   * that fails is tried again before the next.
   */
  orderly?: boolean
  /** orderly: how long a queue waits after a failure (1,000; at least 10, at most 30,000). */
  suspendCurrentQueueMs?: number
  /** Where a group begins that has no offset yet (last); timestamp: ms since 1970. Young queues begin at their first message. */
  consumeFrom?: ConsumeFrom
  /** How many onMessage run at a time (20). */
  consumeThreads?: number
  /**
   * How long one onMessage may take before its message counts as failed (900,000); it is not stopped. orderly: it is waited
   * for, with a warning, as the next must not begin before.
   */
  consumeTimeoutMs?: number
  /** Tries after the first (16; orderly: without end). */
  maxReconsumeTimes?: number
  /** BROADCASTING: where this member's progress is kept; in memory by default, so a new process begins at consumeFrom. */
  offsetStore?: OffsetStore
  /** How long close waits for the onMessage that run (10,000). */
  closeGraceMs?: number
}

/**
 * Consumes topics as a member of a consumer group: at least once, and in no promised order unless orderly is set. It keeps
 * going by itself through restarts of brokers and NameServers, and through topics and queues that come and go.
 */
export class PushConsumer {
  readonly #options: PushConsumerOptions
  readonly #isBroadcasting: boolean
  readonly #cluster: Cluster
  readonly #heartbeats: Heartbeats
  readonly #offsets: OffsetStore
  readonly #dispatcher: Dispatcher | OrderlyDispatcher
  readonly #orderly: OrderlyDispatcher | undefined
  readonly #locks: QueueLocks | undefined // orderly, unless each member has all queues anyway
  readonly #leaving = new Map<string, { queue: MessageQueue; left: Promise<void> }>() // by queueKey: lost, not yet let go of
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #queues = new Map<string, ProcessQueue>() // ours, by queueKey
  readonly #pulling: PullContext
  readonly #rebalancer: Rebalancer
  readonly #timers: Timer[] = []
  #state: 'new' | 'started' | 'closed' = 'new'

  /** @throws OperatingError SETTING_INVALID, MESSAGE_ILLEGAL (a name) */
  constructor(options: PushConsumerOptions, doors: Doors = productionDoors()) {
    const { consumerGroup } = options
    checkName(consumerGroup, 'group')
    this.#options = options
    this.#isBroadcasting = options.messageModel === 'BROADCASTING'
    const subVersion = doors.clock.now()
    for (const [topic, expression] of Object.entries(options.subscriptions)) {
      this.#subscriptions.set(topic, subscribe(topic, expression, subVersion))
    }
    if (this.#subscriptions.size === 0)
      throw new OperatingError('SETTING_INVALID', { key: 'subscriptions', fits: '1 topic' })
    if (!this.#isBroadcasting) {
      const retryTopic = retryPrefix + consumerGroup
      this.#subscriptions.set(retryTopic, subscribe(retryTopic, '*', subVersion))
    }
    this.#cluster = new Cluster(options, doors, {
      onRequest: (request) => answerBroker(request, () => this.#rebalancer.soon(0)),
      onClose: (address) => {
        this.#heartbeats.forget(address) // as the broker now forgets this member
        this.#rebalancer.soon(reconnectPauseMs)
      },
    })
    this.#cluster.routes.onChange = () => this.#rebalancer.soon(0)
    this.#heartbeats = new Heartbeats(this.#cluster, 'all', () =>
      groupOfConsumer(options, 'CONSUME_PASSIVELY', this.#subscriptions.values()),
    )
    this.#rebalancer = new Rebalancer({
      cluster: this.#cluster,
      heartbeats: this.#heartbeats,
      consumerGroup,
      topics: [...this.#subscriptions.keys()],
      isShared: !this.#isBroadcasting,
      take: (route, share) => this.#take(route, share),
    })
    this.#offsets = this.#isBroadcasting
      ? (options.offsetStore ?? offsetsInMemory())
      : offsetsAtBrokers(this.#cluster, consumerGroup)
    const { consumeThreads = 20, orderly = false } = options
    if (orderly) {
      this.#orderly = new OrderlyDispatcher(consumeThreads, (held) => this.#consumeInOrder(held), doors.clock)
      if (!this.#isBroadcasting) this.#locks = new QueueLocks(this.#cluster, consumerGroup)
    }
    this.#dispatcher = this.#orderly ?? new Dispatcher(consumeThreads, (held) => this.#consume(held))
    this.#pulling = {
      cluster: this.#cluster,
      heartbeats: this.#heartbeats,
      consumerGroup,
      // of a queue that changes hands in order, a pull with older progress could overtake the last progress
      kind: this.#isBroadcasting || orderly ? 'pushUncommitted' : 'push',
      limits: pullLimits(options),
      isClosed: () => this.#isClosed(),
      heldBytes: () => [...this.#queues.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      deliver: (held) => this.#dispatcher.add(held),
      moved: (queue, offset) => this.#move(queue, offset),
    }
  }

  /** The queues that are this member's now. */
  get queues(): readonly MessageQueue[] {
    return [...this.#queues.values()].map(({ queue }) => queue)
  }

  /** Joins the group. Topics that do not exist yet are looked for until they do. Resolves after the first rebalance. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return
    this.#state = 'started'
    const { clock } = this.#cluster.doors
    await this.#rebalancer.start()
    if (this.#isClosed()) return
    this.#heartbeats.start()
    this.#timers.push(clock.every(persistMs, () => void this.#persist()))
    if (this.#locks !== undefined) this.#timers.push(clock.every(lockRenewalMs, () => void this.#renewLocks()))
  }

  /**
   * Leaves the group: no more messages, up to closeGraceMs for those under way, then the offsets are stored and the
   * others told. What was not finished comes again, to another member.
   */
  async close(): Promise<void> {
    if (this.#isClosed()) return
    this.#state = 'closed'
    const { clock } = this.#cluster.doors
    for (const timer of this.#timers) timer.cancel()
    const rebalanced = this.#rebalancer.close()
    this.#heartbeats.stop()
    const graceEnded = new AbortController()
    await Promise.race([
      Promise.all([rebalanced, this.#dispatcher.stop(), ...[...this.#leaving.values()].map(({ left }) => left)]),
      clock.sleep(this.#options.closeGraceMs ?? 10_000, graceEnded.signal).catch(() => {}),
    ])
    graceEnded.abort()
    await this.#persist()
    const idle = [...this.#queues.values()].filter((owned) => this.#orderly?.isRunning(owned) === false)
    await this.#locks?.unlock(idle.map(({ queue }) => queue))
    await this.#heartbeats.unregister({ consumerGroup: this.#options.consumerGroup })
    await this.#cluster.close()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  async #consume(held: Held): Promise<void> {
    const { owner, stored } = held
    if (stored === undefined) return
    try {
      await this.#handOver(receivedMessage(stored, owner.queue))
      owner.done(held)
    } catch (error) {
      const { log } = this.#cluster.doors
      log.warn({ ...owner.queue, queueOffset: held.queueOffset, err: error }, 'message not consumed')
      if (this.#isBroadcasting) owner.done(held)
      else if (!owner.isDropped) await this.#sendBack(held)
    }
  }

  /** @returns after how many ms the message is to be tried again; 0: the queue goes on */
  async #consumeInOrder(held: Held): Promise<number> {
    const { owner, stored } = held
    if (stored === undefined) return 0
    if (this.#locks?.isHeld(owner.queue) === false) {
      this.#lockLost(owner)
      return 0
    }
    const { log } = this.#cluster.doors
    const { maxReconsumeTimes = Number.POSITIVE_INFINITY, suspendCurrentQueueMs = 1_000 } = this.#options
    try {
      await this.#handOver(receivedMessage(stored, owner.queue))
    } catch (error) {
      log.warn({ ...owner.queue, queueOffset: held.queueOffset, err: error }, 'message not consumed')
      const isLastTry = stored.reconsumeTimes >= maxReconsumeTimes
      if (!isLastTry || !(this.#isBroadcasting || (await this.#sendToDeadLetters(held)))) {
        if (!isLastTry) stored.reconsumeTimes++
        return Math.min(suspendMsMax, Math.max(suspendMsMin, suspendCurrentQueueMs))
      }
    }
    owner.done(held)
    return 0
  }

  /** @throws what onMessage throws, or OperatingError DEADLINE_EXCEEDED: one that never ends must not hold up its queue for ever */
  async #handOver(message: ReceivedMessage): Promise<void> {
    const consuming = this.#options.onMessage(message)
    if (consuming === undefined) return
    const { consumeTimeoutMs = 900_000 } = this.#options
    await new Promise<void>((resolve, reject) => {
      const timer = this.#cluster.doors.clock.after(consumeTimeoutMs, () => {
        if (this.#orderly === undefined) reject(new OperatingError('DEADLINE_EXCEEDED', { consumeTimeoutMs }))
        else this.#cluster.doors.log.warn({ ...message.queue, consumeTimeoutMs }, 'an onMessage holds up its queue')
      })
      timer.unref() // after close it would keep the process for as long
      consuming.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  /** Has the broker store the message again, for a later try by any member. */
  async #sendBack(held: Held): Promise<void> {
    try {
      await this.#askToStoreAgain(held, 0)
      held.owner.done(held)
    } catch (error) {
      if (!isOperatingError(error)) throw error
      const { clock, log } = this.#cluster.doors
      log.debug({ ...held.owner.queue, err: error }, 'message not sent back, trying it again here')
      clock.after(localRetryMs, () => this.#state === 'started' && this.#dispatcher.add([held])).unref()
    }
  }

  /** @returns whether the broker did it */
  async #sendToDeadLetters(held: Held): Promise<boolean> {
    try {
      await this.#askToStoreAgain(held, -1)
      return true
    } catch (error) {
      if (!isOperatingError(error)) throw error
      this.#cluster.doors.log.debug({ ...held.owner.queue, err: error }, 'message not sent to the dead letters')
      return false
    }
  }

  /** @param delayLevel 0: as the broker thinks fit after so many tries; -1: to the dead letters */
  async #askToStoreAgain({ owner, stored }: Held, delayLevel: number): Promise<void> {
    if (stored === undefined) return
    const { consumerGroup, maxReconsumeTimes = 16 } = this.#options
    const extFields = consumerSendMsgBackRequest.encode({
      phyOffset: stored.phyOffset,
      group: consumerGroup,
      delayLevel,
      originTopic: stored.topic,
      maxReconsumeTimes: Math.min(maxReconsumeTimes, 0x7fff_ffff),
    })
    const route = await this.#cluster.routes.get(owner.queue.topic)
    const address = route.brokerOf(owner.queue.brokerName, 0) ?? ''
    await this.#cluster.call(address, { code: RequestCode.CONSUMER_SEND_MSG_BACK, extFields })
  }

  #move(processQueue: ProcessQueue, offset: number): void {
    this.#cluster.doors.log.info({ ...processQueue.queue, offset }, 'offset moved by the broker')
    processQueue.isDropped = true
    if (this.#orderly === undefined) this.#own(processQueue.queue, offset)
    else {
      void this.#orderly.idle(processQueue).then(() => {
        if (this.#queues.get(queueKey(processQueue.queue)) === processQueue) this.#own(processQueue.queue, offset)
      })
    }
  }

  async #renewLocks(): Promise<void> {
    const owned = [...this.#queues.values()]
    const leaving = [...this.#leaving.values()].map(({ queue }) => queue)
    const outcome = await this.#locks?.lock([...owned.map(({ queue }) => queue), ...leaving])
    const refused = new Set(outcome?.refused.map(queueKey))
    for (const processQueue of owned) if (refused.has(queueKey(processQueue.queue))) this.#lockLost(processQueue)
  }

  /** Another member may have the queue now, and may have gone on in it: it is given up, and gained anew with its lock. */
  #lockLost(processQueue: ProcessQueue): void {
    const key = queueKey(processQueue.queue)
    if (processQueue.isDropped || this.#queues.get(key) !== processQueue) return
    this.#cluster.doors.log.warn({ ...processQueue.queue }, 'lock of a queue lost')
    this.#queues.delete(key)
    this.#leave(processQueue, false)
    this.#rebalancer.soon(lockRetryMs)
  }

  /** Lets the message that is being consumed end, then gives the queue to the next member with all its progress. */
  #leave(processQueue: ProcessQueue, isLocked: boolean): void {
    const { queue } = processQueue
    const key = queueKey(queue)
    processQueue.isDropped = true
    const letGo = async () => {
      await this.#orderly?.idle(processQueue)
      if (isLocked) {
        await this.#store(processQueue)
        await this.#locks?.unlock([queue])
      }
      this.#leaving.delete(key)
    }
    this.#leaving.set(key, { queue, left: letGo() })
  }

  #own(queue: MessageQueue, nextOffset: number): void {
    const subscription = this.#subscriptions.get(queue.topic)
    if (subscription === undefined || this.#isClosed()) return
    const processQueue = new ProcessQueue(queue, nextOffset)
    this.#queues.set(queueKey(queue), processQueue)
    void pullLoop(processQueue, subscription, this.#pulling)
  }

  /** @returns whether this member now has its share */
  async #take(route: Route, share: readonly MessageQueue[]): Promise<boolean> {
    const keys = new Set(share.map(queueKey))
    const owned = [...this.#queues].filter(([, { queue }]) => queue.topic === route.topic)
    const lost = owned.filter(([key]) => !keys.has(key))
    for (const [key, processQueue] of lost) {
      processQueue.isDropped = true
      this.#queues.delete(key)
    }
    if (this.#orderly === undefined) await Promise.all(lost.map(([, processQueue]) => this.#store(processQueue)))
    else for (const [, processQueue] of lost) this.#leave(processQueue, true)
    const cluster = this.#cluster
    const { consumeFrom } = this.#options
    const wanted = share.filter((queue) => !this.#queues.has(queueKey(queue)))
    const gained = this.#orderly === undefined ? wanted : await this.#lock(wanted)
    await Promise.all(
      gained.map(async (queue) => this.#own(queue, await startOffset(cluster, this.#offsets, queue, consumeFrom))),
    )
    const { topic } = route
    if (lost.length + gained.length > 0) {
      this.#cluster.doors.log.info(
        { topic, queues: share.length, lost: lost.length, gained: gained.length },
        'rebalanced',
      )
    }
    return gained.length === wanted.length
  }

  /** @returns those of the queues that no other member is consuming still, nor this one */
  async #lock(wanted: readonly MessageQueue[]): Promise<readonly MessageQueue[]> {
    const free = wanted.filter((queue) => !this.#leaving.has(queueKey(queue)))
    const { granted, refused } = (await this.#locks?.lock(free)) ?? { granted: free, refused: [] }
    if (this.#isClosed()) {
      await this.#locks?.unlock(granted) // else nobody could consume them until the locks expire
      return []
    }
    if (refused.length > 0 || free.length < wanted.length) this.#rebalancer.soon(lockRetryMs)
    return granted
  }

  async #persist(): Promise<void> {
    const owned = [...this.#queues.values()].filter(({ isDropped }) => !isDropped)
    await Promise.all(owned.map((processQueue) => this.#store(processQueue)))
  }

  /** Stores a queue's progress where it changed; what fails is stored the next time. */
  async #store(processQueue: ProcessQueue): Promise<void> {
    const { consumerOffset, queue, storedOffset } = processQueue
    if (consumerOffset === storedOffset) return
    try {
      await this.#offsets.write(queue, consumerOffset)
      processQueue.storedOffset = consumerOffset
    } catch (error) {
      this.#cluster.doors.log.debug({ ...queue, err: error }, 'offset not stored')
    }
  }
}

const reconnectPauseMs = 1_000
const persistMs = 5_000
const localRetryMs = 5_000
const lockRetryMs = 1_000 // another member consumes a last message, or has not noticed yet that the queue is not its own
const suspendMsMin = 10
const suspendMsMax = 30_000
