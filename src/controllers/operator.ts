import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import type { Doors } from '../base/doors.ts'
import { messageOf } from '../base/errors.ts'
import {
  annotation,
  brokerSetSpec,
  consumerGroupSpec,
  label,
  nameServerSpec,
  operatorName,
  topicSpec,
} from '../crds/index.ts'
import {
  controllerOf,
  EventRecorder,
  isNamespaceGoing,
  isRefused,
  type KubeClient,
  type KubeObject,
  keyOf,
  type Resource,
  type ResourceType,
  WorkQueue,
} from '../kube/index.ts'
import type { MqAdmin } from './admin.ts'
import { DiskUse } from './brokerset/disk-use.ts'
import { reconcileBrokerSet } from './brokerset/reconcile.ts'
import { SettledBrokers } from './brokerset/settled.ts'
import { readiness } from './conditions.ts'
import { reconcileConsumerGroup } from './consumergroup/reconcile.ts'
import { Resets } from './consumergroup/reset.ts'
import { hasFinalizer, keepFinalizer } from './finalizer.ts'
import type { OperatorMetrics } from './metrics.ts'
import { reconcileNameServer } from './nameserver/reconcile.ts'
import { writeStatus } from './perform.ts'
import { targetKey } from './references.ts'
import {
  type BrokerSet,
  brokerSets,
  type ConsumerGroup,
  consumerGroups,
  nameServers,
  type Topic,
  topics,
} from './resources.ts'
import type { Reconcile, Shell } from './shell.ts'
import { reconcileTopic } from './topic/reconcile.ts'
import { claimOf, type Sight, World } from './world.ts'

const workers = 4 // of a kind whose passes do much
/** Of a kind whose passes do little but wait: for brokers, which take what comes meanwhile in one request, and the API server. */
const manyWorkers = 32
const passTimeoutMs = 60_000
/** A pass that has not ended by then, long after it was asked to, does not: only another process has its worker back. */
const stuckPassMs = 10 * passTimeoutMs

export interface OperatorOptions {
  client: KubeClient
  admin: MqAdmin
  /** [] means all of them. */
  namespaces: readonly string[]
  /** Whether it may list and watch Namespaces: their labels decide who may refer to another one. */
  readsNamespaces?: boolean
  runtimeImage: string
  metrics: OperatorMetrics
}

/** Keeps every NameServer, BrokerSet, Topic and ConsumerGroup as its resource says, until it is stopped. */
export class Operator {
  readonly #options: OperatorOptions
  readonly #doors: Pick<Doors, 'clock' | 'random' | 'log'>
  readonly #world: World
  readonly #recorder: EventRecorder
  readonly #resets = new Resets()
  readonly #settledBrokers: SettledBrokers
  readonly #diskUse: DiskUse
  readonly #queues: Record<'nameServers' | 'brokerSets' | 'topics' | 'consumerGroups', WorkQueue>
  readonly #stop = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #leads = false
  #isStopping = false

