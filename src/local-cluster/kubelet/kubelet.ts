import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { isEqual, type KubeObject, objectAt, refusal } from '../api-server/object.ts'
import type { Registry } from '../api-server/registry.ts'
import type { Resource } from '../api-server/resource.ts'
import type { LogOptions } from '../api-server/server.ts'
import type { Change } from '../api-server/store.ts'
import type { Pod, Service } from '../workloads/objects.ts'
import type { ReadData } from './environment.ts'
import { readLog, tail } from './logs.ts'
import { PodRunner } from './pod-runner.ts'
import { ServiceProxy } from './service-proxy.ts'

export interface KubeletOptions {
  /** The cluster's part of the loopback network: `127.42` stands for 127.42.0.0/16. */
  prefix: string
  /** The cluster's DNS server, `host:port`. */
  dnsServer: string
  /** Absolute; pods, volumes and logs go below it. */
  folder: string
  /** The command that an image stands for; undefined for an image that this cluster cannot run. */
  entrypoint(image: string): string[] | undefined
}

export interface Kubelet {
  readLog(pod: KubeObject, options: LogOptions, signal: AbortSignal): AsyncGenerator<Buffer>
  /** Ends all pods' processes; they stay in the store and start again with the next kubelet. */
  stop(graceMs: number): Promise<void>
  /** Ends all processes at once, for the way out. */
  killNow(): void
}

export const nodeName = 'local'
const manager = 'kubelet'
const podsMax = 200 * 255 // addresses; they are given out in turn, so that one is not reused soon
const retryMs = 200

