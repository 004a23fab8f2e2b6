import { brokerSets, consumerGroups, nameServers, topics } from '../../src/controllers/resources.ts'
import { annotation } from '../../src/crds/index.ts'
import type { ResourceType } from '../../src/kube/index.ts'
import type { Faults } from './line.ts'
import { Play } from './play.ts'
import type { Patch } from './rules.ts'

export interface Outcome {
  seed: number
  /** What was asked for and what went wrong, with the virtual second. */
  trace: string[]
  violations: string[]
  crashes: number
  restarts: number
  removals: number
}

const storyMs = 240_000 // in which things are asked for and go wrong

const faults: Faults = {
  refused: 0.02,
  conflict: 0.02,
  lost: 0.01,
  cut: 0.02,
  stale: 0.2,
  late: 0.05,
  doubled: 0.03,
  crash: 0.02,
}
/** One seed of so many is of operators that die after every other write. */
const frailEvery = 8
const frail = 0.5

/**
 * One story under a seed: a user changes their mind, the API server is slow, forgetful and refuses, operators die after
 * writes. Rules are watched all the time. In the end all is as asked, and nothing is written any more.
 */
export async function runSeed(seed: number): Promise<Outcome> {
  const play = new Play(seed)
  const { stage, rules, trace, violations } = play
  const { chance, clock } = stage
  await play.open()
  stage.faults = seed % frailEvery === 0 ? { ...faults, crash: frail } : faults
  const endMs = clock.monotonicMs() + storyMs
  while (clock.monotonicMs() < endMs) {
    await play.live(chance.whole(1, 60) * 1000)
    await chance.one(wishes)(play)
  }
  await play.heal()
  await play.comeToRest()
  await stage.close()
  const { crashes } = stage
  const { restarts, removals } = rules
  return { seed, trace, violations, crashes, restarts, removals }
}

/** Something that a user may want. */
type Wish = (play: Play) => Promise<void>

type SpecOf = (chance: Play['stage']['chance']) => NonNullable<Patch['spec']>
const set = (specOf: SpecOf): Wish => askFor(brokerSets, specOf)
const queues = askFor(topics, (chance) => ({ queues: { perBroker: chance.whole(1, 9) } }))

function askFor(type: ResourceType, specOf: SpecOf): Wish {
  return (play) => play.ask(type, { spec: specOf(play.stage.chance) })
}

function restart(type: ResourceType): Wish {
  return (play) =>
    play.ask(type, { metadata: { annotations: { [annotation.restartAt]: String(play.stage.chance.int(1000)) } } })
}

/** Deletes it and makes it again: what brokers have of it may go with it, or stay and become the new one's. */
function remake(type: ResourceType): Wish {
  return async (play) => {
    const { chance } = play.stage
    const isOnBrokers = type === topics || type === consumerGroups
    if (isOnBrokers) {
      await play.ask(type, { spec: { deletionPolicy: chance.one(['Delete', 'Delete', 'Retain']) } })
      await play.live(chance.whole(0, 10) * 1000)
    }
    const given = { ...(isOnBrokers && { adoptionPolicy: 'Always' }), resetOffset: undefined }
    await play.remake(type, chance.whole(0, 20) * 1000, given)
  }
}

const reset: Wish = async (play) => {
  const { chance, clock } = play.stage
  const timestamp = new Date(clock.now()).toISOString() // another one each time: it tells one reset from others
  await play.ask(consumerGroups, {
    spec: {
      resetOffset: { requestId: timestamp.replaceAll(':', '-'), to: 'Timestamp', timestamp, force: chance.is(0.5) },
    },
  })
}

/** Each as likely as any other. */
const wishes: readonly Wish[] = [
  set((chance) => ({ groups: chance.whole(1, 3) })),
  set((chance) => ({ groups: chance.whole(1, 3) })),
  set((chance) => ({ groups: chance.whole(1, 3), config: { maxMessageSize: String(chance.whole(1000, 1003)) } })),
  set((chance) => ({ slavesPerGroup: chance.whole(0, 2) })),
  set((chance) => ({ config: { fileReservedTime: String(chance.whole(40, 48)) } })),
  set((chance) => ({
    config: { maxMessageSize: String(chance.whole(1000, 1003)), traceOn: String(chance.is(0.5)) },
  })),
  set((chance) => ({ scaleIn: { policy: chance.one(['Drain', 'Drain', 'Refuse', 'Force']) } })),
  set((chance) => ({
    groups: chance.whole(1, 2),
    scaleIn: { policy: 'Drain', timeoutSeconds: 60, onTimeout: chance.one(['Pause', 'Abort', 'Force']) },
  })),
  set((chance) => ({ paused: chance.is(0.5) })),
  set((chance) => ({ hibernate: chance.is(0.5) })),
  set(() => ({ storage: { size: '30Gi' } })),
  restart(brokerSets),
  remake(brokerSets),
  askFor(nameServers, (chance) => ({ replicas: chance.whole(1, 3) })),
  askFor(nameServers, (chance) => ({ hibernate: chance.is(0.5) })),
  askFor(nameServers, (chance) => ({ config: { scanNotActiveBrokerInterval: String(chance.whole(5000, 5003)) } })),
  restart(nameServers),
  remake(nameServers),
  queues,
  queues,
  queues,
  queues,
  queues,
  queues,
  askFor(topics, (chance) => ({ placement: chance.one([null, { groups: [0] }]) })), // a group that never goes
  askFor(topics, (chance) => ({ placement: chance.one([null, { groups: [0] }]) })),
  remake(topics),
  askFor(consumerGroups, (chance) => ({ retry: { maxTimes: chance.whole(1, 5) } })),
  reset,
  remake(consumerGroups),
]
