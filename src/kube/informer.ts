import type { Doors } from '../base/doors.ts'
import { isOperatingError, messageOf, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { Backoff } from './backoff.ts'
import { Cache, type Change } from './cache.ts'
import { isRefused, type KubeClient, type Selection, type WatchEvent } from './client.ts'
import type { KubeObject } from './object.ts'

const pageSize = 500
const watchSeconds = { least: 240, most: 480 } // spread, so that all watches do not come back at once
const silenceMs = 90_000 // the API server sends a bookmark about every minute; a connection may be dead and not say so
const shortWatchMs = 1000 // a watch that ends sooner did nothing for us: go slower

type InformerDoors = Pick<Doors, 'clock' | 'random' | 'log'>

/**
 * Keeps a cache equal to what the API server has: list, then watch from there, for as long as it runs. Whatever cuts the
 * watch, it goes on from the last version it saw, or lists again when the server has forgotten that one (410).
 */
export class Informer<T extends KubeObject> {
  readonly cache: Cache<T>
  readonly #client: KubeClient
  readonly #selection: Selection
  readonly #clock: Doors['clock']
  readonly #random: Doors['random']
  readonly #log: Log
  readonly #listeners: ((change: Change<T>) => void)[] = []
  readonly #synced = Promise.withResolvers<void>()
  #hasSynced = false

  constructor(
    client: KubeClient,
    selection: Selection,
    indexes: ConstructorParameters<typeof Cache<T>>[0],
    doors: InformerDoors,
  ) {
    this.cache = new Cache(indexes)
    this.#client = client
    this.#selection = selection
    this.#clock = doors.clock
    this.#random = doors.random
    this.#log = doors.log.with({ component: 'informer', kind: selection.type.kind })
  }

  onChange(listener: (change: Change<T>) => void): void {
    this.#listeners.push(listener)
  }

  /** Resolves when the cache has been filled for the first time. */
  get synced(): Promise<void> {
    return this.#synced.promise
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  /** Runs until signal is aborted; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ firstMs: 500, mostMs: 30_000 }, this.#random)
    let resourceVersion: string | undefined
    while (!signal.aborted) {
      const startedMs = this.#clock.monotonicMs()
      let failure: unknown
      try {
        resourceVersion ??= await this.#list(signal)
        for await (const event of this.#watch(resourceVersion, signal)) resourceVersion = this.#take(event)
      } catch (error) {
        failure = error
        if (isRefused(error, 410)) resourceVersion = undefined // forgotten there: list again
      }
      if (signal.aborted) return
      if (this.#clock.monotonicMs() - startedMs > shortWatchMs) backoff.reset()
      else if (failure === undefined) failure = new OperatingError('HTTP_FAILED', { ended: 'at once' })
      if (failure === undefined) continue
      const delayMs = backoff.next(isOperatingError(failure) ? failure.facts.retryAfterMs : undefined)
      this.#log.warn({ err: messageOf(failure), delayMs: Math.round(delayMs) }, 'watch was cut, going on')
      await this.#clock.sleep(delayMs, signal).catch(() => {}) // aborted: the loop ends
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const objects: T[] = []
    let next: string | undefined
    do {
      const page = await this.#client.listPage<T>(this.#selection, { limit: pageSize, next }, signal)
      objects.push(...page.items)
      next = page.next
      if (next === undefined) {
        for (const change of this.cache.replace(objects)) this.#tell(change)
        this.#hasSynced = true
        this.#synced.resolve()
        return page.resourceVersion
      }
    } while (!signal.aborted)
    throw new OperatingError('DEADLINE_EXCEEDED', { what: 'list' })
  }

  async *#watch(startVersion: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
    const { least, most } = watchSeconds
    const timeoutSeconds = least + this.#random.int(most - least)
    yield* this.#client.watch<T>(this.#selection, { resourceVersion: startVersion, timeoutSeconds, silenceMs, signal })
  }

  /** Takes one event in; returns the version to go on from. */
  #take({ type, object }: WatchEvent<T>): string {
    if (type === 'ERROR') {
      const { code, reason, message } = object as unknown as { code: number; reason: string; message: string }
      throw new OperatingError('KUBE_REFUSED', { status: code, reason, message, causes: [] })
    }
    if (type === 'DELETED') this.#tell(this.cache.remove(object))
    else if (type !== 'BOOKMARK') this.#tell(this.cache.put(object))
    return object.metadata.resourceVersion as string
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) listener(change)
  }
}
