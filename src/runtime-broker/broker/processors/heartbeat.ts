import { readHeartbeatData } from '../../../remoting/body/heartbeat.ts'
import { RequestCode } from '../../../remoting/codes.ts'
import { heartbeatResponse } from '../../../remoting/headers/client-registration.ts'
import { retryTopicOf } from '../names.ts'
import { bodyProcessor, reply } from './processor.ts'

const unitRetryTopicFlag = 2

/** Takes a client's groups and subscriptions, and tells the members of groups that changed by it. */
export const heartbeat = bodyProcessor(RequestCode.HEART_BEAT, (broker, request) => {
  const data = readHeartbeatData(request.body)
  for (const consumer of data.consumerDataSet) {
    // Without its subscriptions a beat only says that the client lives; we keep no fingerprints, so it must say all.
    if (data.withoutSub) continue
    const group = broker.groups.findOrCreate(consumer.groupName)
    if (group === undefined) continue // as Apache: whoever pulls for it learns that the group is missing
    const retryTopic = retryTopicOf(consumer.groupName)
    broker.topics.ensure(retryTopic, group.retryQueueNums, consumer.unitMode ? unitRetryTopicFlag : 0)
    broker.clients.registerConsumer(consumer, request.connection, data)
  }
  for (const { groupName } of data.producerDataSet) broker.clients.registerProducer(groupName, request.connection, data)
  return reply(heartbeatResponse.encode({ isHeartbeatV2Supported: true, isSubscriptionChanged: true }))
})
