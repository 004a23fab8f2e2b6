import { RequestCode } from '../../../remoting/codes.ts'
import { isSystemTopic } from '../names.ts'
import { bodyProcessor, done } from './processor.ts'

/** Removes queues whose messages are all gone; what is sent to them later begins at 0. Source: ConsumeQueueStore#cleanExpired. */
export const cleanExpiredQueues = bodyProcessor(RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE, ({ store, log }) => {
  const queues = store.removeExpiredQueues(isSystemTopic)
  log.info({ queues }, 'consume queues without messages removed')
  return done
})

/** Removes the queues of topics that this broker does not have. */
export const cleanUnusedTopics = bodyProcessor(RequestCode.CLEAN_UNUSED_TOPIC, ({ store, topics, log }) => {
  const unused = new Set([...store.queues()].map(({ topic }) => topic))
  for (const topic of unused) {
    if (isSystemTopic(topic) || topics.find(topic) !== undefined) continue
    store.deleteTopic(topic)
    log.info({ topic }, 'queues of an unknown topic removed')
  }
  return done
})

/** Removes expired segments without waiting for their hour; in the background. */
export const deleteExpiredSegments = bodyProcessor(RequestCode.DELETE_EXPIRED_COMMITLOG, ({ store }) => {
  store.removeExpiredSegments()
  return done
})
