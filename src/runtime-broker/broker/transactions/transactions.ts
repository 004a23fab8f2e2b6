import { BrokenRule } from '../../../base/assert.ts'
import type { Clock, Timer } from '../../../base/clock.ts'
import { isOperatingError, messageOf } from '../../../base/errors.ts'
import type { Log } from '../../../base/log.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import { checkTransactionStateRequest } from '../../../remoting/headers/transaction.ts'
import { decodeMessages, offsetMsgIdOf, PropertyName, type StoredMessage } from '../../../remoting/message/index.ts'
import type { BrokerSettings } from '../../../tunables/index.ts'
import type { Appended, MessageStore, NewMessage } from '../../store/index.ts'
import type { Clients } from '../clients.ts'
import type { ConsumerOffsets } from '../consumer-offsets.ts'
import type { DelayLevels } from '../delay-levels.ts'
import { TopicName, transactionGroup } from '../names.ts'
import { delayLevelOf } from '../property-text.ts'
import { stored, toSchedule } from '../schedule.ts'
import type { Topics } from '../topics.ts'
import { joinCopies } from './copies.ts'
import { Ended, type Outcome } from './ended.ts'
import {
  askedAgain,
  committed,
  firstOffsetOf,
  givenUp,
  halfQueueId,
  keptImmune,
  questionBody,
  type RealQueue,
  realQueueOf,
  resumed,
  toHalf,
} from './half-message.ts'
import { judge } from './judge.ts'
import { OpBatch } from './op-batch.ts'
import { type Ops, readOps } from './op-reader.ts'

const batchCountMax = 32
const batchBytesMax = 1024 * 1024
/** One pass; the next one goes on where it ended. */
const passMsMax = 60_000
const hourMs = 3_600_000

export interface TransactionParts {
  readonly store: MessageStore
  readonly storeHost: Buffer
  readonly settings: BrokerSettings
  readonly topics: Topics
  readonly consumerOffsets: ConsumerOffsets
  readonly clients: Clients
  readonly delayLevels: DelayLevels
  readonly clock: Clock
  readonly log: Log
}

/** Where a pass is. */
interface Pass {
  readonly startedAt: number
  readonly ops: Ops
  halfOffset: number
  asked: number
}

/**
 * Keeps half messages, ends them as their producers say, and asks producers about those that they did not end. Progress lies in
 * the offsets of the group CID_RMQ_SYS_TRANS, as with Apache's broker: either goes on where the other one stopped.
 * Source: Apache RocketMQ 5, TransactionalMessageServiceImpl.
 */
export class Transactions {
  readonly #parts: TransactionParts
  readonly #ended = new Ended()
  readonly #ops: OpBatch
  #timer: Timer | undefined
  #pass: Promise<void> | undefined
  #isClosed = false
  #hasJoined = false
  readonly counts = { commit: 0, rollback: 0 }

  constructor(parts: TransactionParts) {
    this.#parts = parts
    this.#ops = new OpBatch(parts.store, parts.storeHost, parts.settings, parts)
  }

  /** Begins to ask producers; only a master does. */
  start(): void {
    if (this.#isClosed) return
    if (this.#parts.store.maxOffset(TopicName.TRANS_HALF, halfQueueId) > 0) this.#noteUse()
    this.#timer = this.#parts.clock.after(this.#parts.settings.transactionCheckInterval, () => {
      this.#pass = this.#check().then(() => this.start())
    })
  }

  /** Waits for what is under way, then notes all that ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#pass
    this.#ops.close()
  }

  /** The message as it is to be stored until its producer ends it. */
  prepare(message: NewMessage): NewMessage {
    this.#noteUse()
    return toHalf(message)
  }

  /** Half messages that no pass has found ended yet; some of them may be. */
  get waitingCount(): number {
    return this.#parts.store.maxOffset(TopicName.TRANS_HALF, halfQueueId) - this.#offset(TopicName.TRANS_HALF)
  }

  /**
   * Ends a transaction; a second time it does nothing. Resolves when a committed message is as safe as a send would be.
   * @returns false: it has ended otherwise
   * @throws OperatingError STORE_FULL, STORE_CLOSED, MESSAGE_ILLEGAL: it has not ended
   */
  async end(half: StoredMessage, real: RealQueue, outcome: Outcome): Promise<boolean> {
    const known = this.#ended.get(half.queueOffset)
    if (known !== undefined) {
      await known.stored
      return known.outcome === undefined || known.outcome === outcome
    }
    this.#ops.admit()
    const newest = this.#ended.newestOf(half.queueOffset)
    const { stored } = this.#ended.add(newest, outcome, outcome === 'commit' ? this.#commit(half, real) : done)
    await stored
    this.counts[outcome]++
    this.#ops.add(half.queueOffset)
    const latest = this.#ended.newestOf(half.queueOffset)
    if (latest !== half.queueOffset && this.#isWritten(latest)) this.#ops.add(latest)
    return true
  }

  /** Of one that is not, the offset may become another message's. */
  #isWritten(halfOffset: number): boolean {
    return halfOffset < this.#parts.store.maxOffset(TopicName.TRANS_HALF, halfQueueId)
  }

