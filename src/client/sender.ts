import type { Timer } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import { Perm, RequestCode, ResponseCode } from '../remoting/codes.ts'
import type { Command } from '../remoting/command.ts'
import { getMaxOffsetRequest } from '../remoting/headers/queue-offset.ts'
import { sendMessageRequestV2 } from '../remoting/headers/send-message.ts'
import { refused } from './answers.ts'
import { BrokerFaults } from './broker-faults.ts'
import { Cluster, type ClusterEvents, type ClusterOptions } from './cluster.ts'
import { compress } from './compression.ts'
import { Heartbeats } from './heartbeats.ts'
import { checkName, encodeMessage, type Message, type MessageQueue } from './message.ts'
import { Route, templateTopic } from './routes.ts'

export interface ProducerOptions extends ClusterOptions {
  producerGroup: string
  /** How long a send may take, with all its tries (3,000). */
  sendTimeoutMs?: number
  /** How long one try may take while others are left (sendTimeoutMs): a broker that hangs then does not use up all the time. */
  tryTimeoutMs?: number
  /** How often a send that a broker failed is tried again, at another broker where there is one (2). */
  retryCountMax?: number
  /** Whether a message that was stored, but not yet as safely as it should be, is sent to another broker too (false). */
  retryAnotherBrokerWhenNotStoreOK?: boolean
  /** Whether brokers that answer late are passed by for a while, the longer the later they were (false). */
  sendLatencyFaultEnable?: boolean
  /** Whether brokers that failed are passed by until they answer a probe; every 3 s (false). */
  startDetectorEnable?: boolean
  /** Sends under way beyond which a further one fails with TOO_MANY_REQUESTS (10,000). */
  inFlightCountMax?: number
  /** The same in bytes of bodies (64 MiB). */
  inFlightBytesMax?: number
  /** Largest body, and largest batch (4 MiB, as brokers take it). */
  bodyBytesMax?: number
  /** Bodies from this size on are compressed with zlib (4,096); Infinity: none. */
  compressBytesMin?: number
  /** Whether sending to an unknown topic may create it, where brokers have autoCreateTopicEnable (true). */
  mayCreateTopics?: boolean
}

export type SendStatus = 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'SLAVE_NOT_AVAILABLE' | 'FLUSH_SLAVE_TIMEOUT'

/** A request that stores messages, without the queue, which its tries may change. */
export interface Outgoing {
  topic: string
  code: number
  body: Buffer
  sysFlag: number
  properties: string
  isBatch: boolean
}

/** The queue that a message is for, or who picks it among the topic's writable ones. */
export type Target = MessageQueue | ((queues: readonly MessageQueue[]) => MessageQueue)

export interface Delivered {
  queue: MessageQueue
  status: SendStatus
  answer: Command
}

/** What all ways of sending have in common: queues in turn, tries at other brokers, limits of what is under way. */
export class Sender {
  readonly cluster: Cluster
  readonly heartbeats: Heartbeats
  readonly options: Required<Omit<ProducerOptions, keyof ClusterOptions>>
  readonly #faults: BrokerFaults
  readonly #detector: Timer | undefined
  #turn: number
  #inFlightCount = 0
  #inFlightBytes = 0
  #isClosed = false

  /** @throws OperatingError SETTING_INVALID, MESSAGE_ILLEGAL (the group's name) */
  constructor(options: ProducerOptions, doors: Doors, events: ClusterEvents = {}) {
    const { producerGroup, sendTimeoutMs = 3_000 } = options
    this.options = {
      producerGroup,
      sendTimeoutMs,
      tryTimeoutMs: options.tryTimeoutMs ?? sendTimeoutMs,
      retryCountMax: options.retryCountMax ?? 2,
      retryAnotherBrokerWhenNotStoreOK: options.retryAnotherBrokerWhenNotStoreOK ?? false,
      sendLatencyFaultEnable: options.sendLatencyFaultEnable ?? false,
      startDetectorEnable: options.startDetectorEnable ?? false,
      inFlightCountMax: options.inFlightCountMax ?? 10_000,
      inFlightBytesMax: options.inFlightBytesMax ?? 64 * 1024 * 1024,
      bodyBytesMax: options.bodyBytesMax ?? 4 * 1024 * 1024,
      compressBytesMin: options.compressBytesMin ?? 4_096,
      mayCreateTopics: options.mayCreateTopics ?? true,
    }
    checkName(producerGroup, 'group')
    this.cluster = new Cluster(options, doors, {
      ...events,
      onClose: (address) => {
        this.heartbeats.forget(address) // as the broker now forgets this producer
        events.onClose?.(address)
      },
    })
    this.#faults = new BrokerFaults(doors.clock, this.options)
    this.#turn = doors.random.int(1_000)
    this.heartbeats = new Heartbeats(this.cluster, 'masters', () => ({
      producerDataSet: [{ groupName: producerGroup }],
      consumerDataSet: [],
    }))
    if (this.options.startDetectorEnable) {
      this.#detector = doors.clock.every(detectMs, () => this.#probeUnreachable())
      this.#detector.unref()
    }
  }

