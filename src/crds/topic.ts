import { z } from 'zod'
import type { Definition } from './definition.ts'
import { commonStatus, paused, rules } from './fields.ts'
import {
  ageColumn,
  brokerSetColumn,
  brokerSetRef,
  celList,
  deletionPolicy,
  fitsAsName,
  fixedName,
  nameOnBrokers,
  policies,
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
const systemPrefixes = ['RMQ_SYS_', 'rmq_sys_']
const reservedPrefixes = [...systemPrefixes, '%RETRY%', '%DLQ%']

/** Whether RocketMQ itself writes to the topic, and reads it. */
export function isSystemTopic(topic: string): boolean {
  return reservedTopics.includes(topic) || systemPrefixes.some((prefix) => topic.startsWith(prefix))
}

const queueCount = z.int32().min(1).max(1024)

export const topicSpec = z
  .object({
    brokerSetRef: brokerSetRef('the topic: all groups'),
    topicName: nameOnBrokers(
      127,
      `self in ${celList(reservedTopics)} || self.matches('^(${reservedPrefixes.join('|')})')`,
      [...reservedTopics, ...reservedPrefixes.map((prefix) => `${prefix}*`)],
    ),
    queues: z
      .object({
        perBroker: queueCount.describe('Queues on each broker group. Default 8.').optional(),
        write: queueCount.describe('Instead of perBroker, with read: queues that producers send to.').optional(),
        read: queueCount.describe('With write: queues that consumers read; at least as many as write.').optional(),
      })
      .describe(
        'How finely the topic is divided; a consumer group has at most one consumer per queue. Of fewer queues the others ' +
          'take no messages and go when every group has read them.',
      )
      .meta(
        rules(
          {
            rule: 'has(self.write) == has(self.read) && !(has(self.perBroker) && has(self.write))',
            message: 'queues has either perBroker, or write and read',
          },
          { rule: '!has(self.write) || !has(self.read) || self.write <= self.read', message: 'write is at most read' },
        ),
      )
      .prefault({}),
    placement: z
      .object({
        groups: z
          .array(z.int32().min(0).max(63))
          .min(1)
          .max(64)
          .describe('Numbers of the broker groups, as in the name of their brokers: 2 is BROKERSET-2.')
          .meta({ 'x-kubernetes-list-type': 'set' }),
      })
      .describe(
        'The broker groups that have the topic. Default: all, those added later too. One that is taken out takes no more ' +
          'messages of the topic and loses it when every group has read them.',
      )
      .optional(),
    permission: z
      .enum(['ReadWrite', 'ReadOnly', 'WriteOnly', 'None'])
      .default('ReadWrite')
      .describe('What clients may do.'),
    messageType: z
      .enum(['Normal', 'FIFO', 'Delay', 'Transaction', 'Mixed', 'Unspecified'])
      .default('Normal')
      .describe(
        'Kind of messages, kept as the topic attribute message.type. Mixed: all kinds, where the brokers have enableMixedMessageType in ' +
          'spec.config. It can be changed to Mixed and Unspecified alone: what is in the topic is of the kind before.',
      )
      .meta(
        rules({
          rule: "self == oldSelf || self in ['Mixed', 'Unspecified']",
          message:
            'messageType can be changed to Mixed or Unspecified only; another kind of messages takes another topic',
        }),
      ),
    ordered: z
      .boolean()
      .describe('Whether a broker that takes no messages refuses those of this topic. Default: true for FIFO.')
      .optional(),
    ...policies('topic'),
    paused,
    deletionPolicy: deletionPolicy('Whether the topic and its messages go with this resource.'),
  })
  .meta(rules(fixedName('topicName')))
export type TopicSpec = z.infer<typeof topicSpec>

export const topicStatus = z.object({
  ...commonStatus,
  topicName: z.string().max(127).describe('Name that clients use.').optional(),
  queues: z
    .object({
      write: z.int32().describe('Queues that producers send to.'),
      read: z.int32().describe('Queues that consumers read.'),
    })
    .describe('Queues over all brokers that have the topic as wanted.')
    .optional(),
  ...statusOnBrokers('topic'),
  draining: z
    .array(
      z.object({
        broker: z.string().max(261).describe('The brokerName.'),
        gives: z.enum(['Queues', 'Topic']).describe('Whether it gives up some queues or the whole topic.'),
        firstQueue: z.int32().describe('The queues from this one on go; 0 for the whole topic.').optional(),
        since: z.string().describe('Since when they are known to take no messages.').meta({ format: 'date-time' }),
        blockers: z.array(z.string().max(512)).max(5).describe('What still has to be read, and by whom.').optional(),
      }),
    )
    .max(64)
    .describe('Brokers that give up queues, or the topic, when all messages there are read.')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['broker'] })
    .optional(),
})
export type TopicStatus = z.infer<typeof topicStatus>
export type TopicDraining = NonNullable<TopicStatus['draining']>[number]

export const topicDefinition: Definition = {
  kind: 'Topic',
  plural: 'topics',
  singular: 'topic',
  shortName: 'mqt',
  describes: 'A topic on the brokers of a BrokerSet; what someone changes by hand is changed back.',
  spec: topicSpec,
  status: topicStatus,
  rules: [
    {
      rule: fitsAsName('topicName', 127),
      message: 'a topic name has at most 127 of a-z, A-Z, 0-9, _, -, % and |: set spec.topicName',
    },
  ],
  columns: [
    { name: 'Topic', type: 'string', jsonPath: '.status.topicName', describes: 'Name that clients use' },
    brokerSetColumn,
    { name: 'Type', type: 'string', jsonPath: '.spec.messageType', describes: 'Kind of messages' },
    {
      name: 'Queues',
      type: 'integer',
      jsonPath: '.status.queues.write',
      describes: 'Queues that take messages, over all brokers',
    },
    ...readyColumns,
    ageColumn,
  ],
}