/** Runs the pods of a registry as processes of this machine, each with a loopback address of its own. */
export function startKubelet(
  registry: Registry,
  { prefix, dnsServer, folder, entrypoint }: KubeletOptions,
  doors: { clock: Clock; log: Log },
): Kubelet {
  const { clock, log } = doors
  const kind = (plural: string) => registry.catalog.find('', 'v1', plural) as Resource
  const podKind = kind('pods')
  const runners = new Map<string, PodRunner>() // by uid
  const stopping = new Set<string>()
  let lastAddress = 0
  let isStopped = false
  const listPods = () => registry.store.list('/pods') as Pod[]
  const listServices = () => registry.store.list('/services') as Service[]

  const proxy = new ServiceProxy(listPods, log)

  function freeAddress(): string {
    const used = new Set([...runners.values()].map(({ ip }) => ip))
    for (let tries = 0; tries < podsMax; tries++) {
      lastAddress = (lastAddress % podsMax) + 1
      const ip = `${prefix}.${16 + Math.floor((lastAddress - 1) / 254)}.${1 + ((lastAddress - 1) % 254)}`
      if (!used.has(ip)) return ip
    }
    throw refusal(500, 'InternalError', 'no free pod address')
  }

  function readData(namespace: string | undefined): ReadData {
    return (dataKind, name) => {
      const object = registry.store.get(dataKind === 'secret' ? '/secrets' : '/configmaps', namespace, name)
      if (object === undefined) return undefined
      const encoded = objectAt(dataKind === 'secret' ? object.data : object.binaryData)
      const plain = dataKind === 'secret' ? {} : objectAt(object.data)
      return Object.fromEntries([
        ...Object.entries(plain).map(([key, text]) => [key, Buffer.from(String(text))]),
        ...Object.entries(encoded).map(([key, text]) => [key, Buffer.from(String(text), 'base64')]),
      ])
    }
  }

  function claimFolder(namespace: string | undefined, name: string): string | undefined {
    const claim = registry.store.get('/persistentvolumeclaims', namespace, name)
    const volume = objectAt(claim?.spec).volumeName
    return typeof volume === 'string' ? join(folder, 'volumes', volume) : undefined
  }

  function begin(pod: Pod): void {
    const { name, namespace, uid } = pod.metadata
    const place = `${namespace}_${name}_${uid}`
    if (pod.spec.nodeName === undefined) {
      const spec = { ...pod.spec, nodeName }
      return void registry.update(podKind, namespace, { ...pod, spec }, { manager: 'scheduler' }) // comes back as a change
    }
    const runner = new PodRunner({
      pod,
      ip: freeAddress(),
      folders: { pod: join(folder, 'pods', place), claim: (claim) => claimFolder(namespace, claim) },
      logFolder: join(folder, 'logs', place),
      compileCache: join(folder, 'compile-cache'),
      dnsServer,
      read: readData(namespace),
      entrypoint,
      changed: () => publish(uid),
      clock,
    })
    runners.set(uid, runner)
    runner.start()
    log.info({ kind: 'Pod', namespace, name, podIP: runner.ip }, 'pod started')
  }

  /** Writes the runner's status into the pod, unless that is how it is there already. */
  function publish(uid: string): void {
    const runner = runners.get(uid)
    if (runner === undefined || isStopped) return
    const { name, namespace } = runner.pod.metadata
    const pod = registry.find(podKind, namespace, name)
    if (pod?.metadata.uid !== uid) return
    const { status } = runner
    if (!isEqual(pod.status, status))
      registry.update(podKind, namespace, { ...pod, status }, { manager, subresource: 'status' })
  }

  async function end(pod: Pod): Promise<void> {
    const { name, namespace, uid, deletionGracePeriodSeconds = 30 } = pod.metadata
    if (stopping.has(uid)) return
    stopping.add(uid)
    const runner = runners.get(uid)
    await runner?.stop(deletionGracePeriodSeconds * 1000)
    if (isStopped) return
    runners.delete(uid)
    stopping.delete(uid)
    runner?.removeFolders()
    if (registry.find(podKind, namespace, name)?.metadata.uid === uid) {
      registry.delete(podKind, namespace, name, { gracePeriodSeconds: 0, preconditions: { uid } })
      // A finalizer may hold the object; without a runner it is not stopped again.
    }
    log.info({ kind: 'Pod', namespace, name }, 'pod ended')
  }

  function sync(): void {
    const pods = listPods()
    const uids = new Set(pods.map(({ metadata }) => metadata.uid))
    for (const pod of pods) {
      const { uid, deletionTimestamp } = pod.metadata
      const isOver = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
      if (deletionTimestamp !== undefined) {
        if (runners.has(uid) || !isReleasedByUs(pod)) void end(pod).catch(failed)
      } else if (!runners.has(uid) && !isOver) begin(pod)
    }
    for (const [uid, runner] of runners) {
      if (!uids.has(uid) && !stopping.has(uid))
        void end({ ...runner.pod, metadata: { ...runner.pod.metadata, deletionGracePeriodSeconds: 0 } }).catch(failed)
    }
    proxy.sync(listServices())
  }

  /** A deleted pod that only finalizers of others hold. */
  function isReleasedByUs({ metadata }: Pod): boolean {
    return metadata.deletionGracePeriodSeconds === 0 && (metadata.finalizers?.length ?? 0) > 0
  }

  function failed(error: unknown): void {
    log.error({ err: error }, 'kubelet pass failed')
    retry ??= clock.after(retryMs, () => {
      retry = undefined
      schedule()
    })
  }
  let retry: Timer | undefined
  let isScheduled = false
  const schedule = () => {
    if (isScheduled || isStopped) return
    isScheduled = true
    clock.endOfTurn(() => {
      isScheduled = false
      if (isStopped) return
      try {
        sync()
      } catch (error) {
        failed(error)
      }
    })
  }
  const onChange = ({ collection, type, object }: Change) => {
    if (collection === '/pods' || collection === '/services') schedule()
    if (collection === '/persistentvolumeclaims' && type === 'DELETED') {
      const volume = objectAt(object.spec).volumeName
      if (typeof volume === 'string') fs.rmSync(join(folder, 'volumes', volume), { recursive: true, force: true })
    }
    // A pod that waits for a ConfigMap, Secret or claim looks again by itself.
  }
  const stopListening = registry.store.listen(onChange)
  clearLeftovers(folder, new Set(listPods().map(({ metadata }) => metadata.uid)))
  schedule()

  return {
    async *readLog(pod, { container: wanted, follow, previous, tailLines, limitBytes }, signal) {
      const names = (pod as Pod).spec.containers.map(({ name }) => name)
      const runner = runners.get(pod.metadata.uid)
      const container = runner?.container(wanted)
      if (container === undefined && (wanted === undefined ? names.length > 1 : !names.includes(wanted)))
        throw refusal(
          400,
          'BadRequest',
          wanted === undefined
            ? `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names.join(' ')}]`
            : `container ${wanted} is not valid for pod ${pod.metadata.name}`,
        )
      const cut = (chunk: Buffer) => (limitBytes === undefined ? chunk : chunk.subarray(0, limitBytes))
      if (container === undefined) return
      if (container.log === undefined || previous) return void (yield cut(tail(readLog(container.logPath), tailLines)))
      for await (const chunk of container.log.read({ tailLines, follow }, signal)) yield cut(chunk)
    },
    async stop(graceMs) {
      isStopped = true
      stopListening()
      retry?.cancel()
      proxy.close()
      await Promise.all([...runners.values()].map((runner) => runner.stop(graceMs)))
    },
    killNow() {
      for (const runner of runners.values()) runner.killNow()
    },
  }
}

/** Folders of pods that went while no kubelet ran. */
function clearLeftovers(folder: string, uids: ReadonlySet<string>): void {
  for (const kind of ['pods', 'logs']) {
    const parent = join(folder, kind)
    if (!fs.existsSync(parent)) continue
    for (const name of fs.readdirSync(parent)) {
      if (!uids.has(name.split('_').at(-1) ?? '')) fs.rmSync(join(parent, name), { recursive: true, force: true })
    }
  }
}
