import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import type { Doors } from '../base/doors.ts'
import { isOperatingError, OperatingError } from '../base/errors.ts'
import type { HttpListen } from '../base/http.ts'
import { Catalog } from './api-server/catalog.ts'
import { copyOf, type KubeObject, timestamp } from './api-server/object.ts'
import { Registry } from './api-server/registry.ts'
import type { Resource } from './api-server/resource.ts'
import { createApiHandler } from './api-server/server.ts'
import { ObjectStore, type Snapshot } from './api-server/store.ts'
import { makeCertificate } from './certificate.ts'
import { addressesOf } from './kubelet/cluster-names.ts'
import { startDnsServer } from './kubelet/dns-server.ts'
import { nodeName, startKubelet } from './kubelet/kubelet.ts'
import { machineOf } from './kubelet/machine.ts'
import { startControllers } from './workloads/controllers.ts'
import type { Pod, Service } from './workloads/objects.ts'
import { clusterIpAdmission } from './workloads/services.ts'

export interface ClusterOptions {
  /** Absolute: everything that the cluster keeps. One cluster at a time. */
  folder: string
  /** Of the API server; another free one is taken when it is in use. */
  port: number
  /** Manifests that are applied at every start, each a YAML text. */
  manifests: readonly string[]
  /** The command that an image stands for; undefined for an image that this cluster cannot run. */
  entrypoint(image: string): string[] | undefined
}

export interface Cluster {
  registry: Registry
  server: string
  kubeconfig: string // the file's path
  stop(): Promise<void>
  /** Ends all processes at once, for the way out. */
  killNow(): void
}

const manager = 'local-cluster'
const saveDelayMs = 1_000
const podGraceMs = 8_000 // at the end of the cluster; a broker writes its checkpoint in well under that
const bodyBytesMax = 3 * 1024 * 1024 // kube-apiserver's limit
const certificateDays = 365
const dnsPort = 10_053 // not 53, that takes root; not 5353, where desktops listen on all addresses
const rangeFirst = 64 // 127.64.0.0/16 to 127.254.0.0/16: one cluster each
const rangeLast = 254

/**
 * Starts a Kubernetes of one node: API server, controllers, kubelet.
 * @throws OperatingError STORE_LOCKED when a cluster runs in this folder already, LISTEN_FAILED
 */
export async function startCluster(
  options: ClusterOptions,
  doors: Doors & { listenHttp: HttpListen },
): Promise<Cluster> {
  const { folder } = options
  const { clock, files, log, random } = doors
  files.makeDirectory(folder)
  const lock = files.lock(join(folder, 'lock'))
  if (lock === undefined) throw new OperatingError('STORE_LOCKED', { folder })

  const undo: (() => unknown)[] = [() => lock.release()]
  try {
    const saved = readSnapshot(doors, join(folder, 'objects.json'))
    let resolve: (name: string) => string[] | undefined = () => undefined
    const { prefix, dns } = await claimRange(saved?.prefix, (name) => resolve(name))
    undo.push(() => dns.close())

    const store = new ObjectStore(saved === undefined ? undefined : moved(saved, prefix))
    const registry = new Registry(store, new Catalog(), { clock, random })
    registry.admit(clusterIpAdmission(prefix, () => store.list('/services')))
    resolve = (name) => addressesOf(name, store.list('/services') as Service[], store.list('/pods') as Pod[])
    bootstrap(registry, options.manifests, timestamp(clock.now()))

    const kubelet = startKubelet(
      registry,
      { prefix, dnsServer: `${prefix}.0.10:${dnsPort}`, folder: join(folder, 'node'), entrypoint: options.entrypoint },
      { clock, log: log.with({ component: 'kubelet' }) },
    )
    undo.push(() => kubelet.stop(podGraceMs))
    const controllers = startControllers(registry, { clock, log: log.with({ component: 'controllers' }) })
    undo.push(() => controllers.stop())

    const token = tokenIn(doors, join(folder, 'token'))
    const host = `${prefix}.0.1`
    const tls = makeCertificate({
      commonName: 'rocketmq-local',
      addresses: [host],
      dnsNames: ['kubernetes', 'localhost'],
      serial: random.bytes(12),
      nowMs: clock.now(),
      validDays: certificateDays,
    })
    const handle = createApiHandler({ registry, token, readLog: kubelet.readLog }, { clock, log })
    const listen = (port: number) => doors.listenHttp({ host, port, tls, bodyBytesMax }, handle)
    const http = await listen(options.port).catch((error) => {
      if (isOperatingError(error, 'LISTEN_FAILED')) return listen(0)
      throw error
    })
    undo.push(() => http.close())
    const server = `https://${host}:${http.address.port}`
    const kubeconfig = join(folder, 'kubeconfig')
    files.writeText(kubeconfig, kubeconfigText(server, tls.cert, token))

    const saving = keepSaved(store, prefix, join(folder, 'objects.json'), doors)
    undo.push(() => saving.stop())
    log.info({ server, kubeconfig }, 'local cluster started')
    return {
      registry,
      server,
      kubeconfig,
      killNow: () => kubelet.killNow(),
      async stop() {
        for (const step of undo.reverse()) await step()
        log.info({ server }, 'local cluster stopped')
      },
    }
  } catch (error) {
    for (const step of undo.reverse()) await step()
    throw error
  }
}

