import { OperatingError } from '../base/errors.ts'
import { startHealth } from '../base/health.ts'
import { trimWhenIdle } from '../base/idle-memory.ts'
import type { Log } from '../base/log.ts'
import {
  createHttpClient,
  createLog,
  type LogLevel,
  listenHttp,
  logLevels,
  nodeClock,
  nodeDoors,
  ownProcess,
} from '../base/node/index.ts'
import { parseFlags, UsageError } from '../base/usage.ts'
import { openTls } from '../client/index.ts'
import { definitions, operatorName, releaseImage, resourceType } from '../crds/index.ts'
import { Election, EventRecorder, findAccess, isRefused, KubeClient, type KubeObject } from '../kube/index.ts'
import { clientAdmin } from './client-admin.ts'
import { sayOutdated } from './definitions.ts'
import { disabledFeatures, sayDisabled } from './features.ts'
import { OperatorMetrics } from './metrics.ts'
import { Operator } from './operator.ts'
import { readTlsOptions } from './tls-options.ts'

const crdsWaitMs = 30_000 // they may be applied together with the operator
const crdsPollMs = 1000
const stopDeadlineMs = 20_000
const memoryBaseBytes = 128 * 1024 * 1024 // what an operator takes that has nothing to do

const usage = `Usage: node src/main.js operator [flags]

Runs NameServers, brokers and topics as their resources say. Uses the pod's service account, or a kubeconfig.

  --kubeconfig FILE      kubeconfig, with its current context; default: $KUBECONFIG, else the service account
  --namespace NAME       look at this namespace only; may be repeated; default: all
  --runtime-image IMAGE  image of NameServers and brokers whose resource names none; default: ${releaseImage}
  --lease NAMESPACE/NAME  work only while this Lease is held, as the others with the same flag do; default: alone
  --tls.enable           speak TLS with NameServers and brokers; default: plain
  --tls.config.file FILE the tls.client.* keys of Apache's clients, and TLS; default: servers prove themselves to
                         public authorities
  --health-port PORT     serve /livez, /readyz and /metrics; default: 0, not at all
  --log-level LEVEL      ${logLevels.join(', ')}; default: info
  -h, --help             this text
`

/**
 * The operator as a process, until SIGTERM or SIGINT.
 * @returns the exit code
 * @throws UsageError; OperatingError KUBE_CONFIG_INVALID, CRDS_MISSING, KUBE_REFUSED, HTTP_FAILED, SETTING_INVALID, FILE_FAILED
 */
export async function run(args: string[]): Promise<number> {
  const flags = readFlags(args)
  if (flags.help) {
    process.stdout.write(usage)
    return 0
  }
  process.title = operatorName
  const doors = nodeDoors(createLog(flags.logLevel))
  const log = doors.log.with({ component: 'operator' })
  const stopped = stopSignal()
  const http = createHttpClient()
  const access = await findAccess(flags.kubeconfig, process.env, doors.files, doors.clock)
  const client = new KubeClient(access, http, operatorName)
  const metrics = new OperatorMetrics().addProcess()
  const tls = flags.isTls
    ? await openTls(readTlsOptions(flags.tlsConfigFile, doors.files), doors, 'tls.client.')
    : undefined
  const admin = clientAdmin(doors, tls)
  const { namespaces, runtimeImage } = flags
  const disabled = await disabledFeatures(client, namespaces)
  const readsNamespaces = namespaces.length === 0 && !disabled.includes('namespaceSelectors')
  const operator = new Operator({ client, admin, namespaces, readsNamespaces, runtimeImage, metrics }, doors)
  const identity = `${process.env.POD_NAME ?? process.env.HOSTNAME ?? operatorName}_${doors.random.uuid()}`
  const election = flags.lease && new Election(client, { ...flags.lease, identity }, doors)
  const electionOver = new AbortController()
  const lost = Promise.withResolvers<string>()
  let phase: 'starting' | 'working' | 'stopping' = 'starting'
  const notReady = () => {
    if (phase === 'stopping') return 'stopping'
    return operator.missing.length > 0 ? `not seen yet: ${operator.missing.join(', ')}` : undefined
  }
  const health =
    flags.healthPort === 0
      ? undefined
      : await startHealth(
          {
            host: process.env.POD_IP ?? '0.0.0.0',
            port: flags.healthPort,
            notReady,
            stuck: () => operator.stuck,
            metrics: () => metrics.text(),
          },
          listenHttp,
        )
  log.info({ server: access.server, access: access.source, namespaces: flags.namespaces }, 'starting')

  trimWhenIdle(ownProcess, doors.clock, memoryBaseBytes)
  const working = awaitDefinitions(client, flags.namespaces[0], log)
    .then(() => operator.follow())
    .then(() => election?.acquire(electionOver.signal, lost.resolve))
    .then(() => {
      if (phase === 'stopping') return
      phase = 'working'
      metrics.leads(true)
      operator.lead()
      log.info({}, 'at work')
      // by the one that writes, and when it is at work already
      const recorder = new EventRecorder(client, operatorName, doors)
      sayDisabled(disabled, recorder, ownPod(process.env), log)
      void sayOutdated(definitions, client, recorder, ownPod(process.env), log)
    })
  const ended = Promise.race([stopped, lost.promise])
  await Promise.race([working.then(() => ended), ended])
  const lostBy = await Promise.race([lost.promise, nodeClock.sleep(0)])
  phase = 'stopping'
  metrics.leads(false)
  if (lostBy === undefined) log.info({}, 'stopping')
  else log.error({ reason: lostBy }, 'the lease is lost: another operator may be at work, so this one ends')
  const stop = Promise.all([operator.stop(), health?.close()])
    .then(() => electionOver.abort(new OperatingError('DEADLINE_EXCEEDED', { what: 'stopping' })))
    .then(() => election?.release()) // nothing works here any more: the next one may begin
    .then(() => admin.close())
  const isClean = await Promise.race([stop.then(() => true), nodeClock.sleep(stopDeadlineMs).then(() => false)])
  http.close()
  return isClean && lostBy === undefined ? 0 : 1
}

