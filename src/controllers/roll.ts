/** A pod of a group that stays, as far as restarts are concerned. */
export interface RollMember {
  ordinal: number // of brokers, 0 is the master
  /** Its pod exists and is not being deleted. */
  isPresent: boolean
  isReady: boolean
  /** Ready, and all that it is to be: nobody would miss something if another one went. */
  isWhole: boolean
  /** It runs with settings or a template that are not those wanted. */
  isOutdated: boolean
  /** How long it has not been ready; 0 when it is, or when nobody knows. */
  downMs: number
}

export interface RollGroup {
  index: number
  members: readonly RollMember[]
  /** It is being taken away: the others do not wait for it. */
  isLeaving: boolean
  /** A pod that is made now is one of those wanted. */
  hasTemplate: boolean
}

/** A broker that is not ready for so long does not come back by itself: nobody has to be spared for it. */
export const brokenMs = 60_000

/**
 * The broker to restart now, if one may be. Slaves go first, the last first, then their master; each when all brokers
 * that stay are whole, so that no group ever lacks two and every message is where it should be. A broker that is broken
 * goes whatever other groups do: when the rest of its group is well, or when it has been down for brokenMs.
 */
export function nextToRestart(groups: readonly RollGroup[]): { index: number; ordinal: number } | undefined {
  const inOrder = groups.flatMap(({ index, members, ...group }) =>
    [...members]
      .sort((a, b) => (b.ordinal || -1) - (a.ordinal || -1)) // the master, 0, last
      .filter(({ isOutdated, isPresent }) => group.hasTemplate && isOutdated && isPresent)
      .map((member) => ({ index, member, group, others: members.filter((one) => one !== member) })),
  )
  const broken = inOrder.find(({ member, others }) => {
    if (member.isReady) return false
    if (member.downMs >= brokenMs) return others.every(({ isPresent }) => isPresent)
    const mayGoNow = member.ordinal > 0 || !others.some(({ isOutdated }) => isOutdated)
    return mayGoNow && others.every(({ isReady }) => isReady)
  })
  const isAllWhole = groups.every(({ isLeaving, members }) => isLeaving || members.every(({ isWhole }) => isWhole))
  const next =
    broken ??
    inOrder.find(
      ({ member, group, others }) =>
        isAllWhole && member.isReady && (!group.isLeaving || others.every(({ isReady }) => isReady)),
    )
  return next && { index: next.index, ordinal: next.member.ordinal }
}
