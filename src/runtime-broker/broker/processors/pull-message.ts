import { Perm, PullSysFlag, RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import {
  type PullMessageRequest,
  type PullMessageResponse,
  pullMessageRequest,
  pullMessageResponse,
} from '../../../remoting/headers/pull-message.ts'
import { tagsCodeOf } from '../../../remoting/message/index.ts'
import type { Request } from '../../../remoting/server.ts'
import { SpareBuffers } from '../../../remoting/spare-buffers.ts'
import type { ReadResult, ReadStatus } from '../../store/index.ts'
import type { Broker } from '../context.ts'
import type { Filter } from '../filter/filter.ts'
import { ExpressionError } from '../filter/lexer.ts'
import { readFiltered } from '../filter/read.ts'
import { errorResponse } from './errors.ts'
import { groupMissing, processor, type Response, refuse, topicMissing } from './processor.ts'
import { slaveAnswer, whichBroker } from './which-broker.ts'

/** Answers a pull with stored bytes as they are, or holds it until a message arrives or its time is up. */
export const pullMessage = processor(RequestCode.PULL_MESSAGE, pullMessageRequest, startPull)
export const litePullMessage = processor(RequestCode.LITE_PULL_MESSAGE, pullMessageRequest, startPull)

/** Of all brokers of the process, for bodies as long as maxTransferBytesOnMessageInMemory says by default. */
const bodyBuffers = new SpareBuffers(256 * 1024, 4 * 1024 * 1024)

type Matcher = ((tagsCode: number) => boolean) | undefined

/** Which messages the consumer wants. */
interface Wanted {
  readonly matches: Matcher
  readonly filter?: Filter
}

const wantsAll: Wanted = { matches: undefined }

/** Why a pull is forbidden, beside NO_PERMISSION. Source: Apache RocketMQ 5, ForbiddenType. */
const Forbidden = { BROKER: 1, GROUP: 2, TOPIC: 3, BROADCASTING: 4 } as const

interface Answer {
  code: number
  remark: string
}

const notFound = (remark: string): Answer => ({ code: ResponseCode.PULL_NOT_FOUND, remark })
const again = (remark: string): Answer => ({ code: ResponseCode.PULL_RETRY_IMMEDIATELY, remark })
const moved = (remark: string): Answer => ({ code: ResponseCode.PULL_OFFSET_MOVED, remark })

/** An empty queue is waited at, unless the consumer believes to be further. */
const answers: Record<ReadStatus, (queueOffset: number) => Answer> = {
  found: () => ({ code: ResponseCode.SUCCESS, remark: 'FOUND' }),
  noMatch: () => again('NO_MATCHED_MESSAGE'),
  removed: () => again('MESSAGE_WAS_REMOVING'),
  foundNull: () => notFound('OFFSET_FOUND_NULL'),
  overflowOne: () => notFound('OFFSET_OVERFLOW_ONE'),
  overflowBadly: () => moved('OFFSET_OVERFLOW_BADLY'),
  tooSmall: () => moved('OFFSET_TOO_SMALL'),
  noQueue: (queueOffset) => (queueOffset === 0 ? notFound : moved)('NO_MATCHED_LOGIC_QUEUE'),
  noMessage: (queueOffset) => (queueOffset === 0 ? notFound : moved)('NO_MESSAGE_IN_QUEUE'),
}

function startPull(header: PullMessageRequest, broker: Broker, request: Request): Response | undefined {
  const wanted = checkPull(header, broker)
  if ('code' in wanted) return wanted
  if ((header.sysFlag & PullSysFlag.COMMIT_OFFSET) !== 0) {
    broker.consumerOffsets.commit(header.topic, header.consumerGroup, header.queueId, header.commitOffset)
  }
  const mayHold = (header.sysFlag & PullSysFlag.SUSPEND) !== 0
  pull({ header, broker, request, wanted }, mayHold)
  return undefined
}

interface Pull {
  readonly header: PullMessageRequest
  readonly broker: Broker
  readonly request: Request
  readonly wanted: Wanted
}

/** Reads once and answers, or holds the request: once only, so that a hold ends. */
function pull(state: Pull, mayHold: boolean): void {
  const { header, broker, request, wanted } = state
  const { topic, queueId, consumerGroup, queueOffset } = header
  const { settings, store, consumerOffsets } = broker
  const { matches, filter } = wanted
  const resetTo = consumerOffsets.takeReset(topic, consumerGroup, queueId)
  if (resetTo !== undefined) {
    request.answer(answer(moved('OFFSET_RESET'), rangeOf(header, broker, resetTo)))
    return
  }
  const limits = {
    countMax: Math.max(1, Math.min(header.maxMsgNums, settings.maxTransferCountOnMessageInMemory)),
    bytesMax: Math.min(header.maxMsgBytes ?? Number.MAX_SAFE_INTEGER, settings.maxTransferBytesOnMessageInMemory),
    room: bodyBuffers,
  }
  const read =
    filter === undefined
      ? store.read(topic, queueId, queueOffset, matches === undefined ? limits : { ...limits, matches })
      : readFiltered(store, header, queueOffset, limits, filter)
  if (!(read instanceof Promise)) finish(state, read, mayHold)
  else {
    read
      .then((result) => finish(state, result, mayHold))
      .catch((error: unknown) => request.answer(errorResponse(error)))
  }
}

function finish(state: Pull, read: ReadResult, mayHold: boolean): void {
  const { header, broker, request } = state
  const { topic, queueId, consumerGroup, queueOffset } = header
  let outcome = answers[read.status](queueOffset)
  let { nextBeginOffset } = read
  if (broker.replication.isSlave) {
    const other = slaveAnswer(queueOffset, read, outcome.code === ResponseCode.PULL_OFFSET_MOVED, broker)
    if (other !== undefined) {
      outcome = other
      nextBeginOffset = other.nextBeginOffset ?? nextBeginOffset
    }
  }
  if (outcome.code === ResponseCode.PULL_NOT_FOUND && mayHold) {
    hold(state)
    return
  }
  broker.stats.noteGet(topic, consumerGroup, read.count)
  broker.consumerOffsets.notePull(topic, consumerGroup, queueId, nextBeginOffset)
  const { minOffset, maxOffset } = read
  const suggestWhichBrokerId = whichBroker(consumerGroup, read, broker)
  request.answer(answer(outcome, { suggestWhichBrokerId, nextBeginOffset, minOffset, maxOffset }, read.bodies))
}

function hold(state: Pull): void {
  const { header, broker, request, wanted } = state
  const { clock, settings, pullHold } = broker
  const holdMs = settings.longPollingEnable ? header.suspendTimeoutMillis : settings.shortPollingTimeMills
  const isHeld = pullHold.hold(header.topic, header.queueId, {
    queueOffset: header.queueOffset,
    matches: wanted.matches,
    deadlineMs: clock.monotonicMs() + holdMs,
    isAlive: () => request.connection.isOpen,
    resume: () => {
      try {
        const wantedNow = checkPull(header, broker) // the group may have subscribed otherwise while it waited
        if ('code' in wantedNow) request.answer(wantedNow)
        else pull({ ...state, wanted: wantedNow }, false)
      } catch (error) {
        request.answer(errorResponse(error))
      }
    },
  })
  // Consumers come back from SYSTEM_BUSY after 3 s; from "not found" they would at once.
  if (!isHeld) request.answer(refuse(ResponseCode.SYSTEM_BUSY, 'too many pulls are held'))
}

/**
 * May this group pull from this queue, and which messages does it want?
 * Source: Apache RocketMQ 5, PullMessageProcessor#processRequest.
 */
function checkPull(header: PullMessageRequest, broker: Broker): Wanted | Response {
  const { settings, groups, topics, clients } = broker
  const { topic: topicName, consumerGroup, queueId, sysFlag } = header
  const refusal = (code: number, remark: string, forbiddenType?: number): Response =>
    answer({ code, remark }, { ...rangeOf(header, broker, header.queueOffset), forbiddenType })

  if ((settings.brokerPermission & Perm.READ) === 0) {
    const remark = `the broker[${settings.brokerIP1}] pulling message is forbidden`
    return refusal(ResponseCode.NO_PERMISSION, remark, Forbidden.BROKER)
  }
  const group = groups.findOrCreate(consumerGroup)
  if (group === undefined)
    return refusal(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, groupMissing(consumerGroup).remark!)
  if (!group.consumeEnable) {
    const remark = `subscription group no permission, ${consumerGroup}`
    return refusal(ResponseCode.NO_PERMISSION, remark, Forbidden.GROUP)
  }
  const topic = topics.find(topicName)?.config
  if (topic === undefined) return refusal(ResponseCode.TOPIC_NOT_EXIST, topicMissing(topicName).remark!)
  if ((topic.perm & Perm.READ) === 0) {
    const remark = `the topic[${topicName}] pulling message is forbidden`
    return refusal(ResponseCode.NO_PERMISSION, remark, Forbidden.TOPIC)
  }
  if (queueId < 0 || queueId >= topic.readQueueNums) {
    const remark =
      `queueId[${queueId}] is illegal, topic:[${topicName}] topicConfig.readQueueNums:[${topic.readQueueNums}] ` +
      `consumer:[${consumerGroup}]`
    return refusal(ResponseCode.INVALID_PARAMETER, remark)
  }
  if ((sysFlag & PullSysFlag.SUBSCRIPTION) !== 0) {
    const { expressionType, subscription = '' } = header
    if (isTagType(expressionType)) return wantedTags(tagsCodesOf(subscription))
    const unreadable = () => refusal(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
    // Apache takes what it cannot read for a wish for everything.
    const filter = broker.filters.compile(subscription)
    if (expressionType !== 'SQL92' || filter instanceof ExpressionError) return unreadable()
    return settings.enablePropertyFilter
      ? { matches: undefined, filter }
      : refusal(ResponseCode.SYSTEM_ERROR, filterUnsupported(expressionType))
  }
  const members = clients.consumerGroup(consumerGroup)
  if (members === undefined) {
    return refusal(ResponseCode.SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist")
  }
  if (!group.consumeBroadcastEnable && members.messageModel === 'BROADCASTING') {
    const remark = `the consumer group[${consumerGroup}] can not consume by broadcast way`
    return refusal(ResponseCode.NO_PERMISSION, remark, Forbidden.BROADCASTING)
  }
  const subscription = members.subscriptions.get(topicName)
  if (subscription === undefined) {
    return refusal(ResponseCode.SUBSCRIPTION_NOT_EXIST, "the consumer's subscription not exist")
  }
  if (subscription.data.subVersion < header.subVersion) {
    return refusal(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest")
  }
  const { expressionType, subString } = subscription.data
  if (isTagType(expressionType)) return wantedTags(subscription.tagsCodes)
  const unreadable = () => {
    const remark = "The broker's consumer filter data is not exist!Your expression may be wrong!"
    return refusal(ResponseCode.FILTER_DATA_NOT_EXIST, remark)
  }
  const filter = broker.filters.compile(subString)
  if (expressionType !== 'SQL92' || filter instanceof ExpressionError) return unreadable()
  return settings.enablePropertyFilter
    ? { matches: undefined, filter }
    : refusal(ResponseCode.SYSTEM_ERROR, filterUnsupported(expressionType))
}

function answer(
  { code, remark }: Answer,
  range: Omit<PullMessageResponse, 'suggestWhichBrokerId'> & { suggestWhichBrokerId?: number },
  body?: readonly Buffer[],
): Response {
  const { suggestWhichBrokerId = 0, nextBeginOffset, minOffset, maxOffset, forbiddenType } = range
  const where = { suggestWhichBrokerId, nextBeginOffset, minOffset, maxOffset, forbiddenType }
  return { code, remark, extFields: pullMessageResponse.encode(where), body, spare: bodyBuffers }
}

function rangeOf({ topic, queueId }: PullMessageRequest, { store }: Broker, nextBeginOffset: number) {
  return { nextBeginOffset, minOffset: store.minOffset(topic, queueId), maxOffset: store.maxOffset(topic, queueId) }
}

export function isTagType(expressionType: string | undefined): boolean {
  return expressionType === undefined || expressionType === '' || expressionType === 'TAG'
}

export function filterUnsupported(expressionType: string): string {
  return `The broker does not support consumer to filter message by ${expressionType}`
}

/** The tags of an expression such as `paid || refunded`; none: all messages. */
function tagsCodesOf(expression: string): ReadonlySet<number> {
  if (expression === '' || expression === '*') return new Set()
  const tags = expression.split('||').map((tag) => tag.trim())
  return new Set(tags.filter((tag) => tag !== '').map(tagsCodeOf))
}

function wantedTags(tagsCodes: ReadonlySet<number>): Wanted {
  return tagsCodes.size === 0 ? wantsAll : { matches: (tagsCode) => tagsCodes.has(tagsCode) }
}
