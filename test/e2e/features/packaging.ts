import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { apiVersion } from '../../../src/crds/group.ts'
import { eventually, type Kubectl } from '../harness/kubectl.ts'
import { type Case, check } from '../harness/stage.ts'
import { install } from './first-light.ts'

const projectDir = join(import.meta.dirname, '../../..')
const operatorChart = join(projectDir, 'charts/rocketmq-operator')
const clusterChart = join(projectDir, 'charts/rocketmq-cluster')
const overlayDir = join(projectDir, '.work/e2e/overlay')
const release = 'rocketmq-operator'
const secretBytesMax = 256 * 1024 // of the 1 MiB that a Secret takes
const clusterValues = [
  ['brokerSet.groups', '2'],
  ['brokerSet.storage.size', '1Gi'],
  ['topics.orders.queues.perBroker', '4'],
  ['consumerGroups.billing.retry.maxTimes', '3'],
].flatMap(([path, value]) => ['--set', `${path}=${value}`])

interface Item {
  apiVersion: string
  kind: string
  metadata: { name: string; uid: string; generation?: number; labels?: Record<string, string>; annotations?: object }
}

/** Each on what the ones before left: nothing at the begin, and at the end nothing but the resource definitions. */
export const packaging: Case[] = [
  {
    name: "the operator's chart renders what install.yaml holds",
    async run({ operator }) {
      const args = ['template', release, operatorChart, '--no-hooks', '--kube-version', '1.34.0']
      const rendered = readObjects(await operator.helm(args)).map(withoutHelmsOwn)
      const plain = readObjects(readFileSync(install, 'utf8')).filter(({ kind }) => kind !== 'Namespace')
      for (const [name, object] of byName(plain)) {
        check(isDeepStrictEqual(byName(rendered).get(name), object), `${name} is the same in both`)
      }
      check(rendered.length === plain.length, `${plain.length} objects, saw ${rendered.length}`)
    },
  },
  {
    name: "the cluster's chart tells clients the NameServers where its brokers register",
    async run({ kube }) {
      const own = `${kube.namespace}.svc:9876`
      const ref = 'brokerSet.nameServerRef'
      check((await namesrvAddrOf(kube)) === `shop.${own}`, 'its own')
      check((await namesrvAddrOf(kube, `${ref}.name=mq`)) === `mq.${own}`, 'those of another release')
      const elsewhere = await namesrvAddrOf(kube, `${ref}.name=mq`, `${ref}.namespace=messaging`)
      check(elsewhere === 'mq.messaging.svc:9876', `those of another namespace, saw ${elsewhere}`)
      const external = await namesrvAddrOf(kube, 'brokerSet.externalNameServers={a:9876,b:9876}')
      check(external === 'a:9876;b:9876', `external ones, saw ${external}`)
    },
  },
  {
    name: 'helm install, in a namespace that admits restricted pods only, and helm test',
    async run({ operator }) {
      await operator.run(['create', 'namespace', operator.namespace])
      const policy = 'pod-security.kubernetes.io/enforce=restricted'
      await operator.run(['label', 'namespace', operator.namespace, policy])
      await operator.helm(['install', release, operatorChart, '--wait'])
      await operator.helm(['test', release]) // fails where its pod does
      await eventually('the test left nothing', 60_000, () => noResources(operator))
      const secrets: { data: { release: string } }[] = (await operator.get('secrets', '-l', 'owner=helm')).items
      const bytes = Math.max(...secrets.map(({ data }) => data.release.length))
      check(bytes < secretBytesMax, `a release takes less than ${secretBytesMax} bytes, saw ${bytes}`)
    },
  },
  {
    name: 'a cluster by its chart, helm test through both brokers, messages through it from now on',
    async run(stage) {
      const { kube, talk } = stage
      await kube.helm(['install', 'shop', clusterChart, ...clusterValues])
      await shopIsReady(kube)
      await kube.helm(['test', 'shop'])
      const { items } = await kube.get('topics,consumergroups')
      const names = items.map(({ metadata }: Item) => metadata.name).join()
      check(names === 'shop-orders,shop-billing', `the test's topic and group are gone, saw ${names}`)
      const { spec } = await kube.get('service', 'shop')
      const namesrv = `${spec.clusterIP}:9876`
      await talk.send({ namesrv, topic: 'orders', prefix: 'shop-', count: 200 })
      await talk.receive({ namesrv, topic: 'orders', group: 'billing', expect: { 'shop-': 200 } })
      await stage.startFlow('orders', 'shop')
    },
  },
  {
    name: 'what was applied shows no difference, and an upgrade to the same changes nothing',
    async run({ kube, operator }) {
      await showsNoDifference(operator, release)
      await showsNoDifference(kube, 'shop')
      const before = await generations(kube, operator)
      await operator.helm(['upgrade', release, operatorChart, '--wait'])
      await kube.helm(['upgrade', 'shop', clusterChart, ...clusterValues])
      check(isDeepStrictEqual(await generations(kube, operator), before), 'no object has another generation')
    },
  },
  {
    name: 'helm upgrade and rollback: definitions are upgraded, no broker is restarted',
    async run({ kube, operator }) {
      const pods = await podsOf(kube)
      // as a release before would have left it
      const older = '[{"op":"remove","path":"/spec/names/shortNames"}]'
      await operator.run(['patch', 'crd', 'topics.rocketmq.alt', '--type=json', '-p', older])
      // another version brings another image for NameServers and brokers
      const next = ['--set', 'runtimeImage=localhost/rocketmq-operator:next', '--set', 'logLevel=debug']
      await operator.helm(['upgrade', release, operatorChart, '--wait', ...next])
      const { spec } = await operator.get('crd', 'topics.rocketmq.alt')
      check(spec.names.shortNames?.[0] === 'mqt', 'the definition has what the chart says')
      await isAtWork(kube)
      check((await podsOf(kube)) === pods, 'the same pods run after the upgrade')
      await operator.helm(['rollback', release, '--wait'])
      await isAtWork(kube)
      check((await podsOf(kube)) === pods, 'the same pods run after the rollback')
    },
  },
  {
    name: 'helm uninstall keeps definitions and clusters, and an operator that comes again takes them over',
    async run({ kube, operator, talk }) {
      const pods = await podsOf(kube)
      await operator.helm(['uninstall', release, '--wait'])
      check((await kube.get('brokerset', 'shop-brokers')).metadata.deletionTimestamp === undefined, 'the set stays')
      const { spec } = await kube.get('service', 'shop')
      await talk.send({ namesrv: `${spec.clusterIP}:9876`, topic: 'orders', prefix: 'alone-', count: 100 })
      await operator.helm(['install', release, operatorChart, '--wait'])
      await isAtWork(kube)
      check((await podsOf(kube)) === pods, 'the same pods run')
    },
  },
  {
    name: 'an operator of listed namespaces has permissions there only',
    async run({ kube, operator }) {
      await operator.helm(['uninstall', release, '--wait'])
      const scope = ['--set', 'watch.scope=List', '--set', `watch.namespaces={${kube.namespace}}`]
      await operator.helm(['install', release, operatorChart, '--wait', ...scope])
      await isAtWork(kube)
      await mayDeletePodsOnlyIn(kube, operator, `${operator.namespace}:${release}`)
      await operator.helm(['uninstall', release, '--wait'])
    },
  },
  {
    name: 'an operator of its own namespace looks after what is there, and has permissions there only',
    async run({ kube, operator }) {
      const values = ['--set', 'watch.scope=Own', '--set', 'crds.install=false']
      await kube.helm(['install', 'own', operatorChart, '--wait', ...values])
      await isAtWork(kube)
      await mayDeletePodsOnlyIn(kube, operator, `${kube.namespace}:own-${release}`)
      await operator.apply(nameServer('unseen'))
      await isAtWork(kube)
      const { status } = await operator.get('nameserver', 'unseen')
      check(status === undefined, `a NameServer elsewhere is left alone, saw ${JSON.stringify(status)}`)
      await operator.run(['delete', 'nameserver', 'unseen', '--timeout=30s'])
      await kube.helm(['uninstall', 'own', '--wait'])
    },
  },
  {
    name: 'the overlay of docs/gitops.md installs the operator elsewhere, which takes the cluster over',
    async run({ kube, operator }) {
      const pods = await podsOf(kube)
      mkdirSync(overlayDir, { recursive: true })
      writeFileSync(join(overlayDir, 'kustomization.yaml'), documentedOverlay())
      const messaging = operator.in('messaging')
      await messaging.run(['apply', '-k', overlayDir])
      await messaging.run(['rollout', 'status', 'deployment/rocketmq-operator', '--timeout=120s'], {
        timeoutMs: 150_000,
      })
      await messaging.run(['diff', '-k', overlayDir]) // fails where there is a difference
      await isAtWork(kube)
      check((await podsOf(kube)) === pods, 'the same pods run')
    },
  },
  {
    name: 'a cluster is removed with its release, its volumes stay',
    async run(stage) {
      const { kube, operator } = stage
      await stage.settle()
      await stage.stopFlows()
      await kube.helm(['uninstall', 'shop', '--wait'])
      await eventually('nothing is left', 120_000, async () => {
        const { items } = await kube.get('statefulsets,services,configmaps,pods,poddisruptionbudgets')
        const left = items.filter(({ metadata }: Item) => metadata.name !== 'kube-root-ca.crt')
        return left.length === 0 || `left: ${left.map(({ metadata }: Item) => metadata.name).join()}`
      })
      const { items } = await kube.get('pvc', '-l', 'rocketmq.alt/broker-set=shop-brokers')
      check(items.length === 2, `two volumes, saw ${items.length}`)
      await operator.run(['delete', 'namespace', operator.namespace, '--timeout=120s'], { timeoutMs: 150_000 })
    },
  },
  {
    name: 'the overlay is deleted with all that it brought',
    async run({ operator }) {
      const messaging = operator.in('messaging')
      await messaging.run(['delete', '-k', overlayDir, '--timeout=150s'], { timeoutMs: 180_000 })
      const { items } = await operator.get(
        'customresourcedefinitions',
        '-l',
        'app.kubernetes.io/part-of=rocketmq-operator',
      )
      check(items.length === 0, `no definition is left, saw ${items.length}`)
    },
  },
]

