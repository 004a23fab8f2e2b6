import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import type { Doors } from '../../base/doors.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Address } from '../../base/network.ts'
import { formatAddress } from '../../remoting/address.ts'
import { ResponseCode } from '../../remoting/codes.ts'
import { encodeHost, uniqKeys } from '../../remoting/message/index.ts'
import { type Handler, type Server, startServer } from '../../remoting/server.ts'
import { ourVersionDescription } from '../../remoting/version.ts'
import { type BrokerSettings, diskLimitsOf, saveChangedSettings } from '../../tunables/index.ts'
import { openStore, type StoreSettings } from '../store/index.ts'
import { openClientTls, openTls, type ServerTls } from '../tls.ts'
import { Clients } from './clients.ts'
import { ConsumerOffsets } from './consumer-offsets.ts'
import type { Broker } from './context.ts'
import { DelayLevels } from './delay-levels.ts'
import { Filters } from './filter/filter.ts'
import { Groups } from './groups.ts'
import { QueueLocks } from './locks.ts'
import { metricsOf } from './metrics.ts'
import { TopicName } from './names.ts'
import { fastHandler, mainHandler } from './processors/index.ts'
import { PullHold } from './pull-hold.ts'
import { Registration } from './registration.ts'
import { startReplication } from './replication.ts'
import { Schedule } from './schedule.ts'
import { SlaveSync } from './slave-sync.ts'
import { Stats } from './stats.ts'
import { tableStorage } from './table-storage.ts'
import { Topics } from './topics.ts'
import { Transactions } from './transactions/transactions.ts'

export interface RunningBroker {
  readonly address: Address
  /** Why clients are not to be sent here yet; undefined: they are. */
  notReady(): string | undefined
  metrics(): Promise<string>
  stop(): Promise<void>
}

/** The second port: all but pulls. */
const fastPortDistance = 2
const clientScanPeriodMs = 10_000
const subscriptionTtlMs = 600_000
/** How long an admin's request waits for the NameServers to take a topic; they hear of it in any case. */
const announceWaitMs = 2_000
/** For the answers under way; the slowest is a flush of the disk. */
const stopGraceMs = 10_000

/**
 * Opens the store, serves, registers at every NameServer.
 * @throws OperatingError LISTEN_FAILED, STORE_LOCKED, STORE_CORRUPT, FILE_FAILED, SETTING_INVALID, RESOLVE_FAILED
 */
export async function startBroker(given: BrokerSettings, doors: Doors): Promise<RunningBroker> {
  const { clock, files, network, random, log } = doors
  const settings = { ...given } // its live ones change
  const brokerIp = (await network.resolve(settings.brokerIP1))[0]
  assert(brokerIp !== undefined, 'a name that resolves has an address')
  const delayLevels = new DelayLevels(settings.messageDelayLevel)
  const bootTimestamp = clock.now()
  const startedAtMs = clock.monotonicMs()
  const tls = await openTls(settings, doors)
  const clientTls = await openClientTls(settings, doors)
  const store = await openStore(storeSettings(settings, delayLevels), doors)

  const tables = { storage: tableStorage(`${settings.storePathRootDir}/config`, files, log), clock, log }
  const topics = new Topics(
    { ...settings, clusterName: settings.brokerClusterName, delayLevelMax: delayLevels.max },
    tables,
  )
  const groups = new Groups(() => settings.autoCreateSubscriptionGroup, tables)
  const consumerOffsets = new ConsumerOffsets(tables)
  const mayNotify = (group: string) =>
    settings.notifyConsumerIdsChangedEnable && (groups.find(group)?.notifyConsumerIdsChangedEnable ?? true)
  const clients = new Clients(clock, log, mayNotify)
  const pullHold = new PullHold(clock, (topic, queueId) => store.maxOffset(topic, queueId))
  const stats = new Stats(clock)

  const main = await listen(settings, settings.listenPort, doors, tls)
  const brokerAddr = formatAddress({ host: brokerIp, port: main.server.address.port })
  const storeHost = encodeHost({ host: brokerIp, port: main.server.address.port })
  const schedule = new Schedule(delayLevels, store, storeHost, tables)
  const parts = { store, storeHost, settings, topics, consumerOffsets, clients, delayLevels, clock, log }
  const transactions = new Transactions(parts)
  const replication = await startReplication(settings, store, doors)
  const slaveSync = new SlaveSync({ topics, groups, consumerOffsets, schedule }, replication, doors, clientTls)
  const registration = new Registration(settings, brokerAddr, topics, doors, clientTls, {
    haServerAddr: formatAddress({ host: settings.brokerIP2, port: replication.haPort }),
    onMaster(haServerAddr, masterAddr) {
      if (settings.haMasterAddress === '') replication.slave?.follow(haServerAddr)
      slaveSync.follow(masterAddr)
    },
  })
  const broker: Broker = {
    settings,
    brokerAddr,
    storeHost,
    bootTimestamp,
    store,
    topics,
    groups,
    consumerOffsets,
    clients,
    pullHold,
    filters: new Filters(),
    locks: new QueueLocks(clock),
    delayLevels,
    schedule,
    transactions,
    replication,
    stats,
    clock,
    random,
    log,
    nextUniqKey: uniqKeys(brokerIp, random.int(0x10000), clock, random),
    announceTopic: (topic) => within(clock, announceWaitMs, registration.topicChanged(topic)),
    announceAll: () => within(clock, announceWaitMs, registration.registerAll()),
    refreshNameServers: () => within(clock, announceWaitMs, registration.refresh()),
    saveSettings(changes) {
      if (settings.brokerConfigPath !== '') saveChangedSettings(settings.brokerConfigPath, changes, files)
    },
  }
  store.onArrival((topic, queueId, maxOffset, tagsCode) => {
    pullHold.arrived(topic, queueId, maxOffset, tagsCode)
    if (topic === TopicName.SCHEDULE) schedule.arrived(queueId)
  })
  topics.onChange((topic) => void registration.topicChanged(topic))
  if (replication.isSlave) slaveSync.start(() => void registration.registerAll())
  else {
    schedule.start()
    transactions.start()
  }
  main.serve(mainHandler(broker))
  // Any free port has no second one at a known distance.
  const fast =
    settings.listenPort === 0 ? undefined : await listen(settings, settings.listenPort - fastPortDistance, doors, tls)
  fast?.serve(fastHandler(broker))
  const timers = [
    clock.every(settings.flushConsumerOffsetInterval, () => save(log, consumerOffsets, topics, groups)),
    clock.every(settings.flushDelayOffsetInterval, () => save(log, schedule)),
    clock.every(clientScanPeriodMs, () =>
      clients.expire({ clientTtlMs: settings.channelExpiredTimeout, subscriptionTtlMs }),
    ),
  ]
  const elapsedMs = Math.round(clock.monotonicMs() - startedAtMs)
  log.info({ brokerName: settings.brokerName, brokerAddr, version: ourVersionDescription, elapsedMs }, 'broker serves')
  void registration.start()

  return {
    address: main.server.address,
    notReady: () => store.failure?.message ?? registration.notReady() ?? replication.notReady(),
    metrics: metricsOf(broker),
    async stop() {
      await registration.stop()
      const servers = [main.server, ...(fast ? [fast.server] : [])].map((server) => server.close(stopGraceMs))
      pullHold.close()
      schedule.close()
      await Promise.all(servers)
      for (const timer of timers) timer.cancel()
      tls?.close()
      await transactions.close()
      await slaveSync.close()
      await replication.close()
      stats.close()
      save(log, consumerOffsets, topics, groups, schedule)
      await store.close()
      log.info({ brokerName: settings.brokerName }, 'broker stopped')
    },
  }
}

