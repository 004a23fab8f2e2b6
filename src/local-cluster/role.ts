import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { OperatingError } from '../base/errors.ts'
import { nearest } from '../base/nearest.ts'
import {
  createHttpClient,
  createLog,
  type LogLevel,
  listenHttp,
  nodeClock,
  nodeDoors,
  nodeFiles,
  stopWhenUnread,
} from '../base/node/index.ts'
import { parseFlags, UsageError } from '../base/usage.ts'
import { type Cluster, startCluster } from './cluster.ts'
import {
  isOurs,
  isRunning,
  makePrivateFolder,
  makeTemporaryFolder,
  runAttached,
  signalProcess,
  startDetached,
} from './kubelet/machine.ts'
import { operatorManifest, operatorPod, runtimeEntrypoint } from './operator.ts'

const checkout = resolve(import.meta.dirname, '../..')
const main = join(checkout, 'src/main.js')
const upDeadlineMs = 60_000
const downDeadlineMs = 20_000
const pollMs = 100

const usage = `Usage: node src/main.js local COMMAND [flags]

Kubernetes on this machine: an API server on a loopback address, pods as processes, the operator among them.

Commands
  up       start the cluster, or find it started; it goes on in the background and keeps its objects and volumes
  status   say whether it runs, and what is in it
  down     stop it and its pods; what it keeps stays for the next up
  run      as up, in the foreground, until Ctrl-C
  demo     a cluster for one demonstration, which leaves nothing behind

Flags
  --dir FOLDER   what the cluster keeps; default: ${defaultFolder()}
  --port PORT    of the API server; default 6443, another free one where it is taken
  --delete       with down: delete what the cluster keeps, volumes too
  -h, --help     this text
`

/** @returns the exit code */
export async function run(args: string[]): Promise<number> {
  const { command, folder, port, isDelete } = readFlags(args)
  stopWhenUnread()
  switch (command) {
    case 'up':
      return up(folder, port)
    case 'status':
      return status(folder)
    case 'down':
      return down(folder, isDelete)
    case 'run':
      return runHere(folder, port)
    case 'demo':
      return demo(port)
    case 'help':
      say(usage.trimEnd())
      return 0
    default:
      throw new UsageError(command === undefined ? 'no command given' : unknownCommand(command))
  }
}

