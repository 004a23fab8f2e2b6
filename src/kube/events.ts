import type { Doors } from '../base/doors.ts'
import { messageOf } from '../base/errors.ts'
import type { KubeClient } from './client.ts'
import { events, type KubeObject, keyOf } from './object.ts'

export interface Note {
  type: 'Normal' | 'Warning'
  /** One word, such as GroupServing. */
  reason: string
  message: string
}

const underWayMax = 50 // more are dropped: events are a courtesy, never a burden
const rememberedMax = 1000
const silentMs = 600_000 // the same note about the same object is not repeated sooner
const messageLengthMax = 1024

/** Writes Kubernetes events about objects, as `kubectl describe` shows them. Never throws, never holds anyone up. */
export class EventRecorder {
  readonly #client: KubeClient
  readonly #doors: Pick<Doors, 'clock' | 'random' | 'log'>
  readonly #component: string
  readonly #said = new Map<string, number>() // when, monotonic
  #underWay = 0

  constructor(client: KubeClient, component: string, doors: Pick<Doors, 'clock' | 'random' | 'log'>) {
    this.#client = client
    this.#component = component
    this.#doors = doors
  }

  record(about: KubeObject, note: Note): void {
    const said = `${about.metadata.uid} ${note.reason} ${note.message}`
    const nowMs = this.#doors.clock.monotonicMs()
    const lastMs = this.#said.get(said)
    if ((lastMs !== undefined && nowMs - lastMs < silentMs) || this.#underWay >= underWayMax) return
    this.#said.delete(said)
    this.#said.set(said, nowMs)
    if (this.#said.size > rememberedMax) for (const [oldest] of [...this.#said].slice(0, 1)) this.#said.delete(oldest)

    this.#underWay++
    this.#client
      .create(events, this.#eventOf(about, note))
      .catch((error) =>
        this.#doors.log.debug(
          { err: messageOf(error), reason: note.reason, name: keyOf(about) },
          'event was not written',
        ),
      )
      .finally(() => this.#underWay--)
  }

  #eventOf(about: KubeObject, { type, reason, message }: Note): KubeObject {
    const { name, namespace = 'default', uid, resourceVersion } = about.metadata
    const now = new Date(this.#doors.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${this.#doors.random.bytes(8).toString('hex')}`, namespace },
      involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, uid, resourceVersion },
      type,
      reason,
      message: message.slice(0, messageLengthMax),
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: this.#component,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    }
    return event
  }
}
