import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** What the operator counts about itself, in Prometheus' text format. */
export class OperatorMetrics {
  readonly #registry = new Registry()
  readonly #passes = new Histogram({
    name: 'rocketmq_operator_pass_seconds',
    help: 'Time of one reconcile pass',
    labelNames: ['kind'],
    buckets: [0.01, 0.05, 0.25, 1, 5, 30],
    registers: [this.#registry],
  })
  readonly #failures = new Counter({
    name: 'rocketmq_operator_failed_passes_total',
    help: 'Reconcile passes that failed and are tried again',
    labelNames: ['kind'],
    registers: [this.#registry],
  })
  readonly #leader = new Gauge({
    name: 'rocketmq_operator_leader',
    help: '1 while this process is the one that works',
    registers: [this.#registry],
  })
  readonly #depthOf = new Map<string, () => number>()

  constructor() {
    const depthOf = this.#depthOf
    new Gauge({
      name: 'rocketmq_operator_queue_resources',
      help: 'Resources that wait for a pass',
      labelNames: ['kind'],
      registers: [this.#registry],
      collect() {
        for (const [kind, depth] of depthOf) this.set({ kind }, depth())
      },
    })
  }

  /** Counts for the process, too: memory, CPU, event loop. Once a process: what observes it never ends. */
  addProcess(): this {
    collectDefaultMetrics({ register: this.#registry })
    return this
  }

  pass(kind: string, elapsedMs: number, hasFailed: boolean): void {
    this.#passes.observe({ kind }, elapsedMs / 1000)
    if (hasFailed) this.#failures.inc({ kind })
  }

  leads(isLeading: boolean): void {
    this.#leader.set(isLeading ? 1 : 0)
  }

  watchQueue(kind: string, depth: () => number): void {
    this.#depthOf.set(kind, depth)
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
