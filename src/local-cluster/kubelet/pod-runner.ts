import * as fs from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Clock } from '../../base/clock.ts'
import { makeDirectory } from '../../base/node/index.ts'
import { timestamp } from '../api-server/object.ts'
import type { Condition, Container, Pod, PodStatus } from '../workloads/objects.ts'
import { type Command, ContainerRunner } from './container.ts'
import { ConfigurationProblem, expand, mapPaths, type ReadData, variablesOf } from './environment.ts'
import { makeVolumes, mountsOf, type VolumeFolders } from './volumes.ts'

export interface PodOptions {
  pod: Pod
  ip: string
  folders: VolumeFolders
  logFolder: string
  compileCache: string
  dnsServer: string
  read: ReadData
  /** The command that an image stands for; undefined for an image that this cluster cannot run. */
  entrypoint(image: string): string[] | undefined
  changed(): void
  clock: Clock
}

const preload = pathToFileURL(join(import.meta.dirname, 'pod-preload.ts')).href

/** A pod: its folders, its containers and the status that they add up to. */
export class PodRunner {
  readonly pod: Pod
  readonly ip: string
  readonly #options: PodOptions
  readonly #containers: ContainerRunner[]
  readonly #startTime: string
  #conditions: Condition[]

  constructor(options: PodOptions) {
    const { pod, ip, logFolder, clock } = options
    this.pod = pod
    this.ip = ip
    this.#options = options
    this.#startTime = timestamp(clock.now())
    this.#conditions = pod.status?.conditions ?? []
    this.#containers = pod.spec.containers.map((container) => {
      const before = pod.status?.containerStatuses?.find(({ name }) => name === container.name)
      const command = () => this.#commandOf(container)
      return new ContainerRunner({ pod, container, ip, logFolder, before, command, changed: options.changed, clock })
    })
  }

  start(): void {
    for (const container of this.#containers) container.start()
  }

  async stop(graceMs: number): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)))
  }

  killNow(): void {
    for (const container of this.#containers) container.killNow()
  }

  /** Removes what belongs to the pod alone; volumes of claims stay. */
  removeFolders(): void {
    fs.rmSync(this.#options.folders.pod, { recursive: true, force: true })
    fs.rmSync(this.#options.logFolder, { recursive: true, force: true })
  }

  /** undefined: the only container. */
  container(name: string | undefined): ContainerRunner | undefined {
    if (name === undefined) return this.#containers.length === 1 ? this.#containers[0] : undefined
    return this.#containers.find((container) => container.name === name)
  }

  get status(): PodStatus {
    const containerStatuses = this.#containers.map(({ status }) => status)
    const isReady = containerStatuses.every(({ ready }) => ready)
    const ended = containerStatuses.map(({ state }) => state.terminated)
    const isOver = ended.every((end) => end !== undefined)
    const isRunning = containerStatuses.some(({ state, lastState }) => state.running ?? lastState.terminated)
    const unready = containerStatuses.filter(({ ready }) => !ready).map(({ name }) => name)
    const why = isReady
      ? {}
      : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` }
    this.#conditions = (['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'] as const).map((type) => {
      const holds = type === 'PodScheduled' || type === 'Initialized' || isReady
      return this.#condition({ type, status: holds ? 'True' : 'False', ...(holds ? {} : why) })
    })
    return {
      phase: isOver
        ? ended.every((end) => end?.exitCode === 0)
          ? 'Succeeded'
          : 'Failed'
        : isRunning
          ? 'Running'
          : 'Pending',
      conditions: this.#conditions,
      hostIP: '127.0.0.1',
      hostIPs: [{ ip: '127.0.0.1' }],
      podIP: this.ip,
      podIPs: [{ ip: this.ip }],
      startTime: this.#startTime,
      containerStatuses,
      qosClass: 'BestEffort',
    }
  }

  #condition(condition: Condition): Condition {
    const before = this.#conditions.find(({ type }) => type === condition.type)
    const isSame = before?.status === condition.status && before.lastTransitionTime !== undefined
    const since = isSame ? before.lastTransitionTime : timestamp(this.#options.clock.now())
    return { ...condition, ...(since !== undefined && { lastTransitionTime: since }) }
  }

  #commandOf(container: Container): Command {
    const { entrypoint, folders, read, dnsServer, compileCache } = this.#options
    if ((this.pod.spec.initContainers ?? []).length > 0)
      throw new ConfigurationProblem('the local cluster does not run init containers')
    for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe])
      if (probe?.exec !== undefined) throw new ConfigurationProblem('the local cluster does not run exec probes')
    const image = entrypoint(container.image)
    if (image === undefined)
      throw new ConfigurationProblem(`image "${container.image}" is not one that the local cluster can run`)
    const pod = {
      ...this.pod,
      status: { ...this.pod.status, podIP: this.ip, podIPs: [{ ip: this.ip }], hostIP: '127.0.0.1' },
    }
    const variables = variablesOf(pod, container, read)
    const mounts = mountsOf(container, makeVolumes(this.pod, folders, read))
    const located = (text: string) => mapPaths(expand(text, variables), mounts)
    const words = [...(container.command?.map(located) ?? image), ...(container.args ?? []).map(located)]
    const [file = process.execPath, ...args] = words
    makeDirectory(folders.pod, 0o700)
    const mapped = Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, mapPaths(value, mounts)]))
    const temporary = mounts.find(({ mountPath }) => mountPath === '/tmp')?.folder
    return {
      file,
      args,
      cwd: container.workingDir === undefined ? folders.pod : mapPaths(container.workingDir, mounts),
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folders.pod,
        HOSTNAME: this.pod.spec.hostname ?? this.pod.metadata.name,
        ...(temporary !== undefined && { TMPDIR: temporary }),
        ...mapped,
        NODE_OPTIONS: `${mapped.NODE_OPTIONS ?? ''} --import=${preload}`.trim(),
        NODE_COMPILE_CACHE: compileCache,
        LOCAL_CLUSTER_POD_IP: this.ip,
        LOCAL_CLUSTER_DNS: dnsServer,
        LOCAL_CLUSTER_NAMESPACE: this.pod.metadata.namespace ?? 'default',
      },
    }
  }
}
