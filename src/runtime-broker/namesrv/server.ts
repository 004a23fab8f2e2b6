import type { Doors } from '../../base/doors.ts'
import type { Address } from '../../base/network.ts'
import { Warnings } from '../../base/warnings.ts'
import { RequestCode } from '../../remoting/codes.ts'
import { type Connection, type Request, startServer } from '../../remoting/server.ts'
import type { NamesrvSettings } from '../../tunables/index.ts'
import { openTls } from '../tls.ts'
import { KvConfig } from './kv-config.ts'
import { LiveSettings } from './live-settings.ts'
import { metricsOf } from './metrics.ts'
import { answer } from './requests.ts'
import { type BrokerIdentity, Routes } from './routes.ts'
import { isWaitingForBrokers, type NameServerState } from './state.ts'

/** A NameServer that serves. */
export interface NameServer {
  readonly address: Address
  /** Why routes are not to be asked for yet; undefined: they are. */
  notReady(): string | undefined
  metrics(): Promise<string>
  stop(): Promise<void>
}

const stopGraceMs = 3000 // for the answers under way: each takes milliseconds

/** Serves routes. @throws OperatingError LISTEN_FAILED, STORE_CORRUPT (kvConfigPath), SETTING_INVALID (tls.*) */
export async function startNameServer(given: NamesrvSettings, doors: Doors): Promise<NameServer> {
  const { clock, files, log } = doors
  const settings = new LiveSettings(given, files, log)
  const kvConfig = new KvConfig(given.kvConfigPath, files)
  const routes = new Routes()
  const warnings = new Warnings(clock)
  const state: NameServerState = { settings, routes, kvConfig, startedAtMs: clock.monotonicMs(), clock, log, warnings }
  const requestCounts = new Map<string, number>()
  const watched = new WeakSet<Connection>()

  const watch = (connection: Connection) => {
    if (watched.has(connection)) return
    watched.add(connection)
    connection.onClose(() => {
      for (const broker of routes.unregisterLink(connection)) log.warn(facts(broker), 'broker lost: connection closed')
    })
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
    for (const broker of routes.unregisterSilent(clock.monotonicMs())) {
      log.warn(facts(broker), 'broker lost: silent for too long')
      broker.link.close()
    }
  })
  log.info({ ...server.address }, 'NameServer serves')

  return {
    address: server.address,
    notReady: () => (isWaitingForBrokers(state) ? 'waiting for brokers to register' : undefined),
    metrics: metricsOf({ routes, requestCounts, connections: server.connections }),
    async stop() {
      scan.cancel()
      tls?.close()
      await server.close(stopGraceMs)
      log.info({}, 'NameServer stopped')
    },
  }
}

const requestNames = new Map<number, string>(Object.entries(RequestCode).map(([name, code]) => [code, name]))

function facts({ clusterName, brokerName, brokerId, brokerAddr }: BrokerIdentity) {
  return { clusterName, brokerName, brokerId, brokerAddr }
}
