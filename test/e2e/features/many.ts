import { check, eventually, isGone, type Kube, readiness, runLabel } from '../harness/kube.ts'
import { clusterOf } from '../harness/manifests.ts'
import type { PortableCase, Scene } from '../harness/stage.ts'

const kinds = 'nameservers,brokersets,topics,consumergroups'
const goneMs = 120_000
const orderCount = 5

/** Many small clusters at once, in five namespaces; then they go, in each namespace in another order, messages through one of the last. */
export const many: PortableCase[] = [
  {
    name: 'many clusters at once become ready',
    isBase: true,
    async run(scene) {
      const each = Math.ceil(scene.manyCount / orderCount)
      await Promise.all(
        spaces(scene).map(async (kube, index) => {
          if (index > 0)
            await kube.apply({
              apiVersion: 'v1',
              kind: 'Namespace',
              metadata: { name: kube.namespace, labels: runLabel },
            })
          const names = Array.from({ length: each }, (_, number) => `c${number}`)
          await kube.apply(
            ...names.flatMap((name) => clusterOf(name, 'orders', { ephemeral: true, reader: 'billing' })),
          )
        }),
      )
      await eventually(`${scene.manyCount} clusters are Ready`, 300_000, async () => {
        const all = (await Promise.all(spaces(scene).map((kube) => kube.list(kinds)))).flat()
        if (all.length !== each * orderCount * kinds.split(',').length) return `there are ${all.length} resources`
        const waiting = all.filter((object) => readiness(object) !== true)
        const [first] = waiting
        const why = first && `${first.kind} ${first.metadata.namespace}/${first.metadata.name}: ${readiness(first)}`
        return waiting.length === 0 || `${waiting.length} of ${all.length} resources are not: ${why}`
      })
      await scene.startFlow('orders', 'c0', spaces(scene).at(-1))
    },
  },
  {
    name: 'deleted with the NameServers first, the Topics last: all of it goes',
    run: (scene) => deleteInOrder(spaces(scene)[0]!, ['nameservers', 'brokersets', 'consumergroups', 'topics']),
  },
  {
    name: 'deleted with the BrokerSets first, the ConsumerGroups last: all of it goes',
    run: (scene) => deleteInOrder(spaces(scene)[1]!, ['brokersets', 'topics', 'nameservers', 'consumergroups']),
  },
  {
    name: 'deleted with the ConsumerGroups first, the NameServers last: all of it goes',
    run: (scene) => deleteInOrder(spaces(scene)[2]!, ['consumergroups', 'topics', 'brokersets', 'nameservers']),
  },
  {
    name: 'deleted all at once: all of it goes',
    async run(scene) {
      const kube = spaces(scene)[3]!
      const objects = await kube.list(kinds)
      check(objects.length > 0, 'there is something to delete')
      await Promise.all(
        objects.map(({ kind, metadata }) => kube.remove(`${kind.toLowerCase()}s`, metadata.name, { isForced: false })),
      )
      await nothingLeft(kube)
    },
  },
  {
    name: 'deleted with their namespace: all of it goes',
    async run(scene) {
      const kube = spaces(scene)[4]!
      await scene.settle()
      await scene.stopFlows()
      await kube.remove('namespaces', kube.namespace)
      await eventually('the namespace is gone', goneMs, async () => {
        const namespace = await kube.find('namespaces', kube.namespace)
        if (namespace === undefined) return true
        const left = await kube.list(kinds)
        return `${JSON.stringify(namespace.status)}; left: ${left.map(({ kind, metadata }) => `${kind} ${metadata.name}`)}`
      })
    },
  },
]

/** The track's own namespace and four beside it. */
function spaces({ kube }: Scene): Kube[] {
  return Array.from({ length: orderCount }, (_, index) =>
    index === 0 ? kube : kube.in(`${kube.namespace}-${index + 1}`),
  )
}

/** One kind after the other, each when the ones before it are gone. */
async function deleteInOrder(kube: Kube, order: string[]): Promise<void> {
  for (const kind of order) {
    const objects = await kube.list(kind)
    check(objects.length > 0, `there are ${kind}`)
    await Promise.all(objects.map(({ metadata }) => kube.remove(kind, metadata.name)))
    await eventually(`the ${kind} are gone`, goneMs, async () => {
      const left = await kube.list(kind)
      return left.length === 0 || `${left.length} are left; ${JSON.stringify(left[0].status?.conditions)}`
    })
  }
  await nothingLeft(kube)
}

async function nothingLeft(kube: Kube): Promise<void> {
  await eventually('no resource is left', goneMs, async () => {
    const left = await kube.list(kinds)
    return left.length === 0 || `left: ${left.map(({ kind, metadata }) => `${kind} ${metadata.name}`)}`
  })
  await isGone(kube, goneMs)
}
