import type { BrokerSet } from '../resources.ts'
import type { Asked, Declared, Observed } from './plan.ts'

/** Whether a resource may change what the brokers have. */
export interface Ownership {
  isOwner: boolean
  /** uid of the resource that owns it, as far as this one knows; undefined: none does. */
  owner: string | undefined
  /** Why it may not, though no other resource speaks for it. */
  conflict?: string
}

/**
 * Decides whether the thing on the brokers is this resource's: it made it, took it over as its adoptionPolicy lets it, or
 * inherits it from a resource that went. Once it is, it stays so.
 * @param faultOf what a broker has that the spec does not say; undefined: nothing
 */
export function ownershipOf<Has>(
  desired: Declared,
  {
    brokerSet,
    absence,
    rival,
    brokers,
  }: Pick<Observed<Declared, Asked<Has>>, 'brokerSet' | 'absence' | 'rival' | 'brokers'>,
  faultOf: (broker: Asked<Has> & { has: Has }) => string | undefined,
): Ownership {
  const uid = desired.metadata.uid
  const { owner } = desired.status ?? {}
  if (absence?.reason === 'NotAllowed') return { isOwner: false, owner }
  if (rival) {
    const isRivals = rival.status?.owner !== undefined && rival.status.owner === rival.metadata.uid
    return { isOwner: false, owner: isRivals ? rival.metadata.uid : undefined }
  }
  if (owner !== undefined) return { isOwner: true, owner: uid }
  const answers = brokers.filter(({ trouble }) => trouble === undefined)
  if (answers.length === 0) {
    // what nobody serves cannot be somebody else's; while brokers are only away nobody can tell
    return isNew(brokerSet) ? { isOwner: true, owner: uid } : { isOwner: false, owner: undefined }
  }
  const { adoptionPolicy } = desired.spec
  const existing = answers.filter((broker): broker is Asked<Has> & { has: Has } => broker.has !== undefined)
  const [first] = existing
  if (first === undefined || adoptionPolicy === 'Always') return { isOwner: true, owner: uid }
  const refused = (why: string): Ownership => ({ isOwner: false, owner: undefined, conflict: why })
  if (adoptionPolicy === 'Never') return refused(`${first.brokerName} has it`)
  for (const broker of existing) {
    const fault = faultOf(broker)
    if (fault !== undefined) return refused(`on ${broker.brokerName} it is otherwise: ${fault}`)
  }
  return { isOwner: true, owner: uid }
}

/** Whether none of its brokers has served yet. */
function isNew(brokerSet: BrokerSet | undefined): boolean {
  const groups = brokerSet?.status?.groupStatuses ?? []
  return groups.every(({ state }) => state === 'Creating' || state === 'Registering')
}

/** Whether differences that came after the spec was in force everywhere are told and left. */
export function leavesDrift(desired: Declared): boolean {
  return desired.spec.driftPolicy === 'Report' && isInForce(desired)
}

/** Whether all brokers had it as this spec says: whoever changed it since then did so by hand. */
export function isInForce({ status, metadata }: Pick<Declared, 'status' | 'metadata'>): boolean {
  return status?.syncedGeneration !== undefined && status.syncedGeneration === metadata.generation
}

/** The steps of a plan that are done: none of a paused resource, and of one that leaves drift only what is missing. */
export function stepsToDo<Step extends { do: string }>(desired: Declared, steps: readonly Step[]): readonly Step[] {
  if (desired.spec.paused) return []
  return leavesDrift(desired) ? steps.filter(isMaking) : steps
}

export function isMaking({ do: deed }: { do: string }): boolean {
  return deed.startsWith('create')
}
