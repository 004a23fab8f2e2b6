import { z } from 'zod'
import type { Definition } from './definition.ts'
import { commonStatus, objectName, rules } from './fields.ts'

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
const topicNameInUse = '(has(self.spec.topicName) ? self.spec.topicName : self.metadata.name)'

export const topicSpec = z
  .object({
    brokerSetRef: z
      .object({ name: objectName.describe('Name of a BrokerSet in the same namespace.') })
      .describe('The brokers that have the topic: all groups, those added later too. Cannot be changed.'),
    topicName: z
      .string()
      .max(127)
      .regex(/^[%|a-zA-Z0-9_-]+$/)
      .describe("Name that clients use. Default: the resource's name. Cannot be changed.")
      .optional(),
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
    deletionPolicy: z
      .enum(['Retain', 'Delete'])
      .default('Retain')
      .describe('Whether the topic and its messages go with this resource.'),
  })
  .meta(
    rules(
      { rule: 'self.brokerSetRef.name == oldSelf.brokerSetRef.name', message: 'brokerSetRef cannot be changed' },
      {
        rule: "(has(self.topicName) ? self.topicName : '') == (has(oldSelf.topicName) ? oldSelf.topicName : '')",
        message: 'topicName cannot be changed',
      },
    ),
  )
export type TopicSpec = z.infer<typeof topicSpec>

export const topicStatus = z.object({
  ...commonStatus,
  topicName: z.string().max(127).describe('Name that clients use.').optional(),
  brokers: z
    .object({
      desired: z.int32().describe('Brokers that should have the topic.'),
      synced: z.int32().describe('Brokers that have it as wanted.'),
    })
    .describe('Where the topic is.')
    .optional(),
  queues: z.int32().describe('Queues over all brokers.').optional(),
  failing: z
    .array(
      z.object({
        broker: z.string().max(261).describe('The brokerName.'),
        reason: z.string().max(1024).describe('What the broker said.'),
      }),
    )
    .max(8)
    .describe('Brokers where the topic could not be made.')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['broker'] })
    .optional(),
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
      message: `RocketMQ keeps these for itself: ${[...reservedTopics, ...reservedPrefixes.map((prefix) => `${prefix}*`)].join(', ')}`,
    },
    {
      rule: `${topicNameInUse}.matches('^[%|a-zA-Z0-9_-]{1,127}$')`,
      message: 'a topic name has at most 127 of a-z, A-Z, 0-9, _, -, % and |: set spec.topicName',
    },
  ],
  columns: [
    { name: 'Topic', type: 'string', jsonPath: '.status.topicName', describes: 'Name that clients use' },
    { name: 'BrokerSet', type: 'string', jsonPath: '.spec.brokerSetRef.name', describes: 'Brokers that have it' },
    { name: 'Type', type: 'string', jsonPath: '.spec.messageType', describes: 'Kind of messages' },
    { name: 'Queues', type: 'integer', jsonPath: '.status.queues', describes: 'Queues over all brokers' },
    {
      name: 'Ready',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].status',
      describes: 'Whether every broker has it',
    },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      wide: true,
      describes: 'Why it is ready or not',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', describes: 'Time since creation' },
  ],
}
