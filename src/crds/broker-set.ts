import { z } from 'zod'
import type { Definition } from './definition.ts'
import {
  address,
  allowedNamespaces,
  commonStatus,
  configMap,
  hibernate,
  image,
  paused,
  podTemplate,
  quantity,
  reference,
  resources,
  rolloutStatus,
  rules,
  scaleStatus,
} from './fields.ts'

/** Settings that follow from the resource itself. */
export const brokerOwnedKeys = [
  'brokerClusterName',
  'brokerName',
  'brokerId',
  'brokerRole',
  'namesrvAddr',
  'brokerIP1',
  'brokerIP2',
  'brokerPermission',
  'registrationHeld',
  'listenPort',
  'bindAddress',
  'haListenPort',
  'haMasterAddress',
  'inSyncReplicas',
  'healthPort',
  'rocketmqHome',
  'storePathRootDir',
  'storePathCommitLog',
  'storePathConsumeQueue',
  'storePathIndex',
  'storeCheckpoint',
  'abortFile',
  'flushDiskType',
  'autoCreateTopicEnable',
  'autoCreateSubscriptionGroup',
]

const scaleIn = z
  .object({
    policy: z
      .enum(['Drain', 'Refuse', 'Force'])
      .default('Drain')
      .describe(
        'Drain: a group goes when consumers have read it to its end. Refuse: no group goes. ' +
          'Force: a group goes as soon as producers know; what is unread stays on its volume.',
      ),
    timeoutSeconds: z
      .int32()
      .min(60)
      .max(31_536_000)
      .default(86_400)
      .describe('How long a group is drained before onTimeout, from when writes to it were stopped.'),
    onTimeout: z
      .enum(['Pause', 'Abort', 'Force'])
      .default('Pause')
      .describe(
        'Pause: it goes on draining, and ScaleInBlocked says who has to read. Abort: it takes messages again and stays, ' +
          'until groups or scaleIn changes. Force: it goes, unread messages stay on its volume.',
      ),
  })
  .describe('What happens to groups that are too many when groups is lowered.')

const sizeDefault = '20Gi'

/** CEL: a field of spec.storage as a text, or its default. */
function storageOf(self: string, field: string, preset: string): string {
  const has = `has(${self}.storage) && has(${self}.storage.${field})`
  const value = `${self}.storage.${field}`
  return `(${has} ? ${field === 'size' ? `string(${value})` : value} : ${preset})`
}

/** CEL: it is what it was. */
function given(field: string, preset: string): string {
  return `${storageOf('self', field, preset)} == ${storageOf('oldSelf', field, preset)}`
}

const storage = z
  .object({
    size: quantity.default(sizeDefault).describe('Size of the volume of each broker. It may grow.'),
    className: z.string().max(253).describe("StorageClass. Default: the cluster's default class.").optional(),
    ephemeral: z.boolean().default(false).describe('No volume: messages are lost with the pod. For trying out.'),
  })
  .describe('Where each broker keeps its messages. Volumes outlive the BrokerSet; delete them by hand.')

