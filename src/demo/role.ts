import { join, resolve } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { messageOf } from '../base/errors.ts'
import { createHttpClient, createLog, nodeDoors, stopWhenUnread } from '../base/node/index.ts'
import { parseFlags } from '../base/usage.ts'
import { brokerSetDefinition, definitions, resourceType } from '../crds/index.ts'
import {
  findAccess,
  KubeClient,
  type KubeObject,
  type Pod,
  pods,
  type ResourceType,
  type Service,
  services,
} from '../kube/index.ts'
import { Messaging, type QueueRow } from './messages.ts'
import { countText, Progress, tableLines } from './progress.ts'
import { awaitFound, awaitReady, describe } from './resources.ts'

const sample = 'deploy/samples/quickstart.yaml'
const messageCount = 10_000
const messageCountAfterScaling = 3_000
const readyTimeoutMs = 60_000

const usage = `Usage: node src/main.js demo [flags]

Shows on a cluster that has the operator how a RocketMQ cluster comes up, carries messages and grows.
npm run demo makes such a cluster for it, and removes it afterwards.

  --kubeconfig FILE   default: $KUBECONFIG
  --namespace NAME    where ${sample} is applied; default: default
  -h, --help          this text
`

/**
 * @returns 0; 1 when a step failed; 130 when it was interrupted
 * @throws UsageError; OperatingError KUBE_CONFIG_INVALID
 */
export async function run(args: string[]): Promise<number> {
  const flags = readFlags(args)
  if (flags.help) {
    process.stdout.write(usage)
    return 0
  }
  stopWhenUnread()
  const doors = nodeDoors(createLog('error', { component: 'demo' }))
  const http = createHttpClient()
  const access = await findAccess(flags.kubeconfig, process.env, doors.files, doors.clock)
  const client = new KubeClient(access, http, 'rocketmq-demo')
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => interrupted.abort(new Error('interrupted')))
  const progress = new Progress(process.stdout, doors.clock)
  const show = new Show(client, flags.namespace, progress, doors, interrupted.signal)
  try {
    progress.say(`\nRocketMQ on Kubernetes, all of it on this machine (${access.server})\n`)
    await Promise.race([show.play(), aborted(interrupted.signal)])
    return 0
  } catch (error) {
    progress.say(interrupted.signal.aborted ? '\nInterrupted.' : `\n${messageOf(error)}`)
    return interrupted.signal.aborted ? 130 : 1
  } finally {
    await Promise.race([show.close(), doors.clock.sleep(closeDeadlineMs)])
    http.close()
  }
}

const closeDeadlineMs = 3_000

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}

