import { OperatingError } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { ManualClock } from '../../src/base/testing/clock.ts'
import type { MqAdmin } from '../../src/controllers/admin.ts'
import { OperatorMetrics } from '../../src/controllers/metrics.ts'
import { Operator } from '../../src/controllers/operator.ts'
import { brokerPort } from '../../src/controllers/resources.ts'
import { brokerKey, type PretendedBroker, pretendBrokers } from '../../src/controllers/testing/brokers.ts'
import { customResourceDefinition, definitions, label } from '../../src/crds/index.ts'
import { KubeClient, type KubeObject, type Pod, type Service } from '../../src/kube/index.ts'
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
const token = 'secret'
const customResourceDefinitions = definitions.map(customResourceDefinition)

/** Told what an operator is about to do. */
export interface Witness {
  /** A request to the API server. */
  arrives(method: string, path: string): void
  /** Lets a broker register. */
  releases(broker: PretendedBroker): void
}

/**
 * A Kubernetes without pods that run, brokers that only remember, and one operator at a time that dies now and then. Time
 * is a clock that is moved by hand, chance is the seed: nothing here waits for the machine.
 */
export class Stage {
  readonly clock = new ManualClock()
  readonly chance: SeededRandom
  readonly store = new ObjectStore()
  readonly pretended = pretendBrokers(this.store)
  /** For the user: nothing goes wrong there. */
  readonly client: KubeClient
  faults: Faults = noFaults
  crashes = 0
  /** Requests of operators that were to change something, but events; the last of them. */
  writes: string[] = []
  readonly #handle: Handle
  readonly #witness: Witness
  readonly #doors
  readonly #began = new Set<string>() // pods that a kubelet has seen, by uid
  #operator: { line: Line; operator: Operator } | undefined
  #crashing = false

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

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      await this.clock.advance(100)
      if (this.#crashing) this.#crash()
    }
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
      wrote: (method, path) => {
        if (!path.includes('/events')) this.#note(`${method} ${path}`)
        this.#mayCrash()
      },
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

  #note(write: string): void {
    this.writes.push(write)
    if (this.writes.length > writesMax) this.writes.shift()
  }

  /** After a write: nothing that it says or asks arrives any more; another one starts where it was. */
  #mayCrash(): void {
    if (this.crashes >= crashesMax || !this.chance.is(this.faults.crash) || !this.#operator) return
    this.crashes++
    this.#operator.line.isDead = true
    this.#crashing = true
  }

  #crash(): void {
    this.#crashing = false
    void this.#operator?.operator.stop()
    this.#startOperator()
  }

  /** Brokers answer while their pod runs, and sometimes not. */
  #adminOver(line: Line): MqAdmin {
    const { clock, chance, pretended } = this
    const call = async (name: keyof MqAdmin, args: unknown[]) => {
      await clock.sleep(chance.whole(1, 20))
      if (line.isDead || chance.is(this.faults.refused))
        throw new OperatingError('CONNECT_FAILED', { address: args[0] })
      const asksBroker = name !== 'brokers' && name !== 'deleteRoute'
      if (asksBroker && !this.podAt(String(args[0]))) throw new OperatingError('CONNECT_FAILED', { address: args[0] })
      if (name === 'release') {
        const pod = this.podAt(String(args[0]))
        const broker = pod && pretended.brokers.get(brokerKey(pod))
        if (broker) this.#witness.releases(broker)
      }
      const answer = await (pretended.admin[name] as (...args: unknown[]) => Promise<unknown>)(...args)
      if (/^(setP|create|delete|change|release|reset)/.test(name)) {
        this.#note(`${name} ${args[0]}`)
        this.#mayCrash()
      }
      if (chance.is(this.faults.lost)) throw new OperatingError('REQUEST_TIMEOUT', { address: args[0] })
      return answer
    }
    return new Proxy({} as MqAdmin, {
      get:
        (_, name: keyof MqAdmin) =>
        (...args: unknown[]) =>
          call(name, args),
    })
  }

  /** In the place of a kubelet: a pod runs some seconds after it was made; a slave finds its master some seconds later. */
  #startPods(): void {
    for (const { metadata } of this.pods()) {
      const { uid = '', name } = metadata
      if (this.#began.has(uid)) continue
      this.#began.add(uid)
      this.clock.after(this.chance.whole(200, 6000), () => {
        const pod = this.pods().find((one) => one.metadata.uid === uid)
        if (!pod) return
        const conditions = [{ type: 'Ready', status: 'True' }]
        const podIP = `127.98.${this.#began.size >> 8}.${this.#began.size & 255}`
        this.pretended.begin(pod)
        const broker = this.pretended.brokers.get(brokerKey(pod))
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
