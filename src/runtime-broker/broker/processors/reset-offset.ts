import type { MessageQueue } from '../../../remoting/body/message-queue.ts'
import { writeResetOffsets } from '../../../remoting/body/stats.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { resetOffsetRequest } from '../../../remoting/headers/consumer-offset.ts'
import { groupMissing, processor, refuse, replyText, topicMissing } from './processor.ts'

/**
 * Sends a group elsewhere in a topic: the next pull of each queue is answered with the new offset, so no client has to
 * be online. Source: Apache RocketMQ 5, AdminBrokerProcessor#resetOffsetInner.
 */
export const resetOffset = processor(
  RequestCode.INVOKE_BROKER_TO_RESET_OFFSET,
  resetOffsetRequest,
  ({ topic, group, timestamp, queueId: onlyQueueId, offset }, broker) => {
    const { store, topics, groups, consumerOffsets, settings, log } = broker
    const config = topics.find(topic)?.config
    if (config === undefined) return topicMissing(topic)
    if (!groups.has(group)) return groupMissing(group)
    if (onlyQueueId >= config.readQueueNums) {
      return refuse(ResponseCode.INVALID_PARAMETER, `topic ${topic} has no queue ${onlyQueueId}`)
    }
    const queueIds = onlyQueueId >= 0 ? [onlyQueueId] : Array.from({ length: config.readQueueNums }, (_, id) => id)
    const offsetTable = new Map<MessageQueue, number>()
    for (const queueId of queueIds) {
      const maxOffset = store.maxOffset(topic, queueId)
      if (offset !== undefined && onlyQueueId >= 0) {
        const minOffset = store.minOffset(topic, queueId)
        if (offset < minOffset || offset > maxOffset + 1) {
          const remark = `Target offset ${offset} not in consume queue range [${minOffset}-${maxOffset}]`
          return refuse(ResponseCode.SYSTEM_ERROR, remark)
        }
      }
      const byTime = timestamp < 0 ? maxOffset : store.offsetByTime(topic, queueId, timestamp, 'lower')
      const target = onlyQueueId >= 0 && offset !== undefined ? offset : byTime
      offsetTable.set({ brokerName: settings.brokerName, queueId, topic }, target)
    }
    for (const [{ queueId }, target] of offsetTable) consumerOffsets.reset(topic, group, queueId, target)
    log.info({ topic, consumerGroup: group, timestamp, queues: offsetTable.size }, 'consumer offsets reset')
    return replyText(writeResetOffsets(offsetTable))
  },
)
