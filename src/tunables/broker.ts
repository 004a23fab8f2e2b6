import { z } from 'zod'
import { otherBrokerKeys } from './apache-keys.ts'
import { address, bytes, fieldName, healthPort, ms, port } from './fields.ts'
import type { Machine } from './machine.ts'
import type { Properties } from './properties.ts'
import { setting, settingsOf } from './settings.ts'

/** Settings of a broker, under the keys of Apache RocketMQ. */
export const brokerSchema = z.object({
  brokerClusterName: setting(fieldName.default('DefaultCluster'), 'Name of the RocketMQ cluster.', { important: true }),
  brokerName: setting(fieldName.optional(), 'Name of the broker group, one in the cluster.', {
    standIn: 'host name',
    important: true,
  }),
  brokerId: setting(z.int32().min(0).max(0).default(0), '0, the master: this release has no slaves.', {
    important: true,
  }),
  brokerRole: setting(
    z.enum(['ASYNC_MASTER', 'SYNC_MASTER']).default('ASYNC_MASTER'),
    'Both are the same in this release, which has no slaves.',
    { important: true },
  ),
  namesrvAddr: setting(
    z
      .string()
      .regex(/^\s*[^\s;]+:\d+\s*(;\s*[^\s;]+:\d+\s*)*;?\s*$/)
      .meta({ fits: 'host:port, more of them separated by ;' })
      .optional(),
    'NameServers to register at: host:port, separated by `;`.',
    { standIn: '$NAMESRV_ADDR, else none', important: true },
  ),
  listenPort: setting(port.default(10_911), 'Port for clients; 0: any free one.', { important: true }),
  bindAddress: setting(address.default('0.0.0.0'), 'Address to listen on.', { important: true }),
  brokerIP1: setting(address.optional(), 'Address that clients are told to use.', {
    standIn: 'first address of the machine',
    important: true,
  }),
  brokerIP2: setting(address.optional(), 'Address that NameServers tell slaves to use.', { standIn: 'brokerIP1' }),
  haListenPort: setting(port.optional(), 'Port that NameServers tell slaves to use.', { standIn: 'listenPort + 1' }),
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
    'Sends are refused while the volume of the commit log is fuller than this.',
    { unit: '%' },
  ),
  messageDelayLevel: setting(
    z
      .string()
      .regex(/^\s*[1-9]\d*[smhd](\s+[1-9]\d*[smhd])*\s*$/)
      .meta({ fits: 'whole numbers with s, m, h or d, separated by blanks' })
      .default('1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h'),
    'Delay of each delay level; the first is level 1.',
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
}

/** A broker's settings, complete; paths are absolute. @throws OperatingError SETTING_INVALID */
export function brokerSettingsOf(properties: Properties, machine: Machine): BrokerSettings {
  const given = settingsOf(brokerSchema, properties, otherBrokerKeys, machine.log)
  const brokerIP1 = given.brokerIP1 ?? machine.address
  const storePathRootDir = machine.path(given.storePathRootDir)
  return {
    ...given,
    brokerName: given.brokerName ?? machine.hostName,
    namesrvAddr: given.namesrvAddr ?? machine.namesrvAddr ?? '',
    brokerIP1,
    brokerIP2: given.brokerIP2 ?? brokerIP1,
    haListenPort: given.haListenPort ?? given.listenPort + 1,
    storePathRootDir,
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
