import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { HttpRequest } from '../../src/base/http.ts'
import { silentLog } from '../../src/base/log.ts'
import { createHttpClient, listenHttp, nodeClock, nodeRandom } from '../../src/base/node/index.ts'
import { found } from '../../src/base/testing/eventually.ts'
import { Catalog } from '../../src/local-cluster/api-server/catalog.ts'
import { Registry } from '../../src/local-cluster/api-server/registry.ts'
import { createApiHandler } from '../../src/local-cluster/api-server/server.ts'
import { ObjectStore } from '../../src/local-cluster/api-server/store.ts'
import { makeCertificate } from '../../src/local-cluster/certificate.ts'
import { startControllers } from '../../src/local-cluster/workloads/controllers.ts'
import { clusterIpAdmission } from '../../src/local-cluster/workloads/services.ts'

// biome-ignore lint/suspicious/noExplicitAny: bodies of answers are compared, not computed with
export type Body = any

export interface KubeServer {
  call(
    method: string,
    path: string,
    body?: object,
    accept?: string,
    authorization?: string,
  ): Promise<{ status: number; body: Body; text: string }>
  patch(type: string, path: string, body: object): Promise<{ status: number; body: Body }>
  /** path has a query. take() ends early where the server ends the watch. */
  watch(path: string, accept?: string): { take(count: number): Promise<{ type: string; object: Body }[]> }
  eventually(holds: () => Promise<boolean>): Promise<void>
  stop(): Promise<void>
}

interface Access {
  server: string
  headers: Record<string, string>
  tls: NonNullable<HttpRequest['tls']>
  stop(): Promise<void>
}

const timeoutMs = 10_000
const settleMs = 30_000 // controllers of a real server beside other work

/** Ours, or the one that a kubeconfig names: a real one where KUBECONFIG_CONTRACT is set. */
export async function startKubeServer(path = process.env.KUBECONFIG_CONTRACT): Promise<KubeServer> {
  const access = path ? serverOf(path) : await ourServer()
  const http = createHttpClient()

  async function call(
    method: string,
    path: string,
    body?: object,
    accept = 'application/json',
    authorization?: string,
    contentType = 'application/json',
  ) {
    const anonymous = authorization !== undefined
    const response = await http.request({
      method,
      url: access.server + path,
      headers: {
        accept,
        ...(anonymous ? { authorization } : access.headers),
        ...(body && { 'content-type': contentType }),
      },
      ...(body && { body: JSON.stringify(body) }),
      tls: anonymous && access.tls.ca !== undefined ? { ca: access.tls.ca } : access.tls,
      timeoutMs,
    })
    const parts: Buffer[] = []
    for await (const part of response.body) parts.push(part)
    const text = Buffer.concat(parts).toString('utf8')
    return { status: response.status, body: parsed(text), text }
  }

  return {
    call,
    patch: (type, path, body) => call('PATCH', path, body, undefined, undefined, `application/${type}`),
    watch(path, accept = 'application/json') {
      const opened = http.request({
        method: 'GET',
        url: `${access.server}${path}&watch=true`,
        headers: { accept, ...access.headers },
        tls: access.tls,
        timeoutMs,
      })
      return {
        async take(count) {
          const events: { type: string; object: Body }[] = []
          let rest = ''
          for await (const chunk of (await opened).body) {
            const lines = (rest + chunk.toString('utf8')).split('\n')
            rest = lines.pop() ?? ''
            events.push(...lines.map((line) => JSON.parse(line)))
            if (events.length >= count) break
          }
          return events
        },
      }
    },
    async eventually(holds) {
      await found(holds, settleMs)
    },
    async stop() {
      http.close()
      await access.stop()
    },
  }
}

function parsed(text: string): Body {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // a watch: several documents
  }
}

async function ourServer(): Promise<Access> {
  const doors = { clock: nodeClock, random: nodeRandom, log: silentLog }
  const store = new ObjectStore()
  const registry = new Registry(store, new Catalog(), doors)
  registry.admit(clusterIpAdmission('127.99', () => store.list('/services')))
  const controllers = startControllers(registry, doors)
  const tls = makeCertificate({
    commonName: 'contract',
    addresses: ['127.0.0.1'],
    dnsNames: ['localhost'],
    serial: nodeRandom.bytes(8),
    nowMs: nodeClock.now(),
    validDays: 1,
  })
  const token = nodeRandom.uuid()
  const handle = createApiHandler({ registry, token, readLog: async function* () {} }, doors)
  const http = await listenHttp({ host: '127.0.0.1', port: 0, tls, bodyBytesMax: 1_000_000 }, handle)
  return {
    server: `https://127.0.0.1:${http.address.port}`,
    headers: { authorization: `Bearer ${token}` },
    tls: { ca: tls.cert },
    async stop() {
      controllers.stop()
      await http.close()
    },
  }
}

function serverOf(path: string): Access {
  const { clusters, users } = parse(readFileSync(path, 'utf8'))
  const { cluster } = clusters[0]
  const { user } = users[0]
  const text = (owner: Record<string, string>, key: string) => {
    const data = owner[`${key}-data`]
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
    return owner[key] === undefined ? undefined : readFileSync(owner[key], 'utf8')
  }
  const [ca, cert, key] = [
    text(cluster, 'certificate-authority'),
    text(user, 'client-certificate'),
    text(user, 'client-key'),
  ]
  return {
    server: cluster.server,
    headers: user.token === undefined ? {} : { authorization: `Bearer ${user.token}` },
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
    stop: async () => {},
  }
}
