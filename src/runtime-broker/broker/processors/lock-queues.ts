import { readLockBatch, writeLockedQueues } from '../../../remoting/body/lock-batch.ts'
import type { MessageQueue } from '../../../remoting/body/message-queue.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import { bodyProcessor, done, replyText } from './processor.ts'

/** Orderly consumers hold the lock of a queue while they consume it. */
export const lockQueues = bodyProcessor(RequestCode.LOCK_BATCH_MQ, ({ locks }, { body }) => {
  const { consumerGroup, clientId, mqSet } = readLockBatch(body)
  return replyText(writeLockedQueues(mqSet.filter((queue) => locks.lock(consumerGroup, keyOf(queue), clientId))))
})

export const unlockQueues = bodyProcessor(RequestCode.UNLOCK_BATCH_MQ, ({ locks }, { body }) => {
  const { consumerGroup, clientId, mqSet } = readLockBatch(body)
  for (const queue of mqSet) locks.unlock(consumerGroup, keyOf(queue), clientId)
  return done
})

function keyOf({ topic, queueId }: MessageQueue): string {
  return `${topic}@${queueId}`
}
