import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import type { ListenerTls, TlsContext, TlsMaterial } from '../base/network.ts'
import { formatAddress } from '../remoting/address.ts'
import type { TlsSettings } from '../tunables/index.ts'

/** TLS on the ports of one role. */
export interface ServerTls {
  readonly listener: ListenerTls
  /** Looks at the files no more. */
  close(): void
}

/** Kubernetes swaps the files of a Secret about once a minute; whoever replaces them by hand should see it work. */
const reloadPeriodMs = 5_000
const handshakeTimeoutMs = 10_000

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
  let context: TlsContext | undefined
  const listener: ListenerTls = {
    servesPlain: mode === 'permissive',
    context: () => context,
    refused: (remote, why) =>
      log.warn({ remote: formatAddress(remote), why, 'tls.server.mode': mode }, 'closing a connection: TLS'),
  }
  if (!isConfigured(settings)) return { listener, close: () => {} }

  if (settings['tls.server.need.client.auth'] !== 'none' && !settings['tls.server.authClient']) {
    log.warn({}, 'client certificates are asked for but not checked: tls.server.authClient is false')
  }
  const read = () => materialOf(settings, (key) => readText(settings, key, (path) => files.readText(path)))
  const load = (material: TlsMaterial) =>
    network.tlsContext(material, handshakeTimeoutMs).catch((error) => Promise.reject(said(settings, error)))
  let tried = read()
  context = await load(tried)
  let problem = ''
  let isLoading = false
  const reload = async () => {
    if (isLoading) return
    isLoading = true
    try {
      const material = read()
      if (JSON.stringify(material) === JSON.stringify(tried) && problem === '') return
      tried = material
      context = await load(material)
      problem = ''
      log.info({ path: settings['tls.server.certPath'] }, 'TLS certificate reloaded')
    } catch (error) {
      if (!isOperatingError(error)) throw error
      if (error.message !== problem)
        log.error({ err: error }, 'TLS files cannot be used; the certificate stays as it was')
      problem = error.message
    } finally {
      isLoading = false
    }
  }
  const timer = clock.every(reloadPeriodMs, () => void reload())
  timer.unref()
  return { listener, close: () => timer.cancel() }
}

type PathKey = 'tls.server.certPath' | 'tls.server.keyPath' | 'tls.server.trustCertPath'

/** @throws OperatingError SETTING_INVALID: one of the pair alone, or neither where TLS is all that is served */
function isConfigured(settings: TlsSettings): boolean {
  const needed = (['tls.server.certPath', 'tls.server.keyPath'] as const).filter((key) => settings[key] === '')
  if (needed.length === 0) return true
  if (needed.length === 2 && settings['tls.server.mode'] === 'permissive') return false
  const fits = 'a PEM file; tls.server.certPath and tls.server.keyPath are needed both'
  throw new OperatingError('SETTING_INVALID', { key: needed[0], value: '', fits })
}

function materialOf(settings: TlsSettings, text: (key: PathKey) => string): TlsMaterial {
  const isChecked = settings['tls.server.authClient']
  return {
    cert: text('tls.server.certPath'),
    key: text('tls.server.keyPath'),
    keyPassword: settings['tls.server.keyPassword'],
    clientAuth: settings['tls.server.need.client.auth'],
    trust: !isChecked
      ? undefined
      : settings['tls.server.trustCertPath'] === ''
        ? 'public'
        : text('tls.server.trustCertPath'),
  }
}

function readText(settings: TlsSettings, key: PathKey, read: (path: string) => string): string {
  try {
    return read(settings[key])
  } catch (cause) {
    const fits = 'the path of a PEM file that this process may read'
    throw new OperatingError('SETTING_INVALID', { key, value: settings[key], fits }, cause)
  }
}

const filesOf: Record<string, { key: PathKey; fits: string }> = {
  cert: { key: 'tls.server.certPath', fits: 'a file with a PEM certificate (BEGIN CERTIFICATE)' },
  key: {
    key: 'tls.server.keyPath',
    fits: 'a file with the PEM private key of tls.server.certPath, and its password in tls.server.keyPassword if it has one',
  },
  trust: { key: 'tls.server.trustCertPath', fits: 'a file with PEM certificates (BEGIN CERTIFICATE)' },
}

/** Names the setting whose file is wrong. */
function said(settings: TlsSettings, error: unknown): unknown {
  const file = isOperatingError(error, 'TLS_INVALID') ? filesOf[String(error.facts.part)] : undefined
  if (file === undefined) return error
  return new OperatingError(
    'SETTING_INVALID',
    { key: file.key, value: settings[file.key], fits: file.fits },
    (error as Error).cause,
  )
}
