import { writeGroupList } from '../../../remoting/body/lists.ts'
import type { MessageQueue } from '../../../remoting/body/message-queue.ts'
import { type TopicOffset, writeTopicStatsTable } from '../../../remoting/body/stats.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { topicRequest } from '../../../remoting/headers/topic.ts'
import { processor, refuse, replyText } from './processor.ts'

/** What lies in each queue of a topic. */
export const getTopicStats = processor(RequestCode.GET_TOPIC_STATS_INFO, topicRequest, ({ topic }, broker) => {
  const found = broker.topics.find(topic)
  if (found === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, `topic[${topic}] not exist`)
  const { store, settings, clock } = broker
  const offsetTable = new Map<MessageQueue, TopicOffset>()
  const queues = Math.max(found.config.readQueueNums, found.config.writeQueueNums)
  for (let queueId = 0; queueId < queues; queueId++) {
    const minOffset = store.minOffset(topic, queueId)
    const maxOffset = store.maxOffset(topic, queueId)
    const lastUpdateTimestamp = maxOffset > 0 ? Math.max(0, store.storeTimestampAt(topic, queueId, maxOffset - 1)) : 0
    offsetTable.set({ brokerName: settings.brokerName, queueId, topic }, { lastUpdateTimestamp, maxOffset, minOffset })
  }
  return replyText(writeTopicStatsTable({ offsetTable, topicPutTps: found.puts.perSecond(clock.now()) }))
})

/** The groups that subscribe to a topic now, or have consumed it. */
export const queryTopicConsumers = processor(
  RequestCode.QUERY_TOPIC_CONSUME_BY_WHO,
  topicRequest,
  ({ topic }, { clients, consumerOffsets }) =>
    replyText(writeGroupList([...new Set([...clients.groupsOf(topic), ...consumerOffsets.groupsOf(topic)])])),
)
