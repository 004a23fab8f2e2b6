import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { eventually } from '../base/testing/eventually.ts'
import { RequestCode, ResponseCode } from '../remoting/codes.ts'
import type { Connection } from '../remoting/connection.ts'
import { sendMessageResponse } from '../remoting/headers/send-message.ts'
import { checkTransactionStateRequest, endTransactionRequest } from '../remoting/headers/transaction.ts'
import { decodeMessage, encodeHost, MessageSysFlag, offsetMsgIdOf } from '../remoting/message/index.ts'
import type { Request } from '../remoting/request.ts'
import type { ReceivedMessage } from './message.ts'
import { FakeCluster, testDoors } from './testing/fake-cluster.ts'
import { TransactionProducer, type TransactionProducerOptions } from './transaction-producer.ts'

const storeHost = encodeHost({ host: '127.0.0.1', port: 1 })
const phyOffset = 4_711

let cluster: FakeCluster
let closing: TransactionProducer[]
let ends: ReturnType<typeof endTransactionRequest.decode>[]
let connection: Connection | undefined
let status: number

beforeEach(async () => {
  cluster = await FakeCluster.start(1)
  cluster.addTopic('orders', 1)
  closing = []
  ends = []
  status = ResponseCode.SUCCESS
  cluster.brokers[0]!.intercept = intercept
})

afterEach(async () => {
  await Promise.all(closing.map((producer) => producer.close()))
  await cluster.stop()
})

function intercept({ code, extFields, connection: by }: Request) {
  if (code === RequestCode.HEART_BEAT) connection = by
  if (code === RequestCode.END_TRANSACTION) ends.push(endTransactionRequest.decode(extFields))
  if (code !== RequestCode.SEND_MESSAGE_V2) return undefined
  const ids = { msgId: offsetMsgIdOf(storeHost, phyOffset), transactionId: 'tx' }
  return { code: status, extFields: sendMessageResponse.encode({ ...ids, queueId: 0, queueOffset: 7 }) }
}

function producer(options: Partial<TransactionProducerOptions> = {}): TransactionProducer {
  const created = new TransactionProducer(
    { namesrvAddr: cluster.namesrvAddr, producerGroup: 'P', checkTransaction: () => 'COMMIT', ...options },
    testDoors,
  )
  closing.push(created)
  return created
}

const message = { topic: 'orders', body: 'paid' }

test.each([
  ['COMMIT', MessageSysFlag.TRANSACTION_COMMIT],
  ['ROLLBACK', MessageSysFlag.TRANSACTION_ROLLBACK],
  ['UNKNOWN', 0],
] as const)('the broker is told %s', async (outcome, commitOrRollback) => {
  const executed: string[] = []
  const sent = await producer().sendInTransaction(message, async ({ transactionId }) => {
    executed.push(transactionId)
    return outcome
  })

  expect(executed).toEqual(['tx'])
  expect(sent).toMatchObject({ outcome, transactionId: 'tx', queueOffset: 7 })
  await eventually(() => expect(ends).toHaveLength(1))
  expect(ends[0]).toMatchObject({
    topic: 'orders',
    producerGroup: 'P',
    commitOrRollback,
    commitLogOffset: phyOffset,
    tranStateTableOffset: 7,
    fromTransactionCheck: false,
    msgId: sent.msgId,
    transactionId: 'tx',
    brokerName: 'broker-0',
  })
})

test('the half message is marked as one, with the group to ask', async () => {
  cluster.brokers[0]!.intercept = (request) =>
    request.code === RequestCode.SEND_MESSAGE_V2 ? undefined : intercept(request)
  await producer().sendInTransaction(message, () => 'COMMIT')
  const [record] = cluster.brokers[0]!.queues.get('orders@0')!
  const { sysFlag, properties } = decodeMessage(record!, 0)
  expect(sysFlag).toBe(MessageSysFlag.TRANSACTION_PREPARED)
  expect(Object.fromEntries(properties)).toMatchObject({ TRAN_MSG: 'true', PGROUP: 'P' })
})

