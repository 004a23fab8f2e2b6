import type { MessageQueue } from '../../../remoting/body/message-queue.ts'
import { type QueueTimeSpan, writeConsumeTimeSpans } from '../../../remoting/body/stats.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import {
  cloneGroupOffsetRequest,
  queryConsumeTimeSpanRequest,
  queryCorrectionOffsetRequest,
  querySubscriptionRequest,
} from '../../../remoting/headers/group-and-topic.ts'
import type { Broker } from '../context.ts'
import { done, processor, replyJson, replyText, topicMissing } from './processor.ts'

/** Of each queue: when its first and its last message were stored, and that which the group consumed last. */
export const queryConsumeTimeSpan = processor(
  RequestCode.QUERY_CONSUME_TIME_SPAN,
  queryConsumeTimeSpanRequest,
  ({ topic, group }, broker) => {
    const config = broker.topics.find(topic)?.config
    if (config === undefined) return topicMissing(topic)
    const queueIds = Array.from({ length: config.writeQueueNums }, (_, queueId) => queueId)
    return replyText(writeConsumeTimeSpans(queueIds.map((queueId) => timeSpanOf(topic, queueId, group, broker))))
  },
)

function timeSpanOf(topic: string, queueId: number, group: string, broker: Broker): QueueTimeSpan {
  const { store, consumerOffsets, settings, clock } = broker
  const minOffset = store.minOffset(topic, queueId)
  const maxOffset = store.maxOffset(topic, queueId)
  const consumerOffset = consumerOffsets.committed(topic, group, queueId)
  const storedAt = (queueOffset: number) => store.storeTimestampAt(topic, queueId, queueOffset)
  const minTimeStamp = storedAt(minOffset)
  const messageQueue: MessageQueue = { topic, brokerName: settings.brokerName, queueId }
  return {
    messageQueue,
    minTimeStamp,
    maxTimeStamp: storedAt(maxOffset - 1),
    consumeTimeStamp: consumerOffset > 0 ? storedAt(consumerOffset - 1) : minTimeStamp,
    delayTime: consumerOffset < maxOffset ? clock.now() - storedAt(Math.max(minOffset, consumerOffset)) : 0,
  }
}

/** What a group subscribes to of a topic, as its heartbeats say; nothing where it is offline. */
export const querySubscription = processor(
  RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER,
  querySubscriptionRequest,
  ({ group, topic = '' }, { clients }) =>
    replyJson({ group, subscriptionData: clients.consumerGroup(group)?.subscriptions.get(topic)?.data, topic }),
)

/**
 * Lets one group go on where another one is, in one topic or in all of its topics. Those that its clients no longer subscribe to are
 * passed over unless `offline` asks for them. Source: Apache RocketMQ 5, AdminBrokerProcessor#cloneGroupOffset.
 */
export const cloneGroupOffset = processor(
  RequestCode.CLONE_GROUP_OFFSET,
  cloneGroupOffsetRequest,
  ({ srcGroup, destGroup, topic = '', offline }, { topics, clients, consumerOffsets, log }) => {
    const subscriptions = clients.consumerGroup(srcGroup)?.subscriptions
    const names = topic === '' ? consumerOffsets.topicsOf(srcGroup) : [topic]
    for (const name of names) {
      if (topics.find(name) === undefined) continue
      if (!offline && subscriptions !== undefined && subscriptions.size > 0 && !subscriptions.has(name)) continue
      consumerOffsets.clone(name, srcGroup, destGroup)
      log.info({ topic: name, consumerGroup: destGroup, from: srcGroup }, 'consumer offsets cloned')
    }
    return done
  },
)

/** What tools take for "this group is ahead of all others". */
const ahead = 9_223_372_036_854_775_807n

/**
 * The least offset of any group in each queue of a topic, held against that of one group.
 * Source: Apache RocketMQ 5, AdminBrokerProcessor#queryCorrectionOffset.
 */
export const queryCorrectionOffset = processor(
  RequestCode.QUERY_CORRECTION_OFFSET,
  queryCorrectionOffsetRequest,
  ({ topic, compareGroup, filterGroups }, { topics, consumerOffsets }) => {
    const leftOut = new Set(filterGroups.split(','))
    const groups = consumerOffsets.groupsOf(topic).filter((group) => !leftOut.has(group))
    const correctionOffsets = new Map<number, number | bigint>()
    for (let queueId = 0; queueId < (topics.find(topic)?.config.readQueueNums ?? 0); queueId++) {
      const offsets = groups.map((group) => consumerOffsets.committed(topic, group, queueId))
      const known = offsets.filter((offset) => offset >= 0)
      if (known.length === 0) continue
      const least = Math.min(...known)
      const compared = consumerOffsets.committed(topic, compareGroup, queueId)
      correctionOffsets.set(queueId, compared >= 0 && least > compared ? ahead : least)
    }
    return replyJson({ correctionOffsets })
  },
)