export const brokerSetSpec = z
  .object({
    nameServerRef: reference(
      'NameServer',
      'The NameServers where the brokers register. Exactly one of this and externalNameServers.',
    ).optional(),
    externalNameServers: z
      .array(address)
      .min(1)
      .max(8)
      .describe('host:port of NameServers that are not run by this operator.')
      .optional(),
    clusterName: z
      .string()
      .max(64)
      .regex(/^[A-Za-z0-9_-]+$/)
      .describe("RocketMQ cluster name. Default: the resource's name. Cannot be changed.")
      .optional(),
    groups: z.int32().min(1).max(64).default(1).describe('Broker groups; each is one master and its slaves.'),
    scaleIn: scaleIn.prefault({}),
    slavesPerGroup: z
      .int32()
      .min(0)
      .max(4)
      .default(0)
      .describe('Slaves of each master. Each broker has a volume of its own; those of a group run on different nodes.'),
    replication: z
      .object({
        mode: z
          .enum(['Async', 'Sync'])
          .default('Async')
          .describe('Sync: a send is answered when minInSync members of the group have its message.'),
        minInSync: z
          .int32()
          .min(2)
          .max(5)
          .describe('With Sync: members that must have a message, the master counted. Default 2: one slave.')
          .optional(),
      })
      .describe('How the slaves get what the master has.')
      .prefault({}),
    image: image.optional(),
    flush: z
      .enum(['Async', 'Sync'])
      .default('Async')
      .describe('Sync: a send is answered after its message is on the disk. Async: up to half a second before that.'),
    storage: storage.prefault({}),
    autoCreate: z
      .object({
        topics: z.boolean().default(false).describe('Sending to an unknown topic creates it.'),
        groups: z.boolean().default(true).describe('Consuming in an unknown consumer group creates it.'),
      })
      .describe('What clients may create by using it.')
      .prefault({}),
    config: configMap(
      brokerOwnedKeys,
      'brokers',
      'A change restarts the pods one at a time; settings that are live change while they run.',
    ).optional(),
    resources: resources.optional(),
    podTemplate: podTemplate.optional(),
    allowedNamespaces: allowedNamespaces('Topics and ConsumerGroups'),
    paused,
    hibernate: hibernate(
      'Volumes stay with all messages, and false brings the brokers back with them; nothing is drained.',
    ),
  })
  .meta(
    rules(
      {
        rule: 'has(self.nameServerRef) != has(self.externalNameServers)',
        message: 'exactly one of nameServerRef and externalNameServers must be set',
      },
      {
        rule: "(has(self.clusterName) ? self.clusterName : '') == (has(oldSelf.clusterName) ? oldSelf.clusterName : '')",
        message: 'clusterName cannot be changed',
      },
      {
        rule:
          '(has(self.slavesPerGroup) ? self.slavesPerGroup : 0) >= 1 || !has(self.replication) || !has(self.replication.mode) || ' +
          "self.replication.mode != 'Sync'",
        message: 'replication.mode Sync needs slavesPerGroup of 1 or more',
      },
      {
        rule:
          '!has(self.replication) || !has(self.replication.minInSync) || ' +
          "(has(self.replication.mode) && self.replication.mode == 'Sync' && " +
          'self.replication.minInSync <= (has(self.slavesPerGroup) ? self.slavesPerGroup : 0) + 1)',
        message: 'replication.minInSync goes with mode: Sync, and is at most slavesPerGroup + 1',
      },
      {
        rule:
          '!(has(self.hibernate) && self.hibernate && has(self.storage) && has(self.storage.ephemeral) && ' +
          'self.storage.ephemeral)',
        message: 'hibernate does not go with storage.ephemeral: all messages would be lost',
      },
      {
        rule: `${given('className', "''")} && ${given('ephemeral', 'false')}`,
        message: 'storage.className and storage.ephemeral cannot be changed',
      },
      {
        rule: `quantity(${storageOf('self', 'size', `'${sizeDefault}'`)}).compareTo(quantity(${storageOf('oldSelf', 'size', `'${sizeDefault}'`)})) >= 0`,
        message: 'storage.size may grow, and never shrinks',
      },
    ),
  )
export type BrokerSetSpec = z.infer<typeof brokerSetSpec>

export const groupStates = ['Creating', 'Registering', 'Serving', 'Degraded', 'Draining', 'Hibernated'] as const
export type GroupState = (typeof groupStates)[number]

/** What a broker's store does about a volume that is too full, the worst last. */
export const diskPressures = ['AboveRetention', 'OldestRemoved', 'SendsRefused'] as const
export type DiskPressure = (typeof diskPressures)[number]

const memberStatus = z.object({
  pod: z.string().max(63).describe('Name of the pod, and of the Service that gives its address.'),
  role: z.enum(['Master', 'Slave']).describe('Master: it takes messages. Slave: it copies them.'),
  ready: z.boolean().describe('Whether it runs and is registered at every NameServer.'),
  node: z.string().max(253).describe('The node that it is on.').optional(),
  inSync: z.boolean().describe('A slave: whether it has what its master has.').optional(),
  lag: z.string().max(32).describe('A slave not in sync: bytes that it lacks at least, in powers of two.').optional(),
  disk: z
    .enum(diskPressures)
    .describe(
      'Set while its volume is too full. AboveRetention: though expired messages are removed at any hour. ' +
        'OldestRemoved: messages go before their time. SendsRefused: it takes no messages.',
    )
    .optional(),
})
export type MemberStatus = z.infer<typeof memberStatus>

const groupStatus = z.object({
  name: z.string().max(63).describe('The brokerName of the group.'),
  state: z.enum(groupStates).describe('Serving: its master is registered at every NameServer.'),
  address: z.string().max(261).describe('Address of the master, as brokers and clients see it.').optional(),
  members: z
    .array(memberStatus)
    .max(5)
    .describe('Each broker of the group, by brokerId.')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['pod'] })
    .optional(),
  draining: z
    .object({
      since: z.string().describe('When writes were stopped.').meta({ format: 'date-time' }),
      blockers: z.array(z.string().max(512)).max(5).describe('What still has to be read, and by whom.').optional(),
      remaining: z
        .int()
        .describe('Messages that consumer groups had to read still at countedAt.')
        .meta({ format: 'int64' })
        .optional(),
      countedAt: z
        .string()
        .describe('When they were counted last: every ten minutes.')
        .meta({ format: 'date-time' })
        .optional(),
    })
    .describe('Set while the group is being taken away.')
    .optional(),
})
export type GroupStatus = z.infer<typeof groupStatus>

