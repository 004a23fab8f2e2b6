import { writeTopicList } from '../../../remoting/body/lists.ts'
import { type ConsumeStats, writeConsumeStats, writeConsumeStatsList } from '../../../remoting/body/stats.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import { getBrokerConsumeStatsRequest, getConsumeStatsRequest } from '../../../remoting/headers/consume-stats.ts'
import { getSubscriptionGroupRequest } from '../../../remoting/headers/consumer-group.ts'
import { consumeStatsOf, diffOf } from '../lag.ts'
import { processor, replyText } from './processor.ts'

/** How far a group is in each queue it consumes, or in those of the topics asked for. */
export const getConsumeStats = processor(
  RequestCode.GET_CONSUME_STATS,
  getConsumeStatsRequest,
  ({ consumerGroup, topic = '', topicList = '' }, broker) => {
    const asked = [topic, ...topicList.split(';')].map((name) => name.trim()).filter((name) => name !== '')
    const topics = asked.length > 0 ? new Set(asked) : broker.consumerOffsets.topicsOf(consumerGroup)
    return replyText(writeConsumeStats(consumeStatsOf(consumerGroup, topics, broker)))
  },
)

/** The same for all groups, each by topic. */
export const getBrokerConsumeStats = processor(
  RequestCode.GET_BROKER_CONSUME_STATS,
  getBrokerConsumeStatsRequest,
  ({ isOrder }, broker) => {
    const consumeStatsList: Map<string, ConsumeStats[]>[] = []
    let totalDiff = 0
    let totalInflightDiff = 0
    for (const consumerGroup of broker.groups.names()) {
      const stats: ConsumeStats[] = []
      for (const topic of broker.consumerOffsets.topicsOf(consumerGroup)) {
        if (isOrder && broker.topics.find(topic)?.config.order !== true) continue
        const topicStats = consumeStatsOf(consumerGroup, [topic], broker)
        if (topicStats.offsetTable.size === 0) continue
        stats.push(topicStats)
        const { diff, inflightDiff } = diffOf(topicStats)
        totalDiff += diff
        totalInflightDiff += inflightDiff
      }
      consumeStatsList.push(new Map([[consumerGroup, stats]]))
    }
    const { brokerAddr } = broker
    return replyText(writeConsumeStatsList({ brokerAddr, consumeStatsList, totalDiff, totalInflightDiff }))
  },
)

/** The topics that a group has offsets of. */
export const queryTopicsByConsumer = processor(
  RequestCode.QUERY_TOPICS_BY_CONSUMER,
  getSubscriptionGroupRequest,
  ({ group }, { consumerOffsets, brokerAddr }) =>
    replyText(writeTopicList({ topicList: consumerOffsets.topicsOf(group), brokerAddr })),
)
