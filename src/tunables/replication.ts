import { bytes, ms } from './fields.ts'
import { setting } from './settings.ts'
import * as z from './values.ts'

/** Settings of a broker about the copies of its log. */
export const replicationFields = {
  haMasterAddress: setting(
    z
      .string()
      .regex(/^(\s*[^\s;]+:\d+)?\s*$/)
      .meta({ fits: 'host:port, or nothing' })
      .default(''),
    'Where a slave finds the log of its master: host:haListenPort.',
    { standIn: 'what the NameServers say' },
  ),
  haSendHeartbeatInterval: setting(
    ms.default(5000),
    'A silent link between master and slave hears something this often.',
    {
      unit: 'ms',
    },
  ),
  haHousekeepingInterval: setting(
    ms.default(20_000),
    'A link that heard nothing for this long is closed, and made again.',
    {
      unit: 'ms',
    },
  ),
  haTransferBatchSize: setting(
    bytes(1024, 4_000_000).default(32_768),
    'Most bytes of the log in one piece for a slave.',
    { unit: 'bytes' },
  ),
  haMaxGapNotInSync: setting(
    bytes(0, Number.MAX_SAFE_INTEGER).default(268_435_456),
    'A slave that lacks no more than this counts as in sync.',
    { unit: 'bytes', live: true },
  ),
  haFlowControlEnable: setting(z.boolean().default(false), 'Whether maxHaTransferByteInSecond holds.', { live: true }),
  maxHaTransferByteInSecond: setting(
    bytes(1024, Number.MAX_SAFE_INTEGER).default(104_857_600),
    'Most bytes of the log that a slave gets in a second; see haFlowControlEnable.',
    { unit: 'bytes/s', live: true },
  ),
  inSyncReplicas: setting(
    z.int32().min(1).max(64).default(1),
    'SYNC_MASTER: members that must have a message before its send is answered, the master counted. 1 waits for no slave.',
    { live: true },
  ),
  slaveTimeout: setting(ms.default(3000), 'SYNC_MASTER: how long a send waits for slaves.', { unit: 'ms', live: true }),
  slaveReadEnable: setting(
    z.boolean().default(false),
    'On a slave: it answers pulls. On a master: consumers far behind are sent to a slave.',
    { live: true },
  ),
  accessMessageInMemoryMaxRatio: setting(
    z.int32().min(0).max(100).default(40),
    'A consumer that is more than this part of the memory behind is sent to a slave; see slaveReadEnable.',
    { unit: '%', live: true },
  ),
}
