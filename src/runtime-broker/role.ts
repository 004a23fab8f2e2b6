import type { Clock } from '../base/clock.ts'
import type { Doors } from '../base/doors.ts'
import { type HealthOptions, startHealth } from '../base/health.ts'
import type { HttpServer } from '../base/http.ts'
import { nodeDoors } from '../base/node/doors.ts'
import { createLog, type LogLevel, logLevels } from '../base/node/log.ts'
import { UsageError } from '../base/usage.ts'
import { type Program, parseCommandLine, readSettings, settingsText, thisMachine, usageOf } from '../tunables/index.ts'

/** A role that serves. */
export interface Running {
  /** Finishes what is under way and leaves everything clean. */
  stop(): Promise<void>
  /** Why it does not serve right now; undefined: it does. */
  notReady?(): string | undefined
  /** In Prometheus' text format. */
  metrics?(): string | Promise<string>
}

interface CommonSettings {
  bindAddress: string
  healthPort: number
}

const stopDeadlineMs = 50_000 // Kubernetes kills after the 60 s that the operator asks for

/**
 * Runs a role as a process: reads its command line, answers probes from the first moment, stops it on SIGTERM or SIGINT.
 * @returns the exit code: 0 after a clean stop, 1 when the stop took longer than its deadline
 * @throws UsageError; OperatingError when settings are wrong or the role does not come up
 */
export async function runRole<S extends CommonSettings>(
  program: Program<S>,
  args: string[],
  start: (settings: S, doors: Doors) => Promise<Running>,
): Promise<number> {
  const line = parseCommandLine(program, args)
  if (line.isHelp) return print(usageOf(program))
  const log = createLog(levelOf(line.logLevel), { component: program.name })
  const doors = nodeDoors(log)
  const settings = readSettings(program, line, doors.files, thisMachine(doors.network, log))
  if (line.prints !== undefined) return print(settingsText(program.schema, settings, line.prints))

  process.title = `rocketmq-${program.name}`
  const stopSignal = nextStopSignal()
  let running: Running | undefined
  let isStopping = false
  const notReady = () => {
    if (isStopping) return 'stopping'
    return running === undefined ? 'starting' : running.notReady?.()
  }
  const metrics = () => running?.metrics?.() ?? ''
  const { bindAddress, healthPort } = settings
  const health =
    healthPort === 0 ? undefined : await serveHealth({ host: bindAddress, port: healthPort, notReady, metrics })
  const starting = start(settings, doors)
  await Promise.race([starting.then((role) => (running = role)), stopSignal])

  const signal = await stopSignal
  isStopping = true
  log.info({ signal }, 'stopping')
  const isClean = await within(
    stopDeadlineMs,
    doors.clock,
    Promise.all([starting.then((role) => role.stop()), health?.close()]),
  )
  if (!isClean) log.error({ stopDeadlineMs }, 'did not stop in time')
  return isClean ? 0 : 1
}

/** node:http costs 16 MiB and 40 ms: only who is probed pays for it. */
async function serveHealth(options: HealthOptions): Promise<HttpServer> {
  const { listenHttp } = await import('../base/node/http.ts')
  return startHealth(options, listenHttp)
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function levelOf(level: string | undefined): LogLevel {
  if (level === undefined) return 'info'
  const known = logLevels.find((name) => name === level)
  if (known === undefined) throw new UsageError(`--log-level ${level}: one of ${logLevels.join(', ')} is wanted`)
  return known
}

/** Resolves at the first SIGTERM or SIGINT; the second one ends the process at once. */
function nextStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve)
  })
}

/** @returns false when the work took longer than deadlineMs */
async function within(deadlineMs: number, clock: Clock, work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController()
  try {
    return await Promise.race([work.then(() => true), clock.sleep(deadlineMs, late.signal).then(() => false)])
  } finally {
    late.abort()
  }
}