function readObjects(text: string): Item[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS())
    .filter(Boolean)
}

/** What the test of the cluster's chart takes as namesrvAddr; NOTES.txt says the same. */
async function namesrvAddrOf(kube: Kubectl, ...values: string[]): Promise<string | undefined> {
  const given = values.flatMap((value) => ['--set', value])
  const shows = ['--show-only', 'templates/tests/selftest.yaml', '--kube-version', '1.34.0']
  const objects = readObjects(await kube.helm(['template', 'shop', clusterChart, ...shows, ...given]))
  const pod = objects.find(({ kind }) => kind === 'Pod') as { spec?: { containers: { args: string[] }[] } } | undefined
  const args = pod?.spec?.containers[0]?.args ?? []
  return args[args.indexOf('--namesrvAddr') + 1]
}

function byName(objects: Item[]): Map<string, Item> {
  return new Map(objects.map((object) => [`${object.kind} ${object.metadata.name}`, object]))
}

/** Without what the chart has and install.yaml has not: three labels, and the annotation that keeps definitions. */
function withoutHelmsOwn(object: Item): Item {
  const { annotations, ...metadata } = object.metadata
  const own = ['helm.sh/chart', 'app.kubernetes.io/version', 'app.kubernetes.io/managed-by']
  const labels = Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([name]) => !own.includes(name)))
  return { ...object, metadata: { ...metadata, labels } }
}