export const brokerSetStatus = z.object({
  ...commonStatus,
  ...scaleStatus,
  clusterName: z.string().max(64).describe('RocketMQ cluster name in use.').optional(),
  groups: z.int32().describe('Groups that take messages.').optional(),
  readyGroups: z
    .int32()
    .describe('Groups whose members are all registered at every NameServer, the slaves in sync.')
    .optional(),
  readyMasters: z.int32().describe('Groups that stay whose master is registered at every NameServer.').optional(),
  replicas: z.int32().describe('Pods that exist, of all groups.').optional(),
  readyReplicas: z.int32().describe('Pods of them that answer.').optional(),
  updatedReplicas: z
    .int32()
    .describe('Brokers of the groups that stay that run as the resource says; 0 while they hibernate.')
    .optional(),
  currentVersion: z
    .string()
    .max(128)
    .describe(
      'What the brokers run, by the tag of their image, else its digest; during a roll the former one, until the last broker ' +
        'has the other. Absent while they hibernate.',
    )
    .optional(),
  targetVersion: z
    .string()
    .max(128)
    .describe(
      "What they run when all of them have been restarted: that of spec.image, else the operator's own. An operator of another " +
        'version restarts none of them.',
    )
    .optional(),
  storageSize: z
    .string()
    .max(32)
    .describe('Size that the volume of each broker is to have; absent with storage.ephemeral.')
    .optional(),
  nameServers: z.string().max(4096).describe('namesrvAddr of the brokers.').optional(),
  rollout: rolloutStatus('brokers', 'Broker', 'RegistrationMissing').optional(),
  groupStatuses: z
    .array(groupStatus)
    .max(64)
    .describe('Each group.')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional(),
})
export type BrokerSetStatus = z.infer<typeof brokerSetStatus>

export const brokerSetDefinition: Definition = {
  kind: 'BrokerSet',
  plural: 'brokersets',
  singular: 'brokerset',
  shortName: 'mqbs',
  describes: 'Brokers of one RocketMQ cluster: groups that take, keep and deliver messages.',
  spec: brokerSetSpec,
  status: brokerSetStatus,
  rules: [
    {
      rule: "self.metadata.name.size() <= 49 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
      message: 'the name becomes part of Service names: at most 49 of a-z, 0-9 and -, beginning with a letter',
    },
    {
      // a name of nothing, or a namespace without it, would be what brokers go by when they next start
      rule:
        "!has(oldSelf.status) || !has(oldSelf.status.conditions) || !oldSelf.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True') || " +
        '!has(oldSelf.spec.nameServerRef) || !has(self.spec.nameServerRef) || self.spec.nameServerRef == oldSelf.spec.nameServerRef',
      message:
        'spec.nameServerRef cannot be changed, neither its name nor its namespace, while the BrokerSet is ready; brokers that are to move name both clusters of NameServers in externalNameServers first',
    },
  ],
  scale: { spec: '.spec.groups', status: '.status.groups' },
  columns: [
    { name: 'Groups', type: 'integer', jsonPath: '.spec.groups', describes: 'Groups wanted' },
    { name: 'Slaves', type: 'integer', jsonPath: '.spec.slavesPerGroup', describes: 'Slaves of each group wanted' },
    {
      name: 'Ready',
      type: 'integer',
      jsonPath: '.status.readyGroups',
      describes: 'Groups registered everywhere, in sync',
    },
    {
      name: 'Masters-Ready',
      type: 'integer',
      jsonPath: '.status.readyMasters',
      describes: 'Groups whose master is registered everywhere',
    },
    { name: 'Version', type: 'string', jsonPath: '.status.currentVersion', describes: 'What the brokers run' },
    {
      name: 'Available',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Available")].status',
      describes: 'Whether messages can be sent',
    },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      describes: 'Why it is ready or not',
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', describes: 'Time since creation' },
    {
      name: 'NameServers',
      type: 'string',
      jsonPath: '.status.nameServers',
      wide: true,
      describes: 'namesrvAddr in use',
    },
    {
      name: 'Disk',
      type: 'string',
      jsonPath: '.status.storageSize',
      wide: true,
      describes: 'Size of the volume of each broker',
    },
    {
      name: 'Draining',
      type: 'string',
      jsonPath: '.status.groupStatuses[?(@.state=="Draining")].name',
      wide: true,
      describes: 'The group that leaves',
    },
    {
      name: 'Updated',
      type: 'integer',
      jsonPath: '.status.updatedReplicas',
      wide: true,
      describes: 'Brokers that run as the resource says',
    },
  ],
}
