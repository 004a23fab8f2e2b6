import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CommandError, Kubectl } from '../harness/kubectl.ts'
import { openLocal } from '../harness/local.ts'
import type { Case } from '../harness/stage.ts'

const readyMs = 150_000

const manifest = `
apiVersion: rocketmq.alt/v1alpha1
kind: NameServer
metadata: { name: mq }
spec: { replicas: 1 }
---
apiVersion: rocketmq.alt/v1alpha1
kind: BrokerSet
metadata: { name: mq-brokers }
spec: { nameServerRef: { name: mq }, groups: 1, slavesPerGroup: 0 }
---
apiVersion: rocketmq.alt/v1alpha1
kind: Topic
metadata: { name: orders }
spec: { brokerSetRef: { name: mq-brokers }, queues: { perBroker: 2 } }
`

/** The local cluster by the kubectl of the real one: `npm test` has no kubectl, so this is where it is asked. */
export const localKubectl: Case<Kubectl>[] = [
  {
    name: 'kubectl works on the local cluster as on any other',
    async run({ env }) {
      const folder = mkdtempSync(join(tmpdir(), 'local-kubectl-'))
      const cluster = await openLocal()
      try {
        const file = join(folder, 'cluster.yaml')
        writeFileSync(file, manifest)
        const editor = join(folder, 'editor')
        writeFileSync(editor, '#!/bin/sh\nsed -i "s/perBroker: 2/perBroker: 4/" "$1"\n', { mode: 0o755 })
        const access = { ...env, KUBECONFIG: cluster.kubeconfig, KUBE_EDITOR: editor }
        const kubectl = new Kubectl(access, 'default')
        await use((...args) => kubectl.run(args, { timeoutMs: readyMs }), file)
      } finally {
        await cluster.close()
        rmSync(folder, { recursive: true, force: true })
      }
    },
  },
]

type Run = (...args: string[]) => Promise<string>

async function use(run: Run, file: string): Promise<void> {
  const says = async (pattern: RegExp, ...args: string[]) => assert.match(await run(...args), pattern)
  const refuses = (pattern: RegExp, ...args: string[]) =>
    assert.rejects(run(...args), (error) => error instanceof CommandError && pattern.test(error.message))

  await says(/orders created/, 'apply', '-f', file)
  const named = ['nameserver/mq', 'brokerset/mq-brokers', 'topic/orders']
  await says(/orders condition met/, 'wait', '--for=condition=Ready', ...named, '--timeout=120s')
  assert.equal(await run('diff', '-f', file), '') // it ends with 1 where something differs
  await says(/orders unchanged/, 'apply', '-f', file)
  await says(/orders serverside-applied/, 'apply', '--server-side', '-f', file)
  assert.equal(await run('diff', '--server-side', '-f', file), '')

  const misspelt = join(dirname(file), 'misspelt.yaml')
  writeFileSync(misspelt, manifest.replace('kind: Topic', 'kind: Topics'))
  await refuses(/no matches for kind "Topics" in version "rocketmq.alt\/v1alpha1"/, 'apply', '-f', misspelt)

  await says(/FIELD: groups <integer>/, 'explain', 'brokerset.spec.groups')
  await says(/FIELD: spec <Object>/, 'explain', 'pod.spec')
  await says(/NOMINATED NODE +READINESS GATES\nmq-0 +1\/1 +Running/, 'get', 'pods', '-o', 'wide')
  await says(/statefulset.apps\/mq-brokers-0 +1\/1/, 'get', 'all')
  await says(/CONTAINERS +IMAGES\nmq +1\/1 .*namesrv/, 'get', 'statefulsets', '-o', 'wide')
  await says(/Controlled By: +StatefulSet\/mq-brokers-0[\s\S]*Ready +True/, 'describe', 'pod', 'mq-brokers-0-0')
  await says(/GroupServing/, 'describe', 'brokerset', 'mq-brokers')
  await says(/GroupServing/, 'get', 'events', '--field-selector', 'involvedObject.name=mq-brokers')
  await says(/registered at NameServer/, 'logs', 'mq-brokers-0-0')
  await says(/^\{.*\}\n$/, 'logs', 'mq-brokers-0-0', '--tail=1')

  await says(/patched/, 'patch', 'topic', 'orders', '--type=merge', '-p', '{"spec":{"queues":{"perBroker":3}}}')
  await refuses(/conflict with "kubectl-patch"/, 'apply', '--server-side', '-f', file)
  await refuses(/perBroker/, 'diff', '-f', file)
  await says(/^3$/, 'get', 'topic', 'orders', '-o', 'jsonpath={.spec.queues.perBroker}') // a diff changes nothing
  await says(/orders serverside-applied/, 'apply', '--server-side', '--force-conflicts', '-f', file)
  await refuses(
    /The Topic "orders" is invalid: spec.permission: Unsupported value/,
    'patch',
    'topic',
    'orders',
    '--type=merge',
    '-p',
    '{"spec":{"permission":"Some"}}',
  )

  await says(/orders edited/, 'edit', 'topic', 'orders')
  await says(/^4$/, 'get', 'topic', 'orders', '-o', 'jsonpath={.spec.queues.perBroker}')
  await says(/labeled/, 'label', 'topic', 'orders', 'kept=yes')
  await says(/orders/, 'get', 'topics', '-l', 'kept', '-o', 'name')

  const { uid } = JSON.parse(await run('get', 'pod', 'mq-0', '-o', 'json')).metadata
  await says(/deleted/, 'delete', 'pod', 'mq-0')
  await run('wait', '--for=create', 'pod/mq-0', '--timeout=60s')
  await run('wait', '--for=condition=Ready', 'pod/mq-0', '--timeout=60s')
  assert.notEqual(JSON.parse(await run('get', 'pod', 'mq-0', '-o', 'json')).metadata.uid, uid)
  await says(/scaled/, 'scale', 'brokerset/mq-brokers', '--replicas=2')
  await says(
    /condition met/,
    'wait',
    '--for=jsonpath={.status.readyGroups}=2',
    'brokerset/mq-brokers',
    '--timeout=120s',
  )
  await says(/deleted/, 'delete', 'topic', 'orders', '--timeout=60s')
  await says(/"mq" deleted/, 'delete', 'nameserver/mq', 'brokerset/mq-brokers', '--timeout=60s')
}
