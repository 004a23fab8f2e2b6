import { type Item, runLabel, say } from './kube.ts'
import type { Kubectl } from './kubectl.ts'

const kinds = ['nameservers', 'brokersets', 'topics', 'consumergroups'].map((kind) => `${kind}.rocketmq.alt`)
const contracts = ['contract', 'contract-fields', 'contract-going']
const goneMs = 180_000

/** Removes what a run that was cut off, or told to keep it, has left. Where there was none it touches nothing. */
export async function removeLeftovers(kube: Kubectl): Promise<void> {
  const [[key, value]] = Object.entries(runLabel) as [[string, string]]
  const left = (await kube.list('namespaces', `${key}=${value}`)).map(({ metadata }) => metadata.name)
  if (left.length === 0) return
  say(`removing what a run before has left: ${left.join(', ')}`)
  const nodes = (await kube.list('nodes')).map(({ metadata }) => metadata.name)
  await kube.run(['uncordon', ...nodes])
  const run = (...args: string[]) => kube.run(args, { timeoutMs: goneMs + 30_000 })
  // Nobody may be there to take the finalizers away.
  await run(
    'delete',
    'namespace',
    'rocketmq-operator',
    'messaging',
    '--ignore-not-found',
    `--timeout=${goneMs / 1000}s`,
  )
  for (const kind of kinds) {
    const { items } = await kube.get(kind, '-A').catch(() => ({ items: [] as Item[] })) // no such definition
    for (const { metadata } of items)
      await kube.in(metadata.namespace).patch(kind, metadata.name, { metadata: { finalizers: [] } })
  }
  const ours = ['-l', 'app.kubernetes.io/part-of=rocketmq-operator']
  await run('delete', 'clusterrole,clusterrolebinding,crd', ...ours, `--timeout=${goneMs / 1000}s`)
  await run('delete', 'crd', 'widgets.contract.rocketmq.alt', '--ignore-not-found')
  // last, for by them the next run sees that it has to do this
  await run('delete', 'namespace', ...left, ...contracts, '--ignore-not-found', `--timeout=${goneMs / 1000}s`)
}
