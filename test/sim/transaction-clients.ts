import { isOperatingError } from '../../src/base/errors.ts'
import { Admin, type ReceivedMessage, TransactionProducer } from '../../src/client/index.ts'
import { RemotingClient } from '../../src/remoting/client.ts'
import { RequestCode, ResponseCode } from '../../src/remoting/codes.ts'
import { endTransactionRequest } from '../../src/remoting/headers/transaction.ts'
import { MessageSysFlag, parseOffsetMsgId } from '../../src/remoting/message/index.ts'
import { TopicName, transactionGroup } from '../../src/runtime-broker/broker/names.ts'
import { brokerPort, namesrvAddr, type Program, Unit } from './cluster.ts'
import { SeededRandom } from './doors/random.ts'
import { bodyOf, type History, type Transaction, topic } from './history.ts'
import type { Scenario } from './scenario.ts'
import type { SimProcess, World } from './world.ts'

const producerGroup = 'transactors'
const retryMs = 500
// With a send and its retries these end before the simulation counts on it: see seed.ts.
const executionMsMax = 3_000
const endTimeoutMs = 3_000

type Half = Parameters<Parameters<TransactionProducer['sendInTransaction']>[1]>[0]

/** Sends messages of transactions as long as it is told to, and answers brokers that ask about them, as long as it lives. */
export function startTransactions(
  world: World,
  process: SimProcess,
  { transactors, transactionRetries }: Scenario,
  history: History,
  isSending: () => boolean,
): void {
  const { doors } = process
  const { clock } = doors
  const random = SeededRandom.of(world.seed, `transactions after ${history.sent.size}`)
  const remoting = new RemotingClient({}, doors)
  const note = (what: string) => world.trace.add(process.name, what)

  const producer = new TransactionProducer(
    {
      namesrvAddr,
      producerGroup,
      topics: [topic],
      sendTimeoutMs: random.one([1_000, 3_000]),
      retryCountMax: transactionRetries,
      checkTransaction: ({ body, properties }: ReceivedMessage) => {
        const sent = history.identify(body, properties)
        const transaction = typeof sent === 'string' ? undefined : history.transactions.get(sent.key)
        if (transaction === undefined) {
          world.problem(
            `a producer is asked about ${typeof sent === 'string' ? sent : `${sent.key}, of no transaction`}`,
          )
          return 'UNKNOWN'
        }
        if (transaction.outcome === undefined && !transaction.mayExecute()) transaction.outcome = 'ROLLBACK'
        const isKnown = transaction.unknownCount-- <= 0
        const answer = (isKnown && transaction.outcome) || 'UNKNOWN'
        note(`is asked about ${transaction.sent.key}: ${answer}`)
        if (answer !== 'UNKNOWN') transaction.toldAtMs ??= world.timeline.nowMs
        return answer
      },
    },
    doors,
  )

  /** Tells the broker of an end, and waits for its answer; the producer itself does not. */
  const end = async (transaction: Transaction, half: Half) => {
    const { key } = transaction.sent
    const extFields = endTransactionRequest.encode({
      topic,
      producerGroup,
      tranStateTableOffset: half.queueOffset,
      commitLogOffset: parseOffsetMsgId(half.offsetMsgId).phyOffset,
      commitOrRollback:
        transaction.outcome === 'COMMIT' ? MessageSysFlag.TRANSACTION_COMMIT : MessageSysFlag.TRANSACTION_ROLLBACK,
      msgId: half.msgId,
      transactionId: half.transactionId,
      brokerName: half.queue.brokerName,
    })
    try {
      const command = { code: RequestCode.END_TRANSACTION, extFields }
      const { code, remark } = await remoting.call(`master:${brokerPort}`, command, endTimeoutMs)
      note(`${transaction.outcome} of ${key} is answered with ${code}`)
      if (code === ResponseCode.SUCCESS) history.ended(transaction, world.timeline.nowMs)
      if (code === ResponseCode.ILLEGAL_OPERATION)
        world.problem(`${key} has no end but ${transaction.outcome}: ${remark}`)
    } catch (error) {
      if (!isOperatingError(error)) throw error
      note(`${transaction.outcome} of ${key} is not answered: ${error.code}`)
    }
  }

  const execute = async (transaction: Transaction, half: Half) => {
    const { sent, fate } = transaction
    transaction.half = { atMs: world.timeline.nowMs, phyOffset: parseOffsetMsgId(half.offsetMsgId).phyOffset }
    note(`acked the half message ${sent.key} at ${transaction.half.phyOffset}`)
    if (random.is(0.2)) await clock.sleep(random.scaled(10, executionMsMax))
    transaction.outcome = fate
    if (fate === 'UNKNOWN' || random.is(0.3)) return 'UNKNOWN'
    transaction.toldAtMs ??= world.timeline.nowMs
    note(`says ${fate} of ${sent.key}`)
    if (random.is(0.6)) await end(transaction, half)
    return fate
  }

  const loop = async () => {
    while (isSending()) {
      const fate = random.one(['COMMIT', 'COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK', 'ROLLBACK', 'UNKNOWN'] as const)
      const bodyBytes = Math.ceil(random.scaled(1, random.is(0.1) ? 10_000 : 400))
      const transaction = history.begin({
        sent: history.send({ bodyBytes, paddingBytes: 0, waitsForFlush: true, atMs: world.timeline.nowMs }),
        fate,
        mayExecute: () => process.isAlive,
        unknownCount: random.is(0.3) ? random.int(4) : 0,
      })
      const { sent } = transaction
      const message = { topic, body: bodyOf(sent), properties: { key: sent.key } }
      try {
        await producer.sendInTransaction(message, (half) => execute(transaction, half))
      } catch (error) {
        if (!isOperatingError(error)) throw error
        note(`not acked the half message ${sent.key} ${error.code}`)
      }
      transaction.outcome ??= 'ROLLBACK' // it was not executed, and never will be
      await clock.sleep(random.scaled(20, 4_000))
    }
  }

  const register = async () => {
    for (;;) {
      try {
        return await producer.start()
      } catch (error) {
        if (!isOperatingError(error)) throw error
        await clock.sleep(retryMs)
      }
    }
  }
  void register()
  for (let at = 0; at < transactors; at++) void loop()
}

/** Asks until the master has passed all half messages: each has ended, or was given up. */
export function transactionWatchUnit(world: World, done: () => void): Unit {
  const start = async ({ doors }: SimProcess): Promise<Program> => {
    const admin = new Admin({ namesrvAddr }, doors)
    const openCount = async () => {
      try {
        const { offsetTable } = await admin.consumeStats(`master:${brokerPort}`, transactionGroup)
        const halves = [...offsetTable].find(([queue]) => queue.topic === TopicName.TRANS_HALF)?.[1]
        return halves === undefined ? 0 : halves.brokerOffset - halves.consumerOffset
      } catch (error) {
        if (!isOperatingError(error)) throw error
        return undefined
      }
    }
    const watch = async () => {
      while ((await openCount()) !== 0) await doors.clock.sleep(retryMs)
      await admin.close()
      done()
    }
    void watch()
    return {}
  }
  return new Unit(world, 'watcher', start, () => 1_000)
}