function readFlags(args: string[]) {
  return parseFlags({
    args,
    options: {
      kubeconfig: { type: 'string' },
      namespace: { type: 'string', default: 'default' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  }).values
}

/** The demo as a play in steps. */
class Show {
  readonly #client: KubeClient
  readonly #namespace: string
  readonly #progress: Progress
  readonly #doors: ReturnType<typeof nodeDoors>
  readonly #signal: AbortSignal
  #messaging: Messaging | undefined

  constructor(
    client: KubeClient,
    namespace: string,
    progress: Progress,
    doors: ReturnType<typeof nodeDoors>,
    signal: AbortSignal,
  ) {
    this.#client = client
    this.#namespace = namespace
    this.#progress = progress
    this.#doors = doors
    this.#signal = signal
  }

  async play(): Promise<void> {
    const progress = this.#progress
    await progress.step(
      'operator',
      () => this.#operatorIsReady(),
      () => 'at work, its custom resources are known',
    )
    const objects = await progress.step(`kubectl apply -f ${sample}`, () => this.#applySample())
    for (const { type, object } of objects) await this.#becomesReady(type, object.metadata.name)

    const topic = this.#named(objects, 'Topic')
    const nameServer = this.#named(objects, 'NameServer')
    const brokerSet = this.#named(objects, 'BrokerSet')
    const service = await this.#client.get<Service>(services, this.#namespace, nameServer)
    const messaging = new Messaging(`${service?.spec?.clusterIP}:9876`, topic, this.#doors)
    this.#messaging = messaging
    await messaging.createGroup()
    await progress.step(`send ${countText(messageCount)} messages`, (tell) =>
      messaging.send(messageCount, (sent) => tell(countText(sent))),
    )
    await this.#consume(messaging)
    this.#showRows(await messaging.rows(this.#signal))

    const before = new Set((await messaging.brokers()).keys())
    const groups = before.size + 1
    await progress.step(`kubectl scale brokerset/${brokerSet} --replicas=${groups}`, () =>
      this.#scale(brokerSet, groups),
    )
    await this.#becomesReady(resourceType(brokerSetDefinition), brokerSet)
    await progress.step(
      `topic/${topic} on the new broker`,
      () => this.#newBroker(messaging, before),
      ([name, address]) => `${name} registered itself, ${address}`,
    )
    await messaging.createGroup()
    const after = [...(await messaging.brokers()).keys()]
    await progress.step(
      'go on sending, to the new broker too',
      (tell) => messaging.sendTo(after, messageCountAfterScaling, (sent) => tell(countText(sent)), this.#signal),
      (sent) => `${countText(sent)} messages`,
    )
    await this.#consume(messaging)
    this.#showRows(await messaging.rows(this.#signal))
    progress.say(whatNext)
  }

  async close(): Promise<void> {
    await this.#messaging?.close()
  }

  #operatorIsReady(): Promise<Pod> {
    const look = async () => {
      const selection = { type: pods, labelSelector: 'app.kubernetes.io/name=rocketmq-operator' }
      const { items } = await this.#client.listPage<Pod>(selection, { limit: 10 })
      return items.find(({ status }) =>
        status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
      )
    }
    return awaitFound('the operator', look, this.#waiting)
  }

  async #applySample(): Promise<{ type: ResourceType; object: KubeObject }[]> {
    const text = this.#doors.files.readText(join(resolve(import.meta.dirname, '../..'), sample))
    const applied = []
    for (const document of parseAllDocuments(text)) {
      const object = document.toJS() as KubeObject
      object.metadata.namespace = this.#namespace
      const definition = definitions.find(({ kind }) => kind === object.kind)
      if (definition === undefined) throw new Error(`${sample} holds a ${object.kind}`)
      const type = resourceType(definition)
      applied.push({ type, object: await this.#client.apply(type, object) })
    }
    return applied
  }

  #named(objects: { object: KubeObject }[], kind: string): string {
    return objects.find(({ object }) => object.kind === kind)?.object.metadata.name ?? ''
  }

  async #becomesReady(type: ResourceType, name: string): Promise<void> {
    await this.#progress.step(
      `${type.kind.toLowerCase()}/${name}`,
      (tell) => awaitReady(this.#client, type, { namespace: this.#namespace, name }, { ...this.#waiting, tell }),
      (object) => `ready, ${describe(object)}`,
    )
  }

  async #consume(messaging: Messaging): Promise<void> {
    await this.#progress.step(
      'consume them in a consumer group',
      (tell) => messaging.consume((consumed) => tell(countText(consumed)), this.#signal),
      () => `${countText(messaging.consumedCount)} different messages by now`,
    )
  }

  #scale(name: string, replicas: number): Promise<KubeObject> {
    const meta = { namespace: this.#namespace, name }
    return this.#client.merge(resourceType(brokerSetDefinition), meta, { spec: { replicas } }, this.#signal, 'scale')
  }

  #newBroker(messaging: Messaging, before: ReadonlySet<string>): Promise<[string, string]> {
    const look = async () => [...(await messaging.brokers())].find(([name]) => !before.has(name))
    return awaitFound('a new broker of the topic', look, this.#waiting)
  }

  #showRows(rows: readonly QueueRow[]): void {
    const head = ['broker', 'queue', 'sent', 'consumed', 'lag']
    const lines = rows.map(({ queue, sent, consumed, lag }) => [
      queue.brokerName,
      String(queue.queueId),
      sent,
      consumed,
      lag,
    ])
    this.#progress.say()
    for (const line of tableLines([head, ...lines])) this.#progress.say(`      ${line}`)
    this.#progress.say()
  }

  get #waiting() {
    return { timeoutMs: readyTimeoutMs, clock: this.#doors.clock, signal: this.#signal }
  }
}

const whatNext = `What to try next
  npm run local -- up        the same cluster, to keep; it says how kubectl reaches it
  docs/custom-resources.md   every field of NameServer, BrokerSet and Topic
  docs/client.md             send and receive from your own program
  docs/install.md            the same on a real Kubernetes
`