function unknownCommand(command: string): string {
  const meant = nearest(command, ['up', 'status', 'down', 'run', 'demo'])
  return `unknown command ${command}${meant ? `; did you mean ${meant}?` : ''}`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function defaultFolder(): string {
  const state = process.env.XDG_STATE_HOME
  return state ? join(state, 'rocketmq-local') : join(homedir(), '.rocketmq-local')
}

function readFlags(args: string[]) {
  const { values, positionals } = parseFlags({
    args,
    allowPositionals: true,
    options: {
      dir: { type: 'string', default: defaultFolder() },
      port: { type: 'string', default: '6443' },
      delete: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.delete && positionals[0] !== 'down') throw new UsageError('--delete goes with down')
  if (positionals.length > 1) throw new UsageError(`one command at a time: ${positionals.join(' ')}`)
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError(`--port ${values.port}: a port from 0 to 65535 is wanted`)
  return {
    command: values.help ? 'help' : positionals[0],
    folder: resolve(values.dir),
    port,
    isDelete: values.delete,
  }
}

/** What a cluster keeps in its folder; what is half written has a suffix. */
const kept = ['cluster.log', 'kubeconfig', 'lock', 'node', 'objects.json', 'pid', 'token']

/** @throws UsageError: the folder has something else; it is neither used nor deleted */
function refuseForeign(folder: string): void {
  if (!nodeFiles.exists(folder)) return
  const foreign = nodeFiles
    .list(folder)
    .find(({ name }) => !kept.some((one) => name === one || name.startsWith(`${one}.`)))
  if (foreign !== undefined)
    throw new UsageError(`${folder} has ${foreign.name}, which is no local cluster's: name another folder with --dir`)
}

/** A command for this folder's cluster, as it is typed. */
function commandFor(folder: string, command: string): string {
  return `npm run local -- ${command}${folder === defaultFolder() ? '' : ` --dir ${folder}`}`
}

/** Starts the cluster of a folder in this process, with the operator in it. */
async function start(folder: string, port: number, logLevel: LogLevel = 'info'): Promise<Cluster> {
  makePrivateFolder(folder)
  const doors = { ...nodeDoors(createLog(logLevel, { component: 'local-cluster' })), listenHttp }
  const crds = join(checkout, 'deploy/crds')
  const manifests = doors.files
    .list(crds)
    .filter(({ name }) => name.endsWith('.yaml'))
    .map(({ name }) => doors.files.readText(join(crds, name)))
  if (manifests.length === 0) throw new UsageError(`no manifests in ${crds}: npm run generate writes them`)
  const entrypoint = runtimeEntrypoint([process.execPath, main])
  const cluster = await startCluster({ folder, port, manifests, entrypoint }, doors)
  process.once('exit', () => cluster.killNow()) // whatever ends this process ends its pods
  operatorManifest(cluster.registry, doors.files.readText(cluster.kubeconfig))
  doors.files.writeText(pidPath(folder), String(process.pid))
  return cluster
}

function pidPath(folder: string): string {
  return join(folder, 'pid')
}

/** The process that runs this folder's cluster; undefined when none does. */
function pidOf(folder: string): number | undefined {
  if (!nodeFiles.exists(pidPath(folder))) return undefined
  const lock = nodeFiles.lock(join(folder, 'lock'))
  if (lock !== undefined) {
    lock.release() // nobody holds it: a pid file of a cluster that was killed
    return undefined
  }
  const pid = Number(nodeFiles.readText(pidPath(folder)))
  return isRunning(pid) ? pid : undefined
}

async function runHere(folder: string, port: number): Promise<number> {
  refuseForeign(folder)
  const cluster = await start(folder, port)
  say(`export KUBECONFIG=${cluster.kubeconfig}`)
  await signalled()
  await cluster.stop()
  nodeFiles.remove(pidPath(folder))
  return 0
}

/** Resolves at the first SIGINT, SIGTERM or SIGHUP; the second one ends the process at once, and its pods with it. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isAsked = false
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(name, () => {
        if (isAsked) process.exit(130)
        isAsked = true
        resolve(name)
      })
  })
}

async function up(folder: string, port: number): Promise<number> {
  refuseForeign(folder)
  makePrivateFolder(folder)
  const logPath = join(folder, 'cluster.log')
  const wasRunning = pidOf(folder) !== undefined
  let pid = pidOf(folder)
  if (pid === undefined) {
    nodeFiles.remove(pidPath(folder))
    pid = startDetached([main, 'local', 'run', '--dir', folder, '--port', String(port)], logPath)
  }
  const started = nodeClock.monotonicMs()
  const kubeconfig = join(folder, 'kubeconfig')
  let shown = ''
  for (;;) {
    const missing = await missingOf(folder)
    if (missing === undefined) break
    if (missing !== shown) say(`  ${(shown = missing)} …`)
    if (!isRunning(pid))
      throw new OperatingError('DEADLINE_EXCEEDED', { missing: 'the cluster ended while it started', log: logPath })
    if (nodeClock.monotonicMs() - started > upDeadlineMs)
      throw new OperatingError('DEADLINE_EXCEEDED', {
        missing,
        timeoutMs: upDeadlineMs,
        logs: `${logPath}, ${folder}/node/logs`,
      })
    await nodeClock.sleep(pollMs)
  }
  const seconds = ((nodeClock.monotonicMs() - started) / 1000).toFixed(1)
  say(wasRunning ? 'The local cluster is running.' : `The local cluster is running (ready after ${seconds} s).`)
  say(`
  export KUBECONFIG=${kubeconfig}
  kubectl apply -f deploy/samples/quickstart.yaml
  kubectl get nameservers,brokersets,topics
  kubectl scale brokerset/mq-brokers --replicas=3
  kubectl logs -f mq-brokers-0-0
  ${commandFor(folder, 'down')}
`)
  return 0
}

/** What the cluster still lacks; undefined when the operator is at work. */
async function missingOf(folder: string): Promise<string | undefined> {
  if (pidOf(folder) === undefined) return 'starting the API server'
  const { namespace, name } = operatorPod
  const pod = await getJson(folder, `/api/v1/namespaces/${namespace}/pods/${name}`)
  if (pod === undefined) return 'starting the API server'
  const { status } = pod as { status?: { conditions?: { type: string; status: string }[] } }
  const isReady = status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True')
  return isReady ? undefined : 'starting the operator'
}

/** Reads from the cluster's API as kubectl would; undefined when it does not answer, or not with 200. */
async function getJson(folder: string, path: string): Promise<unknown> {
  const kubeconfig = join(folder, 'kubeconfig')
  if (!nodeFiles.exists(kubeconfig)) return undefined
  const { parse } = await import('yaml')
  const { clusters, users } = parse(nodeFiles.readText(kubeconfig))
  const [{ cluster }] = clusters
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString()
  const client = createHttpClient()
  try {
    const response = await client.request({
      method: 'GET',
      url: `${cluster.server}${path}`,
      headers: { authorization: `Bearer ${users[0].user.token}` },
      tls: { ca },
      timeoutMs: 2_000,
    })
    const parts: Buffer[] = []
    for await (const part of response.body) parts.push(part)
    return response.status === 200 ? JSON.parse(Buffer.concat(parts).toString()) : undefined
  } catch {
    return undefined // not up yet, or not any more
  } finally {
    client.close()
  }
}

async function status(folder: string): Promise<number> {
  const pid = pidOf(folder)
  if (pid === undefined) {
    say(`No cluster runs in ${folder}. Start it: ${commandFor(folder, 'up')}`)
    return 1
  }
  const pods = (await getJson(folder, '/api/v1/pods')) as
    | { items: { metadata: { namespace: string; name: string }; status?: { phase?: string; podIP?: string } }[] }
    | undefined
  say(`The local cluster runs as process ${pid}.\n\n  export KUBECONFIG=${join(folder, 'kubeconfig')}\n`)
  if (pods === undefined) say('Its API server does not answer.')
  for (const { metadata, status } of pods?.items ?? [])
    say(
      `  ${`${metadata.namespace}/${metadata.name}`.padEnd(44)}${(status?.phase ?? 'Pending').padEnd(12)}${status?.podIP ?? ''}`,
    )
  return pods === undefined ? 1 : 0
}

async function down(folder: string, isDelete: boolean): Promise<number> {
  if (isDelete) refuseForeign(folder)
  const pid = pidOf(folder)
  if (pid !== undefined) {
    signalProcess(pid, 'SIGTERM')
    if (!(await isGone(pid, nodeClock))) {
      signalProcess(pid, 'SIGKILL')
      await isGone(pid, nodeClock)
    }
  }
  say(pid === undefined ? `No cluster runs in ${folder}.` : 'The local cluster is stopped.')
  if (isDelete) {
    nodeFiles.remove(folder)
    say(`${folder} is deleted.`)
  } else if (nodeFiles.exists(folder))
    say(`Its objects and volumes are kept in ${folder}; ${commandFor(folder, 'down --delete')} deletes them.`)
  return 0
}

async function isGone(pid: number, clock: Clock): Promise<boolean> {
  const deadline = clock.monotonicMs() + downDeadlineMs
  while (clock.monotonicMs() < deadline) {
    if (!isRunning(pid)) return true
    await clock.sleep(pollMs)
  }
  return false
}

const shownLines = 5

/** The last lines of each container: what somebody needs who reports a demo that failed. */
function showLogs(folder: string): void {
  const logs = join(folder, 'node/logs')
  for (const pod of nodeFiles.list(logs)) {
    for (const { name } of nodeFiles.list(join(logs, pod.name))) {
      const lines = nodeFiles
        .readText(join(logs, pod.name, name))
        .trimEnd()
        .split('\n')
        .slice(-shownLines)
      process.stderr.write(`\n${pod.name}/${name}\n${lines.map((line) => `  ${line}\n`).join('')}`)
    }
  }
}

const demoPrefix = 'rocketmq-demo-'

/** Folders of demos that were killed (`kill -9`) before they could clean up: nobody holds their lock. */
function removeLeftovers(): void {
  for (const { name, isDirectory } of nodeFiles.list(tmpdir())) {
    const folder = join(tmpdir(), name)
    if (!name.startsWith(demoPrefix) || !isDirectory || !isOurs(folder)) continue
    const lockPath = join(folder, 'lock')
    const lock = nodeFiles.exists(lockPath) ? nodeFiles.lock(lockPath) : undefined
    if (lock === undefined) continue
    lock.release()
    nodeFiles.remove(folder)
  }
}

/** A cluster in a temporary folder, for as long as the demo role runs against it. */
async function demo(port: number): Promise<number> {
  removeLeftovers()
  const folder = makeTemporaryFolder(join(tmpdir(), demoPrefix))
  const told = signalled()
  process.once('exit', () => nodeFiles.remove(folder)) // also when a second Ctrl-C ends everything at once
  let cluster: Cluster | undefined
  try {
    cluster = await start(folder, port, 'error')
    const child = runAttached([main, 'demo'], { KUBECONFIG: cluster.kubeconfig })
    void told.then((name) => child.signal(name))
    const code = await child.ended
    if (code === 1) showLogs(folder) // they go with the folder
    return code
  } finally {
    await cluster?.stop()
  }
}
