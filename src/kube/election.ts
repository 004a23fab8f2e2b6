import type { Timer } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import { messageOf, OperatingError } from '../base/errors.ts'
import { isRefused, type KubeClient } from './client.ts'
import { type KubeObject, leases } from './object.ts'

export interface ElectionOptions {
  namespace: string
  name: string
  /** Of this process, and of no other one, ever. */
  identity: string
  /** How long nobody else may take over after the last renewal that was seen. Default 15 s. */
  leaseMs?: number
  /** How long this process leads after its own last renewal; less than leaseMs. Default 10 s. */
  renewMs?: number
  /** Pause between two tries. Default 2 s. */
  retryMs?: number
}

interface LeaseSpec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

type Lease = KubeObject & { spec?: LeaseSpec }

/**
 * One of several processes leads: whoever holds the Lease. A holder that cannot renew it stops leading renewMs after its
 * last renewal, before anybody else may begin. Clocks of different machines are never compared: a Lease is free when this
 * process has seen it unchanged for as long as it lasts. Source: coordination.k8s.io/v1, client-go's leaderelection.
 */
export class Election {
  readonly #client: KubeClient
  readonly #options: Required<ElectionOptions>
  readonly #doors: Pick<Doors, 'clock' | 'random' | 'log'>
  #seen: { resourceVersion: string | undefined; atMs: number } | undefined
  #lease: Lease | undefined
  #isLeading = false
  #keeping: Promise<void> = Promise.resolve()

  constructor(client: KubeClient, options: ElectionOptions, doors: Pick<Doors, 'clock' | 'random' | 'log'>) {
    this.#client = client
    this.#options = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000, ...options }
    this.#doors = doors
  }

  get isLeading(): boolean {
    return this.#isLeading
  }