interface Flags {
  help: boolean
  kubeconfig: string | undefined
  namespaces: string[]
  runtimeImage: string
  lease: { namespace: string; name: string } | undefined
  isTls: boolean
  tlsConfigFile: string | undefined
  healthPort: number
  logLevel: LogLevel
}

function readFlags(args: string[]): Flags {
  const { values } = parse(args)
  const healthPort = Number(values['health-port'])
  if (!Number.isInteger(healthPort) || healthPort < 0 || healthPort > 65_535) {
    throw new UsageError(`--health-port ${values['health-port']}: a port from 0 to 65535 is wanted`)
  }
  const [leaseNamespace = '', leaseName = '', ...more] = values.lease?.split('/') ?? []
  if (values.lease !== undefined && (leaseNamespace === '' || leaseName === '' || more.length > 0)) {
    throw new UsageError(`--lease ${values.lease}: NAMESPACE/NAME is wanted`)
  }
  const logLevel = logLevels.find((level) => level === values['log-level'])
  if (!logLevel) throw new UsageError(`--log-level ${values['log-level']}: one of ${logLevels.join(', ')} is wanted`)
  return {
    help: values.help,
    kubeconfig: values.kubeconfig,
    namespaces: [...new Set(values.namespace)],
    runtimeImage: values['runtime-image'],
    lease: values.lease === undefined ? undefined : { namespace: leaseNamespace, name: leaseName },
    isTls: values['tls.enable'] || values['tls.config.file'] !== undefined,
    tlsConfigFile: values['tls.config.file'],
    healthPort,
    logLevel,
  }
}

function parse(args: string[]) {
  return parseFlags({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      kubeconfig: { type: 'string' },
      namespace: { type: 'string', multiple: true, default: [] },
      'runtime-image': { type: 'string', default: releaseImage },
      lease: { type: 'string' },
      'tls.enable': { type: 'boolean', default: false },
      'tls.config.file': { type: 'string' },
      'health-port': { type: 'string', default: '0' },
      'log-level': { type: 'string', default: 'info' },
    },
  })
}

/** Waits until the API server knows every custom resource. */
async function awaitDefinitions(client: KubeClient, namespace: string | undefined, log: Log): Promise<void> {
  const deadlineMs = nodeClock.monotonicMs() + crdsWaitMs
  for (const definition of definitions) {
    const type = resourceType(definition)
    for (let isSaid = false; ; isSaid = true) {
      try {
        await client.listPage({ type, namespace }, { limit: 1 })
        break
      } catch (error) {
        if (!isRefused(error, 404)) throw error
        const remedy = 'kubectl apply -f deploy/crds'
        if (nodeClock.monotonicMs() > deadlineMs) throw new OperatingError('CRDS_MISSING', { kind: type.kind, remedy })
        if (!isSaid) log.warn({ kind: type.kind, remedy }, 'waiting for the custom resource definition')
        await nodeClock.sleep(crdsPollMs)
      }
    }
  }
}

/** The pod that this process runs in; undefined: in none. */
function ownPod({ POD_NAME: name, POD_NAMESPACE: namespace, POD_UID: uid }: NodeJS.ProcessEnv): KubeObject | undefined {
  if (name === undefined || namespace === undefined || uid === undefined) return undefined
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, uid } }
}

/** Resolves at the first SIGTERM or SIGINT; the second one ends the process at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}
