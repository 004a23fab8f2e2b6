import type { Doors } from '../base/doors.ts'
import { messageOf } from '../base/errors.ts'
import { isRefused, type KubeClient } from './client.ts'
import { events, type KubeObject, keyOf } from './object.ts'

export interface Note {
  type: 'Normal' | 'Warning'
  /** One word, such as GroupServing. */
  reason: string
  message: string
}

const underWayMax = 50 // more are dropped: events are a courtesy, never a burden
const rememberedMax = 1000
/** Events that may be written at once, and then so many a second; each for those of one type: ten thousand topics tell less of each. */
const burst = { most: 100, perSecond: 2 }
const silentMs = 600_000 // the same note about the same object is not written again sooner
const togetherMs = 600_000 // notes of one reason about one object within this long …
const togetherFrom = 10 // … share one event from this many on
const messageLengthMax = 1024
const combined = '(combined from similar events): '

/** An event that was written, and what was noted since. */
interface Written {
  name: string
  count: number
  writtenMs: number // monotonic
}

/**
 * Writes Kubernetes events about objects, as `kubectl describe` shows them. A note that comes again counts its event up; when
 * one reason comes with ever new messages, they share an event. Never throws, never holds anyone up.
 */
export class EventRecorder {
  readonly #client: KubeClient
  readonly #doors: Pick<Doors, 'clock' | 'random' | 'log'>
  readonly #component: string
  readonly #written = new Map<string, Written>() // by what was said; the one used longest ago first
  readonly #bursts = new Map<string, { sinceMs: number; count: number }>() // by object and reason
  readonly #allowances: Record<Note['type'], { left: number; atMs: number }>
  #underWay = 0

  constructor(client: KubeClient, component: string, doors: Pick<Doors, 'clock' | 'random' | 'log'>) {
    this.#client = client
    this.#component = component
    this.#doors = doors
    const full = () => ({ left: burst.most, atMs: doors.clock.monotonicMs() })
    this.#allowances = { Normal: full(), Warning: full() }
  }

  record(about: KubeObject, note: Note): void {
    const nowMs = this.#doors.clock.monotonicMs()
    const subject = `${about.metadata.uid} ${note.type} ${note.reason}`
    const isBurst = this.#countOf(subject, nowMs) > togetherFrom
    const said = isBurst ? subject : `${subject} ${note.message}`
    const message = `${isBurst ? combined : ''}${note.message}`.slice(0, messageLengthMax)
    const written = this.#written.get(said)
    if (written) {
      written.count++
      if (nowMs - written.writtenMs < silentMs) return
    }
    if (this.#underWay >= underWayMax || !this.#mayWrite(note.type, nowMs)) return
    const name = written?.name ?? `${about.metadata.name}.${this.#doors.random.bytes(8).toString('hex')}`
    const count = written?.count ?? 1
    remember(this.#written, said, { name, count, writtenMs: nowMs })
    this.#underWay++
    this.#write(about, { ...note, message }, name, count)
      .catch((error) =>
        this.#doors.log.debug(
          { err: messageOf(error), reason: note.reason, name: keyOf(about) },
          'event was not written',
        ),
      )
      .finally(() => this.#underWay--)
  }

  #mayWrite(type: Note['type'], nowMs: number): boolean {
    const allowance = this.#allowances[type]
    const earned = ((nowMs - allowance.atMs) / 1000) * burst.perSecond
    allowance.left = Math.min(burst.most, allowance.left + earned)
    allowance.atMs = nowMs
    if (allowance.left < 1) return false
    allowance.left--
    return true
  }

  /** How many notes of one reason about one object came within togetherMs, this one among them. */
  #countOf(subject: string, nowMs: number): number {
    const before = this.#bursts.get(subject)
    const burst =
      before && nowMs - before.sinceMs < togetherMs
        ? { ...before, count: before.count + 1 }
        : { sinceMs: nowMs, count: 1 }
    remember(this.#bursts, subject, burst)
    return burst.count
  }

  /** @param count 1: a new event; more: the one of that name again, which the API server may have forgotten */
  async #write(about: KubeObject, note: Note, name: string, count: number): Promise<void> {
    const event = this.#eventOf(about, note, name, count)
    if (count > 1) {
      try {
        const { message, lastTimestamp } = event
        await this.#client.merge(events, event.metadata, { count, message, lastTimestamp })
        return
      } catch (error) {
        if (!isRefused(error, 404)) throw error
      }
    }
    await this.#client.create(events, event)
  }

  #eventOf(about: KubeObject, { type, reason, message }: Note, eventName: string, count: number) {
    const { name, namespace = 'default', uid, resourceVersion } = about.metadata
    const now = new Date(this.#doors.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: eventName, namespace },
      involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
      type,
      reason,
      message,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: this.#component,
      firstTimestamp: now,
      lastTimestamp: now,
      count,
    }
  }
}

/** Keeps an entry as the one used last, and forgets the one used longest ago when there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > rememberedMax && oldest !== undefined) map.delete(oldest)
}