test('a local transaction that throws is not decided, and its error is thrown on', async () => {
  const sending = producer().sendInTransaction(message, () => {
    throw new Error('database gone')
  })
  await expect(sending).rejects.toThrow('database gone')
  await eventually(() => expect(ends).toMatchObject([{ commitOrRollback: 0 }]))
})

test('what was not stored as safely as asked for is rolled back without a local transaction', async () => {
  status = ResponseCode.FLUSH_DISK_TIMEOUT
  const sent = await producer().sendInTransaction(message, () => {
    throw new Error('executed')
  })
  expect(sent).toMatchObject({ status: 'FLUSH_DISK_TIMEOUT', outcome: 'ROLLBACK' })
  await eventually(() => expect(ends).toMatchObject([{ commitOrRollback: MessageSysFlag.TRANSACTION_ROLLBACK }]))
})

test('a delay in a transaction is refused', async () => {
  const sending = producer().sendInTransaction({ ...message, delayLevel: 1 }, () => 'COMMIT')
  await expect(sending).rejects.toMatchObject({ code: 'MESSAGE_ILLEGAL' })
})

/** Asks the producer, as a broker does, for the outcome of a half message of a group. */
function ask(group: string): void {
  const properties = `UNIQ_KEY\u0001m1\u0002PGROUP\u0001${group}\u0002REAL_TOPIC\u0001orders\u0002`
  cluster.brokers[0]!.put('RMQ_SYS_TRANS_HALF_TOPIC', 0, Buffer.from('paid'), properties)
  const body = cluster.brokers[0]!.queues.get('RMQ_SYS_TRANS_HALF_TOPIC@0')!.at(-1)!
  const header = { topic: 'orders', tranStateTableOffset: 3, commitLogOffset: 99, transactionId: 'tx9', msgId: 'm1' }
  connection!.oneway({
    code: RequestCode.CHECK_TRANSACTION_STATE,
    extFields: checkTransactionStateRequest.encode({ ...header, brokerName: 'broker-0' }),
    body,
  })
}

test('a broker that asks is told, also by a process that never sent anything', async () => {
  const asked: ReceivedMessage[] = []
  await producer({
    topics: ['orders'],
    checkTransaction(half) {
      asked.push(half)
      return 'ROLLBACK'
    },
  }).start()
  ask('P')
  await eventually(() => expect(ends).toHaveLength(1))
  expect(asked).toMatchObject([{ topic: 'orders', msgId: 'm1', body: Buffer.from('paid') }])
  expect(ends[0]).toMatchObject({
    commitOrRollback: MessageSysFlag.TRANSACTION_ROLLBACK,
    fromTransactionCheck: true,
    tranStateTableOffset: 3,
    commitLogOffset: 99,
    transactionId: 'tx9',
    msgId: 'm1',
  })
})

test.each([
  ['throws', () => Promise.reject(new Error('database gone'))],
  ['does not end', () => new Promise<never>(() => {})],
])('a check that %s is answered with UNKNOWN', async (_, checkTransaction) => {
  await producer({ topics: ['orders'], checkTimeoutMs: 30, checkTransaction }).start()
  ask('P')
  await eventually(() => expect(ends).toMatchObject([{ commitOrRollback: 0, fromTransactionCheck: true }]))
})

test('no more than checkCountMax checks run at a time, and those of other groups are left alone', async () => {
  let checks = 0
  const checkTransaction = () => {
    checks++
    return new Promise<never>(() => {})
  }
  await producer({ topics: ['orders'], checkCountMax: 2, checkTransaction }).start()
  ask('other')
  for (let count = 0; count < 5; count++) ask('P')
  await eventually(() => expect(checks).toBe(2))
  await testDoors.clock.sleep(30)
  expect(checks).toBe(2)
})
