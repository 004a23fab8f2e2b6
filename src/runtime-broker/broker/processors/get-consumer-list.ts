import { writeConsumerIdList } from '../../../remoting/body/lists.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { consumerGroupRequest } from '../../../remoting/headers/consumer-group.ts'
import { processor, refuse, replyText } from './processor.ts'

/** The client ids of a group: what its members share queues by. */
export const getConsumerList = processor(
  RequestCode.GET_CONSUMER_LIST_BY_GROUP,
  consumerGroupRequest,
  ({ consumerGroup }, { clients }) => {
    const group = clients.consumerGroup(consumerGroup)
    if (group === undefined) return refuse(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${consumerGroup}`)
    const ids = new Set([...group.clients.values()].map(({ clientId }) => clientId))
    return replyText(writeConsumerIdList([...ids]))
  },
)