  /**
   * One message as its request.
   * @param properties of RocketMQ's own, besides those that follow from the message
   * @throws OperatingError MESSAGE_ILLEGAL
   */
  outgoing(message: Message, msgId: string, sysFlag = 0, properties: readonly [string, string][] = []): Outgoing {
    const encoded = encodeMessage(message, msgId, this.options.bodyBytesMax, properties)
    const code = RequestCode.SEND_MESSAGE_V2
    const rest = { topic: message.topic, code, properties: encoded.properties, isBatch: false }
    if (encoded.body.length < this.options.compressBytesMin) return { ...rest, body: encoded.body, sysFlag }
    const compressed = compress(encoded.body)
    return { ...rest, body: compressed.body, sysFlag: sysFlag | compressed.sysFlag }
  }

  /**
   * Waits until a broker has stored it.
   * @param target undefined: queues take turns; else there is one try that reaches a broker
   * @throws OperatingError TOPIC_NOT_FOUND, TOO_MANY_REQUESTS, SEND_FAILED, REQUEST_REFUSED
   */
  async deliver(outgoing: Outgoing, target: Target | undefined): Promise<Delivered> {
    const { inFlightCountMax, inFlightBytesMax } = this.options
    const bytes = outgoing.body.length
    if (this.#inFlightCount >= inFlightCountMax || this.#inFlightBytes + bytes > inFlightBytesMax) {
      throw new OperatingError('TOO_MANY_REQUESTS', { inFlightCount: this.#inFlightCount, inFlightCountMax })
    }
    this.#inFlightCount++
    this.#inFlightBytes += bytes
    try {
      return await this.#tryBrokers(outgoing, target)
    } finally {
      this.#inFlightCount--
      this.#inFlightBytes -= bytes
    }
  }

  /** Sends it and asks for no answer. @throws OperatingError as deliver, for what fails on this side of the wire */
  async oneway(outgoing: Outgoing, target: Target | undefined): Promise<void> {
    const deadlineMs = this.cluster.doors.clock.monotonicMs() + this.options.sendTimeoutMs
    const route = await this.#sendable(outgoing.topic, target, deadlineMs)
    if (route === undefined) throw notWritable(outgoing.topic)
    const queue = this.#queueFor(target, route, undefined)
    await this.cluster.remoting.oneway(masterOf(route, queue), this.#command(outgoing, queue))
  }

  /** @throws OperatingError TOPIC_NOT_FOUND, CONNECT_FAILED… */
  async route(topic: string): Promise<Route> {
    const known = this.cluster.routes.known(topic)
    if (known !== undefined) return known
    let route: Route
    try {
      route = await this.cluster.routes.fetch(topic)
    } catch (error) {
      if (!this.options.mayCreateTopics || !isOperatingError(error, 'TOPIC_NOT_FOUND')) throw error
      return this.#routeToCreate(topic, error)
    }
    this.heartbeats.start()
    void this.heartbeats.beatAll()
    return route
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#detector?.cancel()
    this.heartbeats.stop()
    await this.heartbeats.unregister({ producerGroup: this.options.producerGroup })
    await this.cluster.close()
  }

  /** One broker after the other, until one stored the message, the tries are used up, or the time is. */
  async #tryBrokers(outgoing: Outgoing, target: Target | undefined): Promise<Delivered> {
    const { sendTimeoutMs } = this.options
    const { clock } = this.cluster.doors
    const deadlineMs = clock.monotonicMs() + sendTimeoutMs
    const retryCountMax = target === undefined ? this.options.retryCountMax : 0
    let failure: unknown
    let unsafe: Delivered | undefined // stored, but not as safely as the broker is set to do it
    let failedTries = 0 // of tries that reached a broker: one that did not cannot have stored anything
    let pauseMs = retryPauseMs
    let queue: MessageQueue | undefined
    while (failedTries <= retryCountMax && clock.monotonicMs() < deadlineMs && !this.#isClosed) {
      if (failure !== undefined && (target !== undefined || this.#areAllAvoided(outgoing.topic))) {
        await clock.sleep(Math.min(pauseMs, Math.max(0, deadlineMs - clock.monotonicMs())))
        pauseMs = Math.min(retryPauseMsMax, 2 * pauseMs)
      }
      let route = this.cluster.routes.known(outgoing.topic)
      if (!route?.writeQueues.length) route = await this.#sendable(outgoing.topic, target, deadlineMs)
      if (route === undefined) {
        failure ??= notWritable(outgoing.topic)
        break
      }
      if (target === undefined || queue === undefined) queue = this.#queueFor(target, route, queue?.brokerName)
      const startedAtMs = clock.monotonicMs()
      try {
        const address = masterOf(route, queue)
        const leftMs = Math.max(1, Math.ceil(deadlineMs - startedAtMs))
        const timeoutMs = failedTries < retryCountMax ? Math.min(leftMs, this.options.tryTimeoutMs) : leftMs
        const answer = await this.cluster.remoting.call(address, this.#command(outgoing, queue), timeoutMs)
        const status = storedStatus.get(answer.code)
        if (status === undefined) throw refused(answer, outgoing.code, address)
        this.#faults.note(queue.brokerName, clock.monotonicMs() - startedAtMs, 'stored')
        const delivered = { queue, status, answer }
        if (status === 'SEND_OK' || !this.options.retryAnotherBrokerWhenNotStoreOK) return delivered
        unsafe = delivered
        failedTries++
      } catch (error) {
        if (!mayRetry(error)) throw error
        failure = error
        const outcome = this.options.startDetectorEnable ? 'unreachable' : 'failed'
        this.#faults.note(queue.brokerName, clock.monotonicMs() - startedAtMs, outcome)
        if (!isOperatingError(error, 'CONNECT_FAILED') && !isOperatingError(error, 'TLS_FAILED')) failedTries++
        this.cluster.routes.refreshSoon(outgoing.topic)
      }
    }
    if (unsafe !== undefined) return unsafe
    if (isOperatingError(failure, 'TOPIC_NOT_FOUND')) throw failure
    throw new OperatingError('SEND_FAILED', { topic: outgoing.topic, failedTries, sendTimeoutMs }, failure)
  }

  #command({ topic, code, body, sysFlag, properties, isBatch }: Outgoing, { queueId, brokerName }: MessageQueue) {
    const extFields = sendMessageRequestV2.encode({
      producerGroup: this.options.producerGroup,
      topic,
      defaultTopic: templateTopic,
      defaultTopicQueueNums: templateQueueCountMax,
      queueId,
      sysFlag,
      bornTimestamp: this.cluster.doors.clock.now(),
      flag: 0,
      properties,
      batch: isBatch,
      brokerName,
    })
    return { code, extFields, body }
  }

  /**
   * The route, once it has a writable queue: a broker group whose master restarts has none meanwhile.
   * @returns undefined: it has none until deadlineMs (monotonic)
   * @throws OperatingError TOPIC_NOT_FOUND, CONNECT_FAILED…
   */
  async #sendable(topic: string, target: Target | undefined, deadlineMs: number): Promise<Route | undefined> {
    const { clock } = this.cluster.doors
    for (;;) {
      const route = await this.route(topic)
      if (typeof target === 'object' || route.writeQueues.length > 0) return route
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0 || this.#isClosed) return undefined
      this.cluster.routes.refreshSoon(topic)
      await clock.sleep(Math.min(writablePauseMs, leftMs))
    }
  }

  #queueFor(target: Target | undefined, route: Route, lastBrokerName: string | undefined): MessageQueue {
    if (typeof target === 'function') return target(route.writeQueues)
    return target ?? this.#nextQueue(route, lastBrokerName)
  }

  /** The next queue in turn, at a broker that is well, else at one that can be reached, else at any; not the last one's. */
  #nextQueue({ writeQueues }: Route, lastBrokerName: string | undefined): MessageQueue {
    for (let tries = 0; tries < writeQueues.length; tries++) {
      const queue = writeQueues[this.#turn++ % writeQueues.length]!
      if (queue.brokerName !== lastBrokerName && !this.#faults.isAvoided(queue.brokerName)) return queue
    }
    for (let tries = 0; tries < writeQueues.length; tries++) {
      const queue = writeQueues[this.#turn++ % writeQueues.length]!
      if (queue.brokerName !== lastBrokerName && this.#faults.isReachable(queue.brokerName)) return queue
    }
    return writeQueues[this.#turn++ % writeQueues.length]!
  }

  #areAllAvoided(topic: string): boolean {
    const queues = this.cluster.routes.known(topic)?.writeQueues ?? []
    return queues.every(({ brokerName }) => this.#faults.isAvoided(brokerName))
  }

  /** Asks brokers that failed for an offset: any answer will do. Source: Apache RocketMQ 5.5, LatencyFaultToleranceImpl. */
  #probeUnreachable(): void {
    for (const brokerName of this.#faults.unreachable()) {
      const place = this.cluster.routes.placeOf(brokerName)
      if (place === undefined) this.#faults.forget(brokerName)
      else {
        const extFields = getMaxOffsetRequest.encode({ topic: place.topic, queueId: 0 })
        this.cluster.remoting
          .call(place.address, { code: RequestCode.GET_MAX_OFFSET, extFields }, probeTimeoutMs)
          .then(() => this.#faults.reached(brokerName))
          .catch((error: unknown) => this.cluster.doors.log.debug({ brokerName, err: error }, 'still unreachable'))
      }
    }
  }

  /** Where a topic that does not exist yet can be created by sending to it: at the brokers that have the template. */
  async #routeToCreate(topic: string, notFound: OperatingError): Promise<Route> {
    const template = await this.cluster.routes.get(templateTopic).catch(() => undefined)
    if (template === undefined) throw notFound
    const queueDatas = template.data.queueDatas
      .filter(({ perm }) => (perm & Perm.INHERIT) !== 0)
      .map((queue) => ({
        ...queue,
        perm: queue.perm & ~Perm.INHERIT,
        readQueueNums: Math.min(queue.readQueueNums, templateQueueCountMax),
        writeQueueNums: Math.min(queue.writeQueueNums, templateQueueCountMax),
      }))
    if (queueDatas.length === 0) throw notFound
    return new Route(topic, { ...template.data, queueDatas })
  }
}

function notWritable(topic: string): OperatingError {
  return new OperatingError('TOPIC_NOT_FOUND', { topic, reason: 'no writable queue' })
}

function masterOf(route: Route, { brokerName }: MessageQueue): string {
  const address = route.masterOf(brokerName)
  if (address === undefined)
    throw new OperatingError('CONNECT_FAILED', { brokerName, reason: 'its group has no master' })
  return address
}

function mayRetry(error: unknown): boolean {
  if (!(error instanceof OperatingError)) return false
  return error.code === 'REQUEST_REFUSED' ? retriableRefusals.has(Number(error.facts.responseCode)) : error.retriable
}

const storedStatus: ReadonlyMap<number, SendStatus> = new Map([
  [ResponseCode.SUCCESS, 'SEND_OK'],
  [ResponseCode.FLUSH_DISK_TIMEOUT, 'FLUSH_DISK_TIMEOUT'],
  [ResponseCode.SLAVE_NOT_AVAILABLE, 'SLAVE_NOT_AVAILABLE'],
  [ResponseCode.FLUSH_SLAVE_TIMEOUT, 'FLUSH_SLAVE_TIMEOUT'],
] as const)

/** Refusals that another broker, or the same one later, may not repeat. Source: Apache RocketMQ 5, DefaultMQProducer. */
const retriableRefusals: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.NO_BUYER_ID,
  ResponseCode.NOT_IN_CURRENT_UNIT,
  ResponseCode.GO_AWAY,
])

const templateQueueCountMax = 4
const retryPauseMs = 50 // before the same broker is asked again; then twice as long each time
const retryPauseMsMax = 500
const writablePauseMs = 100 // between looks at the route that is asked for once a second
const detectMs = 3_000
const probeTimeoutMs = 200
