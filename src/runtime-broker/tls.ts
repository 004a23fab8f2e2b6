import type { Clock } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import { OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { ListenerTls, TlsContext, TlsMaterial } from '../base/network.ts'
import { Warnings } from '../base/warnings.ts'
import { formatAddress } from '../remoting/address.ts'
import { ClientTls } from '../remoting/client-tls.ts'
import {
  checkPair,
  type PemSettings,
  readMaterial,
  settingError,
  TlsFiles,
  tlsReloadPeriodMs,
} from '../remoting/tls-files.ts'
import type { TlsClientSettings, TlsSettings } from '../tunables/index.ts'

/** TLS on the ports of one role. */
export interface ServerTls {
  readonly listener: ListenerTls
  /** Looks at the files no more. */
  close(): void
}

const handshakeTimeoutMs = 10_000
/** What ends within this time is said. */
const expiryNoticeMs = 14 * 86_400_000
const dayMs = 86_400_000

/**
 * Reads the certificate, and again whenever its files change: connections from then on get the new one. Material that
 * cannot be used is said once and changes nothing.
 * @returns undefined: TLS is disabled, and connections are not looked at
 * @throws OperatingError SETTING_INVALID: the key, the path and what is wrong with the file
 */
export async function openTls(
  settings: TlsSettings,
  { clock, files, network, log }: Pick<Doors, 'clock' | 'files' | 'network' | 'log'>,
): Promise<ServerTls | undefined> {
  const mode = settings['tls.server.mode']
  if (mode === 'disabled') return undefined
  let material: TlsFiles<TlsMaterial, TlsContext> | undefined
  const warnings = new Warnings(clock)
  const listener: ListenerTls = {
    servesPlain: mode === 'permissive',
    context: () => material?.context,
    refused: (remote, why) =>
      warnings.warn(log, { remote: formatAddress(remote), why, 'tls.server.mode': mode }, 'closing a connection: TLS'),
  }
  if (!isConfigured(settings)) return { listener, close: () => {} }

  if (settings['tls.server.need.client.auth'] !== 'none' && !settings['tls.server.authClient']) {
    log.warn({}, 'client certificates are asked for but not checked: tls.server.authClient is false')
  }
  const path = settings['tls.server.certPath']
  const pem = pemSettings(settings)
  const clientAuth = settings['tls.server.need.client.auth']
  material = await TlsFiles.open({
    read: (): TlsMaterial => ({ ...readMaterial(pem, files), clientAuth }),
    load: (texts) =>
      network.tlsContext(texts, handshakeTimeoutMs).catch((error) => Promise.reject(settingError(error, pem))),
    log,
    path,
  })
  const opened = material
  const notice = expiryNotice(path, clock, log)
  notice(opened.context)
  const timer = clock.every(tlsReloadPeriodMs, () => void opened.reload().then(() => notice(opened.context)))
  timer.unref()
  return { listener, close: () => timer.cancel() }
}

/**
 * How a role speaks with others.
 * @returns undefined: plain
 * @throws OperatingError SETTING_INVALID: the key, the path and what is wrong with the file
 */
export async function openClientTls(
  settings: TlsClientSettings,
  doors: Pick<Doors, 'clock' | 'files' | 'network' | 'log'>,
): Promise<ClientTls | undefined> {
  if (!settings['tls.enable']) return undefined
  const tls = new ClientTls(
    {
      authServer: settings['tls.client.authServer'],
      trustCertPath: settings['tls.client.trustCertPath'],
      certPath: settings['tls.client.certPath'],
      keyPath: settings['tls.client.keyPath'],
      keyPassword: settings['tls.client.keyPassword'],
    },
    'tls.client.',
    doors,
  )
  await tls.open()
  return tls
}

/** Says that a certificate expires soon, or did: once, and again each day. */
function expiryNotice(path: string, clock: Clock, log: Log): (context: TlsContext) => void {
  let saidAtMs = Number.NEGATIVE_INFINITY
  let saidOfMs: number | undefined
  return ({ validToMs }) => {
    const nowMs = clock.now()
    if (validToMs - nowMs > expiryNoticeMs || (validToMs === saidOfMs && nowMs - saidAtMs < dayMs)) return
    saidAtMs = nowMs
    saidOfMs = validToMs
    const facts = { path, validTo: new Date(validToMs).toISOString(), remedy: 'replace the file: no restart is needed' }
    if (validToMs > nowMs) log.warn(facts, 'the certificate of tls.server.certPath expires soon')
    else log.error(facts, 'the certificate of tls.server.certPath has expired: clients that check it do not connect')
  }
}

function pemSettings(settings: TlsSettings): PemSettings {
  return {
    prefix: 'tls.server.',
    certPath: settings['tls.server.certPath'],
    keyPath: settings['tls.server.keyPath'],
    keyPassword: settings['tls.server.keyPassword'],
    trustCertPath: settings['tls.server.trustCertPath'],
    checksPeer: settings['tls.server.authClient'],
  }
}

/** @throws OperatingError SETTING_INVALID: one of the pair alone, or neither where TLS is all that is served */
function isConfigured(settings: TlsSettings): boolean {
  const pem = pemSettings(settings)
  checkPair(pem)
  if (pem.certPath !== '') return true
  if (settings['tls.server.mode'] === 'permissive') return false
  const fits = 'a PEM file; tls.server.certPath and tls.server.keyPath are needed both'
  throw new OperatingError('SETTING_INVALID', { key: 'tls.server.certPath', value: '', fits })
}
