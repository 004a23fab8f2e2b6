import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { Heartbeats } from './heartbeats.ts'
import { answerBroker, groupOfConsumer } from './membership.ts'
import { checkName, type MessageQueue, queueKey, type ReceivedMessage } from './message.ts'
import { type OffsetStore, offsetsAtBrokers, offsetsInMemory } from './offset-store.ts'
import { type Held, ProcessQueue } from './process-queue.ts'
import { productionDoors } from './production-doors.ts'
import { type PullContext, type PullLimits, pullLimits, pullLoop } from './puller.ts'
import { type ConsumeFrom, maxOffset, minOffset, searchOffset, startOffset } from './queue-offsets.ts'
import { Rebalancer } from './rebalancer.ts'
import { receivedMessage } from './received.ts'
import type { Route } from './routes.ts'
import { type Subscription, subscribe } from './subscription.ts'

export interface LitePullConsumerOptions extends ClusterOptions, Partial<PullLimits> {
  consumerGroup: string
  /**
   * What is wanted of each topic: tags joined by `||`, or `*`. Members of the group then share the queues, and must all want
   * the same. Without it the queues are those given to assign.
   */
  subscriptions?: Readonly<Record<string, string>>
  /** CLUSTERING (the default): members share the messages and their progress. BROADCASTING: each gets all. */
  messageModel?: 'CLUSTERING' | 'BROADCASTING'
  /** Where a group begins that has no offset yet (last); timestamp: ms since 1970. Young queues begin at their first message. */
  consumeFrom?: ConsumeFrom
  /** Whether what polls returned is committed by itself, at the polls that follow and at close (true). */
  autoCommit?: boolean
  /** How long after the last commit a poll commits again (5,000). */
  autoCommitIntervalMs?: number
  /** How long a poll waits for a first message (5,000). */
  pollTimeoutMs?: number
  /** Messages held in all, pulled but not polled, above which nothing is pulled (10,000). */
  heldCountAllMax?: number
  /** BROADCASTING: where this member's progress is kept; in memory by default. */
  offsetStore?: OffsetStore
}

/** A queue of this consumer. */
interface Assigned {
  readonly queue: MessageQueue
  readonly subscription: Subscription
  isPaused: boolean
  /** undefined: where to begin is not known yet. */
  processQueue: ProcessQueue | undefined
}

/**
 * Consumes topics at the application's own pace: it asks for messages, says where to go on, and when its progress is stored.
 * Pulling goes on in the background, up to the limits. Keeps going by itself through restarts of brokers and NameServers.
 */
export class LitePullConsumer implements AsyncIterable<ReceivedMessage> {
  readonly #options: LitePullConsumerOptions
  readonly #cluster: Cluster
  readonly #heartbeats: Heartbeats
  readonly #offsets: OffsetStore
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #rebalancer: Rebalancer | undefined // with subscriptions
  readonly #pulling: PullContext
  readonly #assigned = new Map<string, Assigned>() // by queueKey
  readonly #arrived = new Map<ProcessQueue, Held[]>() // not polled yet; those polled longest ago first
  readonly #waiting = new Set<() => void>()
  #polled: Held[] = [] // by the last poll: they are done with when the next one comes
  #committedAtMs: number
  #state: 'new' | 'started' | 'closed' = 'new'

