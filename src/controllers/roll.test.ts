import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { brokenMs, nextToRestart, type RollGroup, type RollMember } from './roll.ts'

/** A broker that serves, with old settings. */
function old(ordinal: number, given: Partial<RollMember> = {}): RollMember {
  return { ordinal, isPresent: true, isReady: true, isWhole: true, isOutdated: true, downMs: 0, ...given }
}

const down = { isReady: false, isWhole: false }

function group(index: number, members: RollMember[], given: Partial<RollGroup> = {}): RollGroup {
  return { index, members, isLeaving: false, hasTemplate: true, ...given }
}

test('slaves go first, the last first, each when all are whole; then the master; then the next group', () => {
  const now = { isOutdated: false }
  const untouched = group(1, [old(0), old(1)])

  expect(nextToRestart([group(0, [old(0), old(1), old(2)]), untouched])).toEqual({ index: 0, ordinal: 2 })
  expect(nextToRestart([group(0, [old(0), old(1), old(2, { ...now, ...down })]), untouched])).toBeUndefined()
  expect(nextToRestart([group(0, [old(0), old(1), old(2, { ...now, isWhole: false })]), untouched])).toBeUndefined()
  expect(nextToRestart([group(0, [old(0), old(1), old(2, now)]), untouched])).toEqual({ index: 0, ordinal: 1 })
  expect(nextToRestart([group(0, [old(0), old(1, now), old(2, now)]), untouched])).toEqual({ index: 0, ordinal: 0 })
  expect(nextToRestart([group(0, [old(0, now), old(1, now)]), untouched])).toEqual({ index: 1, ordinal: 1 })
})

test('nothing goes before its StatefulSet would make it anew as wanted', () => {
  expect(nextToRestart([group(0, [old(0)], { hasTemplate: false })])).toBeUndefined()
})

test('a broken broker goes although another group is broken too', () => {
  expect(nextToRestart([group(0, [old(0, down)]), group(1, [old(0, down)])])).toEqual({ index: 0, ordinal: 0 })
})

test('a broken broker stays while another one of its group is missing', () => {
  const missing = { ...down, isPresent: false, isOutdated: false }

  expect(nextToRestart([group(0, [old(0, { ...down, downMs: brokenMs }), old(1, missing)])])).toBeUndefined()
})

test('when none of a group comes up with old settings, the slave goes first, and its master although that waits', () => {
  const broken = { ...down, downMs: brokenMs }
  const waits = { ...down, isOutdated: false }

  expect(nextToRestart([group(0, [old(0, broken), old(1, broken)])])).toEqual({ index: 0, ordinal: 1 })
  expect(nextToRestart([group(0, [old(0, broken), old(1, waits)])])).toEqual({ index: 0, ordinal: 0 })
})

test('a master that is not ready for a moment does not go before its slave', () => {
  expect(nextToRestart([group(0, [old(0, down), old(1)])])).toBeUndefined()
  expect(nextToRestart([group(0, [old(0, { ...down, downMs: brokenMs }), old(1)])])).toEqual({ index: 0, ordinal: 0 })
})

test('a group that leaves holds nobody up, and does not lose two of its own', () => {
  const leaving = group(1, [old(0, { ...down, isOutdated: false }), old(1)], { isLeaving: true })

  expect(nextToRestart([group(0, [old(0)]), leaving])).toEqual({ index: 0, ordinal: 0 })
  expect(nextToRestart([group(0, [old(0, { isOutdated: false })]), leaving])).toBeUndefined()
})

const anyMember = fc
  .record({
    isPresent: fc.boolean(),
    isReady: fc.boolean(),
    isWhole: fc.boolean(),
    isOutdated: fc.boolean(),
    downMs: fc.nat(2 * brokenMs),
  })
  .map(({ isPresent, isReady, isWhole, isOutdated, downMs }) => ({
    isPresent,
    isReady: isPresent && isReady,
    isWhole: isPresent && isReady && isWhole,
    isOutdated: isPresent && isOutdated,
    downMs: isPresent && isReady ? 0 : downMs,
  }))
