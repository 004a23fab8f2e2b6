import { ResponseCode } from '../../../remoting/codes.ts'
import { readInt64, recordAt } from '../../../remoting/message/index.ts'
import type { ReadResult } from '../../store/index.ts'
import type { Broker } from '../context.ts'

const masterId = 0
/** Apache's slave counts with a tenth of the memory less: much of it holds what its master sends. */
const slaveRatioLess = 10

/**
 * Which member of the group the consumer is to ask next: with slaveReadEnable one that is far behind goes where its group's
 * whichBrokerWhenConsumeSlowly says, others to its group's brokerId. Far behind means more than
 * accessMessageInMemoryMaxRatio of the memory, so that the bytes have to come from the disk: the system keeps the newest
 * ones in memory, and no more than there is. Source: Apache RocketMQ 5, PullMessageProcessor#composeResponseHeader.
 */
export function whichBroker(consumerGroup: string, read: ReadResult, broker: Broker): number {
  const { settings, replication, groups } = broker
  if (!settings.slaveReadEnable) return masterId
  const isSlow = isFarBehind(read, broker)
  if (replication.isSlave && !isSlow && replication.hasMaster()) return masterId
  const group = groups.find(consumerGroup)
  if (group === undefined) return masterId
  return isSlow ? group.whichBrokerWhenConsumeSlowly : group.brokerId
}

function isFarBehind({ bodies }: ReadResult, { settings, store, replication }: Broker): boolean {
  if (bodies.length === 0) return false
  const ratio = Math.max(0, settings.accessMessageInMemoryMaxRatio - (replication.isSlave ? slaveRatioLess : 0))
  const behindBytes = store.commitLog.maxOffset - lastPhyOffset(bodies.at(-1)!)
  return behindBytes > (replication.memoryBytes * ratio) / 100
}

/** Of the last record in body. */
function lastPhyOffset(body: Buffer): number {
  let last = 0
  for (let at = 0; at < body.length; at += body.readInt32BE(at)) last = at
  return readInt64(body, last + recordAt.phyOffset)
}

export interface SlaveAnswer {
  code: number
  remark: string
  /** Undefined: as the read says. */
  nextBeginOffset?: number
}

/**
 * What a slave says when it found nothing; undefined: what a master would say. Its log may lack what the master has, so it
 * moves no consumer to another offset.
 * @param isMoved a master would say that the offset is none of the queue
 */
export function slaveAnswer(
  queueOffset: number,
  read: ReadResult,
  isMoved: boolean,
  broker: Broker,
): SlaveAnswer | undefined {
  const { replication } = broker
  if (read.status === 'found') return undefined
  if (replication.hasMaster()) {
    const remark = 'the master knows'
    return { code: ResponseCode.PULL_RETRY_IMMEDIATELY, remark, ...(isMoved && { nextBeginOffset: queueOffset }) }
  }
  if (!isMoved) return undefined
  if (read.status === 'tooSmall') {
    // held, it would come back at once: there are later messages
    const remark = 'these messages are not in this copy, and its master is not there'
    return { code: ResponseCode.SYSTEM_BUSY, remark, nextBeginOffset: queueOffset }
  }
  return { code: ResponseCode.PULL_NOT_FOUND, remark: 'not copied yet', nextBeginOffset: queueOffset }
}
