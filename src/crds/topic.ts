import { z } from 'zod'
import type { Definition } from './definition.ts'
import { commonStatus, paused, rules } from './fields.ts'
import {
  ageColumn,
  brokerSetColumn,
  brokerSetRef,
  deletionPolicy,
  fixedOnBrokers,
  nameInUse,
  nameOnBrokers,
  readyColumns,
  statusOnBrokers,
} from './on-brokers.ts'

/** Names that the broker keeps for itself. Source: Apache RocketMQ 5, TopicValidator. */
const reservedTopics = [
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'SELF_TEST_TOPIC',
  'BenchmarkTest',
  'OFFSET_MOVED_EVENT',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'CHECKPOINT_TOPIC',
]
const reservedPrefixes = ['RMQ_SYS_', 'rmq_sys_', '%RETRY%', '%DLQ%']

/** CEL over the name that the broker will see. */
const topicNameInUse = nameInUse('topicName')

export const topicSpec = z
  .object({
    brokerSetRef: brokerSetRef('the topic: all groups'),
    topicName: nameOnBrokers(127),
    queues: z
      .object({
        perBroker: z.int32().min(1).max(1024).default(8).describe('Queues on each broker group.'),
      })
      .describe('How finely the topic is divided; a consumer group has at most one consumer per queue.')
      .prefault({}),
    permission: z
      .enum(['ReadWrite', 'ReadOnly', 'WriteOnly', 'None'])
      .default('ReadWrite')
      .describe('What clients may do.'),
    messageType: z
      .enum(['Normal', 'FIFO', 'Delay', 'Unspecified'])
      .default('Normal')
      .describe('Kind of messages, kept as the topic attribute message.type.'),
    paused,
    deletionPolicy: deletionPolicy('Whether the topic and its messages go with this resource.'),
  })
  .meta(rules(...fixedOnBrokers('topicName')))
export type TopicSpec = z.infer<typeof topicSpec>

export const topicStatus = z.object({
  ...commonStatus,
  topicName: z.string().max(127).describe('Name that clients use.').optional(),
  queues: z.int32().describe('Queues over all brokers.').optional(),
  ...statusOnBrokers('topic'),
})
export type TopicStatus = z.infer<typeof topicStatus>

export const topicDefinition: Definition = {
  kind: 'Topic',
  plural: 'topics',
  singular: 'topic',
  shortName: 'mqt',
  describes: 'A topic on every broker of a BrokerSet; what someone changes by hand is changed back.',
  spec: topicSpec,
  status: topicStatus,
  rules: [
    {
      rule: `!(${topicNameInUse} in [${reservedTopics.map((name) => `'${name}'`).join(', ')}]) && !${topicNameInUse}.matches('^(${reservedPrefixes.join('|')})')`,
      message: `topicName, by default the resource's name: RocketMQ keeps these for itself: ${[...reservedTopics, ...reservedPrefixes.map((prefix) => `${prefix}*`)].join(', ')}`,
    },
    {
      rule: `${topicNameInUse}.matches('^[%|a-zA-Z0-9_-]{1,127}$')`,
      message: 'a topic name has at most 127 of a-z, A-Z, 0-9, _, -, % and |: set spec.topicName',
    },
  ],
  columns: [
    { name: 'Topic', type: 'string', jsonPath: '.status.topicName', describes: 'Name that clients use' },
    brokerSetColumn,
    { name: 'Type', type: 'string', jsonPath: '.spec.messageType', describes: 'Kind of messages' },
    { name: 'Queues', type: 'integer', jsonPath: '.status.queues', describes: 'Queues over all brokers' },
    ...readyColumns,
    ageColumn,
  ],
}
