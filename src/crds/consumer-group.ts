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

/** Groups that RocketMQ uses itself. Source: Apache RocketMQ 5, MixAll#isSysConsumerGroup and its constants. */
const reservedGroups = [
  'DEFAULT_CONSUMER',
  'TOOLS_CONSUMER',
  'FILTERSRV_CONSUMER',
  'SELF_TEST_C_GROUP',
  'CID_ONS-HTTP-PROXY',
  'CID_ONSAPI_PERMISSION',
  'CID_ONSAPI_OWNER',
  'CID_ONSAPI_PULL',
  'CID_SYS_RMQ_TRANS',
]
const reservedPrefix = 'CID_RMQ_SYS_'

export const consumerGroupSpec = z
  .object({
    brokerSetRef: brokerSetRef('the group: all of them'),
    // with %RETRY% before it, it is a topic's name
    groupName: nameOnBrokers(120, `self in ${celList(reservedGroups)} || self.startsWith('${reservedPrefix}')`, [
      ...reservedGroups,
      `${reservedPrefix}*`,
    ]),
    consumeEnabled: z.boolean().default(true).describe('Whether members of the group get messages.'),
    broadcastEnabled: z.boolean().default(true).describe('Whether members may consume in broadcasting mode.'),
    orderly: z
      .boolean()
      .default(false)
      .describe('Whether proxies deliver to gRPC clients of the group in order; remoting clients decide themselves.'),
    retry: z
      .object({
        maxTimes: z
          .int32()
          .min(0)
          .max(128)
          .default(16)
          .describe(
            'How often a message is tried again before the dead-letter topic gets it. A consumer that says so itself wins: remoting clients do (16, or their own maxReconsumeTimes).',
          ),
        queues: z
          .int32()
          .min(1)
          .max(128)
          .default(1)
          .describe("Queues of the group's retry topic on each broker when it is first made there."),
      })
      .describe('What happens to messages that consumers send back.')
      .prefault({}),
    slowConsumeBrokerId: z
      .int32()
      .min(0)
      .max(16)
      .default(1)
      .describe('Where consumers that are far behind are sent to read: the brokerId of a slave, or 0, the master.'),
    resetOffset: z
      .object({
        requestId: z
          .string()
          .min(1)
          .max(63)
          .describe('Any text. A reset is done once for each: another reset takes another text.'),
        to: z.enum(['Earliest', 'Latest', 'Timestamp']).describe('Where the group goes on.'),
        timestamp: z
          .string()
          .max(40)
          .describe('For Timestamp: the first message stored at this time or later is next, RFC 3339.')
          .meta({ format: 'date-time' })
          .optional(),
        topics: z
          .array(z.string().min(1).max(127))
          .min(1)
          .max(64)
          .describe('Only these topics. Default: all that the group has consumed.')
          .optional(),
        force: z
          .boolean()
          .default(false)
          .describe('Whether to do it while consumers are online; else it waits until the last one is gone.'),
      })
      .describe('Sends the group elsewhere in its topics, once.')
      .meta(
        rules({
          rule: "(self.to == 'Timestamp') == has(self.timestamp)",
          message: 'timestamp goes with to: Timestamp, and only with it',
        }),
      )
      .optional(),
    ...policies('group'),
    paused,
    deletionPolicy: deletionPolicy('Whether the group goes from the brokers with this resource.'),
    deleteOffsets: z
      .boolean()
      .default(false)
      .describe('Whether deletionPolicy Delete forgets how far the group is, too.'),
  })
  .meta(rules(fixedName('groupName')))
export type ConsumerGroupSpec = z.infer<typeof consumerGroupSpec>

export const consumerGroupStatus = z.object({
  ...commonStatus,
  groupName: z.string().max(253).describe('Name that clients use.').optional(),
  ...statusOnBrokers('group'),
  lastReset: z
    .object({
      requestId: z.string().max(63).describe('The requestId that it was done for.'),
      result: z
        .enum(['Running', 'Done', 'Failed', 'Interrupted'])
        .describe('Interrupted: the operator ended in the middle, so some queues may have been reset and others not.'),
      message: z.string().max(1024).describe('What was reset, or why not.'),
      time: z.string().describe('When it was begun.').meta({ format: 'date-time' }),
    })
    .describe('The last reset of offsets.')
    .optional(),
})
export type ConsumerGroupStatus = z.infer<typeof consumerGroupStatus>
export type LastReset = NonNullable<ConsumerGroupStatus['lastReset']>

export const consumerGroupDefinition: Definition = {
  kind: 'ConsumerGroup',
  plural: 'consumergroups',
  singular: 'consumergroup',
  shortName: 'mqcg',
  describes: 'A consumer group on every broker of a BrokerSet; what someone changes by hand is changed back.',
  spec: consumerGroupSpec,
  status: consumerGroupStatus,
  rules: [
    {
      rule: fitsAsName('groupName', 120),
      message: 'a group name has at most 120 of a-z, A-Z, 0-9, _, -, % and |: set spec.groupName',
    },
  ],
  columns: [
    { name: 'Group', type: 'string', jsonPath: '.status.groupName', describes: 'Name that clients use' },
    brokerSetColumn,
    { name: 'Retries', type: 'integer', jsonPath: '.spec.retry.maxTimes', describes: 'Tries, where given' },
    ...readyColumns,
    { name: 'Reset', type: 'string', jsonPath: '.status.lastReset.result', wide: true, describes: 'Last offset reset' },
    ageColumn,
  ],
}
