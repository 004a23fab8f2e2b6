import { join } from 'node:path'
import { eventually, isGone, madeAt, readySince } from '../harness/kube.ts'
import { type Case, check, type Stage } from '../harness/stage.ts'

const replicated = join(import.meta.dirname, '../../../deploy/samples/replicated.yaml')
const brokerSet = 'brokerset/mq-copied'
const master = 'mq-copied-0-0'
const slave = 'mq-copied-0-1'
/** Acknowledged messages of topic payments: count by prefix. */
const acked: Record<string, number> = {}

/** Masters with slaves: who is in sync, in what order they restart, and that nothing is lost. */
export const replication: Case[] = [
  {
    name: 'replicated.yaml becomes ready: a slave in sync, on another node than its master',
    isBase: true,
    async run(stage) {
      const { kube } = stage
      await kube.run(['apply', '-f', replicated])
      await kube.ready(brokerSet, 180_000)
      await kube.ready('topic/payments', 60_000)
      const { status } = await kube.get(brokerSet)
      const [group] = status.groupStatuses
      check(group.members[1]?.inSync === true, `the slave is in sync, saw ${JSON.stringify(group.members)}`)
      const { items } = await kube.get('pods', '-l', 'rocketmq.alt/broker-set=mq-copied')
      const roles = items.map((pod: Pod) => `${pod.metadata.name} ${pod.metadata.labels['rocketmq.alt/role']}`)
      check(roles.join() === `${master} master,${slave} slave`, `pods are labelled with their roles, saw ${roles}`)
      const nodes = new Set(items.map((pod: Pod) => pod.spec.nodeName))
      check(nodes.size === 2, `they run on two nodes, saw ${[...nodes]}`)
      await kube.run(['diff', '-f', replicated]) // fails where there is a difference
      await stage.startFlow('payments')
      await send(stage, 'copied-', 500)
    },
  },
  {
    name: 'a slave that is gone is not in sync, and in sync again when it is back',
    async run({ kube }) {
      const before = await uidOf(kube, slave)
      const inSync = () => kube.conditionOf(brokerSet, 'InSync')
      const since = (await inSync())?.lastTransitionTime
      await kube.run(['delete', 'pod', slave, '--grace-period=0', '--force'])
      await eventually('the slave is in sync in another pod', 120_000, async () => {
        const now = await uidOf(kube, slave)
        const condition = await inSync()
        const isBack = now !== undefined && now !== before && condition?.status === 'True'
        return (isBack && condition.lastTransitionTime !== since) || `${now}: ${condition?.message}`
      })
      await kube.ready(brokerSet, 120_000)
    },
  },
  {
    name: 'the master is gone while messages are sent: none that was acknowledged is missing',
    async run(stage) {
      const { kube } = stage
      const before = await uidOf(kube, master)
      const sending = send(stage, 'through-', 3000)
      await Promise.all([sending, kube.run(['delete', 'pod', master, '--grace-period=0', '--force'])])
      await eventually('another pod is the master', 120_000, async () => {
        const now = await uidOf(kube, master)
        return now !== undefined && now !== before
      })
      await kube.ready(brokerSet, 180_000)
      await receiveAll(stage, 'reader-of-failures')
    },
  },
  {
    name: 'new settings restart the slave, wait until it is in sync, then restart the master',
    async run(stage) {
      const { kube } = stage
      const before = [await uidOf(kube, slave), await uidOf(kube, master)]
      const sending = send(stage, 'rolled-', 3000)
      const patch = { spec: { config: { slaveReadEnable: 'true', maxMessageSize: '2000000' } } }
      await kube.run(['patch', brokerSet, '--type=merge', '-p', JSON.stringify(patch)])
      await eventually('the slave is replaced', 120_000, async () => {
        const now = await uidOf(kube, slave)
        return now !== undefined && now !== before[0]
      })
      await kube.ready(brokerSet, 240_000)
      await sending
      check((await uidOf(kube, master)) !== before[1], 'the master is replaced too')
      const [first, second] = [await kube.get('pod', slave), await kube.get('pod', master)]
      check(readySince(first) <= madeAt(second), 'the master was replaced when the slave was ready')
      await receiveAll(stage, 'reader-of-rolls')
    },
  },
  {
    name: 'a second slave comes and goes: nobody restarts, its volume stays',
    async run({ kube }) {
      const before = [await uidOf(kube, master), await uidOf(kube, slave)].join()
      await kube.run(['patch', brokerSet, '--type=merge', '-p', '{"spec":{"slavesPerGroup":2}}'])
      await kube.ready(brokerSet, 180_000)
      check((await kube.get(brokerSet)).status.groupStatuses[0].members.length === 3, 'there are three members')
      await kube.run(['patch', brokerSet, '--type=merge', '-p', '{"spec":{"slavesPerGroup":1}}'])
      await eventually('its pod and its Service are gone', 120_000, async () => {
        const { items } = await kube.get('pods,services')
        return !items.some(({ metadata }: Pod) => metadata.name === 'mq-copied-0-2')
      })
      await kube.ready(brokerSet, 60_000)
      check([await uidOf(kube, master), await uidOf(kube, slave)].join() === before, 'the others are the same pods')
      await kube.get('pvc', 'data-mq-copied-0-2')
    },
  },
]

export const replicationRemoval: Case[] = [
  {
    name: 'a set with slaves is deleted with all that it made',
    async run({ kube }) {
      await kube.run(['delete', '-f', replicated, '--timeout=120s'], { timeoutMs: 150_000 })
      await isGone(kube, 120_000)
    },
  },
]

interface Pod {
  metadata: { name: string; uid: string; labels: Record<string, string> }
  spec: { nodeName?: string }
}

async function send(stage: Stage, prefix: string, count: number): Promise<void> {
  const namesrv = await stage.namesrv()
  acked[prefix] = (await stage.talk.send({ namesrv, topic: 'payments', prefix, count, seconds: 240 })).acked
}

async function receiveAll(stage: Stage, group: string): Promise<void> {
  await stage.talk.receive({ namesrv: await stage.namesrv(), topic: 'payments', group, expect: acked })
}

/** undefined while there is no such pod. */
async function uidOf(kube: Stage['kube'], name: string): Promise<string | undefined> {
  const { items } = await kube.get('pods', '--field-selector', `metadata.name=${name}`)
  return items[0]?.metadata.uid
}
