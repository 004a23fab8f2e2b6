import type { Timer } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import { OperatingError } from '../base/errors.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import { sendMessageResponse } from '../remoting/headers/send-message.ts'
import { checkTransactionStateRequest, endTransactionRequest } from '../remoting/headers/transaction.ts'
import { decodeMessage, MessageSysFlag, PropertyName, parseOffsetMsgId } from '../remoting/message/index.ts'
import type { Handler, Request } from '../remoting/request.ts'
import type { Message, ReceivedMessage } from './message.ts'
import type { SendResult } from './producer.ts'
import { productionDoors } from './production-doors.ts'
import { receivedMessage } from './received.ts'
import { type ProducerOptions, Sender } from './sender.ts'

/** COMMIT: consumers get the message. ROLLBACK: nobody ever does. UNKNOWN: the broker asks later, and later again. */
export type TransactionOutcome = 'COMMIT' | 'ROLLBACK' | 'UNKNOWN'

export interface TransactionProducerOptions extends ProducerOptions {
  /**
   * Says what became of the local transaction of a message whose outcome the broker does not know, because the process
   * that sent it ended or said UNKNOWN. Asked of any producer of the group. What it throws counts as UNKNOWN.
   */
  checkTransaction: (message: ReceivedMessage) => TransactionOutcome | Promise<TransactionOutcome>
  /** Topics whose brokers are told of this producer at start, so that they can ask it of earlier transactions. */
  topics?: readonly string[]
  /** How long one checkTransaction may take before it counts as UNKNOWN (60,000); it is not stopped. */
  checkTimeoutMs?: number
  /** How many checkTransaction run at a time (2,000); brokers ask again for those beyond. */
  checkCountMax?: number
}

export interface TransactionSendResult extends SendResult {
  transactionId: string
  /** What the broker was told. */
  outcome: TransactionOutcome
}

/** Sends messages that consumers get only when a local transaction was committed. */
export class TransactionProducer {
  readonly #options: TransactionProducerOptions
  readonly #sender: Sender
  #beatTimer: Timer | undefined
  #checks = 0

  /** @throws OperatingError SETTING_INVALID, MESSAGE_ILLEGAL (the group's name) */
  constructor(options: TransactionProducerOptions, doors: Doors = productionDoors()) {
    this.#options = options
    this.#sender = new Sender(options, doors, { onRequest: (request) => this.#answer(request) })
  }

  /**
   * Tells the brokers of the given topics of this producer. Needed only where a process shall answer for transactions
   * before it sends one. @throws OperatingError TOPIC_NOT_FOUND, CONNECT_FAILED…
   */
  async start(): Promise<void> {
    await Promise.all((this.#options.topics ?? []).map((topic) => this.#sender.cluster.routes.get(topic)))
    this.#keepRegistered()
    await this.#sender.heartbeats.beatNew()
  }

  /**
   * Stores the message where no consumer sees it, runs the local transaction, and tells the broker how that ended. Where
   * that word is lost the broker asks, so a message is delivered or dropped in the end whatever breaks in between.
   * @param execute runs the local transaction; what it throws counts as UNKNOWN, and is thrown on after the broker was told.
   *   It is not called where the message was stored less safely than the broker is set to do it: that is rolled back.
   * @throws OperatingError as Producer.send; MESSAGE_ILLEGAL also for a delay
   */
  async sendInTransaction(
    message: Message,
    execute: (sent: SendResult & { transactionId: string }) => TransactionOutcome | Promise<TransactionOutcome>,
  ): Promise<TransactionSendResult> {
    if (message.delayLevel !== undefined || message.deliverAt !== undefined) {
      throw new OperatingError('MESSAGE_ILLEGAL', { topic: message.topic, fits: 'no delay in a transaction' })
    }
    const msgId = this.#sender.cluster.nextMsgId()
    const outgoing = this.#sender.outgoing(message, msgId, MessageSysFlag.TRANSACTION_PREPARED, [
      [PropertyName.TRANSACTION_PREPARED, 'true'],
      [PropertyName.PRODUCER_GROUP, this.#options.producerGroup],
    ])
    const { queue, status, answer } = await this.#sender.deliver(outgoing, undefined)
    this.#keepRegistered()
    const {
      msgId: offsetMsgId,
      queueId,
      queueOffset,
      transactionId = msgId,
    } = sendMessageResponse.decode(answer.extFields)
    const sent = { status, msgId, offsetMsgId, queue: { ...queue, queueId }, queueOffset, transactionId }
    let outcome: TransactionOutcome = 'UNKNOWN'
    try {
      outcome = status === 'SEND_OK' ? await execute(sent) : 'ROLLBACK'
    } finally {
      await this.#end(message.topic, sent, outcome)
    }
    return { ...sent, outcome }
  }

  /** Ends all connections. Another producer of the group is asked of what is not decided yet. */
  async close(): Promise<void> {
    this.#beatTimer?.cancel()
    await this.#sender.close()
  }

  /** Tells the broker. What is lost here the broker asks for later. */
  async #end(topic: string, sent: SendResult & { transactionId: string }, outcome: TransactionOutcome): Promise<void> {
    const { cluster } = this.#sender
    const { brokerName } = sent.queue
    try {
      const address = (await cluster.routes.get(topic)).masterOf(brokerName)
      if (address === undefined) throw new OperatingError('CONNECT_FAILED', { brokerName, reason: 'no master' })
      const extFields = endTransactionRequest.encode({
        topic,
        producerGroup: this.#options.producerGroup,
        tranStateTableOffset: sent.queueOffset,
        commitLogOffset: parseOffsetMsgId(sent.offsetMsgId).phyOffset,
        commitOrRollback: outcomeFlag[outcome],
        msgId: sent.msgId,
        transactionId: sent.transactionId,
        brokerName,
      })
      await cluster.remoting.oneway(address, { code: RequestCode.END_TRANSACTION, extFields })
    } catch (error) {
      cluster.doors.log.warn({ topic, brokerName, outcome, err: error }, 'transaction not ended, the broker will ask')
    }
  }

