import { isOperatingError, type OperatingError } from '../../../base/errors.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { type LateFrame, responseFrame } from '../../../remoting/frame.ts'
import {
  decodeSendMessageV2,
  type SendMessageRequest,
  sendMessageRequest,
  sendMessageResponse,
} from '../../../remoting/headers/send-message.ts'
import type { KnownSend } from '../../../remoting/known-send.ts'
import {
  encodeHost,
  type OrdinaryProperties,
  offsetMsgIdOf,
  ordinaryProperties,
  PropertyName,
  pairEndCode,
  readProperty,
  tagsCodeOf,
} from '../../../remoting/message/index.ts'
import type { Connection, Request } from '../../../remoting/server.ts'
import type { Appended, AppendWaiter, NewMessage, SettleStatus } from '../../store/index.ts'
import type { Broker } from '../context.ts'
import { withHostFlags } from '../host-flags.ts'
import { isRetryTopic, TopicName } from '../names.ts'
import { delayLevelOf, removeProperty, setProperties } from '../property-text.ts'
import { toSchedule } from '../schedule.ts'
import type { Topic } from '../topics.ts'
import { errorResponse } from './errors.ts'
import { done, type Outcome, type Processor, processor, type Response, refuse } from './processor.ts'
import { isPlainUniqKey, SendAnswer } from './send-answer.ts'
import { splitBatch } from './send-batch.ts'
import { deadLetterTopic, isHalfMessage, isTransactional, queueToSend, topicToSend, unsupported } from './send-check.ts'

/** Stores one message, or a batch of one queue; answers when it is as safe as the broker's flushDiskType says. */
export const sendMessage = processor(RequestCode.SEND_MESSAGE, sendMessageRequest, send)
export const sendMessageV2: Processor = {
  code: RequestCode.SEND_MESSAGE_V2,
  handle: (request, broker) => send(request.send ?? decodeSendMessageV2(request.extFields), broker, request),
}
export const sendBatchMessage = processor(RequestCode.SEND_BATCH_MESSAGE, { decode: decodeSendMessageV2 }, send)

function send(header: SendMessageRequest, broker: Broker, request: Request): Outcome {
  let refusal: Response | undefined
  try {
    refusal = store(header, broker, request)
  } catch (error) {
    if (!isOperatingError(error)) throw error
    refusal = errorResponse(error)
  }
  return refusal && { ...refusal, extFields: regionFields(broker) } // producers read these two from errors too
}

/** @returns why the message is not stored; undefined: it is, and the answer follows */
function store(header: SendMessageRequest, broker: Broker, request: Request): Response | undefined {
  const target = topicToSend(header, broker)
  if (isResponse(target)) return target
  if (request.body.length === 0) return refuse(ResponseCode.SYSTEM_ERROR, 'the message body is empty')
  const isBatch = header.batch || request.code === RequestCode.SEND_BATCH_MESSAGE
  const mayBeOrdinary = !isBatch && !isTransactional(header.sysFlag) && !isRetryTopic(header.topic)
  if (mayBeOrdinary && request.send !== undefined) return storeKnown(request.send, target, broker, request)
  const given = header.properties ?? ''
  const ordinary = mayBeOrdinary ? ordinaryProperties(given) : undefined
  if (ordinary !== undefined) return storeOrdinary(header, target, ordinary, broker, request)
  const refusal = unsupported(header, isBatch, broker)
  if (refusal !== undefined) return refusal
  return isBatch ? storeBatch(header, target, given, broker, request) : storeOne(header, target, given, broker, request)
}

/** As storeOne, for nearly all messages in a fraction of the time. */
function storeOrdinary(
  header: SendMessageRequest,
  topic: Topic,
  ordinary: OrdinaryProperties,
  broker: Broker,
  request: Request,
): undefined {
  const queueId = queueToSend(header.queueId, topic, broker)
  const message = newMessage(header, topic.config.topicName, queueId, request, broker)
  message.properties = header.properties!
  message.keys = ordinary
  message.propertiesEnd = brokerPropertiesEnd(message.properties, broker)
  message.tagsCode = ordinary.tagsCode
  message.waitsForFlush = ordinary.waitsForFlush
  const pending = new PendingSend(request, broker, topic, queueId, ordinary.uniqKey)
  pending.appended(broker.store.append(message, pending))
}

/** As storeOrdinary, for a message whose properties need not be read again. */
function storeKnown(known: KnownSend, topic: Topic, broker: Broker, request: Request): undefined {
  const { ordinary, propertiesBehind } = known.form
  const queueId = queueToSend(known.queueId, topic, broker)
  const message = newMessage(known, topic.config.topicName, queueId, request, broker)
  message.propertiesStart = known.propertyBytes
  message.propertiesEnd = brokerPropertiesEnd(propertiesBehind, broker)
  message.tagsCode = ordinary.tagsCode
  message.waitsForFlush = ordinary.waitsForFlush
  message.keys = known
  const pending = new PendingSend(request, broker, topic, queueId, known.uniqKey)
  pending.appended(broker.store.append(message, pending))
}

