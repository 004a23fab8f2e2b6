import { brokerSets, consumerGroups, nameServers, topics } from '../../src/controllers/resources.ts'
import { Play } from './play.ts'

/** What a user does to a cluster that is at rest: the operator dies after one of the writes that it does because of that. */
interface Story {
  name: string
  /** The cluster is only being made. */
  isFirst?: boolean
  tell: (play: Play) => Promise<void>
}

export interface StoryOutcome {
  /** As caseOf numbers it. */
  seed: number
  story: string
  /** After so many writes the operator died; 0: it lived. */
  diedAfter: number
  /** How many writes it took, with those of the operator that took over. */
  writes: number
  trace: string[]
  violations: string[]
}

const seed = 1
const casesMax = 10_000 // of a story

const abort = { policy: 'Drain', timeoutSeconds: 60, onTimeout: 'Abort' } as const

const stories: readonly Story[] = [
  { name: 'all is made', isFirst: true, tell: async () => {} },
  {
    name: 'groups and slaves are added',
    tell: (play) => play.ask(brokerSets, { spec: { groups: 3, slavesPerGroup: 2 } }),
  },
  {
    name: 'a group is read to its end and goes',
    tell: async (play) => {
      play.clients.pause(50_000)
      await play.ask(brokerSets, { spec: { groups: 1 } })
    },
  },
  {
    name: 'a drain is cancelled',
    tell: async (play) => {
      await play.ask(brokerSets, { spec: { groups: 1 } })
      await play.live(10_000)
      await play.ask(brokerSets, { spec: { groups: 2 } })
    },
  },
  {
    name: 'a drain takes too long and is given up',
    tell: async (play) => {
      play.clients.pause(80_000)
      await play.ask(brokerSets, { spec: { groups: 1, scaleIn: abort } })
      await play.live(80_000)
    },
  },
  {
    name: 'a group goes by force, unread',
    tell: async (play) => {
      play.clients.pause(60_000)
      await play.ask(brokerSets, { spec: { groups: 1, scaleIn: { policy: 'Force' } } })
      await play.live(60_000)
    },
  },
  {
    name: 'settings change, at once and by a roll',
    tell: (play) => play.ask(brokerSets, { spec: { config: { maxMessageSize: '1001', fileReservedTime: '41' } } }),
  },
  { name: 'slaves go', tell: (play) => play.ask(brokerSets, { spec: { slavesPerGroup: 0 } }) },
  {
    name: 'volumes grow',
    tell: (play) => play.ask(brokerSets, { spec: { storage: { size: '30Gi' } } }),
  },
  {
    name: 'NameServers are rolled, then more, then fewer',
    tell: async (play) => {
      await play.ask(nameServers, { spec: { config: { scanNotActiveBrokerInterval: '5001' }, replicas: 3 } })
      await play.live(30_000)
      await play.ask(nameServers, { spec: { replicas: 1 } })
    },
  },
  {
    name: 'a NameServer is to go, and is kept',
    tell: async (play) => {
      await play.ask(nameServers, { spec: { replicas: 1 } })
      await play.live(60_000)
      await play.ask(nameServers, { spec: { replicas: 2 } })
      await play.live(90_000)
      await play.ask(nameServers, { spec: { replicas: 1 } })
    },
  },
  {
    name: 'all sleeps and wakes',
    tell: async (play) => {
      await play.ask(brokerSets, { spec: { hibernate: true } })
      await play.live(10_000)
      await play.ask(nameServers, { spec: { hibernate: true } })
      await play.live(10_000)
      await play.ask(nameServers, { spec: { hibernate: false } })
      await play.ask(brokerSets, { spec: { hibernate: false } })
    },
  },
  {
    name: 'a topic gives up queues, then brokers',
    tell: async (play) => {
      play.clients.pause(50_000)
      await play.ask(topics, { spec: { queues: { perBroker: 3 } } })
      await play.live(60_000)
      await play.ask(topics, { spec: { placement: { groups: [0] } } })
    },
  },
  {
    name: 'a topic goes from the brokers and comes again',
    tell: async (play) => {
      await play.ask(topics, { spec: { deletionPolicy: 'Delete' } })
      await play.live(5_000)
      await play.remake(topics, 2_000)
    },
  },
  {
    name: 'a topic stays on the brokers and is taken over',
    tell: (play) => play.remake(topics, 2_000),
  },
  {
    name: 'a consumer group is reset',
    tell: (play) => play.ask(consumerGroups, resetTo('2026-01-01T00:00:00Z')),
  },
  {
    name: 'a consumer group goes from the brokers, comes again and is reset',
    tell: async (play) => {
      await play.ask(consumerGroups, { spec: { deletionPolicy: 'Delete', deleteOffsets: true } })
      await play.live(5_000)
      await play.remake(consumerGroups, 2_000)
      await play.ask(consumerGroups, resetTo('2026-01-01T00:00:01Z'))
    },
  },
  { name: 'brokers are deleted and made again', tell: (play) => play.remake(brokerSets, 5_000) },
  { name: 'NameServers are deleted and made again', tell: (play) => play.remake(nameServers, 5_000) },
]

function resetTo(timestamp: string) {
  return {
    spec: { resetOffset: { requestId: timestamp.slice(11, 19), to: 'Timestamp', timestamp, force: true } },
  } as const
}

export const storyNames = stories.map(({ name }) => name)

/** A story and after which write of it the operator dies, as one number. */
export function caseOf(story: number, diedAfter: number): number {
  return story * casesMax + diedAfter
}

/** Plays a story with an operator that dies once. Nothing else goes wrong; all must be as asked in the end, whoever died. */
export async function runCase(number: number): Promise<StoryOutcome> {
  const { name, isFirst = false, tell } = stories[Math.floor(number / casesMax)] as Story
  const diedAfter = number % casesMax
  const play = new Play(seed)
  const { stage, trace, violations } = play
  if (isFirst) stage.diesAfter = diedAfter
  await play.open()
  if (!isFirst) {
    if (await play.settle()) await play.live(5_000)
    stage.writesDone = 0
    stage.diesAfter = diedAfter
  }
  await tell(play)
  await play.comeToRest()
  const writes = stage.writesDone
  if (diedAfter > 0 && stage.crashes === 0) play.violated(`there were ${writes} writes only`)
  await stage.close()
  return { seed: number, story: name, diedAfter, writes, trace, violations }
}
