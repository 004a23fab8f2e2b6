import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { getConsumerRunningInfoRequest } from '../../../remoting/headers/consumer-group.ts'
import { consumeMessageDirectlyRequest } from '../../../remoting/headers/group-and-topic.ts'
import { parseOffsetMsgId } from '../../../remoting/message/index.ts'
import { askClient } from './ask-client.ts'
import { processor, refuse } from './processor.ts'

/** Asks one client what it is doing, and passes its answer on as it is. */
export const getConsumerRunningInfo = processor(
  RequestCode.GET_CONSUMER_RUNNING_INFO,
  getConsumerRunningInfoRequest,
  ({ consumerGroup, clientId }, broker, { code, extFields }) =>
    askClient(broker, consumerGroup, clientId, { code, extFields }),
)

/** Lets one client consume a message now, whatever its offset is. Source: Apache RocketMQ 5, AdminBrokerProcessor. */
export const consumeMessageDirectly = processor(
  RequestCode.CONSUME_MESSAGE_DIRECTLY,
  consumeMessageDirectlyRequest,
  (header, broker, { code, extFields }) => {
    const { consumerGroup, clientId = '', msgId = '' } = header
    const phyOffset = parseOffsetMsgId(msgId)?.phyOffset
    const body = phyOffset === undefined ? undefined : broker.store.recordAt(phyOffset)
    if (body === undefined) return refuse(ResponseCode.SYSTEM_ERROR, `there is no message ${msgId} in this broker`)
    const { brokerName } = broker.settings
    return askClient(broker, consumerGroup, clientId, { code, extFields: { ...extFields, brokerName }, body })
  },
)
