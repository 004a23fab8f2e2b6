import { Perm, ResponseCode } from '../../../remoting/codes.ts'
import type { SendMessageRequest } from '../../../remoting/headers/send-message.ts'
import { PropertyName, readProperty } from '../../../remoting/message/index.ts'
import type { Request } from '../../../remoting/server.ts'
import { Version } from '../../../remoting/version.ts'
import type { Broker } from '../context.ts'
import { deadLetterTopicOf, groupOfRetryTopic, isRetryTopic, maySendTo, topicNameFault } from '../names.ts'
import { delayLevelOf } from '../property-text.ts'
import type { Topic } from '../topics.ts'
import { groupMissing, type Response, refuse, topicMissing } from './processor.ts'

const transactionFlags = 0xc
const timerPattern = /TIMER_(?:DELAY_SEC|DELAY_MS|DELIVER_MS)\u0001/

/**
 * Finds the topic of a message that somebody sends, and makes it where it may be made.
 * Source: Apache RocketMQ 5, AbstractSendMessageProcessor#msgCheck.
 */
export function topicToSend(header: SendMessageRequest, broker: Broker): Topic | Response {
  const { topic: name, queueId } = header
  let topic = broker.topics.find(name)
  if (topic?.config.order && (broker.settings.brokerPermission & Perm.WRITE) === 0) {
    return refuse(ResponseCode.NO_PERMISSION, `the broker[${broker.settings.brokerIP1}] sending message is forbidden`)
  }
  if (topic === undefined) {
    const fault = topicNameFault(name)
    if (fault !== undefined) return refuse(ResponseCode.INVALID_PARAMETER, fault)
  }
  if (!maySendTo(name)) {
    return refuse(ResponseCode.NO_PERMISSION, `Sending message to topic[${name}] is forbidden.`)
  }
  topic ??= broker.topics.createBySending(name, header.defaultTopic, header.defaultTopicQueueNums, unitFlag(header))
  if (topic === undefined && isRetryTopic(name)) topic = broker.topics.ensure(name, 1, unitFlag(header))
  if (topic === undefined) return topicMissing(name)
  const { writeQueueNums, readQueueNums } = topic.config
  if (queueId >= Math.max(writeQueueNums, readQueueNums)) {
    const remark = `request queueId[${queueId}] is illegal, topic ${name} has ${writeQueueNums} write queues`
    return refuse(ResponseCode.INVALID_PARAMETER, remark)
  }
  return topic
}

/** A queue of the topic: the one asked for, or any when the sender leaves it to us. */
export function queueToSend(queueId: number, topic: Topic, broker: Broker): number {
  return queueId >= 0 ? queueId : broker.random.int(Math.max(1, topic.config.writeQueueNums))
}

export function isTransactional(sysFlag: number): boolean {
  return (sysFlag & transactionFlags) !== 0
}

/**
 * Is a message with these properties to wait until its producer ends its transaction? A retry that old clients send by
 * themselves has kept the property of a committed message. Source: Apache RocketMQ 5, SendMessageProcessor#sendMessage.
 */
export function isHalfMessage(properties: string, reconsumeTimes: number): boolean {
  if (!properties.includes(PropertyName.TRANSACTION_PREPARED)) return false
  if (readProperty(properties, PropertyName.TRANSACTION_PREPARED)?.toLowerCase() !== 'true') return false
  return reconsumeTimes === 0 || delayLevelOf(readProperty(properties, PropertyName.DELAY)) === 0
}

/** What cannot be done must not be stored as if it were. */
export function unsupported(
  { sysFlag, properties = '', reconsumeTimes }: SendMessageRequest,
  isBatch: boolean,
  { settings }: Broker,
): Response | undefined {
  const isHalf = isHalfMessage(properties, reconsumeTimes)
  if (isHalf && settings.rejectTransactionMessage) {
    const remark = `the broker[${settings.brokerIP1}] sending transaction message is forbidden`
    return refuse(ResponseCode.NO_PERMISSION, remark)
  }
  if (isHalf && isBatch) return refuse(ResponseCode.MESSAGE_ILLEGAL, 'a batch cannot be part of a transaction')
  if (!isHalf && isTransactional(sysFlag)) {
    return refuse(ResponseCode.MESSAGE_ILLEGAL, 'the sysFlag is one of a transaction, the property TRAN_MSG says none')
  }
  return timerRefusal(properties)
}

/** Messages for a time of their own are for a broker that has timers. */
export function timerRefusal(properties: string): Response | undefined {
  if (!timerPattern.test(properties)) return undefined
  if (delayLevelOf(readProperty(properties, PropertyName.DELAY)) > 0) return undefined // the level counts, as with Apache
  return refuse(ResponseCode.SYSTEM_ERROR, 'accurate timer message is not enabled, timerWheelEnable is false')
}

/**
 * A consumer that could not send a message back sends it here as a new one: once it was tried often enough it belongs to
 * the dead letters. Source: Apache RocketMQ 5, SendMessageProcessor#handleRetryAndDLQ.
 * @returns the topic to store it in, undefined for the one it names
 */
export function deadLetterTopic(
  header: SendMessageRequest,
  request: Request,
  broker: Broker,
): Topic | Response | undefined {
  if (!isRetryTopic(header.topic)) return undefined
  const consumerGroup = groupOfRetryTopic(header.topic)
  const group = broker.groups.findOrCreate(consumerGroup)
  if (group === undefined) return groupMissing(consumerGroup)
  const isHeard = request.version >= Version.V3_4_9 && header.maxReconsumeTimes !== undefined
  const triesMax = isHeard ? header.maxReconsumeTimes! : group.retryMaxTimes
  // who consumes in order tries a message itself, and sends it here when that was often enough
  const isGivenUp = header.reconsumeTimes > triesMax || broker.locks.isInUse(consumerGroup)
  return isGivenUp ? broker.topics.ensure(deadLetterTopicOf(consumerGroup), 1) : undefined
}

const unitTopicFlag = 1
const unitRetryTopicFlag = 2

function unitFlag({ unitMode, topic }: SendMessageRequest): number {
  if (!unitMode) return 0
  return isRetryTopic(topic) ? unitRetryTopicFlag : unitTopicFlag
}
