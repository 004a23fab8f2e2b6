import { check, conditionOf, eventually, isReady } from '../harness/kube.ts'
import { clusterOf } from '../harness/manifests.ts'
import type { PortableCase, Scene } from '../harness/stage.ts'

const brokerSet = 'mq-brokers'
const last = `${brokerSet}-1`
const timeoutSeconds = 60 // the least that there is
const readyMs = 180_000
const goneMs = 120_000 // producers get 35 s to notice
const late = 'late'
let sentCount = 0

/** What scaleIn says of a group that somebody has not read. On a cluster of two groups, messages through both. */
export const scaleInPolicies: PortableCase[] = [
  {
    name: 'a cluster of two groups, and a consumer group that is behind in both',
    isBase: true,
    async run(scene) {
      const { kube } = scene
      await kube.apply(...clusterOf('mq', 'orders', { groups: 2 }))
      await isReady(kube, 'brokersets', brokerSet, readyMs)
      await isReady(kube, 'topics', 'mq-orders', readyMs)
      await scene.startFlow('orders')
      await lateReads(scene, await send(scene))
    },
  },
  {
    name: 'scaleIn Refuse: no group goes, and both take messages',
    async run(scene) {
      await scale(scene, 1, { policy: 'Refuse' })
      await blockedBy(scene, 'Refused')
      const { status } = await scene.kube.find('brokersets', brokerSet)
      const ready = conditionOf({ status }, 'Ready')
      check(ready?.status === 'False' && ready.reason === 'ScaleInRefused', `it is told why, saw ${ready?.reason}`)
      check(status.groups === 2, `two groups take messages, saw ${status.groups}`)
      await lateReads(scene, await send(scene))
      await backToTwo(scene)
    },
  },
  {
    name: 'scaleIn Force: the group goes unread, and who comes back to its number finds its messages',
    async run(scene) {
      const unread = await send(scene)
      await scale(scene, 1, { policy: 'Force' })
      await lastIsGone(scene)
      await isReady(scene.kube, 'brokersets', brokerSet, readyMs)
      await backToTwo(scene)
      await lateReads(scene, unread)
    },
  },
  {
    name: 'scaleIn Abort: what is not read in time stays, and takes messages again',
    async run(scene) {
      const unread = await send(scene)
      await scale(scene, 1, { policy: 'Drain', timeoutSeconds, onTimeout: 'Abort' })
      await blockedBy(scene, 'Unread')
      await blockedBy(scene, 'Aborted')
      const { status } = await scene.kube.find('brokersets', brokerSet)
      check(status.groups === 2, `two groups take messages, saw ${status.groups}`)
      const more = await send(scene)
      await backToTwo(scene)
      await lateReads(scene, unread, more)
    },
  },
  {
    name: 'scaleIn Pause: it waits for who has not read, and Force after a time-out lets it go',
    async run(scene) {
      const unread = await send(scene)
      await scale(scene, 1, { policy: 'Drain', timeoutSeconds, onTimeout: 'Pause' })
      const { message } = await blockedBy(scene, 'DrainTimedOut')
      check(message.includes(late), `it names who has to read, saw: ${message}`)
      check((await scene.kube.find('statefulsets', last)) !== undefined, 'the group is there')

      await scale(scene, 1, { policy: 'Drain', timeoutSeconds, onTimeout: 'Force' })
      await lastIsGone(scene)
      await backToTwo(scene)
      await lateReads(scene, unread)
    },
  },
]

/** Messages for both groups, at least one for each queue. @returns their prefix */
async function send(scene: Scene): Promise<string> {
  const prefix = `late-${sentCount++}-`
  const { perBroker } = await scene.talk.send({
    namesrv: await scene.namesrv(),
    topic: 'orders',
    prefix,
    count: messageCount,
  })
  check((perBroker[last] ?? 0) > 0, `the last group takes messages, saw ${JSON.stringify(perBroker)}`)
  return prefix
}
const messageCount = 40

async function lateReads(scene: Scene, ...prefixes: string[]): Promise<void> {
  const expect = Object.fromEntries(prefixes.map((prefix) => [prefix, messageCount]))
  await scene.talk.receive({ namesrv: await scene.namesrv(), topic: 'orders', group: late, expect })
}

function scale({ kube }: Scene, groups: number, scaleIn: object): Promise<void> {
  return kube.patch('brokersets', brokerSet, { spec: { groups, scaleIn } })
}

/** Waits until ScaleInBlocked is True for the reason. */
async function blockedBy({ kube }: Scene, reason: string): Promise<{ message: string }> {
  let blocked: { message: string } | undefined
  await eventually(`ScaleInBlocked has the reason ${reason}`, goneMs, async () => {
    const set = await kube.find('brokersets', brokerSet)
    const now = conditionOf(set, 'ScaleInBlocked')
    blocked = now
    const isOfNow = now?.observedGeneration === set.metadata.generation
    return (isOfNow && now.status === 'True' && now.reason === reason) || `${now?.reason}: ${now?.message}`
  })
  return blocked!
}

async function lastIsGone({ kube }: Scene): Promise<void> {
  await eventually('the last group is gone', goneMs, async () => {
    const { status } = await kube.find('brokersets', brokerSet)
    const isGone = (await kube.find('statefulsets', last)) === undefined
    return isGone || JSON.stringify(status.groupStatuses.at(-1))
  })
}

async function backToTwo(scene: Scene): Promise<void> {
  await scale(scene, 2, { policy: 'Drain', timeoutSeconds, onTimeout: 'Pause' })
  await isReady(scene.kube, 'brokersets', brokerSet, readyMs)
  await isReady(scene.kube, 'topics', 'mq-orders', readyMs)
}