const anyGroups = fc
  .array(
    fc.record({
      members: fc.array(anyMember, { minLength: 1, maxLength: 5 }),
      isLeaving: fc.boolean(),
      hasTemplate: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((groups) =>
    groups.map((one, index): RollGroup => {
      return { ...one, index, members: one.members.map((member, ordinal) => ({ ...member, ordinal })) }
    }),
  )

test('whatever is seen, no group loses a broker that works while it lacks another one', () => {
  fc.assert(
    fc.property(anyGroups, (groups) => {
      const next = nextToRestart(groups)
      if (!next) return
      const { members, isLeaving, hasTemplate } = groups[next.index]!
      const chosen = members[next.ordinal]!
      const others = members.filter((member) => member !== chosen)
      expect(hasTemplate && chosen.isOutdated && chosen.isPresent).toBe(true)
      expect(others.every(({ isPresent }) => isPresent)).toBe(true)
      if (!chosen.isReady && chosen.downMs >= brokenMs) return
      expect(others.every(({ isReady }) => isReady)).toBe(true)
      if (chosen.ordinal === 0) expect(others.some(({ isOutdated }) => isOutdated)).toBe(false)
      if (!chosen.isReady || isLeaving) return
      for (const group of groups) {
        if (!group.isLeaving) expect(group.members.every(({ isWhole }) => isWhole)).toBe(true)
      }
    }),
  )
})

test('as long as all are whole and one is outdated, one is restarted', () => {
  fc.assert(
    fc.property(anyGroups, (groups) => {
      const whole = groups.map((one) => ({
        ...one,
        hasTemplate: true,
        members: one.members.map((member) => ({ ...member, isPresent: true, isReady: true, isWhole: true })),
      }))
      const isAnyOutdated = whole.some(({ members }) => members.some(({ isOutdated }) => isOutdated))

      expect(nextToRestart(whole) !== undefined).toBe(isAnyOutdated)
    }),
  )
})

/** What happens in the world between two looks at it. */
const anyHappening = fc.oneof(
  { weight: 6, arbitrary: fc.constant('look' as const) },
  { weight: 6, arbitrary: fc.record({ heals: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ breaks: fc.nat(9) }) },
)

test('a roll ends with every broker current; meanwhile no group lacks two by our doing, no master is before its slave', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4 }), fc.array(anyHappening, { maxLength: 60 }), (slaves, happenings) => {
      // 0 serves; 1 ready, not in sync; 2 starts; 3 is being deleted
      const world = [0, 1].map(() =>
        Array.from({ length: slaves + 1 }, () => ({ stage: 0, isOutdated: true, isOurs: false })),
      )
      const all = world.flat()
      const look = () => {
        const groups = world.map((members, index) =>
          group(
            index,
            members.map(({ stage, isOutdated }, ordinal) => {
              const isPresent = stage < 3
              return { ordinal, isPresent, isReady: stage < 2, isWhole: stage === 0, isOutdated, downMs: 0 }
            }),
          ),
        )
        const next = nextToRestart(groups)
        if (!next) return false
        const members = world[next.index]!
        const chosen = members[next.ordinal]!
        if (next.ordinal === 0) expect(members.slice(1).some(({ isOutdated }) => isOutdated)).toBe(false)
        // one that was broken is down by itself, and its slaves cannot follow it before it is replaced
        Object.assign(chosen, { stage: 3, isOutdated: false, isOurs: chosen.stage < 2 })
        if (chosen.isOurs) expect(members.filter(({ isOurs }) => isOurs)).toHaveLength(1)
        return true
      }
      const heal = (one: (typeof all)[number]) => {
        if (one.stage > 0) one.stage--
        if (one.stage === 0) one.isOurs = false
      }
      for (const happening of happenings) {
        if (happening === 'look') look()
        else if ('heals' in happening) heal(all[happening.heals % all.length]!)
        else Object.assign(all[happening.breaks % all.length]!, { stage: 2 })
      }
      for (let looks = 0; looks < 20 && all.some(({ isOutdated }) => isOutdated); looks++) {
        for (const one of all) while (one.stage > 0) heal(one)
        expect(look()).toBe(true)
      }
      expect(all.some(({ isOutdated }) => isOutdated)).toBe(false)
    }),
  )
})
