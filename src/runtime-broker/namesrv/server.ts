import type { Doors } from '../../base/doors.ts'
import type { Address } from '../../base/network.ts'
import { Warnings } from '../../base/warnings.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { type Connection, type Request, startServer } from '../../remoting/server.ts'
import type { NamesrvSettings } from '../../tunables/index.ts'
import { openTls } from '../tls.ts'
import type { BrokerIdentity } from './broker-group.ts'
import { BrokerRegistry, type Gone } from './broker-registry.ts'
import { KvConfig } from './kv-config.ts'
import { LiveSettings } from './live-settings.ts'
import { metricsOf } from './metrics.ts'
import { MinBrokerIdNotice } from './min-broker-id-notice.ts'
import { answer } from './requests.ts'
import { Routes } from './routes.ts'
import { isWaitingForBrokers, type NameServerState } from './state.ts'
import { StepQueue } from './step-queue.ts'

/** A NameServer that serves. */
export interface NameServer {
  readonly address: Address
  /** Why routes are not to be asked for yet; undefined: they are. */
  notReady(): string | undefined
  metrics(): Promise<string>
  stop(): Promise<void>
}

const stopGraceMs = 3000 // for the answers under way: each takes milliseconds
/** Of registrations that wait: a hundred brokers with ten thousand topics each come at once after a restart. */
const registrationBytesMax = 512 * 1024 * 1024

/** Serves routes. @throws OperatingError LISTEN_FAILED, STORE_CORRUPT (kvConfigPath), SETTING_INVALID (tls.*) */
export async function startNameServer(given: NamesrvSettings, doors: Doors): Promise<NameServer> {
  const { clock, files, log } = doors
  const settings = new LiveSettings(given, files, log)
  const kvConfig = new KvConfig(given.kvConfigPath, files)
  const routes = new Routes()
  const brokers = new BrokerRegistry(routes)
  const warnings = new Warnings(clock)
  const notice = new MinBrokerIdNotice(() => settings.current.notifyMinBrokerIdChanged, doors)
  const state: NameServerState = {
    settings,
    routes,
    brokers,
    registrations: new StepQueue(clock, registrationBytesMax),
    tellMinBrokerId: (change) => notice.tell(change),
    kvConfig,
    startedAtMs: clock.monotonicMs(),
    clock,
    log,
    warnings,
  }
  const requestCounts = new Map<string, number>()
  const watched = new WeakSet<Connection>()

  const watch = (connection: Connection) => {
    if (watched.has(connection)) return
    watched.add(connection)
    connection.onClose(() => lost(brokers.unregisterLink(connection), 'broker lost: connection closed'))
  }
  const lost = (gone: readonly Gone[], why: string) => {
    for (const broker of gone) {
      log.warn(facts(broker), why)
      if (broker.change !== undefined) notice.tell(broker.change)
    }
  }
  const handle = (request: Request) => {
    const name = requestNames.get(request.code) ?? 'OTHER' // any number may come: a label needs few values
    requestCounts.set(name, (requestCounts.get(name) ?? 0) + 1)
    if (request.code === RequestCode.REGISTER_BROKER) watch(request.connection)
    return answer(request, state)
  }
  const tls = await openTls(given, doors)
  const server = await startServer(
    {
      listen: { host: given.bindAddress, port: given.listenPort },
      handle,
      tls: tls?.listener,
      idleMs: given.serverChannelMaxIdleTimeSeconds * 1000,
    },
    doors,
  )
  const scan = clock.every(given.scanNotActiveBrokerInterval, () => {
    const silent = brokers.unregisterSilent(clock.monotonicMs())
    lost(silent, 'broker lost: silent for too long')
    for (const { link } of silent) link.close()
  })
  log.info({ ...server.address }, 'NameServer serves')

  return {
    address: server.address,
    notReady: () => (isWaitingForBrokers(state) ? 'waiting for brokers to register' : undefined),
    metrics: metricsOf({ routes, brokers, requestCounts, connections: server.connections }),
    async stop() {
      scan.cancel()
      tls?.close()
      await server.close(stopGraceMs)
      await notice.close()
      log.info({}, 'NameServer stopped')
    },
  }
}

const requestNames = new Map<number, string>(Object.entries(RequestCode).map(([name, code]) => [code, name]))

function facts({ clusterName, brokerName, brokerId, brokerAddr }: BrokerIdentity) {
  return { clusterName, brokerName, brokerId, brokerAddr }
}
