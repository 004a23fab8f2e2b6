import type { Machine } from './machine.ts'
import { setting } from './settings.ts'
import * as z from './values.ts'

/** Settings of both roles about TLS on their port: Apache's TlsSystemConfig, which reads them from system properties. */
export const tlsFields = {
  'tls.server.mode': setting(
    z.enum(['disabled', 'permissive', 'enforcing']).default('permissive'),
    'Who is served on the port. permissive: plain and, where tls.server.certPath is set, TLS. enforcing: TLS only. disabled: plain only.',
    { important: true },
  ),
  'tls.server.certPath': setting(
    z.string().default(''),
    'PEM file: the certificate of this server, then those above it.',
    {
      standIn: 'no TLS',
    },
  ),
  'tls.server.keyPath': setting(z.string().default(''), 'PEM file: the private key of tls.server.certPath.', {
    standIn: 'no TLS',
  }),
  'tls.server.keyPassword': setting(
    z.string().default(''),
    'Password of tls.server.keyPath. Never printed: -p and GET_BROKER_CONFIG leave it empty.',
    { standIn: 'none', secret: true },
  ),
  'tls.server.need.client.auth': setting(
    z.enum(['none', 'optional', 'require']).default('none'),
    'Whether clients are asked for a certificate; require: those without one are closed.',
  ),
  'tls.server.authClient': setting(
    z.boolean().default(false),
    "Whether a client's certificate must come from an authority of tls.server.trustCertPath. false: any is good, as with Apache.",
  ),
  'tls.server.trustCertPath': setting(
    z.string().default(''),
    'PEM file: the authorities of clients (tls.server.authClient).',
    { standIn: "Node's list of public authorities" },
  ),
}

export type TlsSettings = z.infer<z.Schema<typeof tlsFields>>

/** TLS settings with absolute paths. */
export function tlsPathsOf(given: TlsSettings, machine: Machine) {
  const path = (text: string) => (text === '' ? '' : machine.path(text))
  return {
    'tls.server.certPath': path(given['tls.server.certPath']),
    'tls.server.keyPath': path(given['tls.server.keyPath']),
    'tls.server.trustCertPath': path(given['tls.server.trustCertPath']),
  }
}
