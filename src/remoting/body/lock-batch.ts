import { writeJson } from '../json.ts'
import { Fields } from './fields.ts'
import { type MessageQueue, readMessageQueue } from './message-queue.ts'

/** Body of LOCK_BATCH_MQ and UNLOCK_BATCH_MQ. Source: Apache RocketMQ 5, LockBatchRequestBody. */
export interface LockBatch {
  consumerGroup: string
  clientId: string
  onlyThisBroker: boolean
  mqSet: MessageQueue[]
}

export function readLockBatch(body: Buffer): LockBatch {
  const fields = Fields.of('LockBatchRequestBody', body)
  return {
    consumerGroup: fields.text('consumerGroup'),
    clientId: fields.text('clientId'),
    onlyThisBroker: fields.bool('onlyThisBroker', false),
    mqSet: fields.list('mqSet', readMessageQueue),
  }
}

export function writeLockBatch(batch: LockBatch): string {
  return writeJson(batch)
}

/** Body of LOCK_BATCH_MQ's answer: the queues that the client now holds. */
export function readLockedQueues(body: Buffer): MessageQueue[] {
  return Fields.of('LockBatchResponseBody', body).list('lockOKMQSet', readMessageQueue)
}

export function writeLockedQueues(lockOKMQSet: MessageQueue[]): string {
  return writeJson({ lockOKMQSet })
}
