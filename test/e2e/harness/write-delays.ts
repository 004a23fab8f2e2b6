import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { runLabel } from './kube.ts'
import type { Kubectl } from './kubectl.ts'

const pauseMs = 2_000 // as a leader renews its Lease
const slowMs = 3_000 // a leader that needs two requests in ten seconds, and gives each five, is close to its end
/** So many processes for each processor that an operator, whose pod asks for a twentieth of one, may wait for seconds. */
const loadMax = 8
const name = 'e2e-writes'
const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, labels: runLabel } }

/**
 * When the API server, or this machine, was too slow for anybody to keep a Lease: a Lease of the tests' own is written all the
 * time, as a leader writes its one. The tests are no pod and get their share of this machine all the same, so its load counts, too.
 */
export class WriteDelays {
  readonly #kube: Kubectl
  readonly #slow: { fromMs: number; toMs: number }[] = []
  readonly #over = new AbortController()
  readonly #writing: Promise<void>

  constructor(kube: Kubectl) {
    this.#kube = kube
    this.#writing = this.#write()
  }

  /** Whether a write took long or failed, or the machine had far too much to do, in the time from which a leader that gave up at that moment counts. */
  coincideWith(ms: number): boolean {
    return this.#slow.some(({ fromMs, toMs }) => fromMs <= ms && toMs >= ms - 15_000)
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await this.#writing
    await this.#kube.remove('leases', name)
  }

  async #write(): Promise<void> {
    const { signal } = this.#over
    let isMade = false
    while (!signal.aborted) {
      const fromMs = Date.now()
      const spec = { renewTime: `${new Date(fromMs).toISOString().slice(0, -1)}000Z` }
      let isSlow = false
      try {
        await (isMade ? this.#kube.patch('leases', name, { spec }) : this.#kube.apply({ ...lease, spec }))
        isMade = true
      } catch {
        isSlow = true
      }
      const toMs = Date.now()
      if (isSlow || toMs - fromMs > slowMs || isOverloaded()) this.#slow.push({ fromMs, toMs })
      await sleep(pauseMs, undefined, { signal }).catch(() => {})
    }
  }
}

function isOverloaded(): boolean {
  return (loadavg()[0] ?? 0) > loadMax * availableParallelism()
}
