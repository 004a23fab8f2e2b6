import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import { Perm, RequestCode, ResponseCode } from '../remoting/codes.ts'
import { sendMessageRequestV2, sendMessageResponse } from '../remoting/headers/send-message.ts'
import { refused } from './answers.ts'
import { encodeBatch } from './batch.ts'
import { BrokerFaults } from './broker-faults.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { compress } from './compression.ts'
import { Heartbeats } from './heartbeats.ts'
import { checkName, encodeMessage, type Message, type MessageQueue } from './message.ts'
import { productionDoors } from './production-doors.ts'
import { Route, templateTopic } from './routes.ts'

export interface ProducerOptions extends ClusterOptions {
  producerGroup: string
  /** How long a send may take, with all its tries (3,000). */
  sendTimeoutMs?: number
  /** How often a send that a broker failed is tried again, at another broker where there is one (2). */
  retryCountMax?: number
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

/** Picks the queue of a message among the topic's writable ones, which are sorted and at least one. */
export type QueueSelector = (queues: readonly MessageQueue[], message: Message) => MessageQueue

export type SendStatus = 'SEND_OK' | 'FLUSH_DISK_TIMEOUT' | 'SLAVE_NOT_AVAILABLE' | 'FLUSH_SLAVE_TIMEOUT'

/** A message was stored. Any status but SEND_OK: stored, but not yet as safely as the broker is set to do it. */
export interface SendResult {
  status: SendStatus
  msgId: string // what this producer named it (UNIQ_KEY)
  offsetMsgId: string // what the broker named it
  queue: MessageQueue
  queueOffset: number
}

export interface BatchResult {
  status: SendStatus
  msgIds: readonly string[]
  queue: MessageQueue
  queueOffset: number // of the first; the others follow it
}

interface Outgoing {
  topic: string
  code: number
  body: Buffer
  sysFlag: number
  properties: string
  isBatch: boolean
}

/**
 * Sends messages. Nothing needs to be started: connections come about with the first send, and anew after they broke.
 * Sends may be pipelined: each returns its own promise, and many can be under way.
 */
export class Producer {
  readonly #options: Required<Omit<ProducerOptions, keyof ClusterOptions>>
  readonly #cluster: Cluster
  readonly #faults: BrokerFaults
  readonly #heartbeats: Heartbeats
  #turn: number
  #inFlightCount = 0
  #inFlightBytes = 0
  #isClosed = false

