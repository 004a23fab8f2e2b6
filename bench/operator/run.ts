/**
 * The operator under load, on a real API server (etcd and kube-apiserver of the kit, see control-plane.ts) with brokers of our
 * runtime: how long Topics take to be ready, what the operator needs, and what it asks of the API server when nothing happens.
 *   npm run bench:operator -- [--topics 2000,10000] [--single 300] [--clusters 100] [--quick] [--prof]
 * Prints a table and keeps it in bench/OPERATOR-RESULTS.md; --quick only shows that everything runs, --prof keeps CPU profiles of
 * the operator in .work/bench-operator/. A missed bound is shown, not punished: this machine is shared.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { readFlags, wholeNumber } from '../../scripts/flags.ts'
import { silentLog } from '../../src/base/log.ts'
import { createHttpClient, nodeClock, nodeDoors, nodeRandom } from '../../src/base/node/index.ts'
import { type BrokerSet, brokerSets, nameServers, type Topic, topics } from '../../src/controllers/resources.ts'
import { findAccess, Informer, KubeClient, type KubeObject, keyOf, type ResourceType } from '../../src/kube/index.ts'
import { median } from '../report.ts'
import { type AuditEntry, ControlPlane, operatorUser } from './control-plane.ts'
import { Pods } from './pods.ts'
import { cpuOf, machineCpu, memoryOf, OperatorProcess } from './process.ts'
import { type Figure, Figures } from './results.ts'

const run = promisify(execFile)
const flags = readFlags(import.meta.filename, {
  topics: { type: 'string' },
  single: { type: 'string' },
  clusters: { type: 'string' },
  quick: { type: 'boolean', default: false },
  prof: { type: 'boolean', default: false },
})
const bursts = (flags.topics ?? (flags.quick ? '200' : '2000,10000'))
  .split(',')
  .map((text) => wholeNumber('topics', text))
const singles = wholeNumber('single', flags.single ?? (flags.quick ? '20' : '300'), 0)
const clusters = wholeNumber('clusters', flags.clusters ?? (flags.quick ? '3' : '100'), 0)
const manyTopics = bursts.at(-1)!
const idleSeconds = flags.quick ? 10 : 60
const settleMs = flags.quick ? 3_000 : 30_000
const groups = 2
const writers = 32 // of the user: what kubectl apply of many files takes one by one
const timeoutMs = 15 * 60_000

const root = resolve(import.meta.dirname, '../..')
const dir = join(root, '.work/bench-operator')
const say = (text: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`)

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130)) // ends the others
rmSync(dir, { recursive: true, force: true })
mkdirSync(join(dir, 'pods'), { recursive: true })
const plane = new ControlPlane(dir)
const figures = new Figures()
const note = (figure: Figure) => {
  figures.add(figure)
  say(figures.lineOf(figure))
}

/** What happened to Topics, as a watch of a user's sees it. */
class Sight {
  readonly client: KubeClient
  readonly #topics: Informer<Topic>
  readonly #brokerSets: Informer<BrokerSet>
  readonly #stop = new AbortController()
  readonly #waiting = new Map<string, (atMs: number) => void>()

  constructor(client: KubeClient) {
    this.client = client
    const doors = { clock: nodeClock, random: nodeRandom, log: silentLog }
    this.#topics = new Informer<Topic>(client, { type: topics }, {}, doors)
    this.#brokerSets = new Informer<BrokerSet>(client, { type: brokerSets }, {}, doors)
    this.#topics.onChange(({ after }) => {
      if (!after || !isReady(after)) return
      const key = keyOf(after)
      this.#waiting.get(key)?.(performance.now())
      this.#waiting.delete(key)
    })
    for (const informer of [this.#topics, this.#brokerSets]) void informer.run(this.#stop.signal)
  }

  /** @returns when a watch has shown it ready, by performance.now */
  topicReady(key: string): Promise<number> {
    return new Promise((done) => this.#waiting.set(key, done))
  }

  async allReady(count: number): Promise<void> {
    await until(`${count} BrokerSets`, () => [...this.#brokerSets.cache.all()].filter(isReady).length >= count)
  }

  get topicCount(): number {
    return this.#topics.cache.size
  }

  stop(): void {
    this.#stop.abort()
  }
}

function isReady({ metadata, status }: Topic | BrokerSet): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  return ready?.status === 'True' && ready.observedGeneration === metadata.generation
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadlineMs = performance.now() + timeoutMs; !holds(); await sleep(50)) {
    if (performance.now() > deadlineMs) throw new Error(`gave up waiting for ${what}; logs are in ${dir}`)
  }
}

/** Does the work for all of these, so many at a time. */
async function forAll<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = [...items]
  const next = async () => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item)
  }
  await Promise.all(Array.from({ length: writers }, next))
}