function storeOne(
  header: SendMessageRequest,
  target: Topic,
  given: string,
  broker: Broker,
  request: Request,
): Response | undefined {
  const deadLetters = deadLetterTopic(header, request, broker)
  if (isResponse(deadLetters)) return deadLetters
  const topic = deadLetters ?? target
  const queueId = deadLetters === undefined ? queueToSend(header.queueId, topic, broker) : 0

  let properties = removeProperty(given, PropertyName.POP_CK)
  let uniqKey = readProperty(properties, PropertyName.UNIQ_KEY)
  if (uniqKey === undefined) {
    uniqKey = broker.nextUniqKey()
    properties = setProperties(properties, [[PropertyName.UNIQ_KEY, uniqKey]])
  }
  const message = newMessage(header, topic.config.topicName, queueId, request, broker)
  message.properties = withBrokerProperties(properties, broker)
  message.tagsCode = tagsCodeOf(readProperty(properties, PropertyName.TAGS))
  message.waitsForFlush = readProperty(properties, PropertyName.WAIT) !== 'false'

  if (deadLetters === undefined && isHalfMessage(given, header.reconsumeTimes)) {
    const pending = new PendingSend(request, broker, broker.topics.ensure(TopicName.TRANS_HALF, 1), queueId, uniqKey)
    pending.appended(broker.store.append(broker.transactions.prepare(message), pending))
    return undefined
  }
  const level = deadLetters === undefined ? delayLevelOf(readProperty(properties, PropertyName.DELAY)) : 0
  const stored =
    level === 0 ? message : toSchedule(message, broker.delayLevels.clamp(level), broker.delayLevels, broker.clock.now())
  const pending = new PendingSend(request, broker, topic, queueId, uniqKey)
  pending.appended(broker.store.append(stored, pending))
  return undefined
}

function storeBatch(
  header: SendMessageRequest,
  topic: Topic,
  given: string,
  broker: Broker,
  request: Request,
): Response | undefined {
  const { maxMessageSize } = broker.settings
  if (request.body.length > maxMessageSize) {
    const remark = `the message is illegal: a batch of ${request.body.length} bytes, maxMessageSize is ${maxMessageSize}`
    return refuse(ResponseCode.MESSAGE_ILLEGAL, remark)
  }
  const queueId = queueToSend(header.queueId, topic, broker)
  const entries = splitBatch(header.topic, given, request.body)
  if (!Array.isArray(entries)) return entries
  // each message keeps the name that its producer gave it; the batch has one of its own
  const common = withBrokerProperties(removeProperty(given, PropertyName.UNIQ_KEY), broker)
  const ends = { plain: Buffer.from(common), separated: Buffer.from(`\u0002${common}`) }
  const commonTags = readProperty(common, PropertyName.TAGS)
  // one answer for all: as with Apache the batch says whether it waits, whatever its messages say
  const waitsForFlush = readProperty(common, PropertyName.WAIT) !== 'false'
  const addsKeys = commonTags !== undefined || readProperty(common, PropertyName.KEYS) !== undefined
  const messages = entries.map(({ flag, body, properties, tagsCode, keys }) => {
    const message = newMessage(header, header.topic, queueId, request, broker)
    message.flag = flag
    message.body = body
    message.propertiesStart = properties
    message.propertiesEnd = properties.length === 0 || properties.at(-1) === pairEndCode ? ends.plain : ends.separated
    message.tagsCode = commonTags === undefined ? tagsCode : tagsCodeOf(commonTags)
    message.waitsForFlush = waitsForFlush
    if (!addsKeys) message.keys = keys
    return message
  })
  const pending = new PendingSend(request, broker, topic, queueId, readProperty(given, PropertyName.UNIQ_KEY))
  const [first, ...others] = broker.store.appendBatch(messages, pending)
  pending.appended(first!, others)
  return undefined
}

function newMessage(
  header: SendMessageRequest,
  topic: string,
  queueId: number,
  request: Request,
  broker: Broker,
): NewMessage {
  const bornHost = bornHostOf(request.connection)
  return {
    topic,
    queueId,
    flag: header.flag,
    sysFlag: withHostFlags(header.sysFlag, bornHost, broker.storeHost),
    bornTimestamp: header.bornTimestamp,
    bornHost,
    storeHost: broker.storeHost,
    reconsumeTimes: header.reconsumeTimes,
    preparedTransactionOffset: 0,
    body: request.body,
    propertiesStart: undefined,
    properties: '',
    propertiesEnd: undefined,
    tagsCode: 0,
    waitsForFlush: true,
    keys: undefined,
  }
}

const bornHosts = new WeakMap<Connection, Buffer>()