  /** @throws OperatingError SETTING_INVALID, MESSAGE_ILLEGAL (a name) */
  constructor(options: LitePullConsumerOptions, doors: Doors = productionDoors()) {
    const { consumerGroup, messageModel = 'CLUSTERING', heldCountAllMax = 10_000, subscriptions } = options
    checkName(consumerGroup, 'group')
    this.#options = options
    const subVersion = doors.clock.now()
    for (const [topic, expression] of Object.entries(subscriptions ?? {})) {
      this.#subscriptions.set(topic, subscribe(topic, expression, subVersion))
    }
    this.#cluster = new Cluster(options, doors, {
      onRequest: (request) => answerBroker(request, () => this.#rebalancer?.soon(0)),
      onClose: (address) => {
        this.#heartbeats.forget(address) // as the broker now forgets this member
        this.#rebalancer?.soon(reconnectPauseMs)
      },
    })
    this.#cluster.routes.onChange = () => this.#rebalancer?.soon(0)
    this.#committedAtMs = doors.clock.monotonicMs()
    this.#heartbeats = new Heartbeats(this.#cluster, 'all', () =>
      groupOfConsumer(options, 'CONSUME_ACTIVELY', this.#subscriptions.values()),
    )
    const isShared = messageModel === 'CLUSTERING'
    this.#offsets = isShared
      ? offsetsAtBrokers(this.#cluster, consumerGroup)
      : (options.offsetStore ?? offsetsInMemory())
    if (subscriptions !== undefined) {
      this.#rebalancer = new Rebalancer({
        cluster: this.#cluster,
        heartbeats: this.#heartbeats,
        consumerGroup,
        topics: [...this.#subscriptions.keys()],
        isShared,
        take: (route, share) => this.#take(route, share),
      })
    }
    this.#pulling = {
      cluster: this.#cluster,
      heartbeats: this.#heartbeats,
      consumerGroup,
      kind: 'lite',
      limits: pullLimits(options),
      isClosed: () => this.#state === 'closed',
      heldBytes: () => this.#processQueues().reduce((sum, { bytes }) => sum + bytes, 0),
      isPaused: (processQueue) =>
        this.#assigned.get(queueKey(processQueue.queue))?.isPaused === true ||
        this.#processQueues().reduce((sum, { count }) => sum + count, 0) >= heldCountAllMax,
      deliver: (held) => this.#arrive(held),
      moved: (processQueue, offset) => this.#moved(processQueue, offset),
    }
  }

  /** The queues that are this consumer's now. */
  get queues(): readonly MessageQueue[] {
    return [...this.#assigned.values()].map(({ queue }) => queue)
  }

  /** Begins to pull; with subscriptions it joins the group, and resolves after the first rebalance. */
  async start(): Promise<void> {
    if (this.#state !== 'new') return
    this.#state = 'started'
    await this.#rebalancer?.start()
    if (this.#isClosed()) return
    this.#heartbeats.start()
    if (this.#rebalancer === undefined) for (const one of this.#assigned.values()) void this.#begin(one)
  }

  /** Stops pulling; with autoCommit the progress is stored: all that polls returned counts as consumed. */
  async close(): Promise<void> {
    if (this.#isClosed()) return
    this.#finishPolled()
    this.#state = 'closed'
    void this.#rebalancer?.close() // what it still assigns pulls nothing
    this.#heartbeats.stop()
    this.#wake()
    if (this.#commitsItself()) await this.#storeAll(this.#processQueues())
    await this.#heartbeats.unregister({ consumerGroup: this.#options.consumerGroup })
    await this.#cluster.close()
  }

  /**
   * Consumes exactly these queues from now on, whatever others of the group do. Those that it had before go on.
   * @param subscriptions what is wanted of each topic, as tags joined by `||`; all where it says nothing
   * @throws OperatingError SETTING_INVALID where the consumer has subscriptions: its queues come from the group
   */
  assign(queues: readonly MessageQueue[], subscriptions: Readonly<Record<string, string>> = {}): void {
    if (this.#rebalancer !== undefined) {
      throw new OperatingError('SETTING_INVALID', { key: 'subscriptions', fits: 'none, where queues are assigned' })
    }
    const keys = new Set(queues.map(queueKey))
    const lost = [...this.#assigned.values()].filter(({ queue }) => !keys.has(queueKey(queue)))
    void this.#lose(lost)
    for (const queue of queues) {
      if (this.#assigned.has(queueKey(queue))) continue
      this.#gain(queue, subscribe(queue.topic, subscriptions[queue.topic] ?? '*', this.#cluster.doors.clock.now()))
    }
  }

  /** All queues of a topic that can be read, sorted. @throws OperatingError TOPIC_NOT_FOUND, CONNECT_FAILED… */
  async topicQueues(topic: string): Promise<readonly MessageQueue[]> {
    return (await this.#cluster.routes.get(topic)).readQueues
  }

  /**
   * The next messages, of one queue and in its order; queues take turns. Those of the poll before count as consumed now.
   * @param timeoutMs how long to wait for a first one (pollTimeoutMs)
   * @param countMax as many at most (pullCountMax)
   * @returns none when the time is up or the consumer closed
   */
  async poll(
    timeoutMs = this.#options.pollTimeoutMs ?? 5_000,
    countMax = this.#pulling.limits.pullCountMax,
  ): Promise<ReceivedMessage[]> {
    this.#finishPolled()
    this.#commitIfDue()
    const held = await this.#next(timeoutMs, countMax)
    this.#polled.push(...held)
    return held.flatMap((one) => this.#received(one))
  }

  /**
   * Messages until the consumer closes. One counts as consumed when the next is asked for: that at which a loop was left is
   * the first of its queue in the next loop.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage, void, undefined> {
    while (!this.#isClosed()) {
      const [held] = await this.#next(this.#options.pollTimeoutMs ?? 5_000, 1)
      if (held === undefined) continue
      let isConsumed = false
      try {
        yield* this.#received(held)
        isConsumed = true
      } finally {
        if (isConsumed) held.owner.done(held)
        else if (!held.owner.isDropped) this.#arrived.set(held.owner, [held, ...(this.#arrived.get(held.owner) ?? [])])
      }
      this.#commitIfDue()
    }
  }

  /** Pulls these queues no further, and polls nothing of them, until resume. Queues of others are passed over. */
  pause(queues: readonly MessageQueue[]): void {
    this.#setPaused(queues, true)
  }

  resume(queues: readonly MessageQueue[]): void {
    this.#setPaused(queues, false)
    this.#wake()
  }

  /**
   * Goes on at an offset of a queue; what was pulled of it is forgotten. The next commit stores it.
   * @throws OperatingError SETTING_INVALID where the queue is not this consumer's, or has no such offset; REQUEST_REFUSED…
   */
  async seek(queue: MessageQueue, queueOffset: number): Promise<void> {
    const [first, end] = await Promise.all([this.minOffset(queue), this.maxOffset(queue)])
    if (!Number.isInteger(queueOffset) || queueOffset < first || queueOffset > end) {
      throw new OperatingError('SETTING_INVALID', {
        ...queue,
        key: 'queueOffset',
        queueOffset,
        fits: `${first} to ${end}`,
      })
    }
    this.#seek(queue, queueOffset)
  }

  /** @throws as seek */
  async seekToBegin(queue: MessageQueue): Promise<void> {
    this.#seek(queue, await this.minOffset(queue))
  }

  /** @throws as seek */
  async seekToEnd(queue: MessageQueue): Promise<void> {
    this.#seek(queue, await this.maxOffset(queue))
  }

  /** The first queueOffset that is still there. @throws OperatingError REQUEST_REFUSED, CONNECT_FAILED… */
  minOffset(queue: MessageQueue): Promise<number> {
    return minOffset(this.#cluster, queue)
  }

  /** The queueOffset that the next message will have. @throws as minOffset */
  maxOffset(queue: MessageQueue): Promise<number> {
    return maxOffset(this.#cluster, queue)
  }

  /**
   * The first message that was stored then or later; the queue's end where there is none.
   * @param timestampMs since 1970
   * @throws as minOffset
   */
  offsetForTimestamp(queue: MessageQueue, timestampMs: number): Promise<number> {
    return searchOffset(this.#cluster, queue, timestampMs)
  }

  /** The next queueOffset of the group, as it is stored; undefined: none is. @throws as minOffset */
  committed(queue: MessageQueue): Promise<number | undefined> {
    return this.#offsets.read(queue)
  }

  /**
   * Stores the progress and waits for it: everything that polls returned counts as consumed.
   * @param positions next offsets of some queues instead
   * @throws OperatingError REQUEST_REFUSED, CONNECT_FAILED… of the first queue that failed; others may be stored
   */
  async commit(positions?: Iterable<readonly [queue: MessageQueue, consumerOffset: number]>): Promise<void> {
    if (positions !== undefined) {
      await Promise.all([...positions].map(([queue, consumerOffset]) => this.#offsets.write(queue, consumerOffset)))
      return
    }
    this.#finishPolled()
    this.#committedAtMs = this.#cluster.doors.clock.monotonicMs()
    await Promise.all(this.#processQueues().map((processQueue) => this.#store(processQueue)))
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #commitsItself(): boolean {
    return this.#options.autoCommit ?? true
  }

  #processQueues(): ProcessQueue[] {
    return [...this.#assigned.values()].flatMap(({ processQueue }) => processQueue ?? [])
  }

  // Which queues, and from where.

  async #take(route: Route, share: readonly MessageQueue[]): Promise<boolean> {
    const keys = new Set(share.map(queueKey))
    const ofTopic = [...this.#assigned.values()].filter(({ queue }) => queue.topic === route.topic)
    await this.#lose(ofTopic.filter(({ queue }) => !keys.has(queueKey(queue))))
    const subscription = this.#subscriptions.get(route.topic)
    if (subscription !== undefined) {
      for (const queue of share) if (!this.#assigned.has(queueKey(queue))) this.#gain(queue, subscription)
    }
    return true
  }

  #gain(queue: MessageQueue, subscription: Subscription): void {
    const one: Assigned = { queue, subscription, isPaused: false, processQueue: undefined }
    this.#assigned.set(queueKey(queue), one)
    if (this.#state === 'started') void this.#begin(one)
  }

  async #lose(lost: readonly Assigned[]): Promise<void> {
    for (const { queue, processQueue } of lost) {
      this.#assigned.delete(queueKey(queue))
      if (processQueue !== undefined) this.#drop(processQueue)
    }
    if (this.#commitsItself()) await this.#storeAll(lost.flatMap(({ processQueue }) => processQueue ?? []))
  }

  /** Asks where to go on, until it is known or somebody said it. */
  async #begin(one: Assigned): Promise<void> {
    const { clock, log } = this.#cluster.doors
    const isWanted = () => !this.#isClosed() && this.#assigned.get(queueKey(one.queue)) === one && !one.processQueue
    while (isWanted()) {
      try {
        const offset = await startOffset(this.#cluster, this.#offsets, one.queue, this.#options.consumeFrom)
        await this.#heartbeats.beatNew()
        if (isWanted()) this.#pullFrom(one, offset)
      } catch (error) {
        if (!isOperatingError(error)) throw error
        log.debug({ ...one.queue, err: error }, 'offset of a queue not known yet')
        this.#cluster.routes.refreshSoon(one.queue.topic)
        await clock.sleep(beginPauseMs)
      }
    }
  }

  #seek(queue: MessageQueue, offset: number): void {
    const one = this.#assigned.get(queueKey(queue))
    if (one === undefined) {
      throw new OperatingError('SETTING_INVALID', { ...queue, key: 'queue', fits: "one of this consumer's queues" })
    }
    this.#pullFrom(one, offset)
  }

  #moved(processQueue: ProcessQueue, offset: number): void {
    const one = this.#assigned.get(queueKey(processQueue.queue))
    if (one?.processQueue !== processQueue) return
    this.#cluster.doors.log.info({ ...processQueue.queue, offset }, 'offset moved by the broker')
    this.#pullFrom(one, offset)
  }

  #pullFrom(one: Assigned, offset: number): void {
    if (one.processQueue !== undefined) this.#drop(one.processQueue)
    one.processQueue = new ProcessQueue(one.queue, offset)
    if (this.#state === 'started') void pullLoop(one.processQueue, one.subscription, this.#pulling)
  }

  #drop(processQueue: ProcessQueue): void {
    processQueue.isDropped = true
    this.#arrived.delete(processQueue)
  }

  #setPaused(queues: readonly MessageQueue[], isPaused: boolean): void {
    for (const queue of queues) {
      const one = this.#assigned.get(queueKey(queue))
      if (one !== undefined) one.isPaused = isPaused
    }
  }

  // From pull to poll.

  #arrive(held: readonly Held[]): void {
    for (const one of held) {
      const arrived = this.#arrived.get(one.owner)
      if (arrived === undefined) this.#arrived.set(one.owner, [one])
      else arrived.push(one)
    }
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }

  async #next(timeoutMs: number, countMax: number): Promise<Held[]> {
    const { clock } = this.#cluster.doors
    const deadlineMs = clock.monotonicMs() + timeoutMs
    for (;;) {
      const held = this.#shift(countMax)
      const leftMs = deadlineMs - clock.monotonicMs()
      if (held.length > 0 || leftMs <= 0 || this.#isClosed()) return held
      await new Promise<void>((resolve) => {
        const wake = () => {
          timer.cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = clock.after(leftMs, wake)
        this.#waiting.add(wake)
      })
    }
  }

  #shift(countMax: number): Held[] {
    for (const [owner, arrived] of this.#arrived) {
      if (this.#assigned.get(queueKey(owner.queue))?.isPaused) continue
      const held = arrived.splice(0, countMax)
      this.#arrived.delete(owner)
      if (arrived.length > 0) this.#arrived.set(owner, arrived) // behind the others now
      return held
    }
    return []
  }

  /** A body that cannot be read is passed over: there is nobody to send it back to. */
  #received(held: Held): ReceivedMessage[] {
    const { owner, stored } = held
    if (stored === undefined) return []
    try {
      return [receivedMessage(stored, owner.queue)]
    } catch (error) {
      if (!isOperatingError(error)) throw error
      const { log } = this.#cluster.doors
      log.warn({ ...owner.queue, queueOffset: held.queueOffset, err: error }, 'message passed over')
      return []
    }
  }

  #finishPolled(): void {
    for (const held of this.#polled) held.owner.done(held)
    this.#polled = []
  }

  // Progress.

  #commitIfDue(): void {
    const { autoCommitIntervalMs = 5_000 } = this.#options
    const nowMs = this.#cluster.doors.clock.monotonicMs()
    if (!this.#commitsItself() || nowMs - this.#committedAtMs < autoCommitIntervalMs) return
    this.#committedAtMs = nowMs
    void this.#storeAll(this.#processQueues())
  }

  /** Stores each queue's progress where it changed; what fails is stored the next time. */
  async #storeAll(processQueues: readonly ProcessQueue[]): Promise<void> {
    await Promise.all(
      processQueues.map(async (processQueue) => {
        try {
          await this.#store(processQueue)
        } catch (error) {
          if (!isOperatingError(error)) throw error
          this.#cluster.doors.log.debug({ ...processQueue.queue, err: error }, 'offset not stored')
        }
      }),
    )
  }

  async #store(processQueue: ProcessQueue): Promise<void> {
    const { consumerOffset, queue, storedOffset } = processQueue
    if (consumerOffset === storedOffset) return
    await this.#offsets.write(queue, consumerOffset)
    processQueue.storedOffset = consumerOffset
  }
}

const reconnectPauseMs = 1_000
const beginPauseMs = 1_000
