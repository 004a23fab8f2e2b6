import { OperatingError } from '../base/errors.ts'
import { otherBrokerKeys } from './apache-keys.ts'
import { address, bytes, fieldName, healthPort, ms, port } from './fields.ts'
import type { Machine } from './machine.ts'
import type { Properties } from './properties.ts'
import { replicationFields } from './replication.ts'
import { setting, settingsOf } from './settings.ts'
import { tlsClientFields, tlsClientPathsOf, tlsFields, tlsPathsOf } from './tls.ts'
import { transactionFields } from './transactions.ts'
import * as z from './values.ts'

/** Settings of a broker, under the keys of Apache RocketMQ. */
export const brokerSchema = z.object({
  brokerClusterName: setting(fieldName.default('DefaultCluster'), 'Name of the RocketMQ cluster.', { important: true }),
  brokerName: setting(fieldName.optional(), 'Name of the broker group, one in the cluster.', {
    standIn: 'host name',
    important: true,
  }),
  brokerId: setting(
    z.int32().min(0).max(1_000_000).default(0),
    'Which one of its group: a master is 0, whatever is set; each slave has a number above 0 of its own.',
    { important: true },
  ),
  brokerRole: setting(
    z.enum(['ASYNC_MASTER', 'SYNC_MASTER', 'SLAVE']).default('ASYNC_MASTER'),
    'SYNC_MASTER: a send is answered when inSyncReplicas members of the group have its message. SLAVE: a copy of its master.',
    { important: true },
  ),
  namesrvAddr: setting(
    z
      .string()
      .regex(/^\s*[^\s;]+:\d+\s*(;\s*[^\s;]+:\d+\s*)*;?\s*$/)
      .meta({ fits: 'host:port, more of them separated by ;' })
      .optional(),
    'NameServers to register at: host:port, separated by `;`. Each address that a name has is one of them.',
    { standIn: '$NAMESRV_ADDR, else none', important: true, live: true },
  ),
  listenPort: setting(port.default(10_911), 'Port for clients; 0: any free one.', { important: true }),
  bindAddress: setting(address.default('0.0.0.0'), 'Address to listen on.', { important: true }),
  brokerIP1: setting(address.optional(), 'Address that clients are told to use.', {
    standIn: 'first address of the machine',
    important: true,
  }),
  brokerIP2: setting(address.optional(), 'Address that NameServers tell slaves to use.', { standIn: 'brokerIP1' }),
  haListenPort: setting(port.optional(), 'Port that a master serves its slaves on; 0: any free one.', {
    standIn: 'listenPort + 1',
  }),
  healthPort: setting(healthPort, 'Port of /livez, /readyz and /metrics; 0: none.', { important: true }),
  brokerPermission: setting(
    z.int32().min(0).max(7).default(6),
    'Bits 4 (read) and 2 (write): what the broker allows for all of its topics.',
    { live: true },
  ),
  registerNameServerPeriod: setting(
    ms.min(1000).max(60_000).default(10_000),
    'Period of the full registration. Shorter than Apache (30000), so that a restarted NameServer is complete sooner.',
    { unit: 'ms' },
  ),
  registrationHeld: setting(
    z.boolean().default(false),
    'The broker serves but registers nowhere, so that no client comes before it has its topics and groups.',
    { live: true },
  ),
  updateNameServerAddrPeriod: setting(
    ms.min(1000).max(600_000).default(5000),
    'Period in which the names of namesrvAddr are looked up again, and NameServers that were lost tried again. ' +
      'Shorter than Apache (120000), so that one that moved is found sooner.',
    { unit: 'ms' },
  ),
  forceRegister: setting(
    z.boolean().default(true),
    'Each registration sends all topics; else a NameServer that has them already is only asked.',
    { live: true },
  ),
  registerBrokerTimeoutMills: setting(ms.default(24_000), 'How long one registration may take.', { unit: 'ms' }),
  serverChannelMaxIdleTimeSeconds: setting(
    z.int32().min(1).max(86_400).default(120),
    'A connection without a byte for this long is closed.',
    { unit: 's' },
  ),
  channelExpiredTimeout: setting(ms.default(120_000), 'A client without a heartbeat for this long is forgotten.', {
    unit: 'ms',
  }),

  autoCreateTopicEnable: setting(
    z.boolean().default(true),
    'Sending to an unknown topic creates it. Turn off in production.',
  ),
  enableMixedMessageType: setting(
    z.boolean().default(false),
    'Topics may take messages of every kind: MIXED, as their attribute message.type. Those that are there stay so.',
    { live: true },
  ),
  defaultTopicQueueNums: setting(z.int32().min(1).max(1024).default(8), 'Most queues of a topic created that way.'),
  autoCreateSubscriptionGroup: setting(
    z.boolean().default(true),
    'An unknown consumer group is created on first use.',
    {
      live: true,
    },
  ),
  clusterTopicEnable: setting(z.boolean().default(true), 'The topic named as the cluster may be read and written.'),
  brokerTopicEnable: setting(z.boolean().default(true), 'The topic named as the broker may be read and written.'),
  traceTopicEnable: setting(z.boolean().default(false), 'The broker has the topic msgTraceTopicName.'),
  msgTraceTopicName: setting(fieldName.default('RMQ_SYS_TRACE_TOPIC'), 'Name of the trace topic.'),
  traceOn: setting(z.boolean().default(true), 'What clients are told about tracing, as message property TRACE_ON.', {
    live: true,
  }),
  regionId: setting(fieldName.default('DefaultRegion'), 'Message property MSG_REGION.', { live: true }),
  notifyConsumerIdsChangedEnable: setting(
    z.boolean().default(true),
    'Consumers are told at once when their group changes; else they notice within 20 s.',
    { live: true },
  ),

  storePathRootDir: setting(z.string().min(1).default('$HOME/store'), 'Directory of messages and tables.', {
    important: true,
  }),
  storePathCommitLog: setting(z.string().min(1).optional(), 'Directory of the commit log.', {
    standIn: 'storePathRootDir/commitlog',
    important: true,
  }),
  mappedFileSizeCommitLog: setting(
    bytes(4096, 2_147_483_647).default(1_073_741_824),
    'Size of a commit log segment. Stays as it is for the life of the data.',
    { unit: 'bytes' },
  ),
  mappedFileSizeConsumeQueue: setting(
    bytes(20, 2_147_483_640).default(6_000_000),
    'Size of a consume queue file, rounded up to a multiple of 20. Stays as it is for the life of the data.',
    { unit: 'bytes' },
  ),
  flushDiskType: setting(
    z.enum(['ASYNC_FLUSH', 'SYNC_FLUSH']).default('ASYNC_FLUSH'),
    'SYNC_FLUSH: a send is answered when its message is on the disk. ASYNC_FLUSH: up to flushIntervalCommitLog before.',
    { important: true },
  ),
  flushIntervalCommitLog: setting(ms.default(500), 'Period of the flush of the commit log (ASYNC_FLUSH).', {
    unit: 'ms',
  }),
  flushIntervalConsumeQueue: setting(ms.default(1000), 'Period of the flush of the consume queues.', { unit: 'ms' }),
  syncFlushTimeout: setting(ms.default(5000), 'How long a send waits for the disk (SYNC_FLUSH).', { unit: 'ms' }),
  flushConsumerOffsetInterval: setting(ms.default(5000), 'Period in which consumer offsets are saved.', { unit: 'ms' }),
  flushDelayOffsetInterval: setting(ms.default(10_000), 'Period in which offsets of delayed messages are saved.', {
    unit: 'ms',
  }),
  maxMessageSize: setting(bytes(1, 16_777_216 - 65_536).default(4_194_304), 'Longest message body.', { unit: 'bytes' }),
  checkCRCOnRecover: setting(z.boolean().default(true), 'Recovery checks the checksum of every message it reads.'),
  diskSpaceWarningLevelRatio: setting(
    z.int32().min(1).max(100).default(90),
    'Sends are refused while the volume of the commit log is fuller than this. Taken as it is (Apache: as 35 to 90).',
    { unit: '%' },
  ),
  ...transactionFields,
  ...replicationFields,
  ...tlsFields,
  ...tlsClientFields,
  fileReservedTime: setting(
    z.int32().min(1).max(87_600).default(72),
    'A segment that was last written this long ago has expired.',
    { unit: 'h', live: true },
  ),
  deleteWhen: setting(
    z
      .string()
      .regex(/^\s*([01]?\d|2[0-3])\s*(;\s*([01]?\d|2[0-3])\s*)*;?\s*$/)
      .meta({ fits: 'hours from 00 to 23, separated by ;' })
      .default('04'),
    'Hours of the day, in local time, in which expired segments are removed.',
    { live: true },
  ),
  diskMaxUsedSpaceRatio: setting(
    z.int32().min(1).max(100).default(75),
    'While the volume is fuller than this, expired segments are removed at any hour. Taken as 10 to 95.',
    { unit: '%', live: true },
  ),
  diskSpaceCleanForciblyRatio: setting(
    z.int32().min(1).max(100).default(85),
    'While the volume is fuller than this, the oldest segments are removed, expired or not. Taken as 30 to 85.',
    { unit: '%', live: true },
  ),
  cleanFileForciblyEnable: setting(
    z.boolean().default(true),
    'Above diskSpaceCleanForciblyRatio the oldest segments go; false: expired ones only, however full the volume is.',
    { live: true },
  ),
  deleteFileBatchMax: setting(z.int32().min(1).max(1000).default(10), 'Most segments that are removed in 10 s.', {
    live: true,
  }),
  messageIndexEnable: setting(z.boolean().default(true), 'Messages can be found by key, by unique key and by tag.'),
  maxHashSlotNum: setting(
    z.int32().min(1).max(100_000_000).default(5_000_000),
    'Slots of an index file. Stays as it is for the life of the index.',
  ),
  maxIndexNum: setting(
    z.int32().min(2).max(100_000_000).default(20_000_000),
    'Entries of an index file. Stays as it is for the life of the index.',
  ),
  maxMsgsNumBatch: setting(z.int32().min(1).max(4096).default(64), 'Most messages of one answer to a query by key.', {
    live: true,
  }),
  defaultQueryMaxNum: setting(z.int32().min(1).max(4096).default(32), 'Messages that a query by unique key looks at.', {
    live: true,
  }),
  messageDelayLevel: setting(
    z
      .string()
      .regex(/^\s*[1-9]\d*[smhd](\s+[1-9]\d*[smhd])*\s*$/)
      .meta({ fits: 'whole numbers with s, m, h or d, separated by blanks' })
      .default('1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h'),
    'Delay of each delay level; the first is level 1.',
  ),

  enablePropertyFilter: setting(
    z.boolean().default(false),
    'Consumers may choose messages by an SQL92 expression over their properties.',
    { live: true },
  ),
  longPollingEnable: setting(
    z.boolean().default(true),
    'A pull at the end of its queue waits as long as its consumer allows; else for shortPollingTimeMills.',
    { live: true },
  ),
  shortPollingTimeMills: setting(ms.default(1000), 'See longPollingEnable.', { unit: 'ms', live: true }),
  maxTransferBytesOnMessageInMemory: setting(
    bytes(1, 16_777_216 - 65_536).default(262_144),
    'Most bytes of one pull answer.',
    { unit: 'bytes', live: true },
  ),
  maxTransferCountOnMessageInMemory: setting(
    z.int32().min(1).max(4096).default(32),
    'Most messages of one pull answer.',
    {
      live: true,
    },
  ),
  brokerConfigPath: setting(z.string().optional(), 'File that keeps what UPDATE_BROKER_CONFIG changes.', {
    standIn: 'the file of -c, else none: changes end with the process',
  }),
  configBlackList: setting(
    z.string().default('configBlackList;brokerConfigPath;rocketmqHome'),
    'Keys that UPDATE_BROKER_CONFIG refuses, separated by `;`.',
  ),
})