  /** Takes up a message again that was given up. Resolves when it is stored. @throws OperatingError as end */
  resume(given: StoredMessage): Promise<void> {
    this.#noteUse()
    return stored(this.#parts.store, resumed(given, this.#parts.storeHost))
  }

  async #commit(half: StoredMessage, real: RealQueue): Promise<void> {
    const { store, storeHost, delayLevels, clock, topics } = this.#parts
    const message = committed(half, real, storeHost)
    const level = delayLevelOf(half.properties.get(PropertyName.DELAY))
    await stored(store, level === 0 ? message : toSchedule(message, delayLevels.clamp(level), delayLevels, clock.now()))
    topics.find(real.topic)?.puts.add(1, clock.now())
  }

  async #check(): Promise<void> {
    const { log, clock, consumerOffsets, store } = this.#parts
    try {
      const opOffset = this.#offset(TopicName.TRANS_OP_HALF)
      const halfOffset = this.#offset(TopicName.TRANS_HALF)
      const ops = await readOps(store, opOffset, () => this.#turn())
      if (!this.#hasJoined) {
        await joinCopies(
          store,
          halfOffset,
          (offset) => ops.ended.has(offset),
          this.#ended,
          () => this.#turn(),
        )
        this.#hasJoined = true
      }
      const pass: Pass = { startedAt: clock.now(), ops, halfOffset, asked: 0 }
      await this.#walk(pass)
      const doneOpOffset = ops.doneTo(pass.halfOffset)
      if (pass.halfOffset === halfOffset && doneOpOffset === opOffset) return
      await store.flush() // the copies must not be less safe than the offset that leaves their originals behind
      consumerOffsets.commit(TopicName.TRANS_HALF, transactionGroup, halfQueueId, pass.halfOffset)
      consumerOffsets.commit(TopicName.TRANS_OP_HALF, transactionGroup, halfQueueId, doneOpOffset)
      if (pass.asked > 0) {
        consumerOffsets.saveIfDirty() // or a crash would have them asked about twice
        log.info({ asked: pass.asked, queueOffset: pass.halfOffset }, 'producers asked how their transactions ended')
      }
    } catch (error) {
      if (error instanceof BrokenRule) throw error
      log.warn({ err: messageOf(error) }, 'transactions not checked: trying again')
    }
  }

  /** Goes through the half queue until a message that is too young. */
  async #walk(pass: Pass): Promise<void> {
    const { store, clock } = this.#parts
    const untilMs = clock.monotonicMs() + passMsMax
    while (!this.#isClosed && clock.monotonicMs() < untilMs) {
      // What is not flushed yet may have ended, too, where its producer did not wait for that: it is for a later pass.
      const maxOffset = store.maxOffset(TopicName.TRANS_HALF, halfQueueId)
      while (pass.halfOffset < maxOffset && this.#isEnded(pass.halfOffset, pass)) pass.halfOffset++
      const read = await store.read(TopicName.TRANS_HALF, halfQueueId, pass.halfOffset, {
        countMax: batchCountMax,
        bytesMax: batchBytesMax,
      })
      if (read.status !== 'found') {
        if (read.nextBeginOffset <= pass.halfOffset || read.maxOffset === 0) return
        pass.halfOffset = read.nextBeginOffset // the log was trimmed, or units are gone
        await this.#turn()
        continue
      }
      const put: Promise<void>[] = []
      let next = pass.halfOffset
      let isEnd = false
      try {
        for (const half of read.bodies.flatMap((body) => decodeMessages(body))) {
          isEnd = !this.#treat(half, pass, put)
          if (isEnd) break
          next = half.queueOffset + 1
        }
      } finally {
        await Promise.allSettled(put) // whatever ends this: none of them fails where nobody looks
      }
      await Promise.all(put)
      pass.halfOffset = next
      if (isEnd) return
      await this.#turn()
    }
  }

