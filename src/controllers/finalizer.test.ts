import { expect, test } from '@jest/globals'
import { finalizer } from '../crds/index.ts'
import { isRefused } from '../kube/index.ts'
import { hasFinalizer, keepFinalizer } from './finalizer.ts'
import { type Topic, topics } from './resources.ts'
import { startCluster } from './testing/cluster.ts'

test('a finalizer is set and taken away; of an object that is gone it is gone too', async () => {
  const cluster = await startCluster({ leads: false })
  await cluster.create('topics', 'orders', { brokerSetRef: { name: 'b' } })
  await using shell = await cluster.newShell()
  try {
    const seen = cluster.get<Topic>('topics', 'orders')!
    const kept = await keepFinalizer(topics, seen, true, shell)
    expect(cluster.get<Topic>('topics', 'orders')!.metadata.finalizers).toEqual([finalizer])
    expect(hasFinalizer(await keepFinalizer(topics, kept, false, shell))).toBe(false)
    expect(cluster.get<Topic>('topics', 'orders')!.metadata.finalizers ?? []).toEqual([])

    await shell.client.delete(topics, seen.metadata)
    await keepFinalizer(topics, kept, false, shell)
    const again = await keepFinalizer(topics, seen, true, shell).catch((error: unknown) => error)
    expect(isRefused(again, 404)).toBe(true)
  } finally {
    await cluster.stop()
  }
})
