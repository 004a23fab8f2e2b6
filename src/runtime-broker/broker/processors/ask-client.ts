import { isOperatingError } from '../../../base/errors.ts'
import { ResponseCode } from '../../../remoting/codes.ts'
import type { Broker } from '../context.ts'
import { type Response, refuse } from './processor.ts'

const clientTimeoutMs = 10_000

/** Passes an admin's request on to one consumer and its answer back as it is. Source: Apache RocketMQ 5, callConsumer. */
export async function askClient(
  { clients }: Broker,
  consumerGroup: string,
  clientId: string,
  command: { code: number; extFields: Record<string, string>; body?: Buffer },
): Promise<Response> {
  const client = clients.findConsumer(consumerGroup, clientId)
  if (client === undefined) {
    return refuse(ResponseCode.SYSTEM_ERROR, `The Consumer <${consumerGroup}> <${clientId}> not online`)
  }
  try {
    const { code, remark, body } = await client.connection.call(command, clientTimeoutMs)
    return { code, remark, body: Buffer.from(body) }
  } catch (error) {
    if (!isOperatingError(error, 'REQUEST_TIMEOUT')) throw error
    const remark = `consumer <${consumerGroup}> <${clientId}> Timeout: ${clientTimeoutMs} ms`
    return refuse(ResponseCode.CONSUME_MSG_TIMEOUT, remark)
  }
}
