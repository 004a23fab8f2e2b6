import { otherNamesrvKeys } from './apache-keys.ts'
import { address, healthPort, port } from './fields.ts'
import type { Machine } from './machine.ts'
import type { Properties } from './properties.ts'
import { setting, settingsOf } from './settings.ts'
import { tlsFields, tlsPathsOf } from './tls.ts'
import * as z from './values.ts'

/** Settings of a NameServer, under the keys of Apache RocketMQ. */
export const namesrvSchema = z.object({
  listenPort: setting(port.default(9876), 'Port for brokers and clients; 0: any free one.', { important: true }),
  bindAddress: setting(address.default('0.0.0.0'), 'Address to listen on.', { important: true }),
  healthPort: setting(healthPort, 'Port of /livez, /readyz and /metrics; 0: none.', { important: true }),
  kvConfigPath: setting(z.string().min(1).optional(), 'File of the key-value settings, such as order topics.', {
    standIn: '$HOME/namesrv/kvConfig.json',
    important: true,
  }),
  configStorePath: setting(z.string().min(1).optional(), 'File that UPDATE_NAMESRV_CONFIG writes.', {
    standIn: 'the file of -c, else $HOME/namesrv/namesrv.properties',
  }),
  scanNotActiveBrokerInterval: setting(
    z.int32().min(100).max(600_000).default(5000),
    'Period of the search for brokers that went silent.',
    { unit: 'ms' },
  ),
  serverChannelMaxIdleTimeSeconds: setting(
    z.int32().min(1).max(86_400).default(120),
    'A connection without a byte for this long is closed.',
    { unit: 's' },
  ),
  orderMessageEnable: setting(z.boolean().default(false), 'Routes carry the order configuration of their topic.', {
    live: true,
  }),
  returnOrderTopicConfigToBroker: setting(
    z.boolean().default(true),
    'A registering broker is told which topics are ordered.',
    { live: true },
  ),
  enableAllTopicList: setting(z.boolean().default(true), 'Whether the list of all topics may be asked for.', {
    live: true,
  }),
  enableTopicList: setting(z.boolean().default(true), "Whether a cluster's list of topics may be asked for.", {
    live: true,
  }),
  needWaitForService: setting(
    z.boolean().default(false),
    'Refuse route requests for waitSecondsForService after the start, until brokers had time to register.',
    { live: true },
  ),
  waitSecondsForService: setting(z.int32().min(0).max(3600).default(45), 'See needWaitForService.', {
    unit: 's',
    live: true,
  }),
  deleteTopicWithBrokerRegistration: setting(
    z.boolean().default(false),
    'A registration removes topics of its broker that it does not name. Only for brokers that register all topics.',
    { live: true },
  ),
  supportActingMaster: setting(
    z.boolean().default(false),
    'Routes show a slave that acts for its lost master (enableSlaveActingMaster of Apache brokers) in the place of the master.',
    { live: true },
  ),
  notifyMinBrokerIdChanged: setting(
    z.boolean().default(false),
    'Brokers of a group are told when another one of them has the smallest id, which acting masters go by.',
    { live: true },
  ),
  configBlackList: setting(
    z.string().default('configBlackList;configStorePath;kvConfigPath'),
    'Keys that UPDATE_NAMESRV_CONFIG refuses besides the three and rocketmqHome, separated by `;`.',
  ),
  ...tlsFields,
})

export type NamesrvSettings = z.infer<typeof namesrvSchema> & { kvConfigPath: string; configStorePath: string }

/**
 * A NameServer's settings, complete.
 * @param configPath the file that -c named
 * @throws OperatingError SETTING_INVALID
 */
export function namesrvSettingsOf(properties: Properties, machine: Machine, configPath?: string): NamesrvSettings {
  const given = settingsOf(namesrvSchema, properties, otherNamesrvKeys, machine.log)
  return {
    ...given,
    ...tlsPathsOf(given, machine),
    kvConfigPath: machine.path(given.kvConfigPath ?? '$HOME/namesrv/kvConfig.json'),
    configStorePath: machine.path(given.configStorePath ?? configPath ?? '$HOME/namesrv/namesrv.properties'),
  }
}
