import { check, eventually, isReady, type Kube } from '../harness/kube.ts'
import type { Kubectl } from '../harness/kubectl.ts'
import type { Case, Stage } from '../harness/stage.ts'

const drainMs = 300_000

/** Nodes that are emptied as an administrator does it, one after the other. What runs on them moves; service goes on. */
export function nodeDrains(stages: () => Stage[]): Case[] {
  return [
    {
      name: 'kubectl drain empties a node: budgets are kept, brokers move, no message is lost',
      async run({ kube }) {
        const node = await nodeOfMost(kube)
        const evicting = watchGroups(stages())
        try {
          await drain(kube, node)
          await settled(stages())
          const left = await podsOn(kube, node)
          check(left.length === 0, `no pod of ours is left on ${node}, saw ${left}`)
          const worst = await evicting.stop()
          check(worst <= 1, `never more than one broker of a group was missing, saw ${worst}`)
        } finally {
          await kube.run(['uncordon', node])
          await evicting.stop()
        }
      },
    },
    {
      name: 'an eviction that a budget forbids is refused',
      async run() {
        // Two of two NameServers: the first may go, and while it is away the second may not.
        const stage = stages().find(({ kube }) => kube.namespace === 'e2e-copied')
        check(stage !== undefined, 'there is a cluster with two NameServers')
        const evict = (pod: string) =>
          stage.kube.run(
            ['create', '--raw', `/api/v1/namespaces/${stage.kube.namespace}/pods/${pod}/eviction`, '-f', '-'],
            {
              input: JSON.stringify({
                apiVersion: 'policy/v1',
                kind: 'Eviction',
                metadata: { name: pod, namespace: stage.kube.namespace },
              }),
            },
          )
        await isReady(stage.kube, 'nameservers', 'mq', 60_000)
        await evict('mq-0')
        const refusal = await evict('mq-1').then(
          () => 'it was evicted',
          (error: Error) => error.message,
        )
        check(/disruption budget/.test(refusal), `the second eviction is refused, saw: ${refusal}`)
        await isReady(stage.kube, 'nameservers', 'mq', 120_000)
        await settled(stages())
      },
    },
  ]
}

/** The node with the most brokers. */
async function nodeOfMost(kube: Kubectl): Promise<string> {
  const { items } = await kube.get('pods', '-A', '-l', 'rocketmq.alt/broker-set')
  const counts = new Map<string, number>()
  for (const { spec } of items) counts.set(spec.nodeName, (counts.get(spec.nodeName) ?? 0) + 1)
  const [most] = [...counts].sort(([, one], [, other]) => other - one)
  check(most !== undefined, 'there are brokers')
  return most[0]
}

async function podsOn(kube: Kubectl, node: string): Promise<string[]> {
  const { items } = await kube.get('pods', '-A', '--field-selector', `spec.nodeName=${node}`)
  return items
    .filter(({ metadata }: { metadata: { labels?: Record<string, string> } }) => {
      return Object.keys(metadata.labels ?? {}).some((name) => name.startsWith('rocketmq.alt/'))
    })
    .map(({ metadata }: { metadata: { name: string } }) => metadata.name)
}

async function drain(kube: Kubectl, node: string): Promise<void> {
  const flags = ['--ignore-daemonsets', '--delete-emptydir-data', '--force', `--timeout=${drainMs / 1000}s`]
  await kube.run(['drain', node, ...flags], { timeoutMs: drainMs + 30_000 })
}

async function settled(stages: Stage[]): Promise<void> {
  await Promise.all(stages.map((stage) => stage.settle()))
  for (const { kube } of stages)
    for (const kind of ['nameservers', 'brokersets'])
      for (const { metadata } of await kube.list(kind)) await isReady(kube, kind, metadata.name, 180_000)
}

/** Counts how many brokers of a group are not ready at a time, at worst. */
function watchGroups(stages: Stage[]): { stop(): Promise<number> } {
  let worst = 0
  let isOver = false
  const watching = eventually('the drain is over', drainMs * 2, async () => {
    for (const { kube } of stages) worst = Math.max(worst, await missingOf(kube))
    return isOver
  })
  watching.catch(() => {}) // it may fail before anybody stops it: stop tells
  return {
    async stop() {
      isOver = true
      await watching
      return worst
    },
  }
}

async function missingOf(kube: Kube): Promise<number> {
  const [sets, pods] = await Promise.all([
    kube.list('statefulsets', 'rocketmq.alt/broker-set'),
    kube.list('pods', 'rocketmq.alt/broker-set'),
  ])
  const isUp = ({ metadata, status }: { metadata: { deletionTimestamp?: string }; status?: { phase: string } }) =>
    metadata.deletionTimestamp === undefined && status?.phase === 'Running'
  const missing = sets.map(({ metadata, spec }) => {
    const mine = pods.filter((pod) => pod.metadata.name.startsWith(`${metadata.name}-`) && isUp(pod))
    return spec.replicas - mine.length
  })
  return Math.max(0, ...missing)
}
