import { podHashOf } from '../../src/controllers/pods.ts'
import {
  type BrokerSet,
  brokerSets,
  consumerGroups,
  nameServers,
  type Topic,
  topics,
} from '../../src/controllers/resources.ts'
import { brokerKey, type PretendedBroker } from '../../src/controllers/testing/brokers.ts'
import { annotation, apiVersion, label, liveBrokerSettings } from '../../src/crds/index.ts'
import type { KubeObject, Pod, ResourceType, StatefulSet } from '../../src/kube/index.ts'
import { type Faults, noFaults } from './line.ts'
import { namespace, Stage } from './stage.ts'

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
const settleMs = 1_200_000 // in which all must be as asked
const quietMs = 90_000 // in which nothing is written any more
const lastPassMs = 35_000 // until everything has been looked at once more
const newsMsMax = 15_000
const producerPollMs = 30_000 // so often producers ask where they may send
const tickMs = 500

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

const resources: [ResourceType, string, object][] = [
  [nameServers, 'mq', { replicas: 2 }],
  [brokerSets, 'b', { nameServerRef: { name: 'mq' }, groups: 2, slavesPerGroup: 1 }],
  [topics, 'orders', { brokerSetRef: { name: 'b' } }],
  [consumerGroups, 'billing', { brokerSetRef: { name: 'b' } }],
]

/**
 * One story under a seed: a user changes their mind, the API server is slow, forgetful and refuses, operators die after
 * writes. Rules are watched all the time: no group goes with something unread or while producers may write, and no group
 * lacks two brokers by restarts. In the end all is as asked, and nothing is written any more.
 */
