import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import {
  type EndTransactionRequest,
  endTransactionRequest,
  resumeCheckHalfMessageRequest,
} from '../../../remoting/headers/transaction.ts'
import {
  decodeMessage,
  MessageSysFlag,
  PropertyName,
  parseOffsetMsgId,
  type StoredMessage,
} from '../../../remoting/message/index.ts'
import type { Broker } from '../context.ts'
import { TopicName } from '../names.ts'
import type { Outcome } from '../transactions/ended.ts'
import { immunityMsOf, realQueueOf } from '../transactions/half-message.ts'
import { done, processor, type Response, refuse } from './processor.ts'

const outcomes: Readonly<Record<number, Outcome>> = {
  [MessageSysFlag.TRANSACTION_COMMIT]: 'commit',
  [MessageSysFlag.TRANSACTION_ROLLBACK]: 'rollback',
}

/**
 * A producer says how the transaction of a half message ended. It does so oneway as a rule, and hears of nothing that goes
 * wrong: the broker asks again. Source: Apache RocketMQ 5, EndTransactionProcessor.
 */
export const endTransaction = processor(RequestCode.END_TRANSACTION, endTransactionRequest, async (header, broker) => {
  const outcome = outcomes[header.commitOrRollback]
  if (outcome === undefined) return done // not known yet: it will be asked
  const record = broker.store.recordAt(header.commitLogOffset)
  const half = record && decodeMessage(record, 0)
  const real = half && realQueueOf(half)
  if (half?.topic !== TopicName.TRANS_HALF || real === undefined) {
    return refuse(ResponseCode.SYSTEM_ERROR, 'Find prepared transaction message failed')
  }
  const refusal = wrongEnd(header, half, broker)
  if (refusal !== undefined) return refusal
  if (await broker.transactions.end(half, real, outcome)) return done
  return refuse(ResponseCode.ILLEGAL_OPERATION, 'the transaction has ended otherwise')
})

/** An administrator takes up a message that was given up. Source: AdminBrokerProcessor#resumeCheckHalfMessage. */
export const resumeCheckHalfMessage = processor(
  RequestCode.RESUME_CHECK_HALF_MESSAGE,
  resumeCheckHalfMessageRequest,
  async ({ msgId }, { store, transactions }) => {
    const record = store.recordAt(parseOffsetMsgId(msgId ?? '').phyOffset)
    const given = record && decodeMessage(record, 0)
    if (given?.topic !== TopicName.TRANS_CHECK_MAX_TIME || realQueueOf(given) === undefined) {
      return refuse(ResponseCode.SYSTEM_ERROR, `${msgId} is no message of ${TopicName.TRANS_CHECK_MAX_TIME}`)
    }
    await transactions.resume(given)
    return done
  },
)

function wrongEnd(header: EndTransactionRequest, half: StoredMessage, broker: Broker): Response | undefined {
  if (!header.fromTransactionCheck && isTooLate(half, broker)) {
    const remark = 'the transaction is older than its CHECK_IMMUNITY_TIME_IN_SECONDS: the broker asks for its end'
    return refuse(ResponseCode.ILLEGAL_OPERATION, remark)
  }
  if (half.properties.get(PropertyName.PRODUCER_GROUP) !== header.producerGroup) {
    return refuse(ResponseCode.SYSTEM_ERROR, 'The producer group wrong')
  }
  if (half.queueOffset !== header.tranStateTableOffset) {
    return refuse(ResponseCode.SYSTEM_ERROR, 'The transaction state table offset wrong')
  }
  return undefined
}

function isTooLate(half: StoredMessage, { clock, settings }: Broker): boolean {
  const immunityMs = immunityMsOf(half, settings.transactionTimeOut)
  if (immunityMs === undefined) return false
  return clock.now() - half.bornTimestamp > Math.max(immunityMs, settings.transactionTimeOut)
}
