import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { queryConsumeQueueRequest } from '../../../remoting/headers/query-consume-queue.ts'
import { processor, refuse, replyJson } from './processor.ts'

const unitCountMax = 800

/** Units of a consume queue as they are: for those who look into a store. Source: Apache RocketMQ 5, AdminBrokerProcessor. */
export const queryConsumeQueue = processor(
  RequestCode.QUERY_CONSUME_QUEUE,
  queryConsumeQueueRequest,
  ({ topic = '', queueId, index, count, consumerGroup }, { store, clients }) => {
    const units = store.units(topic, queueId, index, Math.min(count, unitCountMax))
    if (units === undefined) return refuse(ResponseCode.SYSTEM_ERROR, `${queueId}@${topic} is not exist!`)
    const subscriptionData =
      consumerGroup === undefined ? undefined : clients.consumerGroup(consumerGroup)?.subscriptions.get(topic)?.data
    const isOffline = consumerGroup !== undefined && subscriptionData === undefined
    return replyJson({
      filterData: isOffline ? `${consumerGroup}@${topic} is not online!` : undefined,
      maxQueueIndex: store.maxOffset(topic, queueId),
      minQueueIndex: store.minOffset(topic, queueId),
      queueData: units.map(({ phyOffset, size, tagsCode }) => ({
        eval: false,
        physicOffset: phyOffset,
        physicSize: size,
        tagsCode,
      })),
      subscriptionData,
    })
  },
)
