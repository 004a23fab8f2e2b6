import { expect, test } from '@jest/globals'
import { silentLog } from '../../../base/log.ts'
import { MemoryFiles } from '../../../base/testing/files.ts'
import { decodeMessage, encodeHost } from '../../../remoting/message/index.ts'
import { message, StoreBench } from '../../store/testing/bench.ts'
import { ConsumerOffsets } from '../consumer-offsets.ts'
import { TopicName, transactionGroup } from '../names.ts'
import { realQueueOf, toHalf } from './half-message.ts'
import { Transactions } from './transactions.ts'

const intervalMs = 1_000

test('a half message that ended before it was flushed does not hold up a pass', async () => {
  let syncing = Promise.resolve()
  const bench = await new StoreBench({ flush: 'SYNC' }, new MemoryFiles({ beforeSync: () => syncing })).open()
  const { clock, store } = bench
  let reads = 0
  const read = store.read.bind(store)
  store.read = (...args) => {
    if (++reads > 100) throw new Error('reads for ever')
    return read(...args)
  }
  const consumerOffsets = new ConsumerOffsets({
    storage: { load: () => undefined, save: () => {} },
    clock,
    log: silentLog,
  })
  const settings = {
    transactionCheckInterval: intervalMs,
    transactionTimeOut: 0,
    transactionCheckMax: 15,
    transactionOpMsgMaxSize: 4096,
    transactionOpBatchInterval: 3_000,
    fileReservedTime: 72,
  }
  const storeHost = encodeHost({ host: '10.0.0.1', port: 10911 })
  const parts = { store, storeHost, settings, consumerOffsets, clock, log: silentLog }
  const transactions = new Transactions(parts as never)
  const rollBack = async () => {
    const { phyOffset } = store.append(toHalf(message()), { settle: () => {} })
    await clock.turn()
    const half = decodeMessage(store.recordAt(phyOffset)!, 0)
    await transactions.end(half, realQueueOf(half)!, 'rollback')
  }
  const passed = () => consumerOffsets.committed(TopicName.TRANS_HALF, transactionGroup, 0)
  transactions.start()
  await rollBack()
  const { promise, resolve: sync } = Promise.withResolvers<void>()
  syncing = promise
  await rollBack()

  await clock.advance(intervalMs)

  expect(reads).toBeLessThan(10)
  sync()
  await clock.advance(2 * intervalMs)
  expect(passed()).toBe(2)
  await transactions.close()
  await bench.close()
})
