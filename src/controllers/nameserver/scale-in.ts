import { annotation } from '../../crds/index.ts'
import type { Note, StatefulSet } from '../../kube/index.ts'
import { type Readiness, timeText } from '../conditions.ts'
import type { NameServer } from '../resources.ts'
import { ofOne } from '../words.ts'

/** So old the list of NameServers may be that a client goes by. Source: Apache RocketMQ 5, MQClientInstance, which asks every 120 s. */
export const leaveMs = 120_000

/** What is known of those that stay. */
export interface Staying {
  /** The list that is published names nobody else. */
  isPublished: boolean
  /** Why those that go are needed still; undefined: each of the others is ready and knows all brokers. */
  trouble: string | undefined
}

/** What becomes of NameServers that are too many. */
export interface ScaleIn {
  /** How many there are to be for now. */
  replicas: number
  /** Names of those that go, and have not gone yet. */
  leaving: readonly string[]
  /** See annotation.leavingSince; undefined: none. */
  mark: string | undefined
  /** When those that go are to go, ms since 1970; undefined: clients are not being told yet. */
  dueMs: number | undefined
  /** Why it is not over. */
  readiness: Readiness | undefined
  notes: Note[]
}

/**
 * NameServers that are too many serve on, and brokers register there, until clients know the list without them: it is
 * published first, and leaveMs later they go, if the others can do without them. A higher number keeps them at any time.
 * @param nowMs milliseconds since 1970
 */
export function planScaleIn(
  { metadata: { name }, spec: { replicas, paused }, status }: NameServer,
  statefulSet: StatefulSet | undefined,
  { isPublished, trouble }: Staying,
  nowMs: number,
): ScaleIn {
  const live = statefulSet?.spec?.replicas ?? 0
  const before = readMark(statefulSet)
  // by the status, which is written with what is told of it: an annotation may be gone before anybody was told
  const told = (status?.members ?? []).flatMap(({ pod, leavesAt }) => (leavesAt === undefined ? [] : [pod]))
  const isStaying = (pod: string) => Number(pod.slice(pod.lastIndexOf('-') + 1)) < replicas
  const tell = (reason: string, pods: readonly string[], then: (words: Words) => string): Note[] =>
    pods.length === 0 || paused
      ? []
      : [{ type: 'Normal', reason, message: `${pods.join(', ')} ${then(wordsFor(pods.length))}` }]
  const cancelled = tell(
    'ScaleInCancelled',
    told.filter(isStaying),
    ({ stays, is }) => `${stays}, and ${is} in the list for clients again`,
  )
  if (live <= replicas) {
    const gone = told.filter((pod) => !isStaying(pod))
    const completed = ({ goes, it }: Words) => `${goes}: clients know the list without ${it}`
    const notes = [...cancelled, ...tell('ScaleInCompleted', gone, completed)]
    return { replicas, leaving: [], mark: undefined, dueMs: undefined, readiness: undefined, notes }
  }
  const leaving = Array.from({ length: live - replicas }, (_, at) => `${name}-${replicas + at}`)
  const who = leaving.join(', ')
  const words = wordsFor(leaving.length)
  const { stays, is, it } = words
  const stay = (message: string): ScaleIn => {
    const readiness = { status: 'False', reason: 'ScalingIn', message } as const
    return { replicas: live, leaving, mark: undefined, dueMs: undefined, readiness, notes: cancelled }
  }
  if (paused) return stay(`${who} ${stays} while nothing is changed`)
  // whatever was written down before: clients may have been given a longer list since
  if (!isPublished) return stay(`${who} will go: the list without ${it} is not published yet`)

  // those that were in the list a moment ago have their time still; what was never in a longer one has had it
  const known = before !== undefined && before.replicas <= replicas ? before.sinceMs : undefined
  const secondMs = Math.ceil(nowMs / 1000) * 1000 // it is written down in whole seconds
  const sinceMs = Math.min(known ?? secondMs, secondMs) // a clock may have been set back
  const dueMs = sinceMs + leaveMs
  if (nowMs >= dueMs && trouble === undefined) {
    return { ...stay(`${who} ${is} being stopped`), replicas, dueMs }
  }
  const then = ({ goes, it }: Words) =>
    `${goes} at ${timeText(dueMs)}: until then clients learn the list without ${it}, and a higher spec.replicas keeps ${it}`
  const message =
    nowMs < dueMs ? `${who} ${then(words)}` : `${who} ${stays} until the others can do without ${it}: ${trouble}`
  const notes = tell(
    'ScaleInStarted',
    leaving.filter((pod) => !told.includes(pod)),
    then,
  )
  return { ...stay(message), mark: `${replicas} since ${timeText(sinceMs)}`, dueMs, notes: [...cancelled, ...notes] }
}

type Words = ReturnType<typeof wordsFor>

function wordsFor(count: number) {
  return ofOne(
    count,
    { goes: 'goes', stays: 'stays', is: 'is', it: 'it' },
    { goes: 'go', stays: 'stay', is: 'are', it: 'them' },
  )
}

function readMark(statefulSet: StatefulSet | undefined): { replicas: number; sinceMs: number } | undefined {
  const [replicas, time] = statefulSet?.metadata.annotations?.[annotation.leavingSince]?.split(' since ') ?? []
  const sinceMs = Date.parse(time ?? '')
  return Number.isNaN(sinceMs) ? undefined : { replicas: Number(replicas), sinceMs }
}
