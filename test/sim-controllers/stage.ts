import { crc32 } from 'node:zlib'
import { OperatingError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { ManualClock } from '../../src/base/testing/clock.ts'
import type { BrokerPlace, MqAdmin } from '../../src/controllers/admin.ts'
import { timeText } from '../../src/controllers/conditions.ts'
import { OperatorMetrics } from '../../src/controllers/metrics.ts'
import { Operator } from '../../src/controllers/operator.ts'
import { brokerPort, hostPort, namesrvPort } from '../../src/controllers/resources.ts'
import { brokerKey, type PretendedBroker, pretendBrokers } from '../../src/controllers/testing/brokers.ts'
import { customResourceDefinition, definitions, group, label } from '../../src/crds/index.ts'
import { KubeClient, type KubeObject, type Pod, type Service, type StatefulSet } from '../../src/kube/index.ts'
import { Catalog } from '../../src/local-cluster/api-server/catalog.ts'
import { Registry } from '../../src/local-cluster/api-server/registry.ts'
import { createApiHandler } from '../../src/local-cluster/api-server/server.ts'
import { ObjectStore } from '../../src/local-cluster/api-server/store.ts'
import { startControllers } from '../../src/local-cluster/workloads/controllers.ts'
import { clusterIpAdmission } from '../../src/local-cluster/workloads/services.ts'
import { SeededRandom } from '../sim/doors/random.ts'
import { type Faults, type Handle, Line, noFaults } from './line.ts'

export const namespace = 'shop'
const crashesMax = 40
const writesMax = 1000
const heirMs = 50 // until another operator starts
const tellMs = 10_000 // within which a broker tells a NameServer that began of itself
const token = 'secret'
const customResourceDefinitions = definitions.map(customResourceDefinition)

/** Told what an operator is about to do. */
export interface Witness {
  /** A request to the API server. */
  arrives(method: string, path: string): void
  /** Lets a broker register. */
  releases(broker: PretendedBroker): void
  /** An operator writes an event, or that it came again. */
  tells(event: { involvedObject?: { kind?: string; uid?: string }; reason?: string; message?: string }): void
  /** It died after a write. */
  dies(write: string): void
}

/**
 * A Kubernetes without pods that run, brokers that only remember, and one operator at a time that dies now and then. Time
 * is a clock that is moved by hand, chance is the seed: nothing here waits for the machine.
 */
export class Stage {
  readonly clock = new ManualClock(undefined, true)
  readonly chance: SeededRandom
  readonly store = new ObjectStore()
  readonly pretended = pretendBrokers(this.store)
  /** For the user: nothing goes wrong there. */
  readonly client: KubeClient
  faults: Faults = noFaults
  crashes = 0
  /** How many of these writes were done. */
  writesDone = 0
  /** The operator dies when so many were done. */
  diesAfter: number | undefined
  /** Requests of operators that were to change something, but events; the last of them. */
  writes: string[] = []
  readonly #handle: Handle
  readonly #witness: Witness
  readonly #doors
  readonly #began = new Set<string>() // pods that a kubelet has seen, by uid
  readonly #runsSinceMs = new Map<string, number>() // by uid of pods
  #operator: { line: Line; operator: Operator } | undefined
  constructor(seed: number, witness: Witness) {
    this.chance = new SeededRandom(seed)
    this.#witness = witness
    const { clock, store } = this
    this.#doors = { clock, random: new SeededRandom(seed + 1), log: silentLog }
    const registry = new Registry(store, new Catalog(), this.#doors)
    registry.admit(clusterIpAdmission('127.99', () => store.list('/services')))
    startControllers(registry, this.#doors)
    this.#handle = createApiHandler({ registry, token, readLog: async function* () {} }, this.#doors)
    this.client = this.#clientOver(
      new Line({
        handle: this.#handle,
        clock,
        chance: new SeededRandom(0),
        faults: () => noFaults,
        revision: () => store.revision,
      }),
    )
    store.listen(() => this.#startPods())
  }

  /** Makes the definitions, and the first operator. */
  async open(): Promise<void> {
    const type = { apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions', kind: '' }
    for (const definition of customResourceDefinitions) await this.act(this.client.create(type, definition as never))
    const namespaces = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' }
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } } as KubeObject
    await this.act(this.client.create(namespaces, object))
    this.#startOperator()
  }

  /** Lets time pass until the deed is done. */
  async act<T>(deed: Promise<T>): Promise<T> {
    let isOver = false
    const over = () => {
      isOver = true
    }
    deed.then(over, over)
    while (!isOver) await this.clock.advance(5)
    return deed
  }

  pass(ms: number): Promise<void> {
    return this.clock.advance(ms)
  }

  pods(): Pod[] {
    return this.store.list('/pods') as unknown as Pod[]
  }

  /** The pod of the broker at an address, if it runs. */
  podAt(brokerAddr: string): Pod | undefined {
    const services = this.store.list('/services') as unknown as Service[]
    const service = services.find(({ spec }) => `${spec?.clusterIP}:${brokerPort}` === brokerAddr)
    return this.pods().find(({ metadata, status }) => metadata.name === service?.metadata.name && status?.podIP)
  }

  statefulSets(): StatefulSet[] {
    return this.store.list('apps/statefulsets') as unknown as StatefulSet[]
  }

  /** The one resource of a kind. */
  resource<R extends KubeObject>(plural: string): R | undefined {
    return this.store.list(`${group}/${plural}`)[0] as unknown as R | undefined
  }

  /** Whether a NameServer knows a broker: one that begins knows nobody, and brokers tell it one after the other. */
  isKnown(brokerAddr: string, { metadata: { uid = '' } }: Pod): boolean {
    const sinceMs = this.#runsSinceMs.get(uid) ?? Number.POSITIVE_INFINITY
    return this.clock.monotonicMs() - sinceMs >= crc32(`${uid} ${brokerAddr}`) % tellMs
  }

  async close(): Promise<void> {
    if (!this.#operator) return
    const { line, operator } = this.#operator
    line.isDead = true
    await this.act(operator.stop())
  }

  #clientOver(line: Line): KubeClient {
    const access = {
      server: 'http://kube',
      source: 'sim',
      credentials: async () => ({ headers: { authorization: `Bearer ${token}` } }),
    }
    return new KubeClient(access, line, 'rocketmq-operator')
  }

  #startOperator(): void {
    const { clock, chance } = this
    const line = new Line({
      handle: this.#handle,
      clock,
      chance,
      faults: () => this.faults,
      revision: () => this.store.revision,
      arrives: this.#witness.arrives,
      tells: (event) => this.#witness.tells(event),
      wrote: (method, path) => this.#wrote(`${method} ${path}`),
    })
    const operator = new Operator(
      {
        client: this.#clientOver(line),
        admin: this.#adminOver(line),
        namespaces: [namespace],
        runtimeImage: 'localhost/mq:1',
        metrics: new OperatorMetrics(),
      },
      this.#doors,
    )
    this.#operator = { line, operator }
    void operator.follow().then(() => operator.lead())
  }

  /** After a write the operator may die: nothing that it says or asks arrives any more; another one starts where it was. */
  #wrote(write: string): void {
    this.writes.push(write)
    if (this.writes.length > writesMax) this.writes.shift()
    const isDue = ++this.writesDone === this.diesAfter
    if (this.crashes >= crashesMax || !(this.chance.is(this.faults.crash) || isDue) || !this.#operator) return
    const { line, operator } = this.#operator
    if (line.isDead) return
    this.crashes++
    this.#witness.dies(write)
    line.isDead = true
    this.clock.after(heirMs, () => {
      void operator.stop()
      this.#startOperator()
    })
  }

  /** Brokers answer while their pod runs, and sometimes not. */
  #adminOver(line: Line): MqAdmin {
    const { clock, chance, pretended } = this
    const call = async (name: keyof MqAdmin, args: unknown[]) => {
      await clock.sleep(chance.whole(1, 20))
      if (line.isDead || chance.is(this.faults.refused))
        throw new OperatingError('CONNECT_FAILED', { address: args[0] })
      const asksBroker = name !== 'brokers' && name !== 'deleteRoute'
      const nameServer = name === 'brokers' ? this.#nameServerAt(String(args[0])) : undefined
      if (name === 'brokers' && !nameServer) throw new OperatingError('CONNECT_FAILED', { address: args[0] })
      if (asksBroker && !this.podAt(String(args[0]))) throw new OperatingError('CONNECT_FAILED', { address: args[0] })
      if (name === 'release') {
        const pod = this.podAt(String(args[0]))
        const broker = pod && pretended.brokers.get(brokerKey(pod))
        if (broker) this.#witness.releases(broker)
      }
      const answer = await (pretended.admin[name] as (...args: unknown[]) => Promise<unknown>)(...args)
      if (/^(setP|create|delete|change|release|reset)/.test(name)) {
        this.#wrote(`${name} ${args[0]}`)
      }
      if (chance.is(this.faults.lost)) throw new OperatingError('REQUEST_TIMEOUT', { address: args[0] })
      if (!nameServer) return answer
      return (answer as BrokerPlace[]).filter(({ brokerAddr }) => this.isKnown(brokerAddr, nameServer))
    }
    return new Proxy({} as MqAdmin, {
      get:
        (_, name: keyof MqAdmin) =>
        (...args: unknown[]) =>
          call(name, args),
    })
  }

  #nameServerAt(address: string): Pod | undefined {
    return this.pods().find(({ metadata, status }) => {
      const isNameServer = metadata.labels?.[label.nameServer] !== undefined
      return isNameServer && status?.podIP !== undefined && hostPort(status.podIP, namesrvPort) === address
    })
  }

  /** In the place of a kubelet: a pod runs some seconds after it was made; a slave finds its master some seconds later. */
  #startPods(): void {
    for (const { metadata } of this.pods()) {
      const { uid = '', name } = metadata
      if (this.#began.has(uid)) continue
      this.#began.add(uid)
      const podIP = `127.98.${this.#began.size >> 8}.${this.#began.size & 255}`
      this.clock.after(this.chance.whole(200, 6000), () => {
        const pod = this.pods().find((one) => one.metadata.uid === uid)
        if (!pod) return
        const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: timeText(this.clock.now()) }]
        this.pretended.begin(pod)
        this.#runsSinceMs.set(uid, this.clock.monotonicMs())
        const broker = this.pretended.brokers.get(brokerKey(pod))
        const beganMs = this.clock.monotonicMs()
        const uptimeMs = { configurable: true, get: () => this.clock.monotonicMs() - beganMs }
        if (broker) Object.defineProperty(broker, 'uptimeMs', uptimeMs)
        if (broker) broker.diskUsedRatio = (crc32(uid) % 101) / 100
        const isSlave = metadata.labels?.[label.group] !== undefined && !name.endsWith('-0')
        if (broker && isSlave) {
          broker.isFollowing = false
          this.clock.after(this.chance.whole(100, 8000), () => {
            broker.isFollowing = true
          })
        }
        this.store.put('/pods', { ...pod, status: { phase: 'Running', podIP, conditions } } as never)
      })
    }
  }
}

/** Whether it serves. */
export function isReady({ metadata, status }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status?.podIP !== undefined
}
