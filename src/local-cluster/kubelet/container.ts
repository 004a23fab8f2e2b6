import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { Clock, Timer } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { timestamp } from '../api-server/object.ts'
import type { Container, ContainerState, ContainerStatus, Pod, Probe } from '../workloads/objects.ts'
import { ConfigurationProblem } from './environment.ts'
import { LogFile, tail } from './logs.ts'
import { probeOnce, startProbe } from './probes.ts'

/** What a container becomes: a process of this machine. */
export interface Command {
  file: string
  args: string[]
  env: Record<string, string>
  cwd: string
}

export interface ContainerOptions {
  pod: Pod
  container: Container
  ip: string
  logFolder: string
  before: ContainerStatus | undefined // from an earlier run of the cluster
  /** Works out the command anew for each start. @throws ConfigurationProblem */
  command(): Command
  changed(): void
  clock: Clock
}

const backOffFirstMs = 1_000 // Kubernetes waits 10 s to 5 min; on one machine people wait for the pod
const backOffMaxMs = 30_000
const healthyRunMs = 60_000 // after that long a crash counts as the first again
const guardFd = 3
/** What a container that failed wrote last, as much as Kubernetes takes for its message. */
const messageBytesMax = 2048
const messageLinesMax = 80

/** One container: started, probed, started again when it ends, stopped. Its state is what the pod's status shows. */
export class ContainerRunner {
  readonly name: string
  readonly #options: ContainerOptions
  #state: ContainerState = { waiting: { reason: 'ContainerCreating' } }
  #lastState: ContainerState
  #restartCount: number
  #isReady = false
  #child: ChildProcess | undefined
  #log: LogFile | undefined
  #backOffMs = backOffFirstMs
  #again: Timer | undefined
  #probes: { stop(): void }[] = []
  #isStopping = false
  #stopped: (() => void)[] = []
  #killReason: string | undefined

  constructor(options: ContainerOptions) {
    this.#options = options
    this.name = options.container.name
    this.#lastState = options.before?.lastState ?? {}
    this.#restartCount = options.before?.restartCount ?? 0
  }

