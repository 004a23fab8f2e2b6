import type { RolloutStatus } from '../../crds/index.ts'
import type { Note } from '../../kube/index.ts'
import { causesOf } from '../revision.ts'
import { brokenMs, type RollGroup } from '../roll.ts'
import type { ObservedGroup } from './observe.ts'

export interface RolloutFacts {
  before: RolloutStatus | undefined
  /** Tells what is wanted now from what was wanted before. */
  revision: string
  /** Groups that stay, and what is known of each for a roll. */
  staying: readonly { group: ObservedGroup; roll: RollGroup }[]
  /** Names of ready brokers that not all NameServers know, for long. */
  missing: readonly string[]
  paused: boolean
}

/**
 * How far the brokers are on the way to what is wanted, and what there is to tell of it. A rollout begins when a StatefulSet has
 * the template that brokers do not have, and is over when every broker runs as it should.
 */
export function rolloutOf(facts: RolloutFacts): { rollout: RolloutStatus | undefined; notes: Note[] } {
  const { before, revision, staying, missing, paused } = facts
  const members = staying.flatMap(({ roll }) => roll.members)
  const outdated = staying.flatMap(({ group, roll }) =>
    roll.members.flatMap(({ ordinal, isOutdated }) =>
      isOutdated ? [{ group, roll, member: group.members.find((one) => one.ordinal === ordinal) }] : [],
    ),
  )
  const total = members.length
  const areWell = members.every(({ isPresent, isWhole }) => isPresent && isWhole)
  if (outdated.length === 0 && areWell) {
    const message = `all ${total} brokers run as the resource says`
    return { rollout: undefined, notes: before ? [{ type: 'Normal', reason: 'RolloutCompleted', message }] : [] }
  }
  const due = outdated.filter(({ roll }) => roll.hasTemplate)
  const begins = due.length > 0 && before?.revision !== revision && !paused
  if (!before && !begins) return { rollout: undefined, notes: [] }

  const updated = members.filter(({ isPresent, isOutdated }) => isPresent && !isOutdated).length
  // what is wanted now may have no template yet: the former rollout goes on until it has
  const rollout = { revision: before && !begins ? before.revision : revision, updated, total }
  const notes: Note[] = []
  if (begins) {
    const why = new Set(
      due.flatMap(({ group, member }) => (member?.pod ? causesOf(member.pod, group.statefulSet) : [])),
    )
    const causes = why.size > 0 ? `: ${[...why].sort().join(', ')}` : ''
    const message = `${outdated.length} of ${total} brokers are to restart, one at a time${causes}`
    notes.push({ type: 'Normal', reason: 'RolloutStarted', message })
  }
  const waits = paused ? pause : waitsFor(staying, missing)
  const last = begins ? undefined : before?.pausedReason
  const waited = last === pause.reason ? undefined : last
  if (waits && (paused ? last !== pause.reason : waited === undefined)) {
    const reason = paused ? 'RolloutPaused' : 'RolloutWaiting'
    notes.push({ type: 'Warning', reason, message: `${updated} of ${total} brokers have restarted; ${waits.message}` })
  }
  // a broker that crashes again and again is up in between: it holds up the others until all are well
  const pausedReason = waits?.reason ?? (areWell ? undefined : waited)
  return { rollout: { ...rollout, ...(pausedReason && { pausedReason }) }, notes }
}

const pause = {
  reason: 'Paused',
  message: 'no other one is restarted while spec.paused is set, or the spec is refused',
}

/** The broker without which no other one is restarted, when it is away for so long that it may not come back by itself. */
function waitsFor(staying: RolloutFacts['staying'], missing: readonly string[]) {
  for (const { group, roll } of staying) {
    for (const { ordinal, downMs, isOutdated } of roll.members) {
      const name = group.members.find((member) => member.ordinal === ordinal)?.name ?? ''
      if (downMs >= brokenMs && !isOutdated)
        return { reason: 'BrokerNotReady', message: `the others wait for ${name}, which is not ready` }
      if (missing.includes(name))
        return { reason: 'RegistrationMissing', message: `the others wait for ${name}, which does not register` }
    }
  }
  return undefined
}
