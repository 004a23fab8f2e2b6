import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { silentLog } from '../base/log.ts'
import { listenHttp, nodeDoors } from '../base/node/index.ts'
import { found } from '../base/testing/eventually.ts'
import type { KubeObject } from './api-server/object.ts'
import type { Resource } from './api-server/resource.ts'
import { type Cluster, startCluster } from './cluster.ts'
import type { Pod, Service } from './workloads/objects.ts'

const doors = { ...nodeDoors(silentLog), listenHttp }
const servicePort = 8000 // ports below 1024 are for root alone

// What runs in the pods: it answers with what a pod can see, and writes down that it began.
const program = `
  import { lookup } from 'node:dns/promises'
  import { createServer } from 'node:http'
  import { appendFileSync, readFileSync } from 'node:fs'
  const [configuration, data] = process.argv.slice(1)
  appendFileSync(data, 'began ')
  console.log('began as', process.env.POD_NAME)
  createServer(async (request, response) => {
    const peer = await lookup('web-0.web-headless.default.svc').catch((error) => ({ address: error.code }))
    const seen = { pid: process.pid, name: process.env.POD_NAME, local: request.socket.localAddress, peer: peer.address,
      configuration: readFileSync(configuration, 'utf8'), data: readFileSync(data, 'utf8') }
    response.end(JSON.stringify(seen))
  }).listen(8080)
`

let folder: string
let cluster: Cluster

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'local-cluster-test-'))
})

afterEach(async () => {
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
})

function start(): Promise<Cluster> {
  const entrypoint = (image: string) =>
    image === 'test/web' ? [process.execPath, '--input-type=module', '-e', program] : undefined
  return startCluster({ folder, port: 0, manifests: [], entrypoint }, doors)
}

function apply(apiVersion: string, kind: string, name: string, fields: object): KubeObject {
  const resource = cluster.registry.catalog.findKind(apiVersion, kind) as Resource
  const object = { apiVersion, kind, metadata: { name }, ...fields }
  return cluster.registry.patch(resource, 'default', name, 'apply', object, { manager: 'test', force: true })
}

function readyPod(name: string): Pod | undefined {
  const pod = cluster.registry.store.get('/pods', 'default', name) as Pod | undefined
  return pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ? pod : undefined
}

function ask(host: string | undefined): Promise<Record<string, unknown> | undefined> {
  return new Promise((resolve) => {
    get({ host, port: servicePort, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part) => parts.push(part))
      response.on('end', () => resolve(JSON.parse(Buffer.concat(parts).toString())))
    }).on('error', () => resolve(undefined))
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function applyWeb(): Service {
  const labels = { app: 'web' }
  const ports = [{ name: 'http', port: servicePort, targetPort: 'http' }]
  apply('v1', 'ConfigMap', 'web', { data: { 'web.conf': 'blue' } })
  apply('v1', 'Service', 'web-headless', { spec: { clusterIP: 'None', selector: labels, ports } })
  apply('apps/v1', 'StatefulSet', 'web', {
    spec: {
      replicas: 1,
      serviceName: 'web-headless',
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'web',
              image: 'test/web',
              args: ['/etc/web/web.conf', '/var/web/$(POD_NAME)'],
              env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
              ports: [{ name: 'http', containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/', port: 'http' } },
              volumeMounts: [
                { name: 'config', mountPath: '/etc/web' },
                { name: 'data', mountPath: '/var/web' },
              ],
            },
          ],
          volumes: [{ name: 'config', configMap: { name: 'web' } }],
        },
      },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { resources: { requests: { storage: '1Gi' } } } }],
    },
  })
  return apply('v1', 'Service', 'web', { spec: { selector: labels, ports } }) as Service
}

test('its node says how large the machine is, of which kubectl describe counts what pods request', async () => {
  cluster = await start()

  const { status } = cluster.registry.store.get('/nodes', undefined, 'local') as { status?: Record<string, unknown> }
  expect(status?.allocatable).toEqual({
    cpu: String(availableParallelism()),
    memory: `${totalmem() / 1024}Ki`,
    pods: '110',
  })
})

test('a pod has an address, a name, its configuration and its volume, and comes back when it dies', async () => {
  cluster = await start()
  const service = applyWeb()
  const pod = await found(() => readyPod('web-0'))
  const first = await found(() => ask(service.spec.clusterIP))
  expect(first).toMatchObject({
    name: 'web-0',
    local: pod.status?.podIP,
    peer: pod.status?.podIP,
    configuration: 'blue',
    data: 'began ',
  })

  process.kill(first.pid as number, 'SIGKILL')
  await found(() => readyPod('web-0')?.status?.containerStatuses?.[0]?.restartCount === 1)
  const second = await found(() => ask(service.spec.clusterIP))
  expect(second).toMatchObject({ name: 'web-0', data: 'began began ' })

  await cluster.stop()
  expect(isAlive(second.pid as number)).toBe(false)
  cluster = await start()
  await found(() => readyPod('web-0'))
  const third = await found(() => ask(service.spec.clusterIP))
  expect(third).toMatchObject({ name: 'web-0', data: 'began began began ' })
}, 30_000)

test('a pod of an image that cannot run here says so, and goes when it is deleted', async () => {
  cluster = await start()
  apply('v1', 'Pod', 'other', { spec: { containers: [{ name: 'c', image: 'nginx' }] } })
  const state = await found(() => {
    const pod = cluster.registry.store.get('/pods', 'default', 'other') as Pod | undefined
    return pod?.status?.containerStatuses?.[0]?.state.waiting?.reason === 'ContainerCreating'
      ? undefined
      : pod?.status?.containerStatuses?.[0]?.state
  })
  expect(state).toMatchObject({ waiting: { reason: 'ErrImageNeverPull', message: expect.stringContaining('nginx') } })

  const pods = cluster.registry.catalog.findKind('v1', 'Pod') as Resource
  cluster.registry.delete(pods, 'default', 'other', {})
  await found(() => cluster.registry.find(pods, 'default', 'other') === undefined)
}, 30_000)

test('how a container ended is in its status, with what it wrote last when it asks for that', async () => {
  cluster = await start()
  const fails = (name: string, more: object) => {
    const command = [process.execPath, '-e', "console.error('no route'); process.exit(3)"]
    apply('v1', 'Pod', name, { spec: { containers: [{ name: 'c', image: 'test/web', command, ...more }] } })
  }
  fails('quiet', {})
  fails('telling', { terminationMessagePolicy: 'FallbackToLogsOnError' })
  const endOf = (name: string) => {
    const pod = cluster.registry.store.get('/pods', 'default', name) as Pod | undefined
    return pod?.status?.containerStatuses?.[0]?.lastState.terminated
  }

  const [telling, quiet] = [await found(() => endOf('telling')), await found(() => endOf('quiet'))]

  expect(telling).toMatchObject({ exitCode: 3, reason: 'Error', message: 'no route\n' })
  expect(quiet).toMatchObject({ exitCode: 3, reason: 'Error' })
  expect(quiet).not.toHaveProperty('message')
}, 30_000)

test('two clusters live side by side, one folder has one', async () => {
  cluster = await start()
  await expect(start()).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  const firstFolder = folder
  folder = mkdtempSync(join(tmpdir(), 'local-cluster-test-'))
  const other = await start()
  expect(other.server).not.toBe(cluster.server)
  await other.stop()
  rmSync(folder, { recursive: true, force: true })
  folder = firstFolder
}, 30_000)