  /** @returns false: this one, and all behind it, are for a later pass */
  #treat(half: StoredMessage, pass: Pass, put: Promise<void>[]): boolean {
    const { queueOffset } = half
    const { clock, settings } = this.#parts
    if (this.#isEnded(queueOffset, pass)) return true
    if (this.#ended.get(queueOffset) !== undefined) return false // its message is being stored
    if (this.#ended.newestOf(queueOffset) !== queueOffset) return true // by a run that died, or a pass that failed, after it
    const first = firstOffsetOf(half)
    if (first !== undefined && this.#isEnded(first, pass)) return true
    const real = realQueueOf(half)
    const verdict = judge(half, {
      now: clock.now(),
      passStartedAt: pass.startedAt,
      timeOutMs: settings.transactionTimeOut,
      checkMax: settings.transactionCheckMax,
      reservedMs: settings.fileReservedTime * hourMs,
    })
    if (verdict === 'fresh') return false
    if (verdict === 'giveUp' || real === undefined) {
      put.push(this.#giveUp(half))
      this.#parts.log.warn({ topic: real?.topic, queueOffset }, 'a transaction was never ended: given up')
      return true
    }
    const kept = verdict === 'immune' ? this.#keep(half) : this.#ask(half, real, pass)
    put.push(
      kept.catch((error) => {
        if (!isOperatingError(error, 'MESSAGE_ILLEGAL')) throw error
        return this.#giveUp(half) // its properties leave no room for what a copy adds
      }),
    )
    return true
  }

  async #giveUp(half: StoredMessage): Promise<void> {
    const { store, storeHost, topics, log } = this.#parts
    try {
      topics.ensure(TopicName.TRANS_CHECK_MAX_TIME, 1)
      await stored(store, givenUp(half, storeHost))
    } catch (error) {
      if (!isOperatingError(error, 'MESSAGE_ILLEGAL')) throw error
      const facts = { queueOffset: half.queueOffset, err: messageOf(error) }
      log.warn(facts, 'a transaction that was given up cannot be kept: it stays in the half queue only')
    }
  }

  async #keep(half: StoredMessage): Promise<void> {
    await this.#putBack(half, keptImmune(half, this.#parts.storeHost)).settled
  }

  async #ask(half: StoredMessage, real: RealQueue, pass: Pass): Promise<void> {
    const again = askedAgain(half, this.#parts.storeHost)
    const { settled, appended } = this.#putBack(half, again)
    pass.asked++
    await settled
    this.#question(half, again, real, appended)
  }

  #putBack(half: StoredMessage, copy: NewMessage): { settled: Promise<void>; appended: Appended } {
    const { promise: settled, resolve, reject } = Promise.withResolvers<void>()
    const settle = (status: string, error?: Error) => {
      if (status === 'failed') {
        this.#ended.notCopied(half.queueOffset)
        reject(error)
        return
      }
      const { queueOffset } = appended
      if (this.#ended.get(queueOffset)?.isStored) this.#ops.add(queueOffset) // it ended meanwhile
      resolve()
    }
    const appended = this.#parts.store.append(copy, { settle })
    this.#ended.copied(half.queueOffset, appended.queueOffset)
    return { settled, appended }
  }

  /** Asks one producer of the group, if one is there; the next pass asks another one. */
  #question({ properties }: StoredMessage, copy: NewMessage, real: RealQueue, at: Appended): void {
    const { clients, settings, storeHost } = this.#parts
    const producer = clients.nextProducer(properties.get(PropertyName.PRODUCER_GROUP) ?? '')
    if (producer === undefined) return
    const uniqKey = properties.get(PropertyName.UNIQ_KEY)
    const extFields = checkTransactionStateRequest.encode({
      topic: TopicName.TRANS_HALF,
      tranStateTableOffset: at.queueOffset,
      commitLogOffset: at.phyOffset,
      msgId: uniqKey,
      transactionId: uniqKey,
      offsetMsgId: offsetMsgIdOf(storeHost, at.phyOffset),
      brokerName: settings.brokerName,
    })
    const body = questionBody(copy, real, at)
    producer.connection.oneway({ code: RequestCode.CHECK_TRANSACTION_STATE, extFields, body })
  }

  #isEnded(halfOffset: number, { ops }: Pass): boolean {
    return ops.ended.has(halfOffset) || this.#ended.get(halfOffset)?.isStored === true
  }

  #offset(topic: string): number {
    const { consumerOffsets, store } = this.#parts
    const offset = consumerOffsets.committed(topic, transactionGroup, halfQueueId)
    if (offset < 0) return store.minOffset(topic, halfQueueId)
    return Math.min(offset, store.maxOffset(topic, halfQueueId)) // of a queue that was removed and began anew
  }

  /** From now on half messages count as unread, for those who want to know whether anything here is unfinished. */
  #noteUse(): void {
    const { consumerOffsets } = this.#parts
    for (const topic of [TopicName.TRANS_HALF, TopicName.TRANS_OP_HALF]) {
      consumerOffsets.commit(topic, transactionGroup, halfQueueId, this.#offset(topic))
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.endOfTurn(resolve))
  }
}

const done = Promise.resolve()
