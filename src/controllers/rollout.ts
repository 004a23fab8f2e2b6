import type { RolloutStatus } from '../crds/index.ts'
import type { Note, Pod, StatefulSet } from '../kube/index.ts'
import { podTrouble } from './pod-trouble.ts'
import { causesOf } from './revision.ts'
import { brokenMs, type RollMember } from './roll.ts'

/** A pod that stays, as far as a rollout is concerned. */
export interface RolloutMember extends RollMember {
  name: string
  pod: Pod | undefined
  statefulSet: StatefulSet | undefined
  /** A pod that is made now is one of those wanted. */
  hasTemplate: boolean
}

/** What a rollout waits for: a word for programs, and a sentence with what can be done about it. */
export interface RolloutWait {
  reason: string
  message: string
}

export interface RolloutFacts {
  kind: 'Broker' | 'NameServer'
  before: RolloutStatus | undefined
  /** Tells what is wanted now from what was wanted before. */
  revision: string
  /** Those that stay. */
  members: readonly RolloutMember[]
  /** What holds up the others, for long, besides one that is not ready. */
  trouble: RolloutWait | undefined
  paused: boolean
}

/**
 * How far pods are on the way to what is wanted, and what there is to tell of it. A rollout begins when a StatefulSet has the
 * template that its pods do not have, and is over when every one runs as it should.
 */
export function rolloutOf(facts: RolloutFacts): { rollout: RolloutStatus | undefined; notes: Note[] } {
  const { kind, before, revision, members, paused } = facts
  const thing = kind === 'Broker' ? 'broker' : kind
  const things = `${thing}s`
  const outdated = members.filter(({ isOutdated }) => isOutdated)
  const total = members.length
  const areWell = members.every(({ isPresent, isWhole }) => isPresent && isWhole)
  if (outdated.length === 0 && areWell) {
    const message = `every ${thing} runs as the resource says`
    return { rollout: undefined, notes: before ? [{ type: 'Normal', reason: 'RolloutCompleted', message }] : [] }
  }
  const due = outdated.filter(({ hasTemplate }) => hasTemplate)
  const begins = due.length > 0 && before?.revision !== revision && !paused
  if (!before && !begins) return { rollout: undefined, notes: [] }

  const updated = countUpdated(members)
  // what is wanted now may have no template yet: the former rollout goes on until it has
  const rollout = { revision: before && !begins ? before.revision : revision, updated, total }
  const notes: Note[] = []
  if (begins) {
    const why = new Set(due.flatMap(({ pod, statefulSet }) => (pod ? causesOf(pod, statefulSet) : [])))
    const causes = why.size > 0 ? `: ${[...why].sort().join(', ')}` : ''
    const message = `${outdated.length} of ${total} ${things} are to restart, one at a time${causes}`
    notes.push({ type: 'Normal', reason: 'RolloutStarted', message })
  }
  const waits = paused ? pause : waitsFor(facts)
  const last = begins ? undefined : before?.pausedReason
  const waited = last === pause.reason ? undefined : last
  if (waits && (paused ? last !== pause.reason : waited === undefined)) {
    const reason = paused ? 'RolloutPaused' : 'RolloutWaiting'
    notes.push({
      type: 'Warning',
      reason,
      message: `${updated} of ${total} ${things} have restarted; ${waits.message}`,
    })
  }
  // one that crashes again and again is up in between: it holds up the others until all are well
  const pausedReason = waits?.reason ?? (areWell ? undefined : waited)
  return { rollout: { ...rollout, ...(pausedReason && { pausedReason }) }, notes }
}

/** How many run as the resource says. */
export function countUpdated(members: readonly RollMember[]): number {
  return members.filter(({ isPresent, isOutdated }) => isPresent && !isOutdated).length
}

const pause: RolloutWait = {
  reason: 'Paused',
  message: 'no other one is restarted while spec.paused is set, or the spec is refused',
}

/** That without which no other one is restarted, when it has been so for so long that it may not end by itself. */
function waitsFor({ kind, members, trouble }: RolloutFacts): RolloutWait | undefined {
  const broken = members.find(({ downMs, isOutdated }) => downMs >= brokenMs && !isOutdated)
  if (!broken) return trouble
  const message =
    `the rollout waits for ${broken.name}, which is not ready: ${podTrouble(broken.pod, broken.name)}. ` +
    'A corrected spec, or the one before, replaces it first; where the cause is another one, it goes on when the pod is ready'
  return { reason: `${kind}NotReady`, message }
}