  /**
   * Resolves once this process leads; then renews until signal is aborted.
   * @param lost called at most once, when the Lease could not be kept: whatever the leader does must end at once
   * @throws the signal's reason when it is aborted before that
   */
  async acquire(signal: AbortSignal, lost: (reason: string) => void): Promise<void> {
    const { clock, log } = this.#doors
    for (;;) {
      const startedMs = clock.monotonicMs()
      if (await this.#try(signal)) {
        this.#isLeading = true
        log.info({ lease: this.#options.name, identity: this.#options.identity }, 'leading')
        this.#keeping = this.#keep(startedMs, signal, lost)
        return
      }
      await clock.sleep(this.#pauseMs(), signal)
    }
  }

  /**
   * Gives the Lease back, for another one to take at its next try. Call it after acquire's signal is aborted, when nothing
   * of the leader's runs any more.
   */
  async release(): Promise<void> {
    await this.#keeping // a renewal under way would take it again
    if (!this.#isLeading) return
    this.#isLeading = false
    const { log } = this.#doors
    const { name } = this.#options
    try {
      if (await this.#giveBack()) log.info({ lease: name }, 'lease given back')
    } catch (error) {
      log.warn({ lease: name, err: messageOf(error) }, 'lease not given back: it will run out')
    }
  }

  /**
   * The renewal that was given up may arrive all the same, at any time: what this process knows of the Lease is read again.
   * @returns whether it was still its own
   */
  async #giveBack(): Promise<boolean> {
    const { namespace, name, identity } = this.#options
    for (let triesLeft = giveBackTries; ; ) {
      this.#look(await this.#soon((until) => this.#client.get<Lease>(leases, namespace, name, until), never))
      if (this.#lease?.spec?.holderIdentity !== identity) return false
      try {
        const renewTime = microTime(this.#doors.clock.now())
        await this.#write({ holderIdentity: '', leaseDurationSeconds: 1, renewTime })
        return true
      } catch (error) {
        if (!isRefused(error, 409) || --triesLeft === 0) throw error
      }
    }
  }

  async #keep(startedMs: number, signal: AbortSignal, lost: (reason: string) => void): Promise<void> {
    const { clock } = this.#doors
    const over = new AbortController()
    const end = () => over.abort()
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) over.abort()
    const lose = (reason: string) => {
      if (over.signal.aborted) return
      this.#isLeading = false
      over.abort()
      lost(reason)
    }
    const armed = (fromMs: number) =>
      clock.after(this.#options.renewMs - (clock.monotonicMs() - fromMs), () => lose('it could not be renewed in time'))
    // counted from before the request: that is the earliest moment from which others count
    let deadline: Timer = armed(startedMs)
    for (let renewingMs = startedMs; !over.signal.aborted; ) {
      const pauseMs = renewingMs + this.#options.retryMs - clock.monotonicMs() // none after one that took long
      await clock.sleep(Math.max(0, pauseMs), over.signal).catch(() => {})
      if (over.signal.aborted) break
      renewingMs = clock.monotonicMs()
      if (await this.#try(over.signal).catch(() => false)) {
        if (over.signal.aborted) break
        deadline.cancel()
        deadline = armed(renewingMs)
      } else if (this.#lease?.spec?.holderIdentity && this.#lease.spec.holderIdentity !== this.#options.identity) {
        lose(`${this.#lease.spec.holderIdentity} holds it`)
      }
    }
    deadline.cancel()
    signal.removeEventListener('abort', end)
  }

  /** One try to take or renew the Lease. @returns whether it is held now. @throws the signal's reason */
  async #try(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const { clock, log } = this.#doors
    const { namespace, name, identity, leaseMs } = this.#options
    try {
      const live = await this.#soon((until) => this.#client.get<Lease>(leases, namespace, name, until), signal)
      this.#look(live)
      const spec = live?.spec ?? {}
      const isOurs = spec.holderIdentity === identity
      if (live && spec.holderIdentity && !isOurs && !this.#hasRunOut(spec)) return false
      const now = microTime(clock.now())
      await this.#write(
        {
          holderIdentity: identity,
          leaseDurationSeconds: Math.ceil(leaseMs / 1000),
          renewTime: now,
          ...(!isOurs && { acquireTime: now, leaseTransitions: (spec.leaseTransitions ?? 0) + (live ? 1 : 0) }),
        },
        signal,
      )
      return true
    } catch (error) {
      signal.throwIfAborted()
      if (!isRefused(error, 409)) log.warn({ lease: name, err: messageOf(error) }, 'lease not reached')
      return false
    }
  }

  /** One request in half the time that a leader has: an answer that never comes must not cost the Lease. */
  async #soon<T>(ask: (until: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const late = new AbortController()
    const what = 'a request for the Lease'
    const giveUp = () => late.abort(new OperatingError('DEADLINE_EXCEEDED', { what }))
    const deadline = this.#doors.clock.after(this.#options.renewMs / 2, giveUp)
    try {
      return await ask(AbortSignal.any([signal, late.signal]))
    } finally {
      deadline.cancel()
    }
  }

  /** @throws OperatingError KUBE_REFUSED 409 when somebody was faster */
  async #write(spec: LeaseSpec, signal = never): Promise<void> {
    const { namespace, name } = this.#options
    const live = this.#lease
    const made = { apiVersion: leases.apiVersion, kind: leases.kind, metadata: { name, namespace }, spec }
    const patch = { metadata: { resourceVersion: live?.metadata.resourceVersion }, spec }
    const write = (until: AbortSignal): Promise<Lease> =>
      live
        ? this.#client.merge<Lease>(leases, live.metadata, patch, until)
        : this.#client.create<Lease>(leases, made, until)
    this.#look(await this.#soon(write, signal))
  }

  /** Notes when this process first saw the Lease as it is. */
  #look(live: Lease | undefined): void {
    this.#lease = live
    const resourceVersion = live?.metadata.resourceVersion
    if (this.#seen === undefined || this.#seen.resourceVersion !== resourceVersion) {
      this.#seen = { resourceVersion, atMs: this.#doors.clock.monotonicMs() }
    }
  }

  #hasRunOut({ leaseDurationSeconds = 15 }: LeaseSpec): boolean {
    return this.#doors.clock.monotonicMs() - (this.#seen?.atMs ?? 0) >= leaseDurationSeconds * 1000
  }

  #pauseMs(): number {
    const { retryMs } = this.#options
    return retryMs + this.#doors.random.float() * retryMs * 0.2 // spread, or two would always collide
  }
}

const giveBackTries = 3 // one for the renewal that came late, and one to spare
const never = new AbortController().signal

/** RFC 3339 with microseconds, as a Lease has them. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
