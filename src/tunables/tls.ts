import { OperatingError } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import type { Machine } from './machine.ts'
import { type Properties, readProperties } from './properties.ts'
import { type SettingsSchema, setting } from './settings.ts'
import * as z from './values.ts'

const publicAuthorities = "Node's list of public authorities"

function pemFile(describes: string, standIn: string) {
  return setting(z.string().default(''), `PEM file: ${describes}`, { standIn })
}

function keyPassword(keyPath: string) {
  const describes = `Password of ${keyPath}. Never printed: -p and GET_BROKER_CONFIG leave it empty.`
  return setting(z.string().default(''), describes, { standIn: 'none', secret: true })
}

/** Settings of both roles about TLS on their port: Apache's TlsSystemConfig. */
export const tlsFields = {
  'tls.server.mode': setting(
    z.enum(['disabled', 'permissive', 'enforcing']).default('permissive'),
    'Who is served on the port. permissive: plain and, where tls.server.certPath is set, TLS. enforcing: TLS only. disabled: plain only.',
    { important: true },
  ),
  'tls.server.certPath': pemFile('the certificate of this server, then those above it.', 'no TLS'),
  'tls.server.keyPath': pemFile('the private key of tls.server.certPath.', 'no TLS'),
  'tls.server.keyPassword': keyPassword('tls.server.keyPath'),
  'tls.server.need.client.auth': setting(
    z.enum(['none', 'optional', 'require']).default('none'),
    'Whether clients are asked for a certificate; require: those without one are closed.',
  ),
  'tls.server.authClient': setting(
    z.boolean().default(false),
    "Whether a client's certificate must come from an authority of tls.server.trustCertPath. false: any is good, as with Apache.",
  ),
  'tls.server.trustCertPath': pemFile('the authorities of clients (tls.server.authClient).', publicAuthorities),
  'tls.config.file': setting(
    z.string().default(''),
    'Properties file, read at the start: its tls.server.* and tls.client.* keys win over those given elsewhere, as with Apache.',
    { standIn: '`/etc/rocketmq/tls.properties`, where it exists' },
  ),
}

/** Settings of a role that connects to others: what it proves itself with, and whom it trusts. */
export const tlsClientFields = {
  'tls.enable': setting(
    z.boolean().optional(),
    'Whether this broker speaks TLS with NameServers and, as a slave, with its master.',
    { standIn: '`true` where tls.server.mode is enforcing' },
  ),
  'tls.client.authServer': setting(
    z.boolean().default(false),
    "Whether a server's certificate must come from an authority of tls.client.trustCertPath. false: any is good, as with Apache.",
  ),
  'tls.client.trustCertPath': pemFile('the authorities of servers (tls.client.authServer).', publicAuthorities),
  'tls.client.certPath': pemFile(
    'the certificate that this broker shows to servers that ask for one, then those above it.',
    'none',
  ),
  'tls.client.keyPath': pemFile('the private key of tls.client.certPath.', 'none'),
  'tls.client.keyPassword': keyPassword('tls.client.keyPath'),
}

export type TlsSettings = z.infer<z.Schema<typeof tlsFields>>
export type TlsClientSettings = z.infer<z.Schema<typeof tlsClientFields>>

/** TLS settings with absolute paths. */
export function tlsPathsOf(given: TlsSettings, machine: Machine) {
  const path = (text: string) => (text === '' ? '' : machine.path(text))
  return {
    'tls.server.certPath': path(given['tls.server.certPath']),
    'tls.server.keyPath': path(given['tls.server.keyPath']),
    'tls.server.trustCertPath': path(given['tls.server.trustCertPath']),
  }
}

/** As tlsPathsOf, for a role that connects; who insists on TLS speaks it too. */
export function tlsClientPathsOf(given: TlsSettings & TlsClientSettings, machine: Machine) {
  const path = (text: string) => (text === '' ? '' : machine.path(text))
  return {
    'tls.enable': given['tls.enable'] ?? given['tls.server.mode'] === 'enforcing',
    'tls.client.certPath': path(given['tls.client.certPath']),
    'tls.client.keyPath': path(given['tls.client.keyPath']),
    'tls.client.trustCertPath': path(given['tls.client.trustCertPath']),
  }
}

const tlsConfigFileDefault = '/etc/rocketmq/tls.properties'
/** As with Apache, which reads the first two from elsewhere. */
const notInTlsFile: ReadonlySet<string> = new Set(['tls.server.mode', 'tls.enable', 'tls.config.file'])

/**
 * Adds what the properties file of tls.config.file says: it wins over all else, as with Apache. The default file may be
 * missing, one that was named may not. Keys of a client in the file of a role without one mean nothing to it.
 * @throws OperatingError SETTING_INVALID, FILE_FAILED
 */
export function addTlsFile(
  properties: Properties,
  schema: SettingsSchema,
  files: Pick<Files, 'exists' | 'readText'>,
  machine: Machine,
): void {
  const named = properties.get('tls.config.file')
  const path = machine.path(named?.value.trim() || tlsConfigFileDefault)
  if (!files.exists(path)) {
    if (!named?.value.trim()) return
    const fits = 'the path of a properties file with tls.server.* and tls.client.* keys'
    throw new OperatingError('SETTING_INVALID', { key: 'tls.config.file', value: path, from: named.from, fits })
  }
  for (const [key, property] of readProperties(files.readText(path), path)) {
    if (!key.startsWith('tls.') || notInTlsFile.has(key))
      machine.log.warn({ setting: key, from: property.from }, 'this setting has no effect in tls.config.file')
    else if (Object.hasOwn(schema.shape, key) || !key.startsWith('tls.client.')) properties.set(key, property)
  }
}
