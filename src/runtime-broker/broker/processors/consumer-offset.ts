import { writeConsumerOffsetTable } from '../../../remoting/body/consumer-offset-table.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import {
  type QueryConsumerOffsetRequest,
  queryConsumerOffsetRequest,
  updateConsumerOffsetRequest,
} from '../../../remoting/headers/consumer-offset.ts'
import { offsetResponse } from '../../../remoting/headers/queue-offset.ts'
import { readInt64, recordAt } from '../../../remoting/message/index.ts'
import type { Broker } from '../context.ts'
import { bodyProcessor, done, processor, type Response, refuse, reply, replyText } from './processor.ts'

/** A queue whose first message lies this close to the log's end is young: a new group reads it from its beginning. */
const youngLogBytes = 4 * 1024 * 1024 * 1024

/** Where the group goes on in this queue. Source: Apache RocketMQ 5, ConsumerManageProcessor#queryConsumerOffset. */
export const queryConsumerOffset = processor(
  RequestCode.QUERY_CONSUMER_OFFSET,
  queryConsumerOffsetRequest,
  async (header, broker) => {
    const { topic, consumerGroup, queueId } = header
    const consumerOffset = broker.consumerOffsets.committed(topic, consumerGroup, queueId)
    if (consumerOffset >= 0) return found(consumerOffset)
    if (!header.setZeroIfNotFound) {
      return refuse(ResponseCode.QUERY_NOT_FOUND, 'Not found, do not set to zero, maybe this group boot first')
    }
    if (await isYoung(header, broker)) return found(0)
    return refuse(ResponseCode.QUERY_NOT_FOUND, 'Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first')
  },
)

export const updateConsumerOffset = processor(
  RequestCode.UPDATE_CONSUMER_OFFSET,
  updateConsumerOffsetRequest,
  ({ topic, consumerGroup, queueId, commitOffset }, { groups, topics, consumerOffsets }) => {
    if (!groups.has(consumerGroup)) {
      return refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${consumerGroup} not exist!`)
    }
    if (topics.find(topic) === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`)
    if (consumerOffsets.hasReset(topic, consumerGroup, queueId)) {
      return { ...done, remark: 'Offset has been previously reset' }
    }
    const isStored = consumerOffsets.commit(topic, consumerGroup, queueId, commitOffset)
    return isStored ? done : refuse(ResponseCode.SYSTEM_BUSY, 'too many queues have a consumer offset')
  },
)

export const getAllConsumerOffset = bodyProcessor(RequestCode.GET_ALL_CONSUMER_OFFSET, ({ consumerOffsets }) =>
  replyText(writeConsumerOffsetTable(consumerOffsets.toTable())),
)

function found(consumerOffset: number): Response {
  return reply(offsetResponse.encode({ offset: consumerOffset }))
}

async function isYoung({ topic, queueId }: QueryConsumerOffsetRequest, { store }: Broker): Promise<boolean> {
  if (store.minOffset(topic, queueId) > 0) return false
  const { status, bodies } = await store.read(topic, queueId, 0, { countMax: 1, bytesMax: 1 })
  if (status !== 'found') return false
  return store.commitLog.maxOffset - readInt64(bodies[0]!, recordAt.phyOffset) <= youngLogBytes
}
