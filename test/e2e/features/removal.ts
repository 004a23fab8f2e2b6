import { eventually } from '../harness/kubectl.ts'
import type { Case } from '../harness/stage.ts'
import { install, quickstart } from './first-light.ts'

/** What was applied is deleted, and nothing of it is left but the volumes. */
export const removal: Case[] = [
  {
    name: 'deleting the resources removes what the operator made',
    async run({ kube }) {
      await kube.run(['delete', '-f', quickstart, '--timeout=120s'], { timeoutMs: 150_000 })
      await eventually('nothing is left', 120_000, async () => {
        const kinds = 'statefulsets,services,configmaps,pods,poddisruptionbudgets'
        const { items } = await kube.get(kinds)
        const left = items
          .filter((item: { metadata: { name: string } }) => item.metadata.name !== 'kube-root-ca.crt')
          .map((item: { kind: string; metadata: { name: string } }) => `${item.kind} ${item.metadata.name}`)
        return left.length === 0 || `left: ${left.join(', ')}`
      })
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
