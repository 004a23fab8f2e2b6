import { check, eventually, isReady, type Kube, NoAnswer, podUids } from '../harness/kube.ts'
import type { Case, Stage } from '../harness/stage.ts'

const brokerSet = 'mq-brokers'
const selector = `rocketmq.alt/broker-set=${brokerSet}`

/** The operator is killed, all of its pods at once, in the middle of its work, or another one has to lead: the work is finished. */
export const operatorFailures: Case[] = [
  {
    name: 'the operator is killed while a group is added: the group joins',
    async run(stage) {
      const { kube } = stage
      await kube.patch('brokersets', brokerSet, { spec: { groups: 2 } })
      await eventually('the new group has begun', 60_000, async () => {
        return (await kube.find('statefulsets', `${brokerSet}-1`)) !== undefined
      })
      await killOperator(stage)
      await isReady(kube, 'brokersets', brokerSet, 180_000)
      await eventually('the topic is on both groups', 60_000, async () => {
        const { status } = await kube.find('topics', 'mq-orders')
        return status.brokers?.synced === 2 || JSON.stringify(status.brokers)
      })
    },
  },
  {
    name: 'the operator is killed in the middle of a roll: each broker restarts once',
    async run(stage) {
      const { kube } = stage
      const seen = new Map([...(await podUids(kube, selector))].map(([pod, uid]) => [pod, new Set([uid])]))
      const look = async () => {
        for (const [pod, uid] of await podUids(kube, selector)) seen.get(pod)?.add(uid)
        return [...seen.values()].filter((uids) => uids.size > 1).length
      }
      const annotations = { 'rocketmq.alt/restart-at': 'killed in between' }
      await kube.patch('brokersets', brokerSet, { metadata: { annotations } })
      await eventually('the first broker is new', 120_000, async () => (await look()) > 0)
      await killOperator(stage)
      await eventually('all brokers are new', 240_000, async () => {
        const count = await look()
        return count === seen.size || `${count} of ${seen.size}`
      })
      await isReady(kube, 'brokersets', brokerSet, 120_000)
      await look()
      check(
        [...seen.values()].every((uids) => uids.size === 2),
        `each was restarted once, saw ${[...seen].map(([pod, uids]) => `${pod} ${uids.size - 1}`)}`,
      )
    },
  },
  {
    name: 'the operator is killed while a group drains: the group goes when it is read',
    async run(stage) {
      const { kube } = stage
      await kube.patch('brokersets', brokerSet, { spec: { groups: 1 } })
      await eventually('the group drains', 60_000, async () => {
        const { status } = await kube.find('brokersets', brokerSet)
        return status.groupStatuses?.at(-1)?.draining !== undefined || JSON.stringify(status.groupStatuses?.at(-1))
      })
      await killOperator(stage)
      await eventually('its StatefulSet is gone', 240_000, async () => {
        const { status } = await kube.find('brokersets', brokerSet)
        const isGone = (await kube.find('statefulsets', `${brokerSet}-1`)) === undefined
        return isGone || JSON.stringify(status.groupStatuses?.at(-1))
      })
      await isReady(kube, 'brokersets', brokerSet, 60_000)
    },
  },
  {
    name: 'the leading operator is deleted as usual: it gives its Lease back, and the other one goes on at once',
    async run(stage) {
      const { kube, operator } = stage
      const leader = await leaderOf(operator)
      await operator.remove('pods', leader)
      const started = Date.now()
      await eventually('another one leads', 60_000, async () => {
        const now = await leaderOf(operator)
        return now !== leader || `${now} does`
      })
      const seconds = (Date.now() - started) / 1000
      check(seconds < handOverSecondsMax, `it does not wait until the Lease has run out, saw ${seconds} s`)
      await isAtWork(kube)
    },
  },
  {
    name: 'the leading operator loses its Lease: it ends, and one of the two takes over when that runs out',
    async run(stage) {
      const { kube, operator, operatorLog } = stage
      await eventually('two are ready', 120_000, async () => {
        return (await operator.find('deployments', 'rocketmq-operator')).status.readyReplicas === 2
      })
      const leader = await leaderOf(operator)
      const restarts = () => restartsOf(operator, leader)
      const before = await restarts()
      operatorLog.losesLease([leader])
      await operator.patch('leases', lease, { spec: { holderIdentity: 'somebody-else', leaseDurationSeconds: 15 } })
      await eventually('the one that led has ended', 60_000, async () => {
        const now = await restarts()
        return now === before + 1 || `it was restarted ${now - before} times`
      })
      await eventually('one of them leads', 60_000, () => isLed(operator))
      await isAtWork(kube)
    },
  },
]

const lease = 'rocketmq-operator'
const handOverSecondsMax = 12 // a Lease lasts 15 s; a try each 2 s, and this looks each second

/** It sees what changes now. */
async function isAtWork(kube: Kube): Promise<void> {
  const { spec } = await kube.find('topics', 'mq-orders')
  await kube.patch('topics', 'mq-orders', { spec: { queues: { perBroker: spec.queues.perBroker + 1 } } })
  await isReady(kube, 'topics', 'mq-orders', 60_000)
}

/** The pod that holds the Lease. @throws NoAnswer when none does */
async function leaderOf(operator: Kube): Promise<string> {
  const pods = await podUids(operator, 'app.kubernetes.io/name=rocketmq-operator')
  const held = await operator.find('leases', lease)
  const holder: string = held?.spec.holderIdentity ?? ''
  const leader = [...pods.keys()].find((pod) => holder.startsWith(`${pod}_`))
  if (leader === undefined) throw new NoAnswer(`held by ${holder}, of ${[...pods.keys()]}`)
  return leader
}

async function restartsOf(operator: Kube, pod: string): Promise<number> {
  const { status } = await operator.find('pods', pod)
  return status.containerStatuses[0].restartCount
}

async function killOperator({ operator, operatorLog }: Stage): Promise<void> {
  const before = await podUids(operator, 'app.kubernetes.io/name=rocketmq-operator')
  check(before.size > 0, 'there are pods of the operator')
  operatorLog.losesLease(before.keys())
  await Promise.all([...before.keys()].map((pod) => operator.remove('pods', pod, { isForced: true })))
}

/** Whether it is at work again, told by the Lease that it renews. */
export function isLed(operator: Kube): Promise<true> {
  return leaderOf(operator).then(() => true)
}
