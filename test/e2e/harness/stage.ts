import type { Kubectl } from './kubectl.ts'
import type { Received, Sent, Talk } from './talk.ts'

/** What the cases share: one installation, and the history of what was acknowledged on it. */
export class Stage {
  readonly kube: Kubectl
  /** The operator's own namespace. */
  readonly operator: Kubectl
  readonly talk: Talk
  /** Acknowledged messages of topic orders: count by prefix. */
  readonly history: Record<string, number> = {}
  #readers = 0

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
  async receiveAll(): Promise<Received> {
    const group = `reader-${this.#readers++}`
    return this.talk.receive({ namesrv: await this.namesrv(), topic: 'orders', group, expect: this.history })
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
