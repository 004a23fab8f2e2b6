import { eventually, type Item, isGone } from '../harness/kube.ts'
import { type Case, check } from '../harness/stage.ts'
import { install, quickstart } from './first-light.ts'

const madeKinds = 'statefulsets,services,configmaps,pods,poddisruptionbudgets,endpointslices'

/** What was applied is deleted, and nothing of it is left but the volumes. */
export const removal: Case[] = [
  {
    name: 'deleting the resources removes what the operator made',
    async run({ kube }) {
      await kube.run(['delete', '-f', quickstart, '--timeout=120s'], { timeoutMs: 150_000 })
      await isGone(kube, 120_000)
    },
  },
]

/** Last: the operator goes too. */
export const uninstallation: Case[] = [
  {
    name: 'no orphan is left: neither a resource nor what the operator made, in any namespace',
    async run({ kube }) {
      const managed = 'app.kubernetes.io/managed-by=rocketmq-operator'
      const { items: made } = await kube.get(madeKinds, '-A', '-l', managed)
      const { items: asked } = await kube.get('nameservers,brokersets,topics,consumergroups', '-A')
      const left = [...asked, ...made].map(
        ({ kind, metadata }: Item) => `${kind} ${metadata.namespace}/${metadata.name}`,
      )
      check(left.length === 0, `nothing is left, saw ${left}`)
    },
  },
  {
    name: 'deleting install.yaml removes the operator and its resource definitions',
    async run({ kube, operator }) {
      await operator.run(['delete', '-f', install, '--timeout=150s'], { timeoutMs: 180_000 })
      await eventually('no resource definition is left', 60_000, async () => {
        const { items } = await kube.get('customresourcedefinitions')
        return !items.some((item: { spec: { group: string } }) => item.spec.group === 'rocketmq.alt')
      })
    },
  },
]
