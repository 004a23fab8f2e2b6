import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../../src/base/log.ts'
import { nodeDoors } from '../../../src/base/node/index.ts'
import { Admin } from '../../../src/client/index.ts'
import type { Flow } from './flow.ts'
import { check, type Kube, say } from './kube.ts'
import type { Kubectl } from './kubectl.ts'
import type { OperatorLog } from './operator-log.ts'
import type { Sent, Talker } from './talk.ts'

export { check } from './kube.ts'

const firstAckMs = 30_000

/** Where the cases of one track run: a namespace, and messages that go through it all the time. */
export class Scene<K extends Kube = Kube> {
  readonly kube: K
  /** Apache's Java client, or on the local cluster our own. */
  readonly talk: Talker
  /** How many clusters are many. */
  readonly manyCount: number
  readonly #flows: { flow: Flow; acked: number; about: string }[] = []

  constructor(kube: K, talk: Talker, manyCount: number) {
    this.kube = kube
    this.talk = talk
    this.manyCount = manyCount
  }

  /** The NameServer's Service, by its address: this machine does not resolve the names of the cluster. */
  async namesrv(name = 'mq', kube: Kube = this.kube): Promise<string> {
    const service = await kube.find('services', name)
    check(service !== undefined, `there is a Service ${name}`)
    return `${service.spec.clusterIP}:9876`
  }

  /** From now on messages are sent to the topic and received again, and after each case none that was acknowledged is missing. */
  async startFlow(topic: string, nameServer = 'mq', kube: Kube = this.kube): Promise<void> {
    const namesrv = await this.namesrv(nameServer, kube)
    const prefix = `flow-${this.#flows.length}-`
    const about = `${kube.namespace}/${topic}`
    this.#flows.push({
      flow: await this.talk.flow({ namesrv, topic, group: `flow-${topic}`, prefix }),
      acked: 0,
      about,
    })
  }

  /** @throws when an acknowledged message was not received, or nothing was acknowledged since the last time */
  async settle(): Promise<void> {
    await Promise.all(
      this.#flows.map(async (one) => {
        let report = await one.flow.settle()
        for (const until = Date.now() + firstAckMs; report.acked === one.acked && Date.now() < until; ) {
          await sleep(500) // it has just begun, or nobody takes messages
          report = await one.flow.settle()
        }
        const { acked, missing, someMissing, refusals, lastRefusal, longestMs } = report
        const sent = acked - one.acked
        one.acked = acked
        const words = `${sent} messages through ${one.about}, ${refusals} sends tried again, the longest took ${longestMs} ms`
        say(`  ${this.kube.namespace}: ${words}`)
        check(
          missing === 0,
          `each acknowledged message was received; ${missing} of ${acked} are missing: ${someMissing}`,
        )
        check(sent > 0, `messages were acknowledged meanwhile; the last send failed with: ${lastRefusal}`)
      }),
    )
  }

  /** Asks a broker, or the NameServers, as an administrator does. */
  async asked<T>(ask: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = new Admin({ namesrvAddr: await this.namesrv() }, nodeDoors(silentLog))
    try {
      return await ask(admin)
    } finally {
      await admin.close()
    }
  }

  async stopFlows(): Promise<void> {
    await Promise.all(this.#flows.splice(0).map(({ flow }) => flow.stop()))
  }
}

/** A scene on a real Kubernetes, with the history of what Apache's client was told was acknowledged. */
export class Stage extends Scene<Kubectl> {
  /** The operator's own namespace. */
  readonly operator: Kubectl
  readonly operatorLog: OperatorLog
  /** Acknowledged messages of topic orders: count by prefix. */
  readonly history: Record<string, number> = {}
  /** Consumer groups that read everything up to then, and which prefixes that was. */
  readonly #readers = new Map<string, Set<string>>()

  constructor(kube: Kubectl, operatorLog: OperatorLog, talk: Talker, manyCount: number) {
    super(kube, talk, manyCount)
    this.operatorLog = operatorLog
    this.operator = operatorLog.kube
  }

  async send(prefix: string, count: number, seconds?: number): Promise<Sent> {
    const namesrv = await this.namesrv()
    const sent = await this.talk.send({
      namesrv,
      topic: 'orders',
      prefix,
      count,
      ...(seconds !== undefined && { seconds }),
    })
    this.history[prefix] = sent.acked
    return sent
  }

  /** A consumer group that never was before reads everything that was ever acknowledged. */
  async receiveAll(): Promise<void> {
    await this.#receive(`reader-${this.#readers.size}`)
  }

  /** Every consumer group reads what came since it last read: nobody has anything left to read. */
  async catchUp(): Promise<void> {
    for (const group of this.#readers.keys()) await this.#receive(group)
  }

  /** A group whose offsets were reset to the first message reads everything that was ever acknowledged, once more. */
  async receiveAgain(group: string): Promise<void> {
    this.#readers.delete(group)
    await this.#receive(group)
  }

  async #receive(group: string): Promise<void> {
    const read = this.#readers.get(group) ?? new Set()
    const expect = Object.fromEntries(Object.entries(this.history).filter(([prefix]) => !read.has(prefix)))
    if (Object.keys(expect).length === 0) return
    await this.talk.receive({ namesrv: await this.namesrv(), topic: 'orders', group, expect })
    this.#readers.set(group, new Set(Object.keys(this.history)))
  }
}

/** One case; those of a track run in order, each on what the ones before left. */
export interface Case<S = Stage> {
  name: string
  /** The others of its track need it: without it they are not run. */
  isBase?: true
  run(stage: S): Promise<void>
}

/** A case that needs no real node: it runs on the local cluster too. */
export type PortableCase = Case<Scene>