  /** @throws OperatingError SETTING_INVALID, MESSAGE_ILLEGAL (the group's name) */
  constructor(options: ProducerOptions, doors: Doors = productionDoors()) {
    this.#options = {
      producerGroup: options.producerGroup,
      sendTimeoutMs: options.sendTimeoutMs ?? 3_000,
      retryCountMax: options.retryCountMax ?? 2,
      inFlightCountMax: options.inFlightCountMax ?? 10_000,
      inFlightBytesMax: options.inFlightBytesMax ?? 64 * 1024 * 1024,
      bodyBytesMax: options.bodyBytesMax ?? 4 * 1024 * 1024,
      compressBytesMin: options.compressBytesMin ?? 4_096,
      mayCreateTopics: options.mayCreateTopics ?? true,
    }
    checkName(options.producerGroup, 'group')
    this.#cluster = new Cluster(options, doors)
    this.#faults = new BrokerFaults(doors.clock)
    this.#turn = doors.random.int(1_000)
    this.#heartbeats = new Heartbeats(this.#cluster, 'masters', () => ({
      producerDataSet: [{ groupName: options.producerGroup }],
      consumerDataSet: [],
    }))
  }

  /**
   * Sends one message and waits until a broker has stored it. Without target queues take turns, and a broker that fails
   * is followed by another; with one there is one try, for a second one could break the order of a queue. A send that
   * timed out may have been stored all the same: its next try makes it twice.
   * @param target the queue, or who picks it
   * @throws OperatingError MESSAGE_ILLEGAL, TOPIC_NOT_FOUND, TOO_MANY_REQUESTS, SEND_FAILED (its cause is the last try's)
   */
  async send(message: Message, target?: MessageQueue | QueueSelector): Promise<SendResult> {
    const msgId = this.#cluster.nextMsgId()
    const outgoing = this.#outgoing(message, msgId)
    const selected = typeof target === 'function' ? target(await this.writeQueues(message.topic), message) : target
    const { queue, status, answer } = await this.#deliver(outgoing, selected)
    const { msgId: offsetMsgId, queueId, queueOffset } = sendMessageResponse.decode(answer.extFields)
    return { status, msgId, offsetMsgId, queue: queueId === queue.queueId ? queue : { ...queue, queueId }, queueOffset }
  }

  /**
   * Sends one message and asks for no answer: it may be lost.
   * @throws OperatingError as send, for what fails on this side of the wire
   */
  async sendOneway(message: Message, target?: MessageQueue): Promise<void> {
    const outgoing = this.#outgoing(message, this.#cluster.nextMsgId())
    const route = await this.#route(message.topic)
    const queue = target ?? this.#nextQueue(route)
    await this.#cluster.remoting.oneway(masterOf(route, queue), this.#command(outgoing, queue))
  }

  /**
   * Sends messages of one topic as one request: they get consecutive offsets of one queue, all or none. Not compressed.
   * @throws OperatingError as send; MESSAGE_ILLEGAL also for several topics, delays, or more than bodyBytesMax in all
   */
  async sendBatch(messages: readonly Message[], target?: MessageQueue): Promise<BatchResult> {
    const { topic, msgIds, body } = encodeBatch(messages, this.#cluster.nextMsgId, this.#options.bodyBytesMax)
    const code = RequestCode.SEND_BATCH_MESSAGE
    const outgoing = { topic, code, body, sysFlag: 0, properties: '', isBatch: true }
    const { queue, status, answer } = await this.#deliver(outgoing, target)
    const { queueId, queueOffset } = sendMessageResponse.decode(answer.extFields)
    return { status, msgIds, queue: { ...queue, queueId }, queueOffset }
  }

  /** The queues that messages of the topic can be sent to, sorted. @throws OperatingError TOPIC_NOT_FOUND, CONNECT_FAILED… */
  async writeQueues(topic: string): Promise<readonly MessageQueue[]> {
    return (await this.#route(topic)).writeQueues
  }

  /** Ends all connections; sends under way fail. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#heartbeats.stop()
    await this.#heartbeats.unregister({ producerGroup: this.#options.producerGroup })
    await this.#cluster.close()
  }

  #outgoing(message: Message, msgId: string): Outgoing {
    const { body, properties } = encodeMessage(message, msgId, this.#options.bodyBytesMax)
    const sent = body.length >= this.#options.compressBytesMin ? compress(body) : { body, sysFlag: 0 }
    return { topic: message.topic, code: RequestCode.SEND_MESSAGE_V2, properties, isBatch: false, ...sent }
  }

  async #deliver(outgoing: Outgoing, target: MessageQueue | undefined) {
    const { inFlightCountMax, inFlightBytesMax } = this.#options
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

  /** One broker after the other, until one stored the message, the tries are used up, or the time is. */
  async #tryBrokers(outgoing: Outgoing, target: MessageQueue | undefined) {
    const { sendTimeoutMs, retryCountMax } = this.#options
    const { clock } = this.#cluster.doors
    const deadlineMs = clock.monotonicMs() + sendTimeoutMs
    let failure: unknown
    let failedTries = 0 // of tries that reached a broker: one that did not cannot have stored anything
    let pauseMs = retryPauseMs
    while (failedTries <= (target ? 0 : retryCountMax) && clock.monotonicMs() < deadlineMs && !this.#isClosed) {
      if (failure !== undefined && (target !== undefined || this.#areAllAvoided(outgoing.topic))) {
        await clock.sleep(Math.min(pauseMs, Math.max(0, deadlineMs - clock.monotonicMs())))
        pauseMs *= 2
      }
      const route = await this.#route(outgoing.topic)
      const queue = target ?? this.#nextQueue(route)
      try {
        const address = masterOf(route, queue)
        const timeoutMs = Math.max(1, Math.ceil(deadlineMs - clock.monotonicMs()))
        const answer = await this.#cluster.remoting.call(address, this.#command(outgoing, queue), timeoutMs)
        const status = storedStatus.get(answer.code)
        if (status === undefined) throw refused(answer, outgoing.code, address)
        this.#faults.clear(queue.brokerName)
        return { queue, status, answer }
      } catch (error) {
        if (!mayRetry(error)) throw error
        failure = error
        if (!isOperatingError(error, 'CONNECT_FAILED')) failedTries++
        this.#faults.note(queue.brokerName)
        this.#cluster.routes.refreshSoon(outgoing.topic)
      }
    }
    throw new OperatingError('SEND_FAILED', { topic: outgoing.topic, failedTries, sendTimeoutMs }, failure)
  }

  #command({ topic, code, body, sysFlag, properties, isBatch }: Outgoing, { queueId, brokerName }: MessageQueue) {
    const extFields = sendMessageRequestV2.encode({
      producerGroup: this.#options.producerGroup,
      topic,
      defaultTopic: templateTopic,
      defaultTopicQueueNums: templateQueueCountMax,
      queueId,
      sysFlag,
      bornTimestamp: this.#cluster.doors.clock.now(),
      flag: 0,
      properties,
      batch: isBatch,
      brokerName,
    })
    return { code, extFields, body }
  }

  /** The next queue in turn, leaving out brokers that just failed where others are left. */
  #nextQueue({ topic, writeQueues }: Route): MessageQueue {
    for (let tries = 0; tries < writeQueues.length; tries++) {
      const queue = writeQueues[this.#turn++ % writeQueues.length]!
      if (!this.#faults.isAvoided(queue.brokerName)) return queue
    }
    const queue = writeQueues[this.#turn++ % writeQueues.length]
    if (queue === undefined) throw new OperatingError('TOPIC_NOT_FOUND', { topic, reason: 'no writable queue' })
    return queue
  }

  #areAllAvoided(topic: string): boolean {
    const queues = this.#cluster.routes.known(topic)?.writeQueues ?? []
    return queues.every(({ brokerName }) => this.#faults.isAvoided(brokerName))
  }

  async #route(topic: string): Promise<Route> {
    const known = this.#cluster.routes.known(topic)
    if (known !== undefined) return known
    let route: Route
    try {
      route = await this.#cluster.routes.fetch(topic)
    } catch (error) {
      if (!this.#options.mayCreateTopics || !isOperatingError(error, 'TOPIC_NOT_FOUND')) throw error
      return this.#routeToCreate(topic, error)
    }
    this.#heartbeats.start()
    void this.#heartbeats.beatAll()
    return route
  }

  /** Where a topic that does not exist yet can be created by sending to it: at the brokers that have the template. */
  async #routeToCreate(topic: string, notFound: OperatingError): Promise<Route> {
    const template = await this.#cluster.routes.get(templateTopic).catch(() => undefined)
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

/** Where the same queue shall get all messages of one key: an order, a customer. */
export function queueByKey(key: string): QueueSelector {
  let hash = 0
  for (let at = 0; at < key.length; at++) hash = (Math.imul(31, hash) + key.charCodeAt(at)) >>> 0
  return (queues) => queues[hash % queues.length]!
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