export async function runSeed(seed: number): Promise<Outcome> {
  const outcome: Outcome = { seed, trace: [], violations: [], crashes: 0, restarts: 0, removals: 0 }
  const stage = new Stage(seed, { arrives: witness, releases })
  const { chance, clock, pretended } = stage
  const at = () => `${(clock.monotonicMs() / 1000).toFixed(1)} s`
  const violated = (rule: string) => void outcome.violations.push(`${at()}: ${rule}`)
  let readsAgainMs = 0
  const asked = [{ askedMs: 0, groups: 2, slavesPerGroup: 1 }]
  const acceptedAtMs = new Map<string, number>() // by group: when its master took a message last
  const routes = new Map<string, Map<number, number>>() // by group and queue: when it was writable last

  let placedMs = Number.NEGATIVE_INFINITY // when the topic was last for some groups only

  function witness(method: string, path: string): void {
    if (topicNow(stage)?.spec.placement) placedMs = clock.monotonicMs()
    if (method !== 'DELETE') return
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (path.includes('/statefulsets/')) removes(name)
    if (path.includes('/pods/')) restarts(name)
  }

  /** A master that registers must have what clients will look for there. */
  function releases(broker: PretendedBroker): void {
    if (clock.monotonicMs() < newsMsMax) return // the operator may not know yet what there is
    const mayBeElsewhere = clock.monotonicMs() - placedMs < newsMsMax
    if ((!broker.topics.has('orders') && !mayBeElsewhere) || !broker.groups.has('billing'))
      violated('a broker is let go without its topics and groups')
  }

  function removes(name: string): void {
    outcome.removals++
    const group = name.slice(name.lastIndexOf('-') + 1)
    const unread = pretended.brokers.get(group)?.unread ?? []
    if (unread.length > 0) violated(`${name} goes with ${JSON.stringify(unread)} unread`)
    const quiet = clock.monotonicMs() - (acceptedAtMs.get(group) ?? Number.NEGATIVE_INFINITY)
    if (quiet < producerPollMs) violated(`${name} goes ${quiet} ms after it took a message`)
  }

  function restarts(name: string): void {
    const pod = stage.pods().find(({ metadata }) => metadata.name === name)
    if (!pod || !isReady(pod)) return // gone already, or not serving: nobody loses by it
    outcome.restarts++
    const group = pod.metadata.labels?.[label.group]
    const set = statefulSets(stage).find(({ metadata }) => metadata.name === `b-${group}`)
    const isLeaving = Number(group) >= fewest('groups') // it goes with its volumes: nothing waits for its slaves
    // a slave that is to go is not waited for either
    const last = Math.min((set?.spec?.replicas ?? 0) - 1, fewest('slavesPerGroup'))
    for (let ordinal = 0; ordinal <= last; ordinal++) {
      const other = stage.pods().find(({ metadata }) => metadata.name === `b-${group}-${ordinal}`)
      if (other?.metadata.name === name) continue
      if (!other || !isReady(other)) violated(`${name} is restarted while b-${group}-${ordinal} does not run`)
      else if (!isLeaving && !pretended.brokers.get(brokerKey(other))?.isFollowing)
        violated(`${name} is restarted before ${other.metadata.name} follows`)
    }
  }

  /** Producers write where they may; consumers read, sometimes slowly, and now and then not at all for a while. */
  function talk(): void {
    const nowMs = clock.monotonicMs()
    if (stage.faults.refused > 0 && nowMs > readsAgainMs && chance.is(0.02))
      readsAgainMs = nowMs + chance.whole(20, 120) * 1000
    for (const pod of stage.pods()) {
      const group = pod.metadata.labels?.[label.group]
      if (group === undefined || !pod.metadata.name.endsWith('-0') || !isReady(pod)) continue
      const broker = pretended.brokers.get(group) as PretendedBroker
      const topic = broker.topics.get('orders')
      const lastRouteMs = routes.get(group) ?? new Map<number, number>()
      routes.set(group, lastRouteMs)
      const writable = topic && (topic.perm & 2) !== 0 ? topic.writeQueueNums : 0
      for (let queueId = 0; queueId < writable; queueId++) lastRouteMs.set(queueId, nowMs)
      const unread = new Map(broker.unread.map(({ queueId = 0, count }) => [queueId, count]))
      if (topic && !broker.isHeld && (broker.permission & 2) !== 0 && chance.is(0.7)) {
        // some producers go by a route that is half a minute old
        const known = [...lastRouteMs].flatMap(([queueId, seenMs]) =>
          nowMs - seenMs < producerPollMs ? [queueId] : [],
        )
        const able = known.filter((queueId) => queueId < topic.readQueueNums)
        if (able.length > 0) {
          const queueId = chance.one(able)
          unread.set(queueId, (unread.get(queueId) ?? 0) + chance.int(4))
          acceptedAtMs.set(group, nowMs)
        }
      }
      for (const [queueId, count] of unread) {
        if (nowMs > readsAgainMs && chance.is(0.5)) unread.set(queueId, Math.max(0, count - chance.int(10)))
      }
      broker.unread = [...unread].flatMap(([queueId, count]) =>
        count > 0 ? [{ consumerGroup: 'billing', topic: 'orders', queueId, count }] : [],
      )
    }
  }

  /** No queue goes while somebody has to read it. */
  function guardTopics(): void {
    const { admin } = pretended
    const { createTopic, deleteTopic } = admin
    const goes = (brokerAddr: string, firstQueue: number) => {
      const pod = stage.podAt(brokerAddr)
      const broker = pod && pretended.brokers.get(brokerKey(pod))
      const unread = broker?.unread.filter(({ queueId = 0 }) => queueId >= firstQueue) ?? []
      if (unread.length > 0)
        violated(`${pod?.metadata.name}: queues from ${firstQueue} on go with ${JSON.stringify(unread)} unread`)
      const count = broker?.topics.get('orders')?.readQueueNums ?? 0
      for (const [queueId, seenMs] of routes.get(pod?.metadata.labels?.[label.group] ?? '') ?? []) {
        const ms = clock.monotonicMs() - seenMs
        if (queueId >= firstQueue && queueId < count && ms < producerPollMs)
          violated(`${pod?.metadata.name}: queue ${queueId} goes ${ms} ms after it took messages`)
      }
    }
    admin.createTopic = async (brokerAddr, topic) => {
      if (topic.topicName === 'orders') goes(brokerAddr, topic.readQueueNums)
      await createTopic(brokerAddr, topic)
    }
    admin.deleteTopic = async (brokerAddr, topic) => {
      goes(brokerAddr, 0)
      await deleteTopic(brokerAddr, topic)
    }
  }

  /** The smallest number that an operator may know of: news are some seconds late. */
  function fewest(count: 'groups' | 'slavesPerGroup'): number {
    const newsMs = clock.monotonicMs() - newsMsMax
    const inForce = asked.findLastIndex(({ askedMs }) => askedMs < newsMs)
    return Math.min(...asked.slice(Math.max(0, inForce)).map((one) => one[count]))
  }

  async function live(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += tickMs) {
      talk()
      await stage.pass(tickMs)
    }
  }

  async function ask(type: ResourceType, name: string, patch: object): Promise<void> {
    outcome.trace.push(`${at()}: ${type.kind} ${name} ${JSON.stringify(patch)}`)
    const last = asked.at(-1) as (typeof asked)[number]
    const { groups = last.groups, slavesPerGroup = last.slavesPerGroup } =
      (patch as { spec?: Partial<typeof last> }).spec ?? {}
    asked.push({ askedMs: clock.monotonicMs(), groups, slavesPerGroup })
    await stage.act(stage.client.merge(type, { namespace, name }, patch))
  }

  guardTopics()
  await stage.open()
  for (const [type, name, spec] of resources) {
    const object = { apiVersion, kind: type.kind, metadata: { namespace, name }, spec } as KubeObject
    await stage.act(stage.client.create(type, object))
  }
  const trouble = seed % frailEvery === 0 ? { ...faults, crash: frail } : faults
  stage.faults = trouble
  const endMs = clock.monotonicMs() + storyMs
  while (clock.monotonicMs() < endMs) {
    await live(chance.whole(1, 60) * 1000)
    const [type, name, patch] = chance.is(0.4) ? topicWish(stage) : wish(stage)
    await ask(type, name, patch)
  }

  stage.faults = noFaults
  for (const [type, name] of resources) await ask(type, name, { spec: { paused: false } })
  for (const [type, name] of resources.slice(0, 2)) await ask(type, name, { spec: { hibernate: false } })
  let unsettled = unsettledOf(stage)
  for (let passed = 0; passed < settleMs && unsettled.length > 0; passed += 5000) {
    await live(5000)
    unsettled = unsettledOf(stage)
  }
  for (const one of unsettled) violated(`after ${settleMs / 1000} s without faults: ${one}`)
  if (unsettled.length === 0) {
    await live(lastPassMs)
    stage.writes = []
    await live(quietMs)
    if (stage.writes.length > 0)
      violated(`though nothing was asked for ${quietMs / 1000} s: ${stage.writes.join(', ')}`)
  }
  outcome.crashes = stage.crashes
  await stage.close()
  return outcome
}