interface SavedCluster extends Snapshot {
  prefix: string
}

function readSnapshot({ files, log }: Doors, path: string): SavedCluster | undefined {
  if (!files.exists(path)) return undefined
  try {
    return JSON.parse(files.readText(path)) as SavedCluster
  } catch (error) {
    files.rename(path, `${path}.broken`) // written whole or not at all, so this is a disk's or a person's doing
    log.error({ path, err: error }, 'saved objects are unreadable, starting without them')
    return undefined
  }
}

/** A saved cluster on another range: Services get new addresses, pods get theirs when they start. */
function moved(saved: SavedCluster, prefix: string): Snapshot {
  if (saved.prefix === prefix) return saved
  const services = (saved.collections['/services'] ?? []).map((object) => {
    const service = copyOf(object) as Service
    if (service.spec.clusterIP === undefined || service.spec.clusterIP === 'None') return service
    service.spec.clusterIP = service.spec.clusterIP.replace(/^127\.\d+/, prefix)
    service.spec.clusterIPs = [service.spec.clusterIP]
    return service
  })
  return { ...saved, collections: { ...saved.collections, '/services': services } }
}

/**
 * Takes a /16 of the loopback network. Its DNS server's address is the claim: the kernel gives it to one process only,
 * whoever's that is.
 */
async function claimRange(preferred: string | undefined, resolve: (name: string) => string[] | undefined) {
  const prefixes = Array.from({ length: rangeLast - rangeFirst + 1 }, (_, index) => `127.${rangeFirst + index}`)
  let failure: unknown
  for (const prefix of preferred === undefined ? prefixes : [preferred, ...prefixes]) {
    try {
      return { prefix, dns: await startDnsServer(`${prefix}.0.10`, dnsPort, resolve) }
    } catch (error) {
      if (!isOperatingError(error, 'LISTEN_FAILED')) throw error
      failure = error
    }
  }
  throw failure
}

function tokenIn({ files, random }: Doors, path: string): string {
  if (!files.exists(path)) files.writeText(path, random.bytes(32).toString('base64url'))
  return files.readText(path)
}

/** What every cluster has, and the manifests. */
function bootstrap(registry: Registry, manifests: readonly string[], now: string): void {
  const kind = (plural: string) => registry.catalog.find('', 'v1', plural) as Resource
  const ensure = (resource: Resource, object: object) =>
    registry.patch(resource, undefined, (object as KubeObject).metadata.name, 'apply', object, { manager, force: true })
  for (const name of ['default', 'kube-system']) ensure(kind('namespaces'), { metadata: { name } })
  const { capacity, system } = machineOf()
  const labels = {
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': system.operatingSystem,
    'kubernetes.io/arch': system.architecture,
  }
  const node = { metadata: { name: nodeName, labels } }
  ensure(kind('nodes'), node)
  const since = { lastTransitionTime: now, lastHeartbeatTime: now }
  const status = {
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is ready', ...since }],
    capacity,
    allocatable: capacity,
    nodeInfo: { ...system, kubeletVersion: 'v1.34.0+rocketmq-local' },
    addresses: [{ type: 'Hostname', address: nodeName }],
  }
  registry.patch(kind('nodes'), undefined, nodeName, 'merge', { status }, { manager, subresource: 'status' })
  for (const manifest of manifests) {
    for (const document of parseAllDocuments(manifest)) {
      const object = document.toJS() as KubeObject | null
      if (object === null) continue
      const resource = registry.catalog.findKind(object.apiVersion, object.kind)
      if (resource === undefined)
        throw new OperatingError('KUBE_REFUSED', { apiVersion: object.apiVersion, kind: object.kind })
      const { name, namespace } = object.metadata
      registry.patch(resource, namespace, name, 'apply', object, { manager, force: true })
    }
  }
}

function keepSaved(store: ObjectStore, prefix: string, path: string, { clock, files, log }: Doors): { stop(): void } {
  let isWaiting = false
  const save = () => {
    isWaiting = false
    files.writeText(path, JSON.stringify({ prefix, ...store.snapshot() }))
  }
  const stop = store.listen(() => {
    if (isWaiting) return
    isWaiting = true
    clock.after(saveDelayMs, () => {
      if (!isWaiting) return
      try {
        save()
      } catch (error) {
        log.error({ err: error }, 'objects not saved') // the next change tries again
      }
    })
  })
  save()
  return {
    stop() {
      stop()
      save()
    },
  }
}

/** The kubeconfig of the one user there is. */
function kubeconfigText(server: string, certificate: string, token: string): string {
  const name = 'rocketmq-local'
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  })
}
