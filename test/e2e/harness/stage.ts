import type { Kubectl } from './kubectl.ts'
import type { Sent, Talk } from './talk.ts'

/** What the cases share: one installation, and the history of what was acknowledged on it. */
export class Stage {
  readonly kube: Kubectl
  /** The operator's own namespace. */
  readonly operator: Kubectl
  readonly talk: Talk
  /** Acknowledged messages of topic orders: count by prefix. */
  readonly history: Record<string, number> = {}
  /** Consumer groups that read everything up to then, and which prefixes that was. */
  readonly #readers = new Map<string, Set<string>>()

  constructor(kube: Kubectl, operator: Kubectl, talk: Talk) {
    this.kube = kube
    this.operator = operator
    this.talk = talk
  }

  /** The NameServer's Service, by its address: this machine does not resolve the names of the cluster. */
  async namesrv(): Promise<string> {
    const service = await this.kube.get('service', 'mq')
    return `${service.spec.clusterIP}:9876`
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

/** One case; cases run in order, each on what the ones before left. */
export interface Case {
  name: string
  run(stage: Stage): Promise<void>
}

export function check(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Error(rule)
}
