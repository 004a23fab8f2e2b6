import { isOperatingError } from '../../../base/errors.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { getConsumerRunningInfoRequest } from '../../../remoting/headers/consumer-group.ts'
import { processor, refuse } from './processor.ts'

const clientTimeoutMs = 10_000

/** Asks one client what it is doing, and passes its answer on as it is. */
export const getConsumerRunningInfo = processor(
  RequestCode.GET_CONSUMER_RUNNING_INFO,
  getConsumerRunningInfoRequest,
  async ({ consumerGroup, clientId }, { clients }, { extFields }) => {
    const client = clients.findConsumer(consumerGroup, clientId)
    if (client === undefined) {
      return refuse(ResponseCode.SYSTEM_ERROR, `The Consumer <${consumerGroup}> <${clientId}> not online`)
    }
    try {
      const command = { code: RequestCode.GET_CONSUMER_RUNNING_INFO, extFields }
      const { code, remark, body } = await client.connection.call(command, clientTimeoutMs)
      return { code, remark, body: Buffer.from(body) }
    } catch (error) {
      if (!isOperatingError(error, 'REQUEST_TIMEOUT')) throw error
      const remark = `consumer <${consumerGroup}> <${clientId}> Timeout: ${clientTimeoutMs} ms`
      return refuse(ResponseCode.CONSUME_MSG_TIMEOUT, remark)
    }
  },
)