  constructor(options: OperatorOptions, doors: Pick<Doors, 'clock' | 'random' | 'log'>) {
    this.#options = options
    this.#doors = doors
    this.#world = new World(options.client, options.namespaces, doors, options.readsNamespaces)
    this.#settledBrokers = new SettledBrokers(doors.clock)
    this.#diskUse = new DiskUse(options.admin, doors)
    this.#recorder = new EventRecorder(options.client, operatorName, doors)
    const world = this.#world
    this.#queues = {
      nameServers: this.#queueOf(world.nameServers, nameServerSpec, reconcileNameServer),
      brokerSets: this.#queueOf(world.brokerSets, brokerSetSpec, reconcileBrokerSet),
      topics: this.#queueOf(world.topics, topicSpec, reconcileTopic, manyWorkers),
      consumerGroups: this.#queueOf(world.consumerGroups, consumerGroupSpec, reconcileConsumerGroup, manyWorkers),
    }
    this.#wakeOnChanges()
  }

  /** Follows the API server; resolves when everything has been seen once. Nothing is done yet: see lead. */
  async follow(): Promise<void> {
    this.#running = this.#world.run(this.#stop.signal)
    await this.#world.synced
  }

  /** Begins to work. Everything gets a pass; what changes meanwhile goes before the rest. */
  lead(): void {
    this.#leads = true
    const world = this.#world
    for (const { metadata } of world.nameServers.all()) this.#queues.nameServers.add(keyOf({ metadata }), 'resync')
    for (const { metadata } of world.brokerSets.all()) this.#queues.brokerSets.add(keyOf({ metadata }), 'resync')
    for (const { metadata } of world.topics.all()) this.#queues.topics.add(keyOf({ metadata }), 'resync')
    for (const { metadata } of world.consumerGroups.all()) {
      this.#queues.consumerGroups.add(keyOf({ metadata }), 'resync')
    }
  }

  /** Kinds that the API server has not shown yet; [] when the operator is at work. */
  get missing(): string[] {
    return this.#world.missing
  }

  /** Which pass does not end; undefined: all do. */
  get stuck(): string | undefined {
    for (const [kind, { longestPass }] of Object.entries(this.#queues)) {
      if (longestPass === undefined || longestPass.elapsedMs < stuckPassMs) continue
      return `${kind} ${longestPass.key}: its pass has not ended for ${Math.round(longestPass.elapsedMs / 1000)} s`
    }
    return undefined
  }

  /** Ends passes under way and watches. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(Object.values(this.#queues).map((queue) => queue.stop()))
    this.#stop.abort()
    await this.#running
  }

  #queueOf<Spec, Status extends object>(
    sight: Sight<Resource<Spec, Status>>,
    schema: z.ZodType<Spec>,
    reconcile: Reconcile<Resource<Spec, Status>>,
    workerCount = workers,
  ): WorkQueue {
    const { kind } = sight.type
    const log = this.#doors.log.with({ component: 'controller', kind })
    const { metrics } = this.#options
    const queue: WorkQueue = new WorkQueue(
      {
        workers: workerCount,
        passTimeoutMs,
        work: async (key, signal) => {
          const resource = sight.get(key)
          if (this.#world.missing.length > 0) return { againAfterMs: 200 } // half a world leads to wrong plans
          if (!resource) {
            queue.forget(key)
            return { againAfterMs: undefined }
          }
          const shell = this.#shellFor(resource, signal)
          const parsed = schema.safeParse(resource.spec)
          if (!parsed.success) {
            if (resource.metadata.deletionTimestamp !== undefined) await this.#letGo(sight.type, resource, shell)
            else await this.#sayInvalid(sight, resource, parsed.error, shell)
            return { againAfterMs: undefined }
          }
          const { recheckAfterMs } = await reconcile({ ...resource, spec: parsed.data }, shell)
          return { againAfterMs: recheckAfterMs }
        },
        done: (key, elapsedMs, failure) => {
          metrics.pass(kind, elapsedMs, failure !== undefined)
          const fields = { name: key, elapsedMs: Math.round(elapsedMs) }
          if (failure === undefined) log.debug(fields, 'pass done')
          else if (isNamespaceGoing(failure)) log.debug(fields, 'the namespace is being deleted')
          else if (isRefused(failure, 409)) log.debug(fields, 'the resource changed meanwhile, looking again')
          else if (!this.#isStopping) log.warn({ ...fields, err: messageOf(failure) }, 'pass failed, trying again')
        },
      },
      this.#doors,
    )
    metrics.watchQueue(kind, () => queue.depth)
    return queue
  }

  #shellFor(resource: KubeObject, signal: AbortSignal): Shell {
    const { client, admin, runtimeImage } = this.#options
    const { name, namespace } = resource.metadata
    const log = this.#doors.log.with({ component: 'controller', kind: resource.kind, namespace, name })
    return {
      client,
      world: this.#world,
      admin,
      recorder: this.#recorder,
      resets: this.#resets,
      settledBrokers: this.#settledBrokers,
      diskUse: this.#diskUse,
      clock: this.#doors.clock,
      log,
      runtimeImage,
      signal,
    }
  }

  /** A spec that the schema of this version does not take: made by another version's definitions. */
  async #sayInvalid<Spec, Status extends object>(
    sight: Sight<Resource<Spec, Status>>,
    resource: Resource<Spec, Status>,
    error: z.ZodError,
    shell: Shell,
  ): Promise<void> {
    const [issue] = error.issues
    const message = `spec.${issue?.path.join('.')}: ${issue?.message}`
    const verdicts = readiness({ status: 'False', reason: 'InvalidSpec', message, isStalled: true })
    const report = { status: resource.status ?? ({} as Status), verdicts, notes: [] }
    await writeStatus(sight.type, resource, report, shell, { isExact: true }) // it says again what it read
  }

  /** Nobody can tell what its deletion was to do at the brokers; it must not hang for that. */
  async #letGo(type: ResourceType, resource: KubeObject, shell: Shell): Promise<void> {
    if (!hasFinalizer(resource)) return
    const message = 'its spec is not one of this version: what brokers have of it stays there'
    shell.recorder.record(resource, { type: 'Warning', reason: 'Orphaned', message })
    await keepFinalizer(type, resource, false, shell)
  }

  /** Whatever changes wakes those whose plan may depend on it, once this operator leads. */
  #wakeOnChanges(): void {
    const world = this.#world
    const waker = (queue: WorkQueue) => ({ add: (key: string) => void (this.#leads && queue.add(key)) })
    const queues = {
      nameServers: waker(this.#queues.nameServers),
      brokerSets: waker(this.#queues.brokerSets),
      topics: waker(this.#queues.topics),
      consumerGroups: waker(this.#queues.consumerGroups),
    }
    const byKind: Record<string, { add(key: string): void }> = {
      [nameServers.kind]: queues.nameServers,
      [brokerSets.kind]: queues.brokerSets,
      [topics.kind]: queues.topics,
      [consumerGroups.kind]: queues.consumerGroups,
    }
    world.nameServers.onChange(({ before, after }) => {
      const key = keyOf((after ?? before) as KubeObject)
      if (asksForMore(before, after)) queues.nameServers.add(key)
      for (const dependent of world.brokerSets.by('nameServer', key)) queues.brokerSets.add(keyOf(dependent))
    })
    world.brokerSets.onChange(({ before, after }) => {
      const key = keyOf((after ?? before) as KubeObject)
      if (asksForMore(before, after)) queues.brokerSets.add(key)
      // it may sleep when all of them do, and says who has registered there
      for (const one of [before, after]) {
        const ref = one?.spec?.nameServerRef
        if (one && ref?.name !== undefined) queues.nameServers.add(targetKey(one, ref))
      }
      if (!concernsDeclared(before, after)) return
      for (const dependent of world.topics.by('brokerSet', key)) queues.topics.add(keyOf(dependent))
      for (const dependent of world.consumerGroups.by('brokerSet', key)) queues.consumerGroups.add(keyOf(dependent))
    })
    world.topics.onChange(({ before, after }) => {
      if (!asksForMore(before, after)) return
      const changed = (after ?? before) as Topic
      queues.topics.add(keyOf(changed))
      // of several that speak for one topic, another one may have to now
      addOthers(queues.topics, keyOf(changed), world.topics.by('claim', claimOf(changed)))
    })
    world.consumerGroups.onChange(({ before, after }) => {
      if (!asksForMore(before, after)) return
      const changed = (after ?? before) as ConsumerGroup
      queues.consumerGroups.add(keyOf(changed))
      addOthers(queues.consumerGroups, keyOf(changed), world.consumerGroups.by('claim', claimOf(changed)))
    })
    world.namespaces?.onChange(({ before, after }) => {
      if (isDeepStrictEqual(before?.metadata.labels, after?.metadata.labels)) return
      const { name } = ((after ?? before) as KubeObject).metadata
      for (const dependent of world.brokerSets.by('abroad', name)) queues.brokerSets.add(keyOf(dependent))
      for (const dependent of world.topics.by('abroad', name)) queues.topics.add(keyOf(dependent))
      for (const dependent of world.consumerGroups.by('abroad', name)) queues.consumerGroups.add(keyOf(dependent))
    })
    for (const sight of world.children) {
      sight.onChange(({ before, after }) => {
        const child = (after ?? before) as KubeObject
        const owner = controllerOf(child)
        if (owner)
          byKind[owner.kind]?.add(keyOf({ metadata: { namespace: child.metadata.namespace ?? '', name: owner.name } }))
      })
    }
    world.pods.onChange(({ before, after }) => {
      const { labels = {}, namespace = '' } = ((after ?? before) as KubeObject).metadata
      const nameServer = labels[label.nameServer]
      const brokerSet = labels[label.brokerSet]
      if (brokerSet !== undefined) queues.brokerSets.add(`${namespace}/${brokerSet}`)
      if (nameServer === undefined) return
      queues.nameServers.add(`${namespace}/${nameServer}`)
      for (const dependent of world.brokerSets.by('nameServer', `${namespace}/${nameServer}`)) {
        queues.brokerSets.add(keyOf(dependent))
      }
    })
  }
}

/** One that is added twice has two passes, since the first began at once. */
function addOthers(queue: { add(key: string): void }, key: string, objects: readonly KubeObject[]): void {
  for (const other of objects) if (keyOf(other) !== key) queue.add(keyOf(other))
}

/** Whether a change is more than our own status: a pass that woke itself would never come to back off. */
function asksForMore(before: KubeObject | undefined, after: KubeObject | undefined): boolean {
  if (!before || !after) return true
  const asked = ({ metadata: { uid, generation, deletionTimestamp, finalizers, annotations } }: KubeObject) =>
    JSON.stringify([uid, generation, deletionTimestamp, finalizers, annotations?.[annotation.restartAt]])
  return asked(before) !== asked(after)
}

/** Whether a change of a BrokerSet is one for its topics and groups, which may be thousands: where its brokers are, and what they do. */
function concernsDeclared(before: BrokerSet | undefined, after: BrokerSet | undefined): boolean {
  if (!before || !after) return true
  const shown = ({ metadata: { uid, deletionTimestamp }, spec, status }: BrokerSet) =>
    JSON.stringify([
      uid,
      deletionTimestamp,
      spec,
      status?.groupStatuses?.map(({ name, state, address }) => [name, state, address]),
    ])
  return shown(before) !== shown(after)
}