async function noResources(where: Kubectl): Promise<boolean | string> {
  const { items } = await where.get('rocketmq')
  return items.length === 0 || `left: ${items.map(({ kind, metadata }: Item) => `${kind} ${metadata.name}`).join()}`
}

async function shopIsReady(kube: Kubectl): Promise<void> {
  for (const name of ['nameserver/shop', 'brokerset/shop-brokers', 'topic/shop-orders', 'consumergroup/shop-billing'])
    await kube.ready(name, 180_000)
}

/** The operator sees what changes now. */
async function isAtWork(kube: Kubectl): Promise<void> {
  const { spec } = await kube.get('topic', 'shop-orders')
  const patch = JSON.stringify({ spec: { queues: { perBroker: spec.queues.perBroker + 1 } } })
  await kube.run(['patch', 'topic/shop-orders', '--type=merge', '-p', patch])
  await kube.ready('topic/shop-orders', 90_000)
  await shopIsReady(kube)
}

/** @param account NAMESPACE:NAME */
async function mayDeletePodsOnlyIn(own: Kubectl, other: Kubectl, account: string): Promise<void> {
  const may = (where: Kubectl) =>
    where
      .run(['auth', 'can-i', 'delete', 'pods', '--as', `system:serviceaccount:${account}`])
      .catch((error: Error) => error.message)
  check((await may(own)).trim() === 'yes', 'it may delete pods where it works')
  check((await may(other)).includes('no'), 'and not elsewhere')
}

function nameServer(name: string): object {
  return { apiVersion, kind: 'NameServer', metadata: { name }, spec: {} }
}

async function podsOf(kube: Kubectl): Promise<string> {
  const { items } = await kube.get('pods', '-l', 'app.kubernetes.io/managed-by=rocketmq-operator')
  check(items.length > 0, 'there are pods of the operator')
  return items.map(({ metadata }: Item) => `${metadata.name} ${metadata.uid}`).join()
}

async function showsNoDifference(where: Kubectl, name: string): Promise<void> {
  const manifest = await where.helm(['get', 'manifest', name])
  await where.run(['diff', '-f', '-'], { input: manifest }) // fails where there is a difference
}

async function generations(kube: Kubectl, operator: Kubectl): Promise<string[]> {
  const items: Item[] = [
    ...(await kube.get('rocketmq')).items,
    ...(await operator.get('deployments,poddisruptionbudgets')).items,
    ...(await operator.get('crd')).items,
  ]
  return items.map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.uid} ${metadata.generation}`)
}

/** The first YAML block of the section, with the image that the nodes have instead of that of a registry. */
function documentedOverlay(): string {
  const page = readFileSync(join(projectDir, 'docs/gitops.md'), 'utf8')
  const overlay = /```yaml\n# kustomization\.yaml\n(.*?)```/s.exec(page)?.[1]
  check(overlay !== undefined, 'docs/gitops.md has an overlay')
  return overlay
    .replace('https://git.example.com/rocketmq-operator.git//deploy?ref=v0.1.0', '../../../deploy')
    .replace('registry.example.com/rocketmq-operator', 'localhost/rocketmq-operator')
}
