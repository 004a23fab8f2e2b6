/** Topic names with a meaning of their own. Source: Apache RocketMQ 5, TopicValidator, MixAll. */
export const TopicName = {
  AUTO_CREATE: 'TBW102',
  SCHEDULE: 'SCHEDULE_TOPIC_XXXX',
  BENCHMARK: 'BenchmarkTest',
  SELF_TEST: 'SELF_TEST_TOPIC',
  OFFSET_MOVED_EVENT: 'OFFSET_MOVED_EVENT',
  TRACE: 'RMQ_SYS_TRACE_TOPIC',
  TRANS_HALF: 'RMQ_SYS_TRANS_HALF_TOPIC',
  TRANS_OP_HALF: 'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  TRANS_CHECK_MAX_TIME: 'TRANS_CHECK_MAX_TIME_TOPIC',
  // of Apache's other store and of its timers: kept for them, as every broker of 5.5 does, so that lists look alike
  ROCKSDB_TRANS_HALF: 'RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC',
  ROCKSDB_TRANS_OP_HALF: 'RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC',
  ROCKSDB_OFFSET: 'CHECKPOINT_TOPIC',
  WHEEL_TIMER: 'rmq_sys_wheel_timer',
} as const

const systemTopics: ReadonlySet<string> = new Set(Object.values(TopicName))
const systemPrefix = 'rmq_sys_'
/** Topics that only the broker itself writes. */
const unsendableTopics: ReadonlySet<string> = new Set([
  TopicName.SCHEDULE,
  TopicName.TRANS_HALF,
  TopicName.TRANS_OP_HALF,
  TopicName.TRANS_CHECK_MAX_TIME,
  TopicName.SELF_TEST,
  TopicName.OFFSET_MOVED_EVENT,
  TopicName.ROCKSDB_TRANS_HALF,
  TopicName.ROCKSDB_TRANS_OP_HALF,
])

const retryPrefix = '%RETRY%'
const deadLetterPrefix = '%DLQ%'
const topicLengthMax = 127
const retryTopicLengthMax = 255
const groupLengthMax = 120 // with %RETRY% it is as long as a topic may be
const namePattern = /^[%|a-zA-Z0-9_-]+$/

export function isSystemTopic(topic: string): boolean {
  return systemTopics.has(topic) || topic.startsWith(systemPrefix)
}

export function maySendTo(topic: string): boolean {
  return !unsendableTopics.has(topic)
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(retryPrefix)
}

function isDeadLetterTopic(topic: string): boolean {
  return topic.startsWith(deadLetterPrefix)
}

export function retryTopicOf(consumerGroup: string): string {
  return retryPrefix + consumerGroup
}

export function deadLetterTopicOf(consumerGroup: string): string {
  return deadLetterPrefix + consumerGroup
}

export function groupOfRetryTopic(topic: string): string {
  return topic.slice(retryPrefix.length)
}

/** What is wrong with a topic's name, in the words of Apache's remark; undefined: nothing. */
export function topicNameFault(topic: string): string | undefined {
  if (topic.trim() === '') return 'The specified topic is blank.'
  if (!namePattern.test(topic)) {
    return `The specified topic: ${topic}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`
  }
  if (isRetryTopic(topic) || isDeadLetterTopic(topic)) {
    if (topic.length <= retryTopicLengthMax) return undefined
    return `The specified topic is DLQ or Retry topic: ${topic}, and it's longer than topic max length: ${retryTopicLengthMax}`
  }
  if (topic.length <= topicLengthMax) return undefined
  return `The specified topic: ${topic}, is longer than topic max length: ${topicLengthMax}`
}

/** What is wrong with the name of a group that is to be made, in the words of Apache's remark; undefined: nothing. */
export function groupNameFault(consumerGroup: string): string | undefined {
  if (consumerGroup.trim() === '') return 'The specified group is blank.'
  if (!namePattern.test(consumerGroup)) {
    return `The specified group: ${consumerGroup}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$`
  }
  if (consumerGroup.length <= groupLengthMax) return undefined
  return `The specified group: ${consumerGroup}, is longer than group max length: ${groupLengthMax}`
}

/** Under this group stands how far half messages are. */
export const transactionGroup = 'CID_RMQ_SYS_TRANS'

/** Groups that exist in every broker. Source: Apache RocketMQ 5, SubscriptionGroupManager#init. */
export const systemGroups: readonly string[] = [
  'TOOLS_CONSUMER',
  'FILTERSRV_CONSUMER',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PULL',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  transactionGroup,
]

/** Groups of the broker's own use: made whether or not groups may be created by consuming. */
export function isSystemGroup(consumerGroup: string): boolean {
  return consumerGroup.startsWith('CID_RMQ_SYS_')
}