export type BrokerSettings = z.infer<typeof brokerSchema> & {
  brokerName: string
  namesrvAddr: string // empty: registers nowhere
  brokerIP1: string
  brokerIP2: string
  haListenPort: number
  storePathCommitLog: string
  brokerConfigPath: string // empty: none
  'tls.enable': boolean
}

/**
 * A broker's settings, complete; paths are absolute.
 * @param configPath the file that -c named
 * @throws OperatingError SETTING_INVALID
 */
export function brokerSettingsOf(properties: Properties, machine: Machine, configPath = ''): BrokerSettings {
  const given = settingsOf(brokerSchema, properties, otherBrokerKeys, machine.log)
  const isSlave = given.brokerRole === 'SLAVE'
  if (isSlave && given.brokerId === 0) {
    throw new OperatingError('SETTING_INVALID', {
      key: 'brokerId',
      value: 0,
      fits: 'a number above 0, as a SLAVE must have',
    })
  }
  const brokerIP1 = given.brokerIP1 ?? machine.address
  const storePathRootDir = machine.path(given.storePathRootDir)
  return {
    ...given,
    ...tlsPathsOf(given, machine),
    ...tlsClientPathsOf(given, machine),
    brokerId: isSlave ? given.brokerId : 0,
    brokerName: given.brokerName ?? machine.hostName,
    namesrvAddr: given.namesrvAddr ?? machine.namesrvAddr ?? '',
    brokerIP1,
    brokerIP2: given.brokerIP2 ?? brokerIP1,
    haListenPort: given.haListenPort ?? (given.listenPort === 0 ? 0 : given.listenPort + 1),
    storePathRootDir,
    brokerConfigPath: given.brokerConfigPath ? machine.path(given.brokerConfigPath) : configPath,
    storePathCommitLog: machine.path(given.storePathCommitLog ?? `${storePathRootDir}/commitlog`),
    mappedFileSizeConsumeQueue:
      Math.ceil(given.mappedFileSizeConsumeQueue / consumeQueueUnitBytes) * consumeQueueUnitBytes,
  }
}

const consumeQueueUnitBytes = 20

/** The NameServers of a namesrvAddr: host:port each. */
export function namesrvAddresses(namesrvAddr: string): string[] {
  return namesrvAddr
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
