import type { Clock } from '../../base/clock.ts'
import { isOperatingError } from '../../base/errors.ts'
import type { HttpServerReply } from '../../base/http.ts'
import { jsonOf, type KubeObject, refusal } from './object.ts'
import type { Registry } from './registry.ts'
import { groupVersionOf, type Resource } from './resource.ts'
import type { Matches } from './selectors.ts'
import { statusOf } from './status.ts'
import type { Change } from './store.ts'

export interface WatchOptions {
  matches: Matches
  /** undefined: everything there is first, then what changes. */
  fromRevision: number | undefined
  /** Everything there is first, and a bookmark that says where that ended. */
  sendInitialEvents: boolean
  bookmarks: boolean
  timeoutMs: number
  /** What is sent in an event's place of the object: itself, or a Table of it. */
  show(object: KubeObject): unknown
}

const bookmarkPeriodMs = 15_000
const queuedMax = 2_000 // events for a peer that does not read; then it is cut off and comes back

/** Streams changes until the time is up, the peer goes or has fallen too far behind. Sends 200 and the events. */
export async function streamWatch(
  registry: Registry,
  resource: Resource,
  options: WatchOptions,
  reply: HttpServerReply,
  doors: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const { store } = registry
  const { matches, fromRevision, show } = options
  const queue: string[] = []
  let wake = () => {}
  let isOver = false
  const push = (type: string, object: unknown, text = JSON.stringify(object)) => {
    queue.push(`{"type":"${type}","object":${text}}\n`)
    wake()
  }
  const pushObject = (type: string, object: KubeObject) => {
    const shown = show(object)
    push(type, shown, shown === object ? jsonOf(object) : undefined)
  }
  const bookmark = (annotations?: Record<string, string>) => {
    const metadata = {
      resourceVersion: String(store.revision),
      creationTimestamp: null,
      ...(annotations && { annotations }),
    }
    push('BOOKMARK', { kind: resource.kind, apiVersion: groupVersionOf(resource), metadata })
  }
  const tell = ({ type, object, previous }: Change) => {
    const isIn = type !== 'DELETED' && matches(object)
    const wasIn = previous !== undefined && matches(previous)
    if (!isIn && !wasIn) return
    if (queue.length >= queuedMax) isOver = true
    // To a watch, an object that no longer matches is gone; it sees the last state that matched.
    const { resourceVersion } = object.metadata
    const shown =
      isIn || previous === undefined ? object : { ...previous, metadata: { ...previous.metadata, resourceVersion } }
    pushObject(!isIn ? 'DELETED' : wasIn ? 'MODIFIED' : 'ADDED', registry.asServed(resource, shown))
  }

  try {
    // Between here and listen() is no await: no change is missed and none is told twice.
    if (fromRevision === undefined || options.sendInitialEvents) {
      for (const object of store.list(resource.collection))
        if (matches(object)) pushObject('ADDED', registry.asServed(resource, object))
      if (options.sendInitialEvents) bookmark({ 'k8s.io/initial-events-end': 'true' })
    } else for (const change of store.changesAfter(resource.collection, fromRevision)) tell(change)
  } catch (error) {
    if (!isOperatingError(error, 'KUBE_REFUSED')) throw error
    push('ERROR', statusOf(error))
    isOver = true
  }
  const stop = store.listen((change) => change.collection === resource.collection && tell(change))
  const finish = () => {
    isOver = true
    wake()
  }
  const deadline = doors.clock.after(options.timeoutMs, finish)
  const marks = options.bookmarks
    ? doors.clock.every(Math.min(bookmarkPeriodMs, options.timeoutMs / 2), () => bookmark())
    : undefined
  doors.signal.addEventListener('abort', finish, { once: true })
  reply.start(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
  try {
    for (;;) {
      if (queue.length > 0 && !doors.signal.aborted) {
        if (!reply.write(queue.splice(0).join(''))) await reply.drained()
      } else if (isOver) return
      else await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    stop()
    deadline.cancel()
    marks?.cancel()
    reply.end()
  }
}

/** The revision that a watch asks for; '0' and nothing mean any. @throws KUBE_REFUSED 400 */
export function revisionOf(resourceVersion: string | null): number | undefined {
  if (resourceVersion === null || resourceVersion === '' || resourceVersion === '0') return undefined
  if (!/^\d+$/.test(resourceVersion)) throw refusal(400, 'BadRequest', `invalid resource version: ${resourceVersion}`)
  return Number(resourceVersion)
}
