import {
  type BrokerSet,
  brokerSets,
  consumerGroups,
  nameServers,
  type Topic,
  topics,
} from '../../src/controllers/resources.ts'
import { apiVersion } from '../../src/crds/index.ts'
import type { KubeObject, ResourceType } from '../../src/kube/index.ts'
import { Clients } from './clients.ts'
import { noFaults } from './line.ts'
import { type Patch, Rules } from './rules.ts'
import { unsettledOf } from './settled.ts'
import { namespace, Stage } from './stage.ts'

const settleMs = 1_200_000 // in which all must be as asked
const quietMs = 90_000 // in which nothing is written any more
const newsMs = 10_000 // until an operator knows what was asked for last, which nothing may tell
const lastPassMs = 65_000 // until everything has been looked at once more, and volumes twice
const deletionMs = 240_000 // in which what is deleted must be gone
const graceMs = 100_000 // a deletion that took longer may have left what brokers have: they were given their time
const tickMs = 500

const first = {
  groups: 2,
  slavesPerGroup: 1,
  replicas: 2,
  scaleIn: { policy: 'Drain', timeoutSeconds: 86_400, onTimeout: 'Pause' },
} as const

const resources: [ResourceType, string, object][] = [
  [nameServers, 'mq', { replicas: first.replicas }],
  [brokerSets, 'b', { nameServerRef: { name: 'mq' }, groups: first.groups, slavesPerGroup: first.slavesPerGroup }],
  [topics, 'orders', { brokerSetRef: { name: 'b' } }],
  [consumerGroups, 'billing', { brokerSetRef: { name: 'b' } }],
]

/** A stage with the four resources, what a user does with them, and the rules that are watched meanwhile. */
export class Play {
  readonly stage: Stage
  readonly clients: Clients
  readonly rules: Rules
  /** What was asked for, with the virtual second. */
  readonly trace: string[] = []
  readonly violations: string[] = []

  constructor(seed: number) {
    this.stage = new Stage(seed, {
      arrives: (method, path) => this.rules.arrives(method, path),
      releases: (broker) => this.rules.releases(broker),
      tells: (event) => this.rules.tells(event),
      dies: (write) => this.note(`the operator dies after ${write}`),
    })
    this.clients = new Clients(this.stage)
    this.rules = new Rules(this.stage, this.clients, first, (rule) => this.violated(rule))
  }

  violated(rule: string): void {
    this.violations.push(`${this.#at}: ${rule}`)
  }

  note(what: string): void {
    this.trace.push(`${this.#at}: ${what}`)
  }

  async open(): Promise<void> {
    await this.stage.open()
    for (const [type, name, spec] of resources) await this.#create(type, name, spec)
  }

  async live(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += tickMs) {
      this.clients.tick()
      this.rules.tick()
      await this.stage.pass(tickMs)
    }
  }

  async ask(type: ResourceType, patch: Patch): Promise<void> {
    this.note(`${type.kind} ${JSON.stringify(patch)}`)
    this.rules.asks(type, patch)
    await this.stage.act(this.stage.client.merge(type, { namespace, name: nameOf(type) }, patch))
  }

  /** Deletes a resource and makes it again, with the same spec but for what is given. */
  async remake(type: ResourceType, absentMs: number, given: object = {}): Promise<void> {
    const { stage } = this
    const found = () => stage.resource<BrokerSet | Topic>(type.plural)
    const { metadata, spec } = found() as BrokerSet
    this.note(`${type.kind} is deleted, and made again ${absentMs} ms later with ${JSON.stringify(given)}`)
    const isOnBrokers = type === topics || type === consumerGroups
    const isGone = isOnBrokers ? this.rules.noteDeletion(found() as Topic) : () => {}
    await stage.act(stage.client.delete(type, { namespace, name: metadata.name }))
    let passedMs = 0
    for (; found() && passedMs < deletionMs; passedMs += tickMs) await this.live(tickMs)
    if (found()) return this.violated(`${type.kind} is not gone ${deletionMs / 1000} s after it was deleted`)
    if (passedMs < graceMs) isGone()
    await this.live(absentMs)
    await this.#create(type, metadata.name, { ...spec, ...given })
  }

  /** From now on nothing goes wrong, and nothing asks to leave all as it is. */
  async heal(): Promise<void> {
    this.stage.faults = noFaults
    for (const [type] of resources) await this.ask(type, { spec: { paused: false } })
    for (const [type] of resources.slice(0, 2)) await this.ask(type, { spec: { hibernate: false } })
  }

  /** In the end all must be as asked, and nothing is written any more. */
  async comeToRest(): Promise<void> {
    const { stage } = this
    await this.live(newsMs)
    if (!(await this.settle())) return
    await this.live(lastPassMs)
    stage.writes = []
    const { events } = this.rules
    await this.live(quietMs)
    if (this.rules.events > events)
      this.violated(`events were written though nothing was asked for ${quietMs / 1000} s`)
    if (stage.writes.length > 0)
      this.violated(`though nothing was asked for ${quietMs / 1000} s: ${stage.writes.join(', ')}`)
  }

  /** @returns whether all is as asked */
  async settle(): Promise<boolean> {
    let unsettled = unsettledOf(this.stage)
    for (let passed = 0; passed < settleMs && unsettled.length > 0; passed += 5000) {
      await this.live(5000)
      unsettled = unsettledOf(this.stage)
    }
    for (const one of unsettled) this.violated(`after ${settleMs / 1000} s without faults: ${one}`)
    return unsettled.length === 0
  }

  async #create(type: ResourceType, name: string, spec: object): Promise<void> {
    const object = { apiVersion, kind: type.kind, metadata: { namespace, name }, spec } as KubeObject
    await this.stage.act(this.stage.client.create(type, object))
  }

  get #at(): string {
    return `${(this.stage.clock.monotonicMs() / 1000).toFixed(1)} s`
  }
}

function nameOf(type: ResourceType): string {
  return resources.find(([one]) => one === type)?.[1] as string
}
