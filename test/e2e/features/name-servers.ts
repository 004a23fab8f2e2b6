import { check, conditionOf, eventually, isReady, type Kube, madeAt, podUids, readySince } from '../harness/kube.ts'
import { clusterOf } from '../harness/manifests.ts'
import type { PortableCase } from '../harness/stage.ts'

const brokers = 'rocketmq.alt/broker-set=mq-brokers'
const nameServer = 'rocketmq.alt/name-server=mq'

/** NameServers come and go; brokers and clients stay. */
export const nameServers: PortableCase[] = [
  {
    name: 'a cluster with one NameServer and a group of two, messages through it from now on',
    isBase: true,
    async run(scene) {
      const { kube } = scene
      await kube.apply(...clusterOf('mq', 'orders', { slavesPerGroup: 1 }))
      await isReady(kube, 'brokersets', 'mq-brokers', 180_000)
      await isReady(kube, 'topics', 'mq-orders', 60_000)
      await scene.startFlow('orders')
    },
  },
  {
    name: 'NameServers 1 to 3: the address comes when all of them exist, no broker restarts',
    async run(scene) {
      const { kube } = scene
      const before = await podUids(kube, brokers)
      await kube.patch('nameservers', 'mq', { spec: { replicas: 3 } })
      const seen = await addressesUntil(kube, 3)
      check(
        seen.every((count) => count === 1 || count === 3),
        `the address has one NameServer or all three, saw ${seen}`,
      )
      await isReady(kube, 'brokersets', 'mq-brokers', 120_000)
      await eventually('brokers register at three', 30_000, async () => {
        const { status } = await kube.find('brokersets', 'mq-brokers')
        return status.nameServers.split(';').length === 3 || `brokers register at ${status.nameServers}`
      })
      same(before, await podUids(kube, brokers))
    },
  },
  {
    name: 'NameServers 3 to 2: clients are given the shorter list, and the one that goes serves on for two minutes',
    async run(scene) {
      const { kube } = scene
      const before = await podUids(kube, brokers)
      await kube.patch('nameservers', 'mq', { spec: { replicas: 2 } })
      await addressesUntil(kube, 2)
      await eventually('it is said when it goes', 30_000, async () => {
        const resource = await kube.find('nameservers', 'mq')
        const { reason, message } = conditionOf(resource, 'Ready') ?? {}
        return (reason === 'ScalingIn' && message.includes('mq-2 goes at')) || `it is ${reason}: ${message}`
      })
      await isReady(kube, 'brokersets', 'mq-brokers', 120_000)
      await eventually('brokers register at two', 30_000, async () => {
        const { status } = await kube.find('brokersets', 'mq-brokers')
        return status.nameServers.split(';').length === 2 || `brokers register at ${status.nameServers}`
      })
      const { status } = await kube.find('nameservers', 'mq')
      const goes = status.members.find(({ pod }: { pod: string }) => pod === 'mq-2')
      check(goes?.ready && goes.leavesAt, `mq-2 serves and has its time, saw ${JSON.stringify(status.members)}`)
      same(before, await podUids(kube, brokers))
    },
  },
  {
    name: 'NameServers roll one at a time when their settings change, no broker restarts',
    async run({ kube }) {
      await kube.patch('nameservers', 'mq', { spec: { replicas: 2 } }) // as it is, where the cases before were run
      await addressesUntil(kube, 2)
      await isReady(kube, 'brokersets', 'mq-brokers', 60_000)
      const before = await podUids(kube, brokers)
      const staying = [...(await podUids(kube, nameServer))].filter(([pod]) => pod !== 'mq-2') // it may be there still
      const seen = new Map(staying.map(([pod, uid]) => [pod, new Set([uid])]))
      let fewest = seen.size
      await kube.patch('nameservers', 'mq', { spec: { config: { scanNotActiveBrokerInterval: '4000' } } })
      await eventually('both pods are new', 180_000, async () => {
        const pods = await kube.list('pods', nameServer)
        for (const { metadata } of pods) seen.get(metadata.name)?.add(metadata.uid)
        const ours = pods.filter(({ metadata }) => seen.has(metadata.name)) // not the one that may be there still
        const serving = ours.filter((pod) => conditionOf(pod, 'Ready')?.status === 'True').length
        fewest = Math.min(fewest, serving)
        return [...seen.values()].every((uids) => uids.size > 1) || `${serving} of ${seen.size} are ready`
      })
      check(fewest >= 1, 'one of two NameServers answered all the time')
      const [first, second] = [await kube.find('pods', 'mq-1'), await kube.find('pods', 'mq-0')]
      check(readySince(first) <= madeAt(second), 'the last one went first, and was ready before the other one went')
      await eventually('it is told why they roll, and when all of them have', 60_000, async () => {
        const told = (await kube.list('events')).filter(({ involvedObject }) => involvedObject.kind === 'NameServer')
        const began = told.find(({ reason }) => reason === 'RolloutStarted')?.message
        const isOver = told.some(({ reason }) => reason === 'RolloutCompleted')
        return (isOver && began?.includes('StaticConfigChanged')) || `it is ${isOver ? '' : 'not '}over: ${began}`
      })
      const { status } = await kube.find('nameservers', 'mq')
      check(!status.rollout && status.version, `the roll is over, and it is said what runs, saw ${status.version}`)
      await isReady(kube, 'brokersets', 'mq-brokers', 120_000)
      same(before, await podUids(kube, brokers))
    },
  },
]

/** What takes its time: other cases run meanwhile. */
export const nameServerGoes: PortableCase[] = [
  {
    name: 'the NameServer that is too many goes when clients know the list without it, no broker restarts',
    async run({ kube }) {
      const before = await podUids(kube, brokers)
      await kube.patch('nameservers', 'mq', { spec: { replicas: 2 } }) // as it is, where the cases before were run
      await isReady(kube, 'nameservers', 'mq', 200_000)
      const pods = await kube.list('pods', nameServer)
      check(pods.filter(({ metadata }) => !metadata.deletionTimestamp).length === 2, 'two pods are left')
      await isReady(kube, 'brokersets', 'mq-brokers', 60_000)
      same(before, await podUids(kube, brokers))
    },
  },
]

/** Waits until status.address has so many NameServers. @returns how many it had meanwhile */
async function addressesUntil(kube: Kube, count: number): Promise<number[]> {
  const seen: number[] = []
  await eventually(`the address has ${count} NameServers, and all of them are ready`, 120_000, async () => {
    const { status } = await kube.find('nameservers', 'mq')
    const now = status.address?.split(';').length ?? 0
    if (seen.at(-1) !== now) seen.push(now)
    return (now === count && status.readyReplicas >= count) || `it is ${status.address}, ${status.readyReplicas} ready`
  })
  return seen
}

function same(before: Map<string, string>, after: Map<string, string>): void {
  const text = (uids: Map<string, string>) => JSON.stringify([...uids])
  check(before.size > 0 && text(before) === text(after), `the same pods run, had ${text(before)}, have ${text(after)}`)
}
