import { isOperatingError } from '../../../base/errors.ts'
import type { MessageQueue } from '../../../remoting/body/message-queue.ts'
import { readConsumerStatus, writeConsumerStatus } from '../../../remoting/body/stats.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { getConsumerStatusRequest } from '../../../remoting/headers/group-and-topic.ts'
import { processor, refuse, replyText } from './processor.ts'

const clientTimeoutMs = 5_000

/**
 * Asks the members of a group, or one of them, how far they are in each queue of a topic; who does not answer is left out.
 * Source: Apache RocketMQ 5, Broker2Client#getConsumeStatus.
 */
export const getConsumerStatus = processor(
  RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
  getConsumerStatusRequest,
  async ({ topic, group, clientId = '' }, { clients, log }) => {
    const members = [...(clients.consumerGroup(group)?.clients.values() ?? [])]
    if (members.length === 0) {
      return refuse(ResponseCode.SYSTEM_ERROR, `No Any Consumer online in the consumer group: [${group}]`)
    }
    const extFields = getConsumerStatusRequest.encode({ topic, group })
    const command = { code: RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, extFields }
    const consumerTable = new Map<string, ReadonlyMap<MessageQueue, number>>()
    await Promise.all(
      members
        .filter((member) => clientId === '' || member.clientId === clientId)
        .map(async (member) => {
          try {
            const { code, body } = await member.connection.call(command, clientTimeoutMs)
            if (code === ResponseCode.SUCCESS && body.length > 0) {
              consumerTable.set(member.clientId, readConsumerStatus(Buffer.from(body)))
            }
          } catch (error) {
            if (!isOperatingError(error)) throw error
            log.debug({ consumerGroup: group, clientId: member.clientId, err: error }, 'a consumer told no status')
          }
        }),
    )
    return replyText(writeConsumerStatus(consumerTable))
  },
)