  get status(): ContainerStatus {
    const { container } = this.#options
    return {
      name: this.name,
      image: container.image,
      imageID: container.image,
      ready: this.#isReady,
      started: this.#state.running !== undefined,
      restartCount: this.#restartCount,
      state: this.#state,
      lastState: this.#lastState,
      ...(this.#child?.pid !== undefined && { containerID: `process://${this.#child.pid}` }),
    }
  }

  get log(): LogFile | undefined {
    return this.#log
  }

  get logPath(): string {
    return join(this.#options.logFolder, `${this.name}.log`)
  }

  start(): void {
    this.#again = undefined
    if (this.#isStopping) return
    const { clock, container } = this.#options
    let command: Command
    try {
      command = this.#options.command()
    } catch (error) {
      if (!(error instanceof ConfigurationProblem)) throw error
      const reason = error.message.startsWith('image') ? 'ErrImageNeverPull' : 'CreateContainerConfigError'
      this.#setState({ waiting: { reason, message: error.message } })
      this.#again = clock.after(backOffFirstMs, () => this.start())
      return
    }
    const startedAt = timestamp(clock.now())
    const startedMs = clock.monotonicMs()
    this.#log ??= new LogFile(this.logPath)
    const log = this.#log
    const { file, args, env, cwd } = command
    const guarded = { ...env, LOCAL_CLUSTER_GUARD: String(guardFd) }
    const child = spawn(file, args, { cwd, env: guarded, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
    this.#child = child
    this.#killReason = undefined
    let written: Buffer = Buffer.alloc(0) // of this process: the log has those before it, too
    const write = (chunk: Buffer) => {
      log.write(chunk)
      written = Buffer.concat([written, chunk.subarray(-messageBytesMax)]).subarray(-messageBytesMax)
    }
    child.stdout?.on('data', write)
    child.stderr?.on('data', write)
    child.stdio[guardFd]?.on('error', () => {}) // its end says nothing that `close` does not
    child.once('error', (error) => write(Buffer.from(`${file}: ${messageOf(error)}\n`)))
    child.once('close', (exitCode, signal) => {
      this.#stopProbes()
      this.#child = undefined
      const isTold = exitCode !== 0 && container.terminationMessagePolicy === 'FallbackToLogsOnError'
      const message = this.#killReason ?? (isTold ? tail(written, messageLinesMax).toString() : '')
      const terminated = {
        exitCode: exitCode ?? 128 + constants.signals[signal ?? 'SIGTERM'],
        reason: exitCode === 0 ? 'Completed' : 'Error',
        ...(message !== '' && { message }),
        startedAt,
        finishedAt: timestamp(clock.now()),
      }
      this.#ended({ terminated }, exitCode === 0, clock.monotonicMs() - startedMs)
    })
    this.#isReady = container.readinessProbe === undefined
    this.#setState({ running: { startedAt } })
    this.#startProbes()
  }

  /** Ends the process: asks, and after graceMs makes it. Resolves when it is gone. */
  stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    this.#again?.cancel()
    this.#stopProbes()
    const child = this.#child
    if (child === undefined) {
      this.#log?.close()
      return Promise.resolve()
    }
    signalGroup(child, graceMs > 0 ? 'SIGTERM' : 'SIGKILL')
    const force = this.#options.clock.after(graceMs, () => signalGroup(child, 'SIGKILL'))
    return new Promise((resolve) =>
      this.#stopped.push(() => {
        force.cancel()
        resolve()
      }),
    )
  }

  /** Ends the process at once and waits for nothing; for the way out of this program. */
  killNow(): void {
    if (this.#child !== undefined) signalGroup(this.#child, 'SIGKILL')
  }

  #ended(state: ContainerState, isSuccess: boolean, ranMs: number): void {
    this.#isReady = false
    if (this.#isStopping) {
      this.#setState(state)
      this.#log?.close()
      for (const tell of this.#stopped.splice(0)) tell()
      return
    }
    const policy = this.#options.pod.spec.restartPolicy ?? 'Always'
    if (policy === 'Never' || (policy === 'OnFailure' && isSuccess)) {
      this.#setState(state)
      return
    }
    if (ranMs > healthyRunMs) this.#backOffMs = backOffFirstMs
    this.#lastState = state
    const message = `back-off ${this.#backOffMs / 1000}s restarting failed container=${this.name}`
    this.#setState({ waiting: { reason: 'CrashLoopBackOff', message } })
    this.#again = this.#options.clock.after(this.#backOffMs, () => {
      this.#restartCount++
      this.start()
    })
    this.#backOffMs = Math.min(this.#backOffMs * 2, backOffMaxMs)
  }

  #startProbes(): void {
    const { container, ip, clock } = this.#options
    const { startupProbe, livenessProbe, readinessProbe } = container
    const kill = (kind: string) => (isGood: boolean, problem: string | undefined) => {
      if (isGood || this.#child === undefined) return
      this.#killReason = `${kind} probe failed: ${problem}`
      signalGroup(this.#child, 'SIGKILL')
    }
    const begin = (probe: Probe, isEager: boolean, verdict: (isGood: boolean, problem?: string) => void) =>
      this.#probes.push(startProbe(probe, () => probeOnce(probe, container, ip), verdict, { clock, isEager }))
    const afterStartup = () => {
      if (livenessProbe !== undefined) begin(livenessProbe, false, kill('liveness'))
      if (readinessProbe === undefined) return
      begin(readinessProbe, true, (isGood) => {
        this.#isReady = isGood
        this.#options.changed()
      })
    }
    if (startupProbe === undefined) {
      afterStartup()
      return
    }
    begin(startupProbe, false, (isGood, problem) => {
      if (!isGood) return kill('startup')(isGood, problem)
      this.#stopProbes()
      afterStartup()
    })
  }

  #stopProbes(): void {
    for (const probe of this.#probes.splice(0)) probe.stop()
  }

  #setState(state: ContainerState): void {
    this.#state = state
    this.#options.changed()
  }
}

/** The process and what it has started: each container leads a process group. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    child.kill(signal) // it is gone (ESRCH), or has not come so far as to lead a group
  }
}
