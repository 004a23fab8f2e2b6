import { isOperatingError } from '../../../base/errors.ts'
import { RequestCode, ResponseCode } from '../../../remoting/codes.ts'
import type { Handler, Request } from '../../../remoting/server.ts'
import type { Broker } from '../context.ts'
import { getBrokerConfig, updateBrokerConfig } from './broker-config.ts'
import { checkClientConfig } from './check-client-config.ts'
import { cleanExpiredQueues, cleanUnusedTopics, deleteExpiredSegments } from './clean.ts'
import { getAllProducers, getConsumerConnections, getProducerConnections } from './connections.ts'
import { getBrokerConsumeStats, getConsumeStats, queryTopicsByConsumer } from './consume-stats.ts'
import { getAllConsumerOffset, queryConsumerOffset, updateConsumerOffset } from './consumer-offset.ts'
import { consumeMessageDirectly, getConsumerRunningInfo } from './consumer-running-info.ts'
import { getConsumerStatus } from './consumer-status.ts'
import { getAllDelayOffset } from './delay-offset.ts'
import { endTransaction, resumeCheckHalfMessage } from './end-transaction.ts'
import { errorResponse } from './errors.ts'
import { getConsumerList } from './get-consumer-list.ts'
import { cloneGroupOffset, queryConsumeTimeSpan, queryCorrectionOffset, querySubscription } from './group-questions.ts'
import { getHaStatus } from './ha-status.ts'
import { heartbeat } from './heartbeat.ts'
import { lockQueues, unlockQueues } from './lock-queues.ts'
import { type Processor, type Response, refuse } from './processor.ts'
import { litePullMessage, pullMessage } from './pull-message.ts'
import { queryConsumeQueue } from './query-consume-queue.ts'
import { queryMessage } from './query-message.ts'
import { getEarliestStoreTime, getMaxOffset, getMinOffset, searchOffset } from './queue-offset.ts'
import { resetOffset } from './reset-offset.ts'
import { getRuntimeInfo } from './runtime-info.ts'
import { sendBack } from './send-back.ts'
import { sendBatchMessage, sendMessage, sendMessageV2 } from './send-message.ts'
import { sendReply, sendReplyV2 } from './send-reply.ts'
import { slaveRefusal } from './slave-refusals.ts'
import { deleteGroup, getAllGroups, getGroup, updateGroup, updateGroupList } from './subscription-group.ts'
import {
  deleteTopic,
  getAllTopicConfig,
  getSystemTopicList,
  getTopicConfig,
  updateTopic,
  updateTopicList,
} from './topic-config.ts'
import { getTopicStats, queryTopicConsumers } from './topic-stats.ts'
import { unregisterClient } from './unregister-client.ts'
import { viewMessage } from './view-message.ts'

/** All that this broker answers: its table of contents. */
const processors: readonly Processor[] = [
  // producers
  sendMessage,
  sendMessageV2,
  sendBatchMessage,
  endTransaction,
  sendReply,
  sendReplyV2,
  // consumers
  pullMessage,
  litePullMessage,
  sendBack,
  queryConsumerOffset,
  updateConsumerOffset,
  getConsumerList,
  lockQueues,
  unlockQueues,
  checkClientConfig,
  // both
  heartbeat,
  unregisterClient,
  searchOffset,
  getMaxOffset,
  getMinOffset,
  getEarliestStoreTime,
  viewMessage,
  queryMessage,
  // topics
  updateTopic,
  updateTopicList,
  deleteTopic,
  getTopicConfig,
  getAllTopicConfig,
  getSystemTopicList,
  getTopicStats,
  queryTopicConsumers,
  queryConsumeQueue,
  // consumer groups
  updateGroup,
  updateGroupList,
  deleteGroup,
  getAllGroups,
  getGroup,
  getConsumeStats,
  getBrokerConsumeStats,
  queryTopicsByConsumer,
  queryConsumeTimeSpan,
  querySubscription,
  cloneGroupOffset,
  getAllConsumerOffset,
  resetOffset,
  getConsumerConnections,
  getProducerConnections,
  getAllProducers,
  getConsumerRunningInfo,
  getConsumerStatus,
  consumeMessageDirectly,
  queryCorrectionOffset,
  // the broker
  resumeCheckHalfMessage,
  getBrokerConfig,
  updateBrokerConfig,
  getRuntimeInfo,
  getHaStatus,
  getAllDelayOffset,
  cleanExpiredQueues,
  cleanUnusedTopics,
  deleteExpiredSegments,
]

const byCode: ReadonlyMap<number, Processor> = new Map(processors.map((processor) => [processor.code, processor]))

/** Not answered on the second port (listenPort − 2), which exists so that pulls cannot crowd out the rest. */
const mainPortOnly: ReadonlySet<number> = new Set([RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE])

export function mainHandler(broker: Broker): Handler {
  return forRole((request) => handle(byCode.get(request.code), request, broker), broker)
}

export function fastHandler(broker: Broker): Handler {
  return forRole(
    (request) => handle(mainPortOnly.has(request.code) ? undefined : byCode.get(request.code), request, broker),
    broker,
  )
}

function forRole(handler: Handler, broker: Broker): Handler {
  if (!broker.replication.isSlave) return handler
  return (request) => slaveRefusal(request.code, broker) ?? handler(request)
}

function handle(processor: Processor | undefined, request: Request, broker: Broker): ReturnType<Handler> {
  if (processor === undefined) {
    return refuse(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, ` request type ${request.code} not supported`)
  }
  try {
    const outcome = processor.handle(request, broker)
    return outcome instanceof Promise ? outcome.catch((error) => failed(error, request, broker)) : outcome
  } catch (error) {
    return failed(error, request, broker)
  }
}

function failed(error: unknown, request: Request, broker: Broker): Response {
  const response = errorResponse(error)
  const fields = { code: request.code, responseCode: response.code, err: error }
  if (isOperatingError(error)) broker.log.debug(fields, 'a request was refused')
  else broker.log.error(fields, 'a request failed by a bug')
  return response
}
