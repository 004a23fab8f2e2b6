import { OperatingError } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import type { TlsOptions } from '../client/index.ts'
import { readPropertiesText } from '../client/properties-text.ts'

/**
 * How the operator speaks with NameServers and brokers: the tls.client.* of a properties file as Apache's clients read it,
 * but that servers must prove themselves unless tls.client.authServer is false.
 * @param path the file; undefined: nothing but public authorities
 * @throws OperatingError FILE_FAILED, SETTING_INVALID
 */
export function readTlsOptions(path: string | undefined, files: Pick<Files, 'readText'>): TlsOptions {
  const given = path === undefined ? new Map<string, string>() : readPropertiesText(files.readText(path))
  const authServer = given.get('tls.client.authServer') ?? 'true'
  if (!/^(true|false)$/i.test(authServer)) {
    const key = 'tls.client.authServer'
    throw new OperatingError('SETTING_INVALID', { key, value: authServer, from: path, fits: 'true or false' })
  }
  const options: TlsOptions = { authServer: authServer.toLowerCase() === 'true' }
  for (const name of ['trustCertPath', 'certPath', 'keyPath', 'keyPassword'] as const) {
    const value = given.get(`tls.client.${name}`)
    if (value !== undefined && value !== '') options[name] = value
  }
  return options
}