/** Something that a user may want. */
function wish({ chance }: Stage): [ResourceType, string, object] {
  const set = (spec: object): [ResourceType, string, object] => [brokerSets, 'b', { spec }]
  return chance.one([
    () => set({ groups: chance.whole(1, 3) }),
    () => set({ groups: chance.whole(1, 3) }),
    () => set({ groups: chance.whole(1, 3), config: { maxMessageSize: String(chance.whole(1000, 1003)) } }),
    () => set({ slavesPerGroup: chance.whole(0, 2) }),
    () => set({ config: { fileReservedTime: String(chance.whole(40, 48)) } }),
    () => set({ config: { maxMessageSize: String(chance.whole(1000, 1003)), traceOn: String(chance.is(0.5)) } }),
    () => set({ scaleIn: { policy: chance.one(['Drain', 'Drain', 'Refuse']) } }),
    () => set({ paused: chance.is(0.5) }),
    () => set({ hibernate: chance.is(0.5) }),
    () => set({ storage: { size: '30Gi' } }),
    (): [ResourceType, string, object] => {
      const restartAt = { [annotation.restartAt]: String(chance.int(1000)) }
      return [brokerSets, 'b', { metadata: { annotations: restartAt } }]
    },
    (): [ResourceType, string, object] => [nameServers, 'mq', { spec: { replicas: chance.whole(1, 3) } }],
    (): [ResourceType, string, object] => [nameServers, 'mq', { spec: { hibernate: chance.is(0.5) } }],
  ])()
}