function bornHostOf(connection: Connection): Buffer {
  let host = bornHosts.get(connection)
  if (host === undefined) bornHosts.set(connection, (host = encodeHost(connection.remote)))
  return host
}

let lastEnd = { regionId: '', traceOn: false, brokerClusterName: '', plain: Buffer.of(), separated: Buffer.of() }

/** What withBrokerProperties adds to a text that has none of it, as bytes. */
function brokerPropertiesEnd(properties: string, { settings }: Broker): Buffer {
  const { regionId, traceOn, brokerClusterName } = settings
  const { regionId: lastRegion, traceOn: lastTrace, brokerClusterName: lastCluster } = lastEnd
  if (regionId !== lastRegion || traceOn !== lastTrace || brokerClusterName !== lastCluster) {
    const text = brokerPropertiesText(settings)
    const buffers = { plain: Buffer.from(text), separated: Buffer.from(`\u0002${text}`) }
    lastEnd = { regionId, traceOn, brokerClusterName, ...buffers }
  }
  return properties.endsWith('\u0002') ? lastEnd.plain : lastEnd.separated
}

const brokerPropertyPattern = /(?:MSG_REGION|TRACE_ON|CLUSTER)\u0001/

/** Adds what every stored message has from its broker. A message that was stored before (a retry) has it already. */
function withBrokerProperties(properties: string, { settings }: Broker): string {
  if (brokerPropertyPattern.test(properties)) {
    const { regionId, traceOn, brokerClusterName } = settings
    return setProperties(properties, [
      ['MSG_REGION', regionId],
      ['TRACE_ON', String(traceOn)],
      ['CLUSTER', brokerClusterName],
    ])
  }
  const separator = properties === '' || properties.endsWith('\u0002') ? '' : '\u0002'
  return properties + separator + brokerPropertiesText(settings)
}

function brokerPropertiesText({ regionId, traceOn, brokerClusterName }: Broker['settings']): string {
  return `MSG_REGION\u0001${regionId}\u0002TRACE_ON\u0001${traceOn}\u0002CLUSTER\u0001${brokerClusterName}\u0002`
}

function regionFields({ settings }: Broker): Record<string, string> {
  return { MSG_REGION: settings.regionId, TRACE_ON: String(settings.traceOn) }
}

/** The message is stored, and its producer told what it could not wait for. */
const timeoutCodes = {
  flushTimeout: ResponseCode.FLUSH_DISK_TIMEOUT,
  slaveTimeout: ResponseCode.FLUSH_SLAVE_TIMEOUT,
} as const

const noOthers: readonly Appended[] = []

/** A send whose message is in the store's write batch: answered when the store says how that ended. */
class PendingSend implements AppendWaiter {
  readonly #request: Request
  readonly #broker: Broker
  readonly #topic: Topic
  readonly #queueId: number
  readonly #uniqKey: string | undefined // a batch need not have one
  #first: Appended | undefined
  #others: readonly Appended[] = noOthers

  constructor(request: Request, broker: Broker, topic: Topic, queueId: number, uniqKey: string | undefined) {
    this.#request = request
    this.#broker = broker
    this.#topic = topic
    this.#queueId = queueId
    this.#uniqKey = uniqKey
  }

  appended(first: Appended, others = noOthers): void {
    this.#first = first
    this.#others = others
  }

  settle(status: SettleStatus, error?: OperatingError): void {
    const request = this.#request
    if (status === 'failed') {
      request.answer({ ...errorResponse(error), extFields: regionFields(this.#broker) })
      return
    }
    const first = this.#first!
    const count = 1 + this.#others.length
    this.#topic.puts.add(count, first.storeTimestamp)
    this.#broker.stats.notePut(count, first.storeTimestamp, request.receivedAtMs)
    if (request.isOneway) request.answer(done)
    else request.answerEncoded(this.#frame(first, status))
  }

  #frame(first: Appended, status: Exclude<SettleStatus, 'failed'>): Buffer | LateFrame {
    const { opaque } = this.#request
    const code = status === 'ok' ? ResponseCode.SUCCESS : timeoutCodes[status]
    const uniqKey = this.#uniqKey
    if (uniqKey === undefined || this.#request.send !== undefined || isPlainUniqKey(uniqKey)) {
      return new SendAnswer(this.#broker, opaque, code, this.#queueId, uniqKey, first, this.#others)
    }
    const { storeHost } = this.#broker
    const msgIds = [first, ...this.#others].map(({ phyOffset }) => offsetMsgIdOf(storeHost, phyOffset))
    const extFields = sendMessageResponse.encode({
      queueId: this.#queueId,
      transactionId: uniqKey,
      msgId: msgIds.join(','),
      queueOffset: first.queueOffset,
    })
    return responseFrame(opaque, code, JSON.stringify({ ...extFields, ...regionFields(this.#broker) }))
  }
}

function isResponse(value: Topic | Response | undefined): value is Response {
  return value !== undefined && 'code' in value
}