const object = (type: ResourceType, namespace: string, name: string, spec: object) =>
  ({ apiVersion: type.apiVersion, kind: type.kind, metadata: { namespace, name }, spec }) as KubeObject

function makeCluster({ client }: Sight, namespace: string, groupCount: number): Promise<unknown> {
  return Promise.all([
    client.apply(nameServers, object(nameServers, namespace, 'mq', { replicas: 1 })),
    client.apply(
      brokerSets,
      object(brokerSets, namespace, 'b', { nameServerRef: { name: 'mq' }, groups: groupCount, slavesPerGroup: 0 }),
    ),
  ])
}

const topicOf = (namespace: string, name: string) => object(topics, namespace, name, { brokerSetRef: { name: 'b' } })

interface Bed {
  sight: Sight
  pods: Pods
  operator: OperatorProcess
}

/** What everybody takes of the machine meanwhile. */
function meter({ operator, pods }: Bed) {
  const pids = () => ({
    operator: operator.pid, // another one after it ended by itself
    'kube-apiserver': plane.pidOf('kube-apiserver'),
    etcd: plane.pidOf('etcd'),
    brokers: pods.hostPid,
    user: process.pid,
  })
  const read = () => Object.fromEntries(Object.entries(pids()).map(([name, pid]) => [name, cpuOf(pid)]))
  const [before, machine, startedMs] = [read(), machineCpu(), performance.now()]
  return () => {
    const now = read()
    const taken = Object.keys(now).map((name): [string, number] => [name, Math.max(0, now[name]! - before[name]!)])
    const own = taken.reduce((sum, [, seconds]) => sum + seconds, 0)
    const others = (machineCpu() - machine - own) / ((performance.now() - startedMs) / 1000)
    const peak = `; operator at most ${memoryOf(operator.pid).peakMiB.toFixed(0)} MiB so far`
    const restarted = operator.restarts > 0 ? `; the operator ended ${operator.restarts} times by itself` : ''
    return `CPU s: ${taken.map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`).join(', ')}; other cores ${others.toFixed(1)}${peak}${restarted}`
  }
}

async function measureSingles(bed: Bed, what: string): Promise<void> {
  if (singles === 0) return
  const { sight } = bed
  const times: number[] = []
  const stop = meter(bed)
  for (let index = 0; index < singles; index++) {
    const name = `single-${what}-${index}`
    const ready = sight.topicReady(`one/${name}`)
    const startedMs = performance.now()
    await sight.client.apply(topics, topicOf('one', name))
    times.push((await ready) - startedMs)
    await sleep(20 + nodeRandom.int(80)) // not in step with whatever has a period
  }
  const sorted = times.toSorted((a, b) => a - b)
  const detail = stop()
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1]!
  const whole = `single Topic, ${sight.topicCount} there`
  note({ what: whole, figure: 'p50, ms', value: median(times), most: 60, detail })
  note({ what: whole, figure: 'p99, ms', value: p99, most: 250, detail: '' })
}

async function measureBurst(bed: Bed, count: number, places: readonly string[], bound?: number): Promise<void> {
  const keys = Array.from(
    { length: count },
    (_, index) => [places[index % places.length]!, `t${count}-${index}`] as const,
  )
  const ready = keys.map(([namespace, name]) => bed.sight.topicReady(`${namespace}/${name}`))
  const [stop, audit, startedMs] = [meter(bed), plane.auditEnd(), performance.now()]
  await forAll(keys, ([namespace, name]) => bed.sight.client.apply(topics, topicOf(namespace, name)))
  const appliedMs = performance.now() - startedMs
  let done = 0
  for (const one of ready) void one.then(() => done++)
  await until(`${count} Topics`, () => done === count)
  const elapsedMs = Math.max(...(await Promise.all(ready))) - startedMs
  const requests = plane.auditSince(audit).length
  const detail = `all applied after ${(appliedMs / 1000).toFixed(1)} s; ${requests} requests of the operator; ${stop()}`
  const where = places.length > 1 ? `${count} Topics in ${places.length} clusters` : `${count} Topics`
  note({ what: where, figure: 'apply to Ready, s', value: elapsedMs / 1000, ...(bound && { most: bound }), detail })
}

async function removeTopics({ sight }: Bed, namespace: string): Promise<void> {
  await plane.kubectl('delete', 'topics.rocketmq.alt', '--all', '--namespace', namespace, '--wait=false')
  await until('the deletion of Topics', () => sight.topicCount === 0)
}

/** What the operator asks of the API server while nothing happens; the watches that it renews are no question. */
async function measureIdle(bed: Bed, what: string, mostMiB: number): Promise<void> {
  await sleep(settleMs)
  const [audit, cpu] = [plane.auditEnd(), cpuOf(bed.operator.pid)]
  await sleep(idleSeconds * 1000)
  const entries = plane.auditSince(audit).filter(({ verb }) => verb !== 'watch')
  const isLease = ({ objectRef }: AuditEntry) => objectRef?.resource === 'leases'
  const others = entries.filter((entry) => !isLease(entry))
  const { rssMiB, peakMiB } = memoryOf(bed.operator.pid)
  const cores = ((cpuOf(bed.operator.pid) - cpu) / idleSeconds).toFixed(3)
  note({
    what,
    figure: 'resident, MiB',
    value: rssMiB,
    most: mostMiB,
    detail: `at most ${peakMiB.toFixed(0)} since its start; ${cores} cores`,
  })
  const said = others
    .slice(0, 5)
    .map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}/${objectRef?.name ?? ''}`)
  note({
    what,
    figure: `API calls in ${idleSeconds} s, but the Lease's`,
    value: others.length,
    most: 0,
    detail: `${entries.length - others.length} of the Lease${said.length > 0 ? `; ${said.join(', ')}` : ''}`,
  })
}