/** And of a topic. */
function topicWish({ chance }: Stage): [ResourceType, string, object] {
  if (chance.is(0.7)) return [topics, 'orders', { spec: { queues: { perBroker: chance.whole(1, 9) } } }]
  return [topics, 'orders', { spec: { placement: chance.one([null, { groups: [0] }]) } }] // a group that never goes
}

function topicNow({ store }: Stage): Topic | undefined {
  return store.get(`${apiVersion.split('/')[0]}/topics`, namespace, 'orders') as unknown as Topic | undefined
}

function isReady({ metadata, status }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status?.podIP !== undefined
}

function statefulSets({ store }: Stage): StatefulSet[] {
  return store.list('apps/statefulsets') as unknown as StatefulSet[]
}

/** What is not as it was asked for: what resources say of themselves, and what is. */
function unsettledOf(stage: Stage): string[] {
  const { store, pretended } = stage
  const not: string[] = []
  for (const [{ plural, kind }, name] of resources) {
    const resource = store.get(`${apiVersion.split('/')[0]}/${plural}`, namespace, name) as unknown as BrokerSet
    const ready = resource.status?.conditions?.find(({ type }) => type === 'Ready')
    const isRefused = ready?.reason === 'ScaleInRefused' // as asked, too
    const isSeen = ready?.observedGeneration === resource.metadata.generation
    if (!isSeen || (ready?.status !== 'True' && !isRefused))
      not.push(`${kind} ${name}: ${ready?.reason}: ${ready?.message}`)
  }
  const { spec } = store.get(`${apiVersion.split('/')[0]}/brokersets`, namespace, 'b') as unknown as BrokerSet
  const placement = topicNow(stage)?.spec.placement
  const groups = statefulSets(stage).filter(({ metadata }) => metadata.name !== 'mq')
  if (groups.length < spec.groups || (groups.length > spec.groups && spec.scaleIn?.policy !== 'Refuse')) {
    not.push(`there are ${groups.length} groups, not ${spec.groups}`)
  }
  for (const group of groups) {
    const own = stage
      .pods()
      .filter(({ metadata }) => metadata.labels?.[label.group] === group.metadata.labels?.[label.group])
    if (own.length !== 1 + (spec.slavesPerGroup ?? 0)) not.push(`${group.metadata.name} has ${own.length} brokers`)
    for (const pod of own) {
      const name = pod.metadata.name
      if (podHashOf(pod) !== podHashOf(group.spec?.template as never)) not.push(`${name} is of another revision`)
      const broker = pretended.brokers.get(brokerKey(pod))
      const wanted = liveBrokerSettings({ ...spec.config, autoCreateSubscriptionGroup: 'true' })
      for (const [key, value] of Object.entries(wanted)) {
        if (broker?.settings.get(key) !== value)
          not.push(`${name} has ${key}=${broker?.settings.get(key)}, not ${value}`)
      }
      const isPlaced = placement?.groups.includes(Number(group.metadata.labels?.[label.group])) ?? true
      if (name.endsWith('-0') && isPlaced !== broker?.topics.has('orders'))
        not.push(`${name} has ${isPlaced ? 'no' : 'the'} topic`)
    }
  }
  return not
}
