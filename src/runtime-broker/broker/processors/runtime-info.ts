import { writeKvTable } from '../../../remoting/body/lists.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import { layoutOf, readInt64 } from '../../../remoting/message/index.ts'
import { ourVersion, ourVersionDescription } from '../../../remoting/version.ts'
import type { Broker } from '../context.ts'
import { bodyProcessor, replyText } from './processor.ts'

/**
 * What brokerStatus and clusterList print. Keys of Apache whose matter does not exist here (thread pools and their
 * queues, the page cache lock, the timer wheel) have the value that Apache has when they are idle, for its tools' sake.
 */
export const getRuntimeInfo = bodyProcessor(RequestCode.GET_BROKER_RUNTIME_INFO, (broker) =>
  replyText(writeKvTable(new Map(Object.entries(runtimeInfo(broker)).map(([key, value]) => [key, String(value)])))),
)

const idlePools = ['send', 'pull', 'litePull', 'query', 'ack']

function runtimeInfo(broker: Broker): Record<string, string | number | boolean> {
  const { store, stats, clock, bootTimestamp, schedule } = broker
  const { commitLog } = store
  const { puts, gets, getHits, getMisses, totals } = stats
  const info: Record<string, string | number | boolean> = {
    brokerVersionDesc: ourVersionDescription,
    brokerVersion: ourVersion,
    brokerActive: true,
    bootTimestamp,
    startAcceptSendRequestTimeStamp: 0,
    runtime: durationText(clock.now() - bootTimestamp),
    msgPutTotalYesterdayMorning: totals.putsYesterday,
    msgPutTotalTodayMorning: totals.putsAtMorning,
    msgPutTotalTodayNow: puts.total,
    msgGetTotalYesterdayMorning: totals.getsYesterday,
    msgGetTotalTodayMorning: totals.getsAtMorning,
    msgGetTotalTodayNow: gets.total,
    putTps: stats.rates(puts),
    getTransferredTps: stats.rates(gets),
    getFoundTps: stats.rates(getHits),
    getMissTps: stats.rates(getMisses),
    getTotalTps: stats.rates(getHits, getMisses),
    putMessageTimesTotal: store.stats.putCount,
    putMessageFailedTimes: store.stats.putFailedCount,
    putMessageSizeTotal: store.stats.putBytes,
    putMessageAverageSize: store.stats.putCount === 0 ? 0 : store.stats.putBytes / store.stats.putCount,
    putMessageEntireTimeMax: Math.round(stats.putMsMax),
    commitLogMinOffset: commitLog.minOffset,
    commitLogMaxOffset: commitLog.maxOffset,
    commitLogDiskRatio: store.stats.diskUsedRatio,
    consumeQueueDiskRatio: store.stats.diskUsedRatio,
    remainHowManyDataToFlush: bytesText(commitLog.maxOffset - commitLog.flushedOffset),
    dispatchBehindBytes: store.stats.dispatchBehindBytes,
    earliestMessageTimeStamp: earliestStoreTimestamp(broker),
    pageCacheLockTimeMills: 0,
    timerReadBehind: 0,
    timerOffsetBehind: 0,
    timerCongestNum: 0,
    timerEnqueueTps: '0.0',
    timerDequeueTps: '0.0',
  }
  for (const pool of idlePools) {
    info[`${pool}ThreadPoolQueueSize`] = 0
    info[`${pool}ThreadPoolQueueHeadWaitTimeMills`] = 0
  }
  for (const { level, queueOffset, maxOffset } of schedule.progress()) {
    info[`scheduleMessageOffset_${level}`] = `${queueOffset},${maxOffset}`
  }
  return info
}

/** Of the oldest message that is still there, in ms; -1: none. */
function earliestStoreTimestamp({ store }: Broker): number {
  const record = store.recordAt(store.commitLog.minOffset)
  const layout = record && layoutOf(record, 0)
  return layout === undefined ? -1 : readInt64(record!, layout.storeTimestampAt)
}

function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  return `[ ${days} days, ${hours % 24} hours, ${minutes % 60} minutes, ${seconds % 60} seconds ]`
}

function bytesText(bytes: number): string {
  return `${bytes} B`
}
