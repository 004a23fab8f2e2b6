import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../src/base/log.ts'
import { nodeClock, nodeRandom } from '../../src/base/node/index.ts'
import { brokerPort, namesrvPort } from '../../src/controllers/resources.ts'
import { label } from '../../src/crds/index.ts'
import {
  type ConfigMap,
  configMaps,
  Informer,
  type KubeClient,
  keyOf,
  type Pod,
  pods as podType,
  type Service,
  services,
} from '../../src/kube/index.ts'
import type { StartOrder } from './pod-host.ts'

const pollMs = 50

/**
 * In the place of nodes: the NameServers and brokers of pods run, with the runtime's own code and their real configuration,
 * in one process; each listens on an address of its own, a broker on its Service's. Pods that run are said to be ready.
 */
export class Pods {
  readonly #client: KubeClient
  readonly #dir: string
  readonly #host: ChildProcess
  readonly #stop = new AbortController()
  readonly #informers
  readonly #begun = new Set<string>() // by uid
  readonly #started = new Map<string, (error: string | undefined) => void>() // by uid
  #ready = 0
  #addresses = 0

  /** @param dir stores and configurations */
  constructor(client: KubeClient, dir: string) {
    this.#client = client
    this.#dir = dir
    this.#host = fork(join(import.meta.dirname, 'pod-host.ts'), { execArgv: ['--no-warnings'] })
    this.#host.on('message', ({ uid, error }: { uid: string; error?: string }) => this.#started.get(uid)?.(error))
    const doors = { clock: nodeClock, random: nodeRandom, log: silentLog }
    this.#informers = {
      pods: new Informer<Pod>(client, { type: podType }, {}, doors),
      services: new Informer<Service>(client, { type: services }, {}, doors),
      configMaps: new Informer<ConfigMap>(client, { type: configMaps }, {}, doors),
    }
    this.#informers.pods.onChange(({ after }) => {
      const uid = after?.metadata.uid
      if (!after || !uid || this.#begun.has(uid)) return
      this.#begun.add(uid)
      void this.#begin(after).catch((error) => console.error(`${keyOf(after)}: ${error}`))
    })
    for (const informer of Object.values(this.#informers)) void informer.run(this.#stop.signal)
  }

  /** How many pods have become ready. */
  get ready(): number {
    return this.#ready
  }

  get hostPid(): number {
    return this.#host.pid!
  }

  stop(): void {
    this.#stop.abort()
    this.#host.disconnect()
  }

  async #begin(pod: Pod): Promise<void> {
    const { uid = '', labels = {}, namespace = '', name } = pod.metadata
    const isBroker = labels[label.brokerSet] !== undefined
    const ip = isBroker ? await this.#clusterIp(keyOf(pod)) : this.#nextAddress()
    const args = isBroker ? await this.#brokerArgs(pod, ip) : namesrvArgs(this.#dirOf(namespace, name), ip)
    const order: StartOrder = { uid, role: isBroker ? 'broker' : 'namesrv', args }
    const started = new Promise<void>((resolve, reject) => {
      this.#started.set(uid, (error) => (error === undefined ? resolve() : reject(new Error(error))))
    })
    this.#host.send(order)
    await started
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
    const condition = (type: string) => ({ type, status: 'True' as const, lastTransitionTime: now })
    const status = {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      startTime: now,
      conditions: [condition('Ready'), condition('ContainersReady'), condition('PodScheduled')],
    }
    await this.#client.apply(
      podType,
      { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, status } as unknown as Pod,
      'status',
    )
    this.#ready++
  }

  async #brokerArgs({ metadata }: Pod, ip: string): Promise<string[]> {
    const { labels = {}, namespace = '', name } = metadata
    const group = keyOf({ metadata: { namespace, name: `${labels[label.brokerSet]}-${labels[label.group]}` } })
    const conf = await this.#until(() => this.#informers.configMaps.cache.get(group)?.data?.[`${name}.conf`])
    const dir = this.#dirOf(namespace, name)
    writeFileSync(join(dir, 'broker.conf'), conf)
    // in a cluster the name of a Service stands for the NameServers: here it is looked up by hand
    const service = /^namesrvAddr=(.+?)\..*$/m.exec(conf)![1]!
    const nameServer = service.replace(/-headless$/, '')
    const namesrvAddr = await this.#until(() => {
      const found = [...this.#informers.pods.cache.all()].filter(
        (pod) => pod.metadata.namespace === namespace && pod.metadata.labels?.[label.nameServer] === nameServer,
      )
      const ips = found.flatMap(({ status }) => status?.podIP ?? [])
      return ips.length > 0 && ips.length === found.length
        ? ips.map((one) => `${one}:${namesrvPort}`).join(';')
        : undefined
    })
    return [
      '-c',
      join(dir, 'broker.conf'),
      ...set({ storePathRootDir: join(dir, 'store'), bindAddress: ip, listenPort: brokerPort, namesrvAddr }),
    ]
  }

  /** A pod has its volumes for itself. */
  #dirOf(namespace: string, name: string): string {
    const dir = join(this.#dir, namespace, name)
    mkdirSync(dir, { recursive: true })
    return dir
  }

  #clusterIp(key: string): Promise<string> {
    return this.#until(() => this.#informers.services.cache.get(key)?.spec?.clusterIP)
  }

  #nextAddress(): string {
    const index = ++this.#addresses
    return `127.98.${index >> 8}.${index & 255}`
  }

  async #until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      this.#stop.signal.throwIfAborted()
      const found = look()
      if (found !== undefined) return found
      await sleep(pollMs)
    }
  }
}

function namesrvArgs(dir: string, ip: string): string[] {
  const kvConfigPath = join(dir, 'kvConfig.json')
  const configStorePath = join(dir, 'namesrv.properties')
  return set({ bindAddress: ip, listenPort: namesrvPort, kvConfigPath, configStorePath })
}

function set(settings: Record<string, string | number>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
}
