import { bool, type HeaderOf, headerCodec, int32, int64, named, optional, text, withDefault } from '../header.ts'

/** END_TRANSACTION: what becomes of a half message. Source: Apache RocketMQ 5.5, EndTransactionRequestHeader. */
export const endTransactionRequest = headerCodec('EndTransactionRequestHeader', {
  topic: optional(text), // absent from clients before 5.2
  producerGroup: text,
  tranStateTableOffset: int64, // of the half message in its queue
  commitLogOffset: int64, // of the half message in the log
  commitOrRollback: int32, // MessageSysFlag.TRANSACTION_COMMIT or TRANSACTION_ROLLBACK; 0: not known yet
  fromTransactionCheck: withDefault(bool, false), // the broker asked
  msgId: text, // UNIQ_KEY
  transactionId: optional(text),
  brokerName: named('bname', optional(text)),
})
export type EndTransactionRequest = HeaderOf<typeof endTransactionRequest>

/** RESUME_CHECK_HALF_MESSAGE: of one that was given up. Source: Apache RocketMQ 5.5, ResumeCheckHalfMessageRequestHeader. */
export const resumeCheckHalfMessageRequest = headerCodec('ResumeCheckHalfMessageRequestHeader', {
  topic: optional(text),
  msgId: optional(text), // offsetMsgId
})
export type ResumeCheckHalfMessageRequest = HeaderOf<typeof resumeCheckHalfMessageRequest>

/**
 * CHECK_TRANSACTION_STATE (server to client): what became of this half message, which is the body? The answer is an
 * END_TRANSACTION. Source: Apache RocketMQ 5.5, CheckTransactionStateRequestHeader.
 */
export const checkTransactionStateRequest = headerCodec('CheckTransactionStateRequestHeader', {
  topic: optional(text),
  tranStateTableOffset: int64,
  commitLogOffset: int64,
  msgId: optional(text),
  transactionId: optional(text),
  offsetMsgId: optional(text),
  brokerName: named('bname', optional(text)),
})
export type CheckTransactionStateRequest = HeaderOf<typeof checkTransactionStateRequest>
