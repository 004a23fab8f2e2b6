import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import type { Broker } from '../context.ts'
import { type Response, refuse } from './processor.ts'

/** What Apache's slave says to requests that only a master takes: clients come back, and find the master by then. */
const rejected = refuse(ResponseCode.SYSTEM_BUSY, '[REJECTREQUEST]system busy, start flow control for a while')
const mastersTable = refuse(
  ResponseCode.SYSTEM_ERROR,
  "Can't modify topic or subscription group from slave broker, please execute it from master broker.",
)

/** Requests that a slave does not answer as a master does. Source: Apache RocketMQ 5, SendMessageProcessor#rejectRequest and others. */
const refusals: ReadonlyMap<number, (broker: Broker) => Response | undefined> = new Map([
  [RequestCode.SEND_MESSAGE, () => rejected],
  [RequestCode.SEND_MESSAGE_V2, () => rejected],
  [RequestCode.SEND_BATCH_MESSAGE, () => rejected],
  [RequestCode.CONSUMER_SEND_MSG_BACK, () => rejected],
  [RequestCode.PULL_MESSAGE, mayRead],
  [RequestCode.LITE_PULL_MESSAGE, mayRead],
  [RequestCode.END_TRANSACTION, () => refuse(ResponseCode.SLAVE_NOT_AVAILABLE, 'a slave ends no transactions')],
  [RequestCode.RESUME_CHECK_HALF_MESSAGE, () => rejected],
  // Apache's slave changes its table, and forgets that when it next copies its master's.
  [RequestCode.UPDATE_AND_CREATE_TOPIC, () => mastersTable],
  [RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, () => mastersTable],
  [RequestCode.DELETE_TOPIC_IN_BROKER, () => mastersTable],
  [RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, () => mastersTable],
  [RequestCode.DELETE_SUBSCRIPTIONGROUP, () => mastersTable],
  [
    RequestCode.INVOKE_BROKER_TO_RESET_OFFSET,
    () => refuse(ResponseCode.SYSTEM_ERROR, 'Can not reset offset in slave broker'),
  ],
])

/** @returns undefined: a slave answers this as a master does */
export function slaveRefusal(code: number, broker: Broker): Response | undefined {
  return refusals.get(code)?.(broker)
}

function mayRead({ settings }: Broker): Response | undefined {
  return settings.slaveReadEnable ? undefined : rejected
}
