import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import type { Clock } from '../base/clock.ts'
import { OperatingError } from '../base/errors.ts'
import type { Files } from '../base/files.ts'
import type { HttpRequest } from '../base/http.ts'

export interface Credentials {
  tls?: HttpRequest['tls']
  headers: Record<string, string>
}

/** Where the API server is and how to prove who we are. */
export interface KubeAccess {
  /** https://host:port, without a slash at the end. */
  server: string
  /** Asked before each request: tokens are rotated. */
  credentials(): Promise<Credentials>
  /** What this access was made from, for logs. */
  source: string
}

const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'
const tokenReadPeriodMs = 60_000 // the kubelet renews the token long before it ends

/**
 * The access that this process has: a kubeconfig where one is named, else the pod's service account.
 * @param kubeconfig path of a kubeconfig file; undefined: the environment's KUBECONFIG, if any
 * @throws OperatingError KUBE_CONFIG_INVALID
 */
export async function findAccess(
  kubeconfig: string | undefined,
  env: Record<string, string | undefined>,
  files: Files,
  clock: Clock,
): Promise<KubeAccess> {
  const path = kubeconfig ?? env.KUBECONFIG
  if (path) return kubeconfigAccess(resolve(path), files, clock)
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env
  if (host && port) return serviceAccountAccess(host, port, files, clock)
  throw new OperatingError('KUBE_CONFIG_INVALID', { remedy: 'give --kubeconfig or KUBECONFIG, or run in a pod' })
}

function serviceAccountAccess(host: string, port: string, files: Files, clock: Clock): KubeAccess {
  const ca = readConfigFile(`${serviceAccountDirectory}/ca.crt`, files)
  const token = tokenFile(`${serviceAccountDirectory}/token`, files, clock)
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    credentials: async () => ({ tls: { ca }, headers: { authorization: `Bearer ${token()}` } }),
    source: 'service account',
  }
}

interface Kubeconfig {
  'current-context'?: string
  contexts?: { name: string; context: { cluster: string; user: string } }[]
  clusters?: { name: string; cluster: Cluster }[]
  users?: { name: string; user: User }[]
}
interface Cluster {
  server: string
  'certificate-authority'?: string
  'certificate-authority-data'?: string
  'insecure-skip-tls-verify'?: boolean
  'tls-server-name'?: string
  'proxy-url'?: string
}
interface User {
  token?: string
  tokenFile?: string
  'client-certificate'?: string
  'client-certificate-data'?: string
  'client-key'?: string
  'client-key-data'?: string
  username?: string
  password?: string
  exec?: unknown
  'auth-provider'?: unknown
}

async function kubeconfigAccess(path: string, files: Files, clock: Clock): Promise<KubeAccess> {
  const config = parseKubeconfig(path, files)
  const contextName = config['current-context']
  const context = config.contexts?.find(({ name }) => name === contextName)?.context
  const cluster = config.clusters?.find(({ name }) => name === context?.cluster)?.cluster
  const user = config.users?.find(({ name }) => name === context?.user)?.user ?? {}
  if (!cluster?.server) {
    throw new OperatingError('KUBE_CONFIG_INVALID', {
      path,
      context: contextName ?? '',
      lacks: 'the cluster of the context',
    })
  }
  if (cluster['proxy-url'] !== undefined) {
    throw new OperatingError('KUBE_CONFIG_INVALID', { path, unsupported: 'proxy-url' })
  }
  const server = cluster.server.replace(/\/+$/, '')
  if (user.exec !== undefined || user['auth-provider'] !== undefined) return pluginAccess(path, server)

  const material = (data: string | undefined, file: string | undefined) => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
    return file === undefined ? undefined : readConfigFile(resolve(dirname(path), file), files)
  }
  const ca = material(cluster['certificate-authority-data'], cluster['certificate-authority'])
  const cert = material(user['client-certificate-data'], user['client-certificate'])
  const key = material(user['client-key-data'], user['client-key'])
  const tls = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(cluster['tls-server-name'] !== undefined && { serverName: cluster['tls-server-name'] }),
    ...(cluster['insecure-skip-tls-verify'] === true && { insecure: true }),
  }
  const token =
    user.token !== undefined
      ? () => user.token
      : user.tokenFile !== undefined
        ? tokenFile(resolve(dirname(path), user.tokenFile), files, clock)
        : undefined
  const headers = (): Record<string, string> => {
    if (token) return { authorization: `Bearer ${token()}` }
    if (user.username === undefined) return {}
    return { authorization: `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}` }
  }
  return { server, credentials: async () => ({ tls, headers: headers() }), source: path }
}

/**
 * Users whose credentials a program or a cloud gives out. The Kubernetes client knows those ways; it costs some 80 MB,
 * so it is loaded for them alone.
 */
async function pluginAccess(path: string, server: string): Promise<KubeAccess> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromFile(path)
  return {
    server,
    source: path,
    async credentials() {
      const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {}
      await config.applyToHTTPSOptions(options)
      const { ca, cert, key, servername, rejectUnauthorized } = options
      const text = (name: 'ca' | 'cert' | 'key', value: unknown) => (value ? { [name]: String(value) } : {})
      return {
        tls: {
          ...text('ca', ca),
          ...text('cert', cert),
          ...text('key', key),
          ...(servername && { serverName: servername }),
          ...(rejectUnauthorized === false && { insecure: true }),
        },
        headers: Object.fromEntries(
          Object.entries(options.headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]),
        ),
      }
    },
  }
}

function parseKubeconfig(path: string, files: Files): Kubeconfig {
  const text = readConfigFile(path, files)
  try {
    const config = parse(text) as unknown
    if (typeof config === 'object' && config !== null) return config as Kubeconfig
  } catch (cause) {
    throw new OperatingError('KUBE_CONFIG_INVALID', { path }, cause)
  }
  throw new OperatingError('KUBE_CONFIG_INVALID', { path, lacks: 'everything' })
}

function readConfigFile(path: string, files: Files): string {
  try {
    return files.readText(path)
  } catch (cause) {
    throw new OperatingError('KUBE_CONFIG_INVALID', { path }, cause)
  }
}

function tokenFile(path: string, files: Files, clock: Clock): () => string {
  let token = ''
  let readAtMs = Number.NEGATIVE_INFINITY
  return () => {
    if (clock.monotonicMs() - readAtMs > tokenReadPeriodMs) {
      token = readConfigFile(path, files).trim()
      readAtMs = clock.monotonicMs()
    }
    return token
  }
}