  #answer(request: Request): ReturnType<Handler> {
    if (request.code === RequestCode.CHECK_TRANSACTION_STATE) {
      const { checkCountMax = 2_000 } = this.#options
      if (this.#checks < checkCountMax) void this.#check(request)
      return { code: ResponseCode.SUCCESS }
    }
    return {
      code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
      remark: ` request type ${request.code} not supported`,
    }
  }

  async #check(request: Request): Promise<void> {
    const { log } = this.#sender.cluster.doors
    this.#checks++
    try {
      const header = checkTransactionStateRequest.decode(request.extFields)
      const stored = decodeMessage(Buffer.from(request.body), 0)
      const producerGroup = stored.properties.get(PropertyName.PRODUCER_GROUP)
      if (producerGroup !== this.#options.producerGroup) return
      const topic = stored.properties.get(PropertyName.REAL_TOPIC) ?? header.topic ?? stored.topic
      const queue = { topic, brokerName: header.brokerName ?? '', queueId: stored.queueId }
      const message = receivedMessage({ ...stored, topic }, queue)
      const outcome = await this.#outcomeOf(message)
      const extFields = endTransactionRequest.encode({
        topic,
        producerGroup,
        tranStateTableOffset: header.tranStateTableOffset,
        commitLogOffset: header.commitLogOffset,
        commitOrRollback: outcomeFlag[outcome],
        fromTransactionCheck: true,
        msgId: message.msgId,
        transactionId: header.transactionId,
        brokerName: header.brokerName,
      })
      request.connection.oneway({ code: RequestCode.END_TRANSACTION, extFields })
    } catch (error) {
      log.warn({ err: error }, 'transaction not checked, the broker will ask again')
    } finally {
      this.#checks--
    }
  }

  async #outcomeOf(message: ReceivedMessage): Promise<TransactionOutcome> {
    const { clock, log } = this.#sender.cluster.doors
    const { checkTimeoutMs = 60_000 } = this.#options
    let timer: Timer | undefined
    try {
      return await Promise.race([
        (async () => this.#options.checkTransaction(message))(),
        new Promise<never>((_, reject) => {
          timer = clock.after(checkTimeoutMs, () => reject(new OperatingError('DEADLINE_EXCEEDED', { checkTimeoutMs })))
          timer.unref() // after close it would keep the process for as long
        }),
      ])
    } catch (error) {
      log.warn({ topic: message.topic, msgId: message.msgId, err: error }, 'outcome of a transaction not known')
      return 'UNKNOWN'
    } finally {
      timer?.cancel()
    }
  }

  /** Brokers ask those who sent them heartbeats; one that restarted gets the next one soon, not after 30 s. */
  #keepRegistered(): void {
    const { clock } = this.#sender.cluster.doors
    this.#sender.heartbeats.start()
    this.#beatTimer ??= clock.every(registerMs, () => void this.#sender.heartbeats.beatNew())
    this.#beatTimer.unref()
  }
}

const outcomeFlag = {
  COMMIT: MessageSysFlag.TRANSACTION_COMMIT,
  ROLLBACK: MessageSysFlag.TRANSACTION_ROLLBACK,
  UNKNOWN: 0,
} as const
const registerMs = 3_000