function startOperator(): OperatorProcess {
  const nodeArgs = flags.prof ? ['--cpu-prof', `--cpu-prof-dir=${dir}/prof`] : []
  return new OperatorProcess({ kubeconfig: plane.kubeconfig(operatorUser), dir, healthPort: 18_081, nodeArgs })
}

async function installOperator(): Promise<void> {
  await plane.kubectl('apply', '--server-side', '-f', join(root, 'deploy/install.yaml'))
  const user = `--user=${operatorUser}`
  await plane.kubectl('create', 'clusterrolebinding', 'bench', '--clusterrole=rocketmq-operator', user)
  const leader = ['rolebinding', 'bench', '--role=rocketmq-operator-leader', user, '--namespace=rocketmq-operator']
  await plane.kubectl('create', ...leader)
}

async function main(): Promise<void> {
  say('starting etcd and kube-apiserver')
  await plane.start()
  await installOperator()
  const doors = nodeDoors(silentLog)
  const access = await findAccess(plane.kubeconfig('admin'), {}, doors.files, doors.clock)
  const http = createHttpClient()
  const client = new KubeClient(access, http, 'bench')
  const sight = new Sight(client)
  const pods = new Pods(client, join(dir, 'pods'))
  const bed: Bed = { sight, pods, operator: startOperator() }
  try {
    await bed.operator.passedAll(0, timeoutMs)
    await measureIdle(bed, 'nothing there', 150)

    say(`one cluster of ${groups} groups`)
    await plane.kubectl('create', 'namespace', 'one')
    await makeCluster(sight, 'one', groups)
    await sight.allReady(1)
    await measureSingles(bed, 'few')
    await removeTopics(bed, 'one')
    for (const count of bursts) {
      await measureBurst(bed, count, ['one'], count === 10_000 ? 60 : undefined)
      if (count === bursts.at(-1)) await measureSingles(bed, 'many')
      await removeTopics(bed, 'one')
    }

    say(`${clusters} clusters`)
    const names = Array.from({ length: clusters - 1 }, (_, index) => `c${index}`)
    await forAll(names, (name) => plane.kubectl('create', 'namespace', name))
    const startedMs = performance.now()
    await forAll(names, (name) => makeCluster(sight, name, 1))
    await sight.allReady(clusters)
    const elapsed = (performance.now() - startedMs) / 1000
    note({
      what: `${clusters} clusters`,
      figure: 'apply to Ready, s',
      value: elapsed,
      detail: 'their brokers’ start included',
    })
    await measureBurst(bed, manyTopics, ['one', ...names])
    const whole = `${clusters} clusters, ${manyTopics} Topics`
    await measureIdle(bed, whole, 300)

    await bed.operator.stop()
    bed.operator = startOperator()
    const coldMs = await bed.operator.passedAll(2 * clusters + manyTopics, timeoutMs)
    note({ what: whole, figure: 'cold start until all had a pass, s', value: coldMs / 1000, most: 30, detail: '' })
    await measureIdle(bed, `${whole}, after the start`, 300)
  } finally {
    await bed.operator.stop()
    sight.stop()
    pods.stop()
    http.close()
    await plane.stop()
    for (const name of ['etcd', 'pods']) rmSync(join(dir, name), { recursive: true, force: true })
  }
  console.log(figures.table())
  if (!flags.quick) writeFileSync(join(root, 'bench/OPERATOR-RESULTS.md'), await page())
}

async function page(): Promise<string> {
  const { stdout } = await run('git', ['rev-parse', '--short', 'HEAD'], { cwd: root })
  const [cpu] = cpus()
  return `# The operator under load

Written by \`npm run bench:operator\`; see docs/performance.md. Do not edit.

${figures.table()}

- ${new Date().toISOString().slice(0, 10)}, commit ${stdout.trim()}, Node ${process.version}, ${cpus().length} × ${cpu?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}.
- etcd, kube-apiserver, the operator, all NameServers and brokers, and the user who applies and watches share these cores.
`
}

await main()
process.exit()
