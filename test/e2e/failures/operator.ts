import { check, eventually, isReady, type Kube, podUids } from '../harness/kube.ts'
import type { Case, Stage } from '../harness/stage.ts'

const brokerSet = 'mq-brokers'
const selector = `rocketmq.alt/broker-set=${brokerSet}`

/** The operator is killed, all of its pods at once, in the middle of its work: another one finishes it. */
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
]

async function killOperator({ operator, operatorLog }: Stage): Promise<void> {
  const before = await podUids(operator, 'app.kubernetes.io/name=rocketmq-operator')
  check(before.size > 0, 'there are pods of the operator')
  operatorLog.forced(before.keys())
  await Promise.all([...before.keys()].map((pod) => operator.remove('pods', pod, { isForced: true })))
}

/** Whether it is at work again, told by the Lease that it renews. */
export async function isLed(operator: Kube): Promise<boolean | string> {
  const pods = await podUids(operator, 'app.kubernetes.io/name=rocketmq-operator')
  const lease = await operator.find('leases', 'rocketmq-operator')
  const holder: string = lease?.spec.holderIdentity ?? ''
  return [...pods.keys()].some((pod) => holder.startsWith(`${pod}_`)) || `held by ${holder}, of ${[...pods.keys()]}`
}
