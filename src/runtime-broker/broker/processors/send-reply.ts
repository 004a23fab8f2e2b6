import { isOperatingError } from '../../../base/errors.ts'
import { formatAddress } from '../../../remoting/address.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import { pushReplyMessageRequest } from '../../../remoting/headers/reply-message.ts'
import {
  type SendMessageRequest,
  sendMessageRequest,
  sendMessageRequestV2,
  sendMessageResponse,
} from '../../../remoting/headers/send-message.ts'
import { PropertyName, readProperty } from '../../../remoting/message/index.ts'
import type { Request } from '../../../remoting/server.ts'
import type { Broker } from '../context.ts'
import { setProperties } from '../property-text.ts'
import { processor, type Response, refuse, reply } from './processor.ts'
import { topicToSend } from './send-check.ts'

const clientTimeoutMs = 3_000

/**
 * The answer to a request that a producer waits for: handed to it, and not stored, since nobody else reads it.
 * Source: Apache RocketMQ 5, ReplyMessageProcessor.
 */
export const sendReply = processor(RequestCode.SEND_REPLY_MESSAGE, sendMessageRequest, passOn)
export const sendReplyV2 = processor(RequestCode.SEND_REPLY_MESSAGE_V2, sendMessageRequestV2, passOn)

async function passOn(header: SendMessageRequest, broker: Broker, request: Request): Promise<Response> {
  const topic = topicToSend(header, broker)
  if ('code' in topic) return topic
  const fault = await push(header, broker, request)
  if (fault !== undefined) return refuse(ResponseCode.SYSTEM_ERROR, fault)
  const { regionId, traceOn } = broker.settings
  const queueId = Math.max(0, header.queueId)
  // it has no place in the log; producers want numbers all the same
  return reply(sendMessageResponse.encode({ msgId: '0', queueId, queueOffset: 0, regionId, traceOn: String(traceOn) }))
}

/** @returns why it did not reach the client that waits */
async function push(header: SendMessageRequest, broker: Broker, request: Request): Promise<string | undefined> {
  const { clients, clock, brokerAddr, log } = broker
  const properties = header.properties ?? ''
  const clientId = readProperty(properties, PropertyName.REPLY_TO_CLIENT)
  if (clientId === undefined) return `reply message properties[${PropertyName.REPLY_TO_CLIENT}] is null`
  const connection = clients.findProducer(clientId)
  if (connection === undefined) return `push reply message fail, channel of <${clientId}> not found.`
  const now = clock.now()
  const extFields = pushReplyMessageRequest.encode({
    ...header,
    properties: setProperties(properties, [[PropertyName.PUSH_REPLY_TIME, String(now)]]),
    bornHost: formatAddress(request.connection.remote),
    storeHost: brokerAddr,
    storeTimestamp: now,
  })
  try {
    const body = Buffer.from(request.body) // it leaves at the end of the turn, when other bytes may have been read
    const command = { code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, extFields, body }
    const { code } = await connection.call(command, clientTimeoutMs)
    if (code === ResponseCode.SUCCESS) return undefined
  } catch (error) {
    if (!isOperatingError(error)) throw error
    log.debug({ clientId, err: error }, 'an answer did not reach the producer that waits for it')
  }
  return `push reply message to ${clientId} fail.`
}