/** Resolves when the work is done, or after ms. */
function within(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, resolve)
    void work.finally(() => timer.cancel()).then(resolve)
  })
}

function save(log: Log, ...tables: { saveIfDirty(): void }[]): void {
  for (const table of tables) {
    try {
      table.saveIfDirty()
    } catch (error) {
      log.error({ err: messageOf(error) }, 'table not saved: it will be tried again')
    }
  }
}

interface Listening {
  readonly server: Server
  serve(handler: Handler): void
}

/** Listens at once, to know its port; requests are refused until serve says who answers them. */
async function listen(settings: BrokerSettings, port: number, doors: Doors, tls?: ServerTls): Promise<Listening> {
  let handler: Handler = () => ({ code: ResponseCode.SERVICE_NOT_AVAILABLE, remark: 'the broker is starting' })
  const server = await startServer(
    {
      listen: { host: settings.bindAddress, port },
      handle: (request) => handler(request),
      tls: tls?.listener,
      idleMs: settings.serverChannelMaxIdleTimeSeconds * 1000,
    },
    doors,
  )
  return { server, serve: (serving) => (handler = serving) }
}

function storeSettings(settings: BrokerSettings, { delaysMs }: DelayLevels): StoreSettings {
  return {
    rootDir: settings.storePathRootDir,
    commitLogDir: settings.storePathCommitLog,
    segmentBytes: settings.mappedFileSizeCommitLog,
    consumeQueueFileBytes: settings.mappedFileSizeConsumeQueue,
    flush: settings.flushDiskType === 'SYNC_FLUSH' ? 'SYNC' : 'ASYNC',
    maxMessageBytes: settings.maxMessageSize,
    flushIntervalCommitLogMs: settings.flushIntervalCommitLog,
    flushIntervalConsumeQueueMs: settings.flushIntervalConsumeQueue,
    syncFlushTimeoutMs: settings.syncFlushTimeout,
    diskSpaceWarningLevelRatio: diskLimitsOf(settings).sendsRefused / 100,
    checkCrcOnRecover: settings.checkCRCOnRecover,
    index: settings.messageIndexEnable
      ? { slotCount: settings.maxHashSlotNum, entryCountMax: settings.maxIndexNum }
      : undefined,
    retention: () => {
      const { expiredGo, oldestGo } = diskLimitsOf(settings)
      return {
        fileReservedHours: settings.fileReservedTime,
        deleteWhen: settings.deleteWhen,
        diskMaxUsedSpaceRatio: expiredGo / 100,
        diskSpaceCleanForciblyRatio: oldestGo / 100,
        cleanFileForciblyEnable: settings.cleanFileForciblyEnable,
        deleteFileBatchMax: settings.deleteFileBatchMax,
      }
    },
    delayLevelsMs: delaysMs,
    isCopy: settings.brokerRole === 'SLAVE',
  }
}
