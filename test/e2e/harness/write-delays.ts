import { setTimeout as sleep } from 'node:timers/promises'
import { runLabel } from './kube.ts'
import type { Kubectl } from './kubectl.ts'

const pauseMs = 2_000 // as a leader renews its Lease
const slowMs = 3_000 // a leader that needs two requests in ten seconds, and gives each five, is close to its end
const name = 'e2e-writes'
const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, labels: runLabel } }

/**
 * When the API server, or this machine, was too slow for anybody to keep a Lease: a Lease of the tests' own is written all the
 * time, as a leader writes its one.
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

  /** Whether a write took long or failed in the time from which a leader that gave up at that moment counts. */
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
      const writing: Promise<unknown> = isMade
        ? this.#kube.patch('leases', name, { spec })
        : this.#kube.apply({ ...lease, spec })
      const isWritten: boolean = await writing.then(
        () => true,
        () => false,
      )
      isMade ||= isWritten
      const toMs = Date.now()
      if (!isWritten || toMs - fromMs > slowMs) this.#slow.push({ fromMs, toMs })
      await sleep(pauseMs, undefined, { signal }).catch(() => {})
    }
  }
}
